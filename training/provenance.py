"""Versions, machine and commit: what one has to know to repeat a run."""

import os
import platform
import subprocess

import numpy as np

from training.quiet_tensorflow import tf

from files.project import ROOT


def environment(gpu=""):
    """The versions, the machine, and the commit with whether its files are unchanged.

    gpu: the setting, which of the visible GPUs to use; a training uses one, whatever else there is.
    gpu_names: its model, None if nvidia-smi does not tell it. The commit is None if the
    project is not a git repository of its own that tracks this file, as a copy inside another
    repository is not.
    """
    changes = commit = None
    top = _git("rev-parse", "--show-toplevel")
    if top and os.path.samefile(top, ROOT) and _git("ls-files", "--error-unmatch", __file__):
        commit = _git("rev-parse", "HEAD")
        changes = _git("status", "--porcelain", "--untracked-files=no")
    gpus = min(len(tf.config.experimental.list_physical_devices("GPU")), 1)
    return {"python": platform.python_version(), "tensorflow": tf.version.VERSION,
            "numpy": np.__version__, "machine": platform.machine(), "processor": _processor(),
            "system": platform.platform(), "cores": len(os.sched_getaffinity(0)),
            "gpus": gpus, "gpu_names": _gpu_names(int(gpu or 0)) if gpus else [],
            "git_commit": commit, "git_clean": None if changes is None else changes == ""}


def _git(*words):
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return _output(("git", "-C", ROOT) + words, variables)


def _gpu_names(number):
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = _output(("nvidia-smi", "--query-gpu=name", "--format=csv,noheader") +
                    (("--id=" + visible,) if visible else ()))
    return names and names.splitlines()[number:number + 1] or None


def _output(command, variables=None):
    """What a command prints, without the last line's end; None if it fails or is not there."""
    try:
        return subprocess.check_output(command, env=variables, stderr=subprocess.DEVNULL,
                                       universal_newlines=True).strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _processor():
    try:
        with open("/proc/cpuinfo") as file:
            line = next(line for line in file if line.startswith("model name"))
            return line.partition(":")[2].strip()
    except (OSError, StopIteration):
        return platform.processor()
