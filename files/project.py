"""Where the project is."""

import os

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def project_path(path):
    """The absolute form of a path that a user gave: `~` is the home, a relative one begins here.

    So all programs mean the same folder, from whichever folder they are started.
    """
    return os.path.normpath(os.path.join(ROOT, os.path.expanduser(path)))
