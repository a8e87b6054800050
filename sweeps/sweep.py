"""A search for good settings: many trials, each a training in a process of its own.

The test split is not opened before a winner is chosen on validation. What happened is in
trials.jsonl, so that a sweep that was cut off continues with the same command.
"""

import itertools
import os
import re
import shutil
import sys

from files.errors import UserError
from files.progress import counted
from files.run_files import begun_trials, has_settings, is_begun, remove, trial_name
from files.writing import save_json_lines
from sweeps import options, spark, winner
from sweeps.progress import SweepProgress
from sweeps.records import load_records
from sweeps.search_space import points_in, search_space
from sweeps.suggestions import next_point
from sweeps.trial import AGAIN, DONE, UNCLEAR, train
from training.run_folder import RunFolder
from training.settings import run_path

HOPELESS = 5  # failures of the first trials that end a sweep
IN_A_ROW = 3  # trials in a row that say nothing of their points: they end it, too


def run(settings, data, script_globals):
    """Begin or continue the sweep settings.sweep_name, train its trials, and test the winner.

    data: the data set, whose identity the sweep keeps. script_globals: the globals() of the script.
    Raises UserError for dimensions that the script does not allow, for an invalid spark_master, if
    the test is not wanted, for seeds that are too large, for a sweep of that name with other
    settings, if all of the first trials fail, and if several in a row tell nothing of their points.
    Ctrl-C ends it cleanly.
    """
    space = search_space(settings)
    if not settings.evaluate_on_test:
        raise UserError("evaluate_on_test is False, but a sweep tests its winner", "leave it True")
    winner.check_seeds(settings, space)
    if settings.spark_master:
        spark.check_master(settings.spark_master)
    elif settings.spark_parallelism != settings.constants["spark_parallelism"].value:
        raise UserError("spark_parallelism is given, but no spark_master", "leave it out")
    script = os.path.abspath(script_globals["__file__"])
    with Sweep(settings, space, script, data) as sweep:
        sweep.search_and_finish()


