"""One trial of a sweep: a training in a process of its own, whose end becomes a record.

A trial ends in one of these ways. It may be DONE: there is a result, or the point failed (the loss
became NaN, memory ran out), which the script tells by an exit status of its own. It may have to be
tried AGAIN: it was interrupted, or its surroundings are broken (data are missing, the disk is full,
no process can be started), which says nothing about the point. Or it is UNCLEAR which of the two:
an exception or a crash that nobody foresaw.
"""

import collections
import contextlib
import ctypes
import os
import platform
import re
import signal
import subprocess
import sys
import threading
import time

import tqdm

from files.errors import TrainingFailed, UserError, hint
from files.output import is_terminal, print_line
from files.progress import BAR_FILE
from files.run_files import LAST, has_results, load_results
from files.units import lower_is_better
from files.writing import FolderInUse, lock_folder
from training.early_stopping import PRUNED

DONE, AGAIN, UNCLEAR = "done", "again", "unclear"

Trial = collections.namedtuple("Trial", "number point folder script begin resume")
Trial.__doc__ = """folder: its run's. begin, resume: the script's options to start and resume it."""

Ended = collections.namedtuple("Ended", "kind reason")
Ended.__doc__ = """End of a process. kind: DONE, AGAIN or UNCLEAR. reason: None if it is well."""

STOPPING = threading.Event()  # set while all trainings of this process are to end
_PROCESSES = set()  # that `call` waits for, in whichever thread
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
# How the last line of a traceback begins that tells of the surroundings.
_OF_SURROUNDINGS = re.compile(r"(OSError|BlockingIOError|ConnectionError|FileNotFoundError|"
                              r"IsADirectoryError|NotADirectoryError|PermissionError|TimeoutError|"
                              r"ImportError|ModuleNotFoundError)\b|\S*: can't open file ")


def train(trial, variables=()):
    """Train a trial, or resume it; return its record and whether it is DONE, AGAIN or UNCLEAR.

    The record is the dict that becomes its line in trials.jsonl. If another process still trains
    the trial (a sweep that was killed left it), that one is waited for. variables: environment
    variables to add.
    """
    started = time.monotonic()
    try:
        while True:
            _wait_for_others(trial.folder)
            ended = _run(trial, variables)
            if ended.kind != AGAIN or STOPPING.is_set() or not _is_held(trial.folder):
                break  # else another process was faster
    except OSError as error:
        ended = Ended(AGAIN, "%s cannot be trained (%s)" % (trial.folder, error))
    record = {"trial": trial.number, "point": trial.point, "loss": None, "reason": ended.reason,
              "machine": platform.node(),
              "finished": time.strftime("%Y-%m-%d %H:%M:%S")}
    if ended.reason is None:
        record.update(_outcome(trial.folder))
        seconds = max(time.monotonic() - started, record.pop("run_seconds", 0))
        record["trial_seconds"] = round(seconds, 1)
    return record, ended.kind


def _run(trial, variables):
    """Run the process of a trial that is not finished; returns how it Ended."""
    if STOPPING.is_set():
        return Ended(AGAIN, "it was not begun")
    if is_finished(trial.folder):
        return Ended(DONE, None)
    begun = os.path.exists(os.path.join(trial.folder, LAST))
    return call(trial.script, trial.resume if begun else trial.begin, variables)


def _outcome(folder):
    """The part of a finished trial's record that its results give."""
    try:
        found = results(folder)
    except UserError as error:
        return {"reason": str(error)}
    value = found["valid"][found["monitor"]]
    outcome = {name: found[name] for name in (
        "seconds", "epochs", "best_epoch", "parameters", "hidden_units")}
    outcome.update(metric=found["monitor"], value=value,
                   loss=value if lower_is_better(found["monitor"]) else -value,
                   run_seconds=found["seconds"] + found.get("startup_seconds", 0))
    if (found["stop_reason"] or "").startswith(PRUNED):
        outcome["pruned"] = True
    return outcome


