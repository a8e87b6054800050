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
        made = [name for name in (".venv", ".conda", ".venv.tf2")
                if os.path.exists(os.path.join(ROOT, name))] or [".venv"]
        activate = "conda activate %s" if made[0] == ".conda" else "source %s/bin/activate"
        activate %= shlex.quote(os.path.join(ROOT, made[0]))
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
