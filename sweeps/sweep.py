"""A search for good settings: many trials, each a training in a process of its own, chosen by TPE.

The test split is not opened before a winner is chosen on validation. What happened is in trials.jsonl, a line for each
trial that ended, so that a sweep that was cut off goes on where it was.
"""

import contextlib
import itertools
import json
import os
import re
import shutil
import statistics
import sys

import tqdm

from cells.registry import CELLS
from sweeps import spark
from sweeps import report as sweep_report
from files.errors import UserError, hint
from files.writing import save_json
from files.run_files import is_record, load_settings
from training.run_folder import RunFolder
from sweeps.search_space import extremes, search_space, suggest
from sweeps.trial import Trial, call, results, train
from training.settings import run_path

HOPELESS = 5  # so many failures, and nothing else, end a sweep


def run(settings, data, script_globals):
    """Begin or continue the sweep settings.sweep_name, up to settings.sweep_trials trials, and test the winner.

    data: the data set, whose identity the sweep keeps. script_globals: the globals() of the script.
    Raises UserError for dimensions that the script does not allow, for a
    spark_master that cannot be, for a sweep of that name with other settings, and where all of the first trials fail.
    Ctrl-C ends it cleanly.
    """
    space = search_space(settings)
    for name, dimension in space.items():
        _check_dimension(settings, name, dimension)
    if settings.spark_master:
        spark.check_master(settings.spark_master)
    with Sweep(settings, space, os.path.abspath(script_globals["__file__"]), data) as sweep:
        try:
            sweep.search()
            sweep.finish()
        except KeyboardInterrupt:
            sweep.run.log("interrupted after %d of %d trials; the same command goes on" % (
                len(sweep.records), settings.sweep_trials))
            sys.exit(130)


def _check_dimension(settings, name, dimension):
    constant = settings.constants.get(name)
    if constant is None:
        raise UserError("search: %s is not a setting of %s" % (name, settings.script))
    if constant.group.startswith("Cell ") and name not in settings.cell_hyperparameters:
        raise UserError("search: %s is not a hyperparameter of %s" % (name, settings.cell_name))
    if not constant.may_be_swept or name == "seed":
        raise UserError("search: %s is the same in all trials: leave it out, and make a sweep for each" % name)
    for value in extremes(dimension):
        read = constant.check(value)
        if read != value:  # a trial's settings.json would not have the value of the point
            raise UserError("search: the value %r of %s means %r in a trial: write that instead" % (value, name, read))
        if dimension[0] in ("uniform", "log") and isinstance(read, int):
            raise UserError('search: %s is a whole number, but %r has others too: take ("integer", low, high)' % (
                name, dimension))


