"""Errors that the user can fix, and how a script ends when it meets one."""

import argparse
import contextlib
import difflib
import errno
import itertools
import signal
import sys

from files.output import drop_output, open_closed_streams, print_error


class UserError(Exception):
    """Something the user can fix. Its text is one line: what is wrong, what was found, what to do.

    problem: what is wrong and what was found. hint: what to do; None if `problem` says it or the
    caller will (see `hint`).
    """

    exit_status = 2

    def __init__(self, problem, hint=None):
        super().__init__(problem)
        self.problem, self.hint = problem, hint

    def __str__(self):
        return self.problem if self.hint is None else "%s: %s" % (self.problem, self.hint)


class TrainingFailed(UserError):
    """A training that cannot succeed with its settings: it diverged, or memory is too small.

    Its exit status tells a sweep that the point failed, and not what surrounds it.
    """

    exit_status = 3


@contextlib.contextmanager
def hint(text):
    """Add the advice `text` to a UserError raised inside that has none: the innermost wins."""
    try:
        yield
    except UserError as error:
        if error.hint is None:
            error.hint = text
        raise


def did_you_mean(given, names, prefix=""):
    """", did you mean NAME?" for the name that is nearest to what was given, or "" for none."""
    near = _nearest(str(given), list(names))
    return ", did you mean %s%s?" % (prefix, near) if near else ""


def _nearest(given, names):
    wanted = given.lower().replace("-", "_")
    plain = {name: name.lower().replace("-", "_") for name in names}
    for is_near in (lambda name: plain[name] == wanted,
                    lambda name: len(wanted) > 1 and wanted == _initials(plain[name]),
                    lambda name: len(wanted) > 2 and plain[name].startswith(wanted),
                    lambda name: len(wanted) > 2 and wanted in plain[name]):
        for name in names:
            if is_near(name):
                return name
    near = difflib.get_close_matches(wanted, list(plain.values()), 1)
    return next((name for name in names if plain[name] in near), None)


def _initials(name):
    return "".join(word[0] for word in name.split("_") if word)


_DEFECTS = (None, errno.EBADF, errno.EINVAL)  # of ours, not of the disk


@contextlib.contextmanager
def disk_errors(text):
    """Turn errors of the disk raised inside into a UserError with the advice `text`."""
    try:
        yield
    except OSError as error:
        if error.errno in _DEFECTS or isinstance(error, ConnectionError):
            raise
        raise UserError("a file cannot be written or read (%s)" % error, text) from error


class OneLineParser(argparse.ArgumentParser):
    """A parser that raises UserError for a wrong option instead of printing its usage."""

    def parse_args(self, args=None, namespace=None):
        """Parse like ArgumentParser, but name the option that is nearest to an unknown one."""
        options, others = self.parse_known_args(args, namespace)
        if others:
            word, near = others[0].partition("=")[0], ""
            if word.startswith("-"):
                known = itertools.chain(*[action.option_strings for action in self._actions])
                near = did_you_mean(word.lstrip("-"), [name.lstrip("-") for name in known], "--")
            self.error("%.100s is not an option of %s%s" % (word, self.prog, near))
        return options

    def error(self, message):
        raise UserError("%s; %s --help lists all options" % (message, self.prog))


def run_as_script(main):
    """Call `main()`; a UserError ends the process with one line on standard error.

    The exit status is then the error's: 2, or 3 for TrainingFailed.
    The value of `main` is the exit status (None counts as 0). Ctrl-C and TERM give 130; a training
    under way saves itself first, see training/trainer.py. If the reader of a pipe went away it is
    141, as if SIGPIPE had ended us. An error of the disk is for the user to fix, too. Every other
    exception keeps its traceback: it is a defect of ours, not of the input. Standard streams may be
    closed.
    """
    open_closed_streams()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with disk_errors("when that is fixed, give the same command again"):
            try:
                sys.exit(main())
            finally:
                sys.stdout.flush()  # here, not when Python ends, so that a broken pipe is met below
    except BrokenPipeError:
        drop_output()  # or Python would try to flush it once more
        sys.exit(128 + signal.SIGPIPE)
    except KeyboardInterrupt:
        print_error("interrupted; what was saved is kept")
        sys.exit(130)
    except UserError as error:
        print_error("error: %s" % error)
        sys.exit(error.exit_status)
