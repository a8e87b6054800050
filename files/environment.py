"""Import this before a package of the environment: if that is missing, one line says so."""

import importlib
import os
import sys

from files.output import print_error
from files.project import ROOT


def need(package):
    """End the process with one line and status 2 if `package` cannot be imported."""
    try:
        importlib.import_module(package)
    except ImportError as error:
        made = [name for name in (".venv", ".venv.tf2") if os.path.exists(os.path.join(ROOT, name))]
        activate = "source %s" % os.path.join(ROOT, (made or [".venv"])[0], "bin", "activate")
        make = "" if made else "`bash run.sh` makes the environment; "
        problem = "%s has no %s that can be used (%s)" % (sys.executable, package, error)
        print_error("error: %s: %srun `%s`, then this again" % (problem, make, activate))
        sys.exit(2)


need("numpy")
