"""One run, one folder: settings, log, metrics by epoch, TensorBoard events, checkpoints."""

import datetime
import glob
import itertools
import os
import shlex
import shutil

from files.errors import UserError, hint
from files.output import print_line
from files.run_files import has_only_best, is_begun, load_metrics, load_settings
from files.writing import lock_folder, open_own, save_json, save_json_lines
from training.events import Events
from training.provenance import environment
from training.settings import run_path


class RunFolder(object):
    """runs/<task>/<data set>/<cell>/<name>/, held by one process; use it in a `with` statement.

    A new run never takes the folder of another, unless that one was ended before its first
    checkpoint. A new one that ends with an error before its first checkpoint leaves no folder. One
    to resume or to evaluate must exist and have been made with the same data (see `check_data`).

    existing: whether the run is one to resume or to evaluate. begun: whether it has a checkpoint.
    weights_only: whether one to evaluate has best.npz alone, as published ones have.
    data_identity: of its data, as in settings.json. other_data: whether it is evaluated on others.
    events: its Events, for TensorBoard.

    Raises UserError if the folder cannot be made, exists already, is missing, or another process
    holds it.
    """

    def __init__(self, settings, data):
        self.settings = settings
        self.data_identity = data.identity
        self.other_data = False
        self.existing = bool(settings.resume or settings.evaluate)
        self.path = os.path.normpath(
            settings.resume or settings.evaluate) if self.existing else self._make()
        self.begun = is_begun(self.path)
        self.weights_only = bool(settings.evaluate) and has_only_best(self.path)
        self._inode = _inode(self.path)
        self._lock = self._log_file = None
        self.events = Events(self.path)
        try:
            self._open()
        except BaseException:
            self.close(failed=True)
            raise

    def save_settings(self, trained_in=None, step=None):
        """Write settings.json.

        trained_in: the environment to record, if another than this one trained the run. step: at
        which a resumed run continues.
        """
        if trained_in is None:
            trained_in = environment(self.settings.gpu)
            if self.begun:
                trained_in = self._continued(self.environment(), trained_in)
        save_json(self.file("settings.json"), dict(
            self.settings.record(step), data=self.data_identity, environment=trained_in))

    def _continued(self, before, now):
        """The environment to record of a run that continues; what changed is logged and kept.

        Files that were changed once have left their trace in the weights: git_clean stays False.
        """
        now = now if before.get("git_clean") else dict(now, git_clean=before.get("git_clean"))
        for name in ("tensorflow", "numpy", "python", "processor", "cores", "gpus", "gpu_names",
                     "git_commit", "git_clean"):
            if name in before and before[name] != now[name]:
                self.settings.changes[name] = [before[name], now[name]]
                self.log("%s is %s now, it was %s" % (name, now[name], before[name]))
        return now

    def check_data(self, data, path):
        """Refuse data other than those of the run, whose identity `data` the file `path` holds.

        None: a run of an earlier version, which kept no identity. Raises UserError, unless
        settings.other_data allows an evaluation; a sample may be made with any. No weights can read
        another vocabulary.
        """
        same = data is not None and data["fingerprint"] == self.data_identity["fingerprint"]
        allowed = self.settings.evaluate and (
            self.settings.other_data or self.settings.values.get("sample"))
        if not (data is None or same or allowed):
            sweep = self.settings.values.get("do_hyperparameter_optimization")
            raise UserError(
                "%s was made with other data (fingerprint %.12s, now %.12s)" % (
                    path, data["fingerprint"], self.data_identity["fingerprint"]),
                "put them back, or " + ("give another --sweep_name" if sweep else
                                        "evaluate with --other_data True"))
        now = self.data_identity.get("vocabulary")
        if (data or {}).get("vocabulary", now) != now:
            raise UserError("%s was made with another vocabulary" % path, "put its data back")
        if allowed and not same:
            self.other_data = True

    def _make(self):
        """The path of a new run, whose folder is made; names that are not given count up."""
        now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
        name = self.settings.name or "%s-seed%d" % (now, self.settings.seed)
        for number in itertools.count(1):
            path = os.path.normpath(
                run_path(self.settings, name if number == 1 else "%s-%d" % (name, number)))
            try:
                os.makedirs(path)
                return path
            except FileExistsError:
                if self.settings.name:
                    return self._unused(path)
            except OSError as error:
                raise UserError("%s cannot be written (%s)" % (path, error.strerror),
                                "choose another runs_folder or name")

    @staticmethod
    def _unused(path):
        """`path`, if it is a folder that no run has begun to use. Raises UserError."""
        if os.path.isdir(path) and not is_begun(path):
            return path
        raise UserError("%s exists already" % path,
                        "give another --name, or --resume %s" % shlex.quote(path))

    def _open(self):
        try:
            self._lock = lock_folder(self.path)
            if not self.existing:
                self._unused(self.path)  # nobody has begun it before we had the lock
            for folder in ("", "checkpoints"):
                for name in glob.glob(os.path.join(glob.escape(self.path), folder, "*.part")):
                    os.remove(name)  # what a kill left half-written
            if not self.weights_only:  # a published run's log stays
                self._log_file = open_own(self.file("log.txt"), "a")
        except OSError as error:
            raise UserError("%s cannot be written (%s)" % (self.path, error.strerror),
                            "change its rights, or copy it" if self.existing
                            else "choose another runs_folder")
        if self.existing:
            path = os.path.join(self.path, "settings.json")
            self.check_data(load_settings(self.path).get("data"), path)
        else:
            self.save_settings()

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        self.close(failed=error is not None)

    def close(self, failed=False):
        """Close the files; remove a new folder if it failed before anything had begun in it."""
        try:
            self.events.close()
        except OSError:
            if not failed:  # else that is told
                raise
        finally:
            self._close_folder(failed)

    def _close_folder(self, failed):
        if self._log_file:
            self._log_file.close()
        if failed and not self.existing and _inode(self.path) == self._inode:
            if self._lock and not is_begun(self.path):
                shutil.rmtree(self.path, ignore_errors=True)
            elif not os.listdir(self.path):
                os.rmdir(self.path)
        if self._lock:
            self._lock.close()

    def file(self, name):
        """The path of a file of this run. Raises UserError if the folder is no longer there."""
        if _inode(self.path) != self._inode:
            raise UserError("%s was moved or removed while it was in use" % self.path,
                            "continue with --resume and the folder's new name")
        return os.path.join(self.path, name)

    def environment(self):
        """The environment() in which the run was begun or last resumed. Raises UserError."""
        with hint("a run cannot be used without it"):
            return load_settings(self.path)["environment"]

    def log(self, text):
        """Print a line and keep it in log.txt."""
        if self._log_file:
            now = datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S")
            self._log_file.write("%s  %s\n" % (now, text))
            self._log_file.flush()
        print_line(text)  # last: the terminal may be gone

    def hyperparameters(self, step, metrics):
        """Write the settings that change the numbers and the final metrics for TensorBoard."""
        settings = self.settings
        values = {name: value for name, value in settings.values.items()
                  if settings.constants[name].changes_numbers and not isinstance(value, dict)}
        values.update(settings.cell_hyperparameters)
        self.events.hyperparameters(step, values, metrics)

    def append_metrics(self, epoch, line):
        """Append one epoch to metrics.jsonl, dropping entries at or after it.

        line: {"train": {name: value}, "valid": {name: value}, further numbers}; a value that is not
        finite becomes null.
        """
        entries = [earlier for earlier in self.metrics() if earlier["epoch"] < epoch]
        save_json_lines(self.file("metrics.jsonl"), entries + [dict(line, epoch=epoch)])

    def metrics(self):
        """The entries of all epochs so far. Raises UserError if a line is damaged."""
        with hint("fix or remove the line"):
            return load_metrics(self.path)


def _inode(path):
    """A folder's device and inode, which another folder of its name has not; None if it is gone."""
    try:
        found = os.stat(path)
        return found.st_dev, found.st_ino
    except OSError:
        return None
