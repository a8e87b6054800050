"""The project's folder."""

import os
import shlex
import shutil
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def project_path(path):
    """The absolute form of a path that a user gave: `~` is the home, a relative one begins here.

    So all programs mean the same folder, from whichever folder they are started.
    """
    return os.path.normpath(os.path.join(ROOT, os.path.expanduser(path)))


def existing_path(path):
    """A path that a user gave of something that should exist: from the current folder, or else
    from the project's."""
    here = os.path.normpath(os.path.expanduser(path))
    return here if os.path.exists(here) else shown_path(project_path(path))


def shown_path(path):
    """`path`, relative if it is below the current folder."""
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else relative


def call_of(script):
    """How a shell in the current folder calls a script of the project by this interpreter."""
    return " ".join(map(shlex.quote, [python_command(), "-u", shown_path(project_path(script))]))


def python_command():
    """How a shell calls this interpreter: `python` if its environment is activated, or its path."""
    found = os.path.exists(sys.executable) and shutil.which("python")
    activated = found and os.path.samefile(found, sys.executable) and os.path.samefile(
        os.path.dirname(found), os.path.dirname(sys.executable))
    return "python" if activated else shown_path(sys.executable)
