"""Import this before a package of the environment: if that is missing, one line says so."""

import contextlib
import importlib
import os
import shlex
import sys

from files.output import print_error, silent_standard_error
from files.project import ROOT


def need(package):
    """Import `package`; end the process with one line and status 2 if that cannot be done.

    TensorFlow 2.x greets with some lines that no level of logging keeps away. Without AVX it would
    abort, and they say why.
    """
    try:
        with silent_standard_error() if _has_avx() else contextlib.nullcontext():
            importlib.import_module(package)
    except KeyboardInterrupt:
        sys.exit(130)
    except ImportError as error:
        names = (".venv", ".conda", ".venv.tf2")
        made = [name for name in names if os.path.exists(os.path.join(ROOT, name))]
        folder = os.path.join(ROOT, (made or names)[0])
        activate = ("conda activate " + shlex.quote(folder) if folder.endswith(".conda") else
                    "source " + shlex.quote(os.path.join(folder, "bin/activate")))
        make = "" if made else "`bash run.sh` makes the environment; "
        problem = "%s has no %s that can be used (%s)" % (sys.executable, package, error)
        print_error("error: %s: %srun `%s`, then this again" % (problem, make, activate))
        sys.exit(2)


def _has_avx():
    try:
        with open("/proc/cpuinfo") as file:
            return " avx " in file.read()
    except OSError:
        return False


need("numpy")