class Sweep(object):
    """The folder of a sweep, held by one process at a time, and what is in it.

    records: of the trials that ended, in that order. size: how many there are to be in all.
    progress: its SweepProgress. log(text) prints a line above its bar and keeps it in log.txt.
    """

    def __init__(self, settings, space, script, data):
        self.settings, self.space, self.script = settings, space, script
        path = run_path(settings, settings.sweep_name)
        exists = os.path.exists(path) and not _is_empty(path)
        if exists:
            options.check_same(path, settings, space)
        named = settings.changed(name=settings.sweep_name, resume=path if exists else "")
        self.run = RunFolder(named, data)
        try:
            if exists:
                self.run.save_settings()  # with what may change from call to call
            found = load_records(self.run.path, space)
        except BaseException:
            self.run.close(failed=True)
            raise
        # Trials that are tried again; their records stay in the file until new ones replace them.
        self._failed_before = [
            record for record in found if record["loss"] is None and (
                settings.retry_failed or record.get("retried"))]
        self.records = [record for record in found if record not in self._failed_before]
        self._begin_retries()
        self._unclear = []  # records of trials of which it is not known whether the point failed
        self._in_a_row = []  # of the last trials that told nothing of their points: kind, reason
        self.size = max(self._size(), len(self.records))
        self.progress = SweepProgress(self)
        self.log = self.progress.log
        self._keep_best()

    def __enter__(self):
        return self

    def __exit__(self, error=None, *_):
        if error:  # also an interruption: else the winner's report is there
            self.progress.report()
        self.progress.close()
        self.run.close(failed=bool(error))

    @property
    def best(self):
        """The record of the best trial so far, None if none succeeded."""
        succeeded = (record for record in self.records if record["loss"] is not None)
        return min(succeeded, key=lambda record: record["loss"], default=None)

    def _size(self):
        points, wanted = points_in(self.space), self.settings.sweep_trials
        if self.settings.search_method == "grid":
            return points
        if points < wanted:
            self.run.log("search has only %s: this is the number of trials, not %d" % (
                counted(points, "different point"), wanted))
        return min(points, wanted)

    def search_and_finish(self):
        """Train what is left to train and test the winner. Ctrl-C ends it cleanly."""
        try:
            self.progress.begin()
            self.search()
            winner.finish(self)
        except KeyboardInterrupt:
            self.log("interrupted after %d of %d trials; continue with: %s" % (
                len(self.records), self.size, options.continuing_command(self.settings)))
            sys.exit(130)

    def search(self):
        """Train what is left to train, one trial after another or on Spark."""
        if len(self.records) < self.size:
            remove(self.run.path, "sweep.json")  # of the trials before
            if self.settings.spark_master:
                spark.search(self)
        trial = self.next_trial()
        while trial:
            self.add(*train(trial))
            trial = self.next_trial()
        self._settle()

    def next_trial(self, running=()):
        """A trial that is not finished, or a new one, none of those that run; None if all are done.

        running: the Trials of the sweep that are being trained.
        """
        ended = self.records + self._unclear
        taken = [record["trial"] for record in ended] + [trial.number for trial in running]
        for record in self._failed_before:
            if record["trial"] not in taken:
                return options.make_trial(self, record["trial"], record["point"])
        if len(taken) >= self.size:
            return None
        for number in begun_trials(self.run.path):
            if number not in taken:
                folder = self.run.file(trial_name(number))
                point = options.point_of_folder(folder, self.space)
                return options.make_trial(self, number, point)
        number = next(number for number in itertools.count(1) if number not in taken)
        begun = ended + [{"point": trial.point, "loss": None} for trial in running]
        seed = self.settings.seed, number
        point = next_point(self.settings.search_method, self.space, begun, seed)
        return None if point is None else options.make_trial(self, number, point)

    def _begin_retries(self):
        """Remove what the trials left that are tried again, and mark their records.

        So the next call, which need not ask for it, resumes them if this one is interrupted.
        """
        new = [record for record in self._failed_before if not record.get("retried")]
        for record in new:
            shutil.rmtree(self.run.file(trial_name(record["trial"])), ignore_errors=True)
            record["retried"] = True
        if new:
            self._write_records()

    def add(self, record, kind=DONE):
        """Take the record of a trial that ended, and whether it is DONE, AGAIN or UNCLEAR.

        What is UNCLEAR is held back until another trial is DONE. Raises UserError if it makes no
        sense to continue (all of the first trials failed, three ends in a row are alike, three are
        AGAIN), or if it was trained on other data.
        """
        if kind == DONE:
            winner.check_data(self, self.run.file(trial_name(record["trial"])))
            self._settle()
            self._add(record)
            if self.best is None and len(self.records) >= HOPELESS:
                raise UserError("all %s failed, the last with: %s" % (
                    counted(len(self.records), "trial"), record["reason"]))
        else:
            self._hold_back(record, kind)

    def _hold_back(self, record, kind):
        if kind == UNCLEAR:
            self._unclear.append(record)
        self._in_a_row.append((kind, record["reason"]))
        self.log("trial %d of %d ended: %s" % (record["trial"], self.size, record["reason"]))
        last = [re.sub(r"\d+", "", reason) for _, reason in self._in_a_row[-IN_A_ROW:]]
        again = [reason for ended, reason in self._in_a_row if ended == AGAIN]
        if last.count(last[-1]) >= IN_A_ROW or len(again) >= IN_A_ROW:
            raise UserError("%d times in a row a trial had no result, the last one: %s" % (
                len(self._in_a_row), record["reason"]),
                "fix this, or remove %s if its own files are damaged; then the same command tries "
                "again" % self.run.file(trial_name(record["trial"])))

    def _settle(self):
        """Record the trials that ended unclearly as failed.

        Another trial's end has told something of its point since, or the search is over: so these
        failed by their points.
        """
        del self._in_a_row[:]
        while self._unclear:
            self._add(self._unclear.pop(0))

    def _add(self, record):
        self.records.append(record)
        self._failed_before = [
            failed for failed in self._failed_before if failed["trial"] != record["trial"]]
        self._write_records()
        self._keep_best()
        self.progress.trial_ended(record)

    def _write_records(self):
        save_json_lines(self.run.file("trials.jsonl"), self.records + self._failed_before)

    def _keep_best(self):
        """Remove the checkpoints of all finished trials but the best."""
        best = self.best
        for record in self.records:
            if record is not best:
                folder = self.run.file(trial_name(record["trial"]))
                shutil.rmtree(os.path.join(folder, "checkpoints"), ignore_errors=True)


def _is_empty(path):
    """Whether a folder was left by a sweep that was ended before it had its settings.json."""
    return os.path.isdir(path) and not is_begun(path) and not has_settings(path)