def is_finished(folder):
    """Whether a trial's training has ended.

    Damaged results count as ended, so that they are named and not overwritten.
    """
    try:
        return has_results(folder) and bool(results(folder)["stop_reason"])
    except UserError:
        return True


def results(folder):
    """The content of a trial's results.json. Raises UserError if it is missing or damaged."""
    with hint("remove it, and its line in trials.jsonl if it has one, to have them made again"):
        return load_results(folder)


def call(script, words, variables=()):
    """Run a script to its end and return how it Ended; the reason is its last line of error.

    On a terminal it shows its progress bar. It saves itself and ends when this process is
    interrupted or dies.
    """
    environment = dict(os.environ, **dict(variables))
    tail = b""
    with _terminal_for_bar(environment) as terminal:
        try:
            process = subprocess.Popen(
                [sys.executable, "-u", script] + words, env=environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
                preexec_fn=_end_with_parent, pass_fds=terminal)
            _PROCESSES.add(process)
            try:
                for block in iter(lambda: os.read(process.stderr.fileno(), 65536), b""):
                    tail = (tail + block)[-4096:]
                return _ended(process.wait(), tail)
            except BaseException:
                process.terminate()
                process.communicate()
                raise
            finally:
                _PROCESSES.discard(process)
                process.stderr.close()
        except (OSError, subprocess.SubprocessError) as error:
            return Ended(AGAIN, "no process can be started (%s)" % error)


@contextlib.contextmanager
def _terminal_for_bar(environment):
    """Lend a process with `environment` our terminal, if any, for a bar in the row below ours.

    Gives the file descriptors to pass on.
    """
    if not is_terminal(sys.stderr) or BAR_FILE in environment:
        yield ()
        return
    number = os.dup(sys.stderr.fileno())
    environment[BAR_FILE] = str(number)
    try:
        yield (number,)
    finally:
        with contextlib.suppress(OSError):  # the terminal is gone
            os.write(number, b"\n\x1b[K\x1b[A")  # a bar that a kill left in the row below
        os.close(number)


def _ended(status, tail):
    """Tell the end of a process from its exit status and the end of its standard error."""
    if status == 0:
        return Ended(DONE, None)
    if status == 128 + signal.SIGINT:
        return Ended(AGAIN, "interrupted; the same command continues it")
    if -status in _INTERRUPTIONS:
        return Ended(AGAIN, "interrupted by signal %d" % -status)
    if status == -signal.SIGKILL:
        return Ended(DONE, "killed by signal 9 (out of memory?)")
    if status < 0:
        return Ended(UNCLEAR, "killed by signal %d" % -status)
    text = tail.decode("utf-8", "replace").replace("\r", "\n")
    said = [line for line in text.splitlines() if line.strip()]
    last = said[-1].strip() if said else "it ended with status %d" % status
    reason = re.sub("^error: ", "", last)
    if status == TrainingFailed.exit_status:
        return Ended(DONE, reason)
    known = status == UserError.exit_status or _OF_SURROUNDINGS.match(last)
    return Ended(AGAIN if known else UNCLEAR, reason)


def _end_with_parent():
    """Have this process get SIGTERM when the one that started it dies."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def terminate_all():
    """Have all trials that this process trains save themselves and end."""
    with contextlib.suppress(KeyError):  # none is left, or another thread took the last
        while True:
            _PROCESSES.pop().terminate()


def _wait_for_others(folder):
    if _is_held(folder) and not STOPPING.is_set():
        with tqdm.tqdm.external_write_mode():
            print_line("waiting for another process, which trains %s" % folder)
    while _is_held(folder) and not STOPPING.wait(1):
        pass


def _is_held(folder):
    """Whether another process trains the run in a folder."""
    if not os.path.isdir(folder):
        return False
    try:
        lock_folder(folder).close()
        return False
    except FolderInUse:
        return True
