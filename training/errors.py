"""Errors that are the user's to mend, and how a script ends when it meets one."""

import sys


class UserError(Exception):
    """Something the user can mend. Its text is one line: what is wrong, what was found, what to do."""


def run_as_script(main):
    """Call `main()`; a UserError ends the process with its one line on standard error and exit status 2.

    What `main` returns is the exit status (None counts as 0). Ctrl-C gives 130; a training that is under way saves
    itself first, see training/trainer.py. Every other exception keeps its traceback: it is a
    defect of ours, not of the input.
    """
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted before anything was to be saved", file=sys.stderr)
        sys.exit(130)
    except UserError as error:
        print("error: %s" % " ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
