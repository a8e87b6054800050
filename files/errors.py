"""Errors that are the user's to mend, and how a script ends when it meets one."""

import argparse
import contextlib
import os
import signal
import sys


class UserError(Exception):
    """Something the user can mend. Its text is one line: what is wrong, what was found, what to do.

    problem: what is wrong and what was found. hint: what to do, None where `problem` says it or the caller will
    (see `hint`).
    """

    def __init__(self, problem, hint=None):
        super().__init__(problem)
        self.problem, self.hint = problem, hint

    def __str__(self):
        return self.problem if self.hint is None else "%s: %s" % (self.problem, self.hint)


@contextlib.contextmanager
def hint(text):
    """Add the advice `text` to a UserError raised inside that has none yet; the innermost advice wins."""
    try:
        yield
    except UserError as error:
        if error.hint is None:
            error.hint = text
        raise


class OneLineParser(argparse.ArgumentParser):
    """A parser of the command line that raises UserError for a wrong option, instead of printing its usage."""

    def error(self, message):
        raise UserError("%s; %s --help lists all options" % (message, self.prog))


def run_as_script(main):
    """Call `main()`; a UserError ends the process with its one line on standard error and exit status 2.

    What `main` returns is the exit status (None counts as 0). Ctrl-C gives 130; a training that is under way saves
    itself first, see training/trainer.py. Where the reader of a pipe went away it is 141, as if SIGPIPE had ended
    us. Every other exception keeps its traceback: it is a defect of ours, not of the input.
    """
    try:
        try:
            sys.exit(main())
        finally:
            sys.stdout.flush()  # here, not when Python ends, so that a broken pipe is met below
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python would still flush
        sys.exit(128 + signal.SIGPIPE)
    except KeyboardInterrupt:
        print("interrupted; what was saved is kept", file=sys.stderr)
        sys.exit(130)
    except UserError as error:
        print("error: %s" % " ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
