"""One trial of a sweep: a training in a process of its own, whose end, good or bad, becomes a record."""

import collections
import ctypes
import datetime
import math
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time

from files.errors import UserError, hint
from files.writing import lock_folder
from files.progress import BAR_FILE
from files.run_files import LAST, load_results

Trial = collections.namedtuple("Trial", "number point folder script begin resume")
Trial.__doc__ = """folder: its run's. begin, resume: the script's command line to start it and to go on with it."""

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def train(trial, variables=()):
    """Train a trial, or go on with it; returns its record, the dict that becomes its line in trials.jsonl.

    Where another process still trains it (a sweep that was killed left it), that one is waited for.
    variables: more of the environment.
    """
    _wait_for_others(trial.folder)
    reason = None
    if not os.path.exists(os.path.join(trial.folder, "results.json")):
        words = trial.resume
        if not os.path.exists(os.path.join(trial.folder, LAST)):
            shutil.rmtree(trial.folder, ignore_errors=True)  # killed before there was anything to go on from
            words = trial.begin
        reason = call(trial.script, words, variables)
    record = {"trial": trial.number, "point": trial.point, "loss": None, "machine": platform.node(),
              "finished": datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S")}
    if reason is None:
        try:
            found = results(trial.folder)
        except UserError as error:
            return dict(record, reason=str(error))
        value = found["valid"][found["monitor"]]
        record.update({name: found[name] for name in ("seconds", "epochs", "best_epoch", "parameters",
                                                      "hidden_units")}, metric=found["monitor"], value=value)
        if math.isfinite(value):
            record["loss"] = value if found["lower_is_better"] else -value
        else:
            reason = "the validation metric is %s" % value
    return dict(record, reason=reason)


def results(folder):
    """What the results.json of a trial holds. Raises UserError where it is missing, damaged or incomplete."""
    with hint("remove it, and the trial's line in trials.jsonl, to have them made again"):
        return load_results(folder)


def call(script, words, variables=()):
    """Run a script to its end; returns None, or why it failed: the last line of its standard error.

    On a terminal it shows its progress bar. It saves itself and ends when this process is interrupted or dies.
    """
    environment = dict(os.environ, **dict(variables))
    terminal = [os.dup(sys.stderr.fileno())] if sys.stderr.isatty() else []
    environment.update((BAR_FILE, str(number)) for number in terminal)
    process = subprocess.Popen([sys.executable, "-u", script] + words, env=environment,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               start_new_session=True, preexec_fn=_end_with_parent, pass_fds=terminal)
    tail = b""
    try:
        for block in iter(lambda: os.read(process.stderr.fileno(), 65536), b""):
            tail = (tail + block)[-4096:]
        status = process.wait()
    except BaseException:
        process.terminate()
        process.communicate()
        raise
    finally:
        for number in terminal:
            os.write(number, b"\n\x1b[K\x1b[A")  # a bar that a kill left in the row below
            os.close(number)
    if status == 0:
        return None
    if status < 0:
        return "killed by signal %d%s" % (-status, " (out of memory?)" if status == -signal.SIGKILL else "")
    said = [line for line in tail.decode("utf-8", "replace").replace("\r", "\n").splitlines() if line.strip()]
    return re.sub("^error: ", "", said[-1].strip()) if said else "it ended with status %d" % status


def _end_with_parent():
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_for_others(folder):
    while os.path.isdir(folder):
        try:
            return lock_folder(folder).close()
        except UserError:
            time.sleep(1)