class Sweep(object):
    """The folder of a sweep, held by one process at a time, and what is in it."""

    def __init__(self, settings, space, script, data):
        self.settings, self.space, self._script = settings, space, script
        path = run_path(settings, settings.sweep_name)
        exists = os.path.exists(path)
        if exists:
            _check_same(path, settings)
        named = settings.changed(name=settings.sweep_name, resume=path if exists else "")
        self.run = RunFolder(named, data)
        if exists:
            self.run.save_settings()  # with what may change from call to call
        self._trials = self.run.file("trials.jsonl")
        self.records, dropped = read_records(self._trials, space)
        if dropped:
            self.run.log("%s: the last line was cut short and is dropped" % self._trials)
        self._bar = tqdm.tqdm(total=settings.sweep_trials, initial=len(self.records), desc="sweep",
                              bar_format="{desc}: {n_fmt} of {total_fmt} trials {bar:10} {remaining} left{postfix}",
                              disable=not sys.stderr.isatty(), dynamic_ncols=True, position=0, leave=False)
        self._show_best()
        self._keep_best()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._bar.close()
        self.run.__exit__()

    @property
    def best(self):
        """The record of the best trial so far, None where none succeeded."""
        return min((record for record in self.records if record["loss"] is not None),
                   key=lambda record: record["loss"], default=None)

    def search(self):
        """Train what is left to train, one trial after another or on Spark."""
        if self.settings.spark_master and len(self.records) < self.settings.sweep_trials:
            spark.search(self)
        while len(self.records) < self.settings.sweep_trials:
            self.add(train(self.next_trial()))

    def next_trial(self, running=()):
        """A trial that a kill left unfinished, or else a new one, which is none of the trials that are `running`."""
        taken = [record["trial"] for record in self.records] + [trial.number for trial in running]
        for number in self._numbers_of_folders():
            if number not in taken:
                return self._trial(number, self._point_of_folder(number))
        number = next(number for number in itertools.count(1) if number not in taken)
        begun = self.records + [{"point": trial.point, "loss": None} for trial in running]
        return self._trial(number, suggest(self.space, begun, (self.settings.seed, number)))

    def add(self, record):
        """Put the record of a trial that ended behind the others, on the disk too; keep the best one's checkpoints."""
        with open(self._trials, "a") as file:
            file.write(json.dumps(record, sort_keys=True) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.records.append(record)
        self._keep_best()
        self._bar.update()
        self._show_best()
        best = self.best
        self._log("trial %d of %d: %s; %s%s" % (
            record["trial"], self.settings.sweep_trials, sweep_report.outcome(record),
            sweep_report.shown(record["point"]),
            "; best so far %.4f, trial %d" % (best["value"], best["trial"]) if best else ""))
        if best is None and len(self.records) >= HOPELESS:
            raise UserError("all %d trials failed, the last with: %s" % (len(self.records), record["reason"]))

    def _show_best(self):
        if self.best:
            point = {name: float("%.3g" % value) if isinstance(value, float) else value
                     for name, value in self.best["point"].items()}
            self._bar.set_postfix_str("best %.4f: %s" % (self.best["value"], sweep_report.shown(point)))

    def finish(self):
        """Test the winner, with `final_seeds` seeds; write the report and sweep.json and print the table."""
        best, settings = self.best, self.settings
        if best is None:
            raise UserError("all %d trials of %s failed: see the reasons in trials.jsonl" % (
                len(self.records), self.run.path))
        sweep_report.write(self.run, self.records, self.space)
        finals = [self._test_winner(best)]
        for seed in range(settings.seed + 1, settings.seed + settings.final_seeds):
            trial = self._trial("winner-%03d-seed-%d" % (best["trial"], seed), best["point"], seed=seed,
                                evaluate_on_test=True)
            reason = train(trial)["reason"]
            if reason:
                raise UserError("the winner failed with seed %d: %s" % (seed, reason))
            finals.append(results(trial.folder))
        test = {name: _summary([result["test"][name] for result in finals]) for name in finals[0]["test"]}
        command = self._command(best["point"])
        save_json(self.run.file("sweep.json"), {
            "trials": len(self.records), "failed": sum(record["loss"] is None for record in self.records),
            "winner": best, "seeds": [result["seed"] for result in finals], "test": test, "command": command,
            "valid": {name: _summary([result["valid"][name] for result in finals]) for name in finals[0]["valid"]}})
        for line in sweep_report.table(self.records, self.space):
            self._log(line)
        for name, values in sorted(test.items()):
            spread = ", standard deviation %.4f over %d seeds" % (values["std"], len(finals)) if values["std"] else ""
            self._log("test %s of the winner: %.4f%s" % (name, values["mean"], spread))
        self._log("the winner again: " + command)

    def _test_winner(self, best):
        folder = self._trial(best["trial"], best["point"]).folder
        if "test" not in results(folder):
            reason = call(self._script, self._later(evaluate=folder, evaluate_on_test=True))
            if reason:
                raise UserError("the winner, %s, could not be tested: %s" % (folder, reason))
        return results(folder)

    def _trial(self, number, point, **changed):
        name = number if isinstance(number, str) else "trial-%03d" % number
        settings = self.settings.changed(
            name=self.settings.sweep_name + "/" + name, do_hyperparameter_optimization=False, search={},
            **dict({"evaluate_on_test": False}, **changed))
        folder = self.run.file(name)
        return Trial(number, point, folder, self._script, _options(_at(settings, point)),
                     self._later(resume=folder, evaluate_on_test=settings.evaluate_on_test))

    def _later(self, **more):
        values = {name: value for name, value in self.settings.values.items()
                  if self.settings.constants[name].may_change_on_evaluate and name != "name"}
        return _options(dict(values, **more))

    def _command(self, point):
        """The command line that trains a point again, whatever is edited at the top of the script."""
        values = _at(self.settings, point)
        return self.settings.changed(**dict(values, do_hyperparameter_optimization=False)).command()

    def _numbers_of_folders(self):
        found = (re.match(r"trial-(\d+)$", name) for name in os.listdir(self.run.path))
        return sorted(int(match.group(1)) for match in found
                      if match and os.path.exists(self.run.file(match.group() + "/settings.json")))

    def _point_of_folder(self, number):
        folder = self.run.file("trial-%03d" % number)
        with hint("remove this folder"):
            values = load_settings(folder)["settings"]
        values.update(values["cell_hyperparameters"])
        missing = sorted(set(self.space) - set(values))
        if missing:
            raise UserError("%s/settings.json lacks %s: remove this folder" % (folder, ", ".join(missing)))
        return {name: values[name] for name in self.space}

    def _keep_best(self):
        best = self.best
        for record in self.records:
            if record is not best:
                shutil.rmtree(self.run.file("trial-%03d/checkpoints" % record["trial"]), ignore_errors=True)

    def _log(self, text):
        with tqdm.tqdm.external_write_mode() if not self._bar.disable else contextlib.nullcontext():
            self.run.log(text)


def read_records(path, dimensions=()):
    """The records in trials.jsonl, and whether a last line that a kill cut short was dropped from the file.

    dimensions: the names that a point must have. Raises UserError for any other line that is no record.
    """
    records, whole = [], 0
    if not os.path.exists(path):
        return records, False
    with open(path, "r+b") as file:
        lines = file.read().splitlines(True)
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line.decode("utf-8"))
            except ValueError:
                record = None
            if number == len(lines) and (record is None or not line.endswith(b"\n")):
                file.truncate(whole)
                return records, True
            if not is_record(record, dimensions):
                raise UserError("%s: line %d cannot be read as the record of a trial (%.60s): mend or remove it" % (
                    path, number, line.decode("utf-8", "replace")))
            records.append(record)
            whole += len(line)
    return records, False


def _check_same(path, settings):
    with hint("remove %s or give another --sweep_name" % path):
        saved = load_settings(path)["settings"]
    if not saved.get("do_hyperparameter_optimization"):
        raise UserError("%s is not a sweep: give another --sweep_name" % path)
    now = json.loads(json.dumps(dict(settings.values, name=settings.sweep_name)))
    for name in sorted(now):
        constant = settings.constants[name]
        if (constant.is_of_computation or name == "search") and now[name] != saved.get(name):
            raise UserError("%s was begun with %s %r, not %r: set it so, or give another --sweep_name" % (
                path, name, saved.get(name), now[name]))


def _at(settings, point):
    """The values of all settings at a point."""
    own = CELLS[settings.cell_name].hyperparameters
    hyperparameters = dict(settings.cell_hyperparameters, **{name: point[name] for name in point if name in own})
    return dict(settings.values, cell_hyperparameters=hyperparameters,
                **{name: value for name, value in point.items() if name not in own})


def _options(values):
    return ["--%s=%s" % item for item in values.items()]


def _summary(values):
    return {"mean": statistics.mean(values), "std": statistics.stdev(values) if len(values) > 1 else None,
            "values": values}
