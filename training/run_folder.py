"""One run, one folder: settings, log, metrics by epoch, TensorBoard events, checkpoints, results."""

import datetime
import glob
import json
import os
import platform
import shlex
import shutil
import subprocess

import numpy as np
from training.quiet_tensorflow import tf

from data_preparation.own import data_set_title
from files.machine import usable_cores
from files.errors import UserError, hint
from files.arrays import load_arrays, save_arrays
from files.writing import atomic_write, lock_folder, save_json
from files.run_files import LAST, load_settings


class RunFolder(object):
    """runs/<task>/<data set>/<cell>/<name>/, held by one process at a time; use it in a `with` statement.

    A new run never takes a folder that exists; one to resume or evaluate must exist. A new one that ends with an error
    before its first checkpoint leaves no folder. Raises UserError where the folder cannot be made, exists already, is
    missing, or another process holds it.
    """

    def __init__(self, settings):
        self.existing = settings.resume or settings.evaluate
        self.settings = settings
        name = settings.name or datetime.datetime.now().strftime("%Y%m%d-%H%M%S") + "-seed%d" % settings.seed
        self.path = os.path.normpath(self.existing or run_path(settings, name))
        self._make()
        self._events = None
        if not self.existing:
            self.save_settings()

    def save_settings(self):
        """Write settings.json, of a run that is begun or goes on."""
        save_json(self.file("settings.json"), {
            "task": self.settings.task, "script": self.settings.script, "environment": environment(),
            "settings": dict(self.settings.values, resume="", evaluate="")})

    def _make(self):
        try:
            os.makedirs(self.path, exist_ok=bool(self.existing))
            self._lock = lock_folder(self.path)
            for folder in ("", "checkpoints"):
                for name in glob.glob(os.path.join(glob.escape(self.path), folder, "*.part")):
                    os.remove(name)  # what a kill left half-written
            self._log_file = open(self.file("log.txt"), "a", buffering=1)
        except FileExistsError:
            raise UserError("%s exists already: give another --name, or --resume %s" % (
                self.path, shlex.quote(self.path)))
        except OSError as error:
            raise UserError("%s cannot be written (%s): %s" % (
                self.path, error.strerror, "mend its rights" if self.existing else "choose another runs_folder"))

    def __enter__(self):
        return self

    def __exit__(self, error=None, *_):
        try:
            if self._events:
                self._events.close()
        except Exception:  # on a full disk TensorFlow 2.x raises various kinds; what came first is told
            if not error:
                raise
        self._log_file.close()
        if error and not self.existing and not os.path.exists(self.file(LAST)):
            shutil.rmtree(self.path)
        self._lock.close()

    def file(self, name):
        """The path of a file of this run."""
        return os.path.join(self.path, name)

    def environment(self):
        """What environment() gave when the run was begun or last resumed. Raises UserError."""
        with hint("a run cannot be used without it"):
            return load_settings(self.path)["environment"]

    def log(self, text):
        """Print a line and keep it in log.txt."""
        print(text, flush=True)
        self._log_file.write("%s  %s\n" % (datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S"), text))

    def scalars(self, step, values):
        """Write {tag: number} for TensorBoard at `step`, and the default graph once."""
        if self._events is None:
            self._events = tf.summary.FileWriter(self.path, tf.get_default_graph())
        self._events.add_summary(tf.Summary(value=[
            tf.Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]), step)

    def append_metrics(self, epoch, line):
        """Put the dict of one epoch behind those of the earlier epochs in metrics.jsonl (what came later goes)."""
        lines = [earlier for earlier in self.metrics() if earlier["epoch"] < epoch] + [dict(line, epoch=epoch)]
        with atomic_write(self.file("metrics.jsonl"), "w") as file:
            file.writelines(json.dumps(line, sort_keys=True) + "\n" for line in lines)

    def metrics(self):
        """The dicts of all epochs so far. Raises UserError where a line is damaged."""
        path = self.file("metrics.jsonl")
        if not os.path.exists(path):
            return []
        with open(path) as file:
            lines = file.read().splitlines()
        try:
            return [dict(line, epoch=line["epoch"]) for line in map(json.loads, lines)]
        except (KeyError, TypeError, ValueError) as error:
            raise UserError("%s has a line that cannot be read (%s): mend or remove it" % (path, error))


def run_path(settings, name):
    """The folder of the run `name`, which may be in that of another: "sweep/trial-001". Raises UserError."""
    if os.path.isabs(name) or os.path.normpath(name).split(os.sep)[0] in (".", ".."):
        raise UserError("name is %r, but must be the name of a folder, without .. in it" % name)
    return os.path.join(settings.runs_folder, settings.task, data_set_title(settings),
                        settings.cell_name, name)


def environment():
    """Versions, machine and commit: what one has to know to repeat a run."""
    def git(*words):
        here = os.path.dirname(os.path.abspath(__file__))
        try:
            return subprocess.run(("git", "-C", here) + words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                  universal_newlines=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            return None
    changes = git("status", "--porcelain", "--untracked-files=no")
    return {"python": platform.python_version(), "tensorflow": tf.version.VERSION, "numpy": np.__version__,
            "machine": platform.machine(), "processor": _processor(), "system": platform.platform(),
            "cores": usable_cores(), "gpus": len(tf.config.experimental.list_physical_devices("GPU")),
            "git_commit": git("rev-parse", "HEAD"), "git_clean": None if changes is None else changes == ""}


def _processor():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


class Checkpoint(object):
    """Variables and a JSON-able `progress` in one .npz, so that a kill leaves the old one or the new one whole.

    (A tf.train.Saver writes three files, which a kill can leave out of step with one another.)
    """

    def __init__(self, variables):
        self._variables = {variable.op.name: variable for variable in variables}
        self._values = {name: tf.placeholder(variable.dtype.base_dtype, variable.shape)
                        for name, variable in self._variables.items()}
        self._assign = tf.group(*[tf.assign(variable, self._values[name])
                                  for name, variable in self._variables.items()])

    def save(self, session, path, progress, arrays=()):
        """Write the variables' values, `progress` and a sequence of further `arrays`."""
        further = {"array/%d" % i: array for i, array in enumerate(arrays)}
        save_arrays(path, progress=json.dumps(progress), **further, **{
            "variable/" + name: value for name, value in session.run(self._variables).items()})

    def load(self, session, path):
        """Set the variables; returns (progress, list of further arrays). Raises UserError."""
        saved = load_arrays(path)
        for name, variable in self._variables.items():
            found = saved.get("variable/" + name)
            if found is None or found.shape != tuple(variable.shape.as_list()):
                raise UserError("%s has %s %s of shape %s: the data or the scripts are not those of the run" % (
                    path, "no" if found is None else "another", name, variable.shape))
        session.run(self._assign, {placeholder: saved["variable/" + name]
                                   for name, placeholder in self._values.items()})
        further = [saved["array/%d" % i] for i in range(sum(name.startswith("array/") for name in saved))]
        try:
            return dict(json.loads(str(saved["progress"]))), further
        except (KeyError, TypeError, ValueError):
            raise UserError("%s has no progress that can be read" % path)
