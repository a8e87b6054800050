"""Finding the runs in folders: which are finished, which have published or tuned settings."""

import collections
import itertools
import os
import statistics
import types

from data_preparation.own import data_set_title
from files.errors import UserError, hint
from files.progress import counted
from files.project import project_path
from files.run_files import (environments, has_results, has_settings, is_sweep, load_metrics,
                             load_results, load_settings, load_sweep, trial_name)
from reports.paper_results import PAPER_RESULTS, comparable, is_exact

PUBLISHED = project_path("results")  # the folder of the published runs
PART = ".part-"  # before the name of a run while it is published

Winner = collections.namedtuple("Winner", "folder trials loss data cell unpublished")
Winner.__doc__ = """The settings that won a finished sweep.

trials: how many there were. loss: the winner's on validation. data: see _data. unpublished: what in
the winner's settings is not the published value.
"""


Group = collections.namedtuple("Group", "data_set fingerprint cell kind differences")


class Run(object):
    """A finished run that was tested.

    folder: its path. results, settings: what results.json holds, and the settings in
    settings.json. command: what makes it again. environments: where it was trained, in order, from
    settings.json (results.json of early versions has that of the evaluation). unpublished: {name:
    value} of settings that changed its numbers and are not the published ones. winner: the Winner
    with these settings, None for none.
    """

    def __init__(self, folder, saved, results, winners):
        self.folder, self.results, self.settings = folder, results, saved["settings"]
        self.seed, self.command = results["seed"], saved["command"]
        self.environments = environments(saved)
        self.unpublished = _unpublished(saved, results)
        ours = _data(saved), self.settings["cell_name"], self.unpublished
        self.winner = next((winner for winner in winners if ours == (
            winner.data, winner.cell, winner.unpublished)), None)

    @property
    def fingerprint(self):
        """That of its data; None for the paper's and for runs of versions that kept none."""
        of_paper = self.results["data_set"] in PAPER_RESULTS and self.kind != "other"
        return None if of_paper else self.results.get("data", {}).get("fingerprint")

    @property
    def group(self):
        """What runs share whose values are averaged: data, cell, kind and other settings."""
        others = tuple(self.differences()) if self.kind == "other" else ()
        return Group(self.results["data_set"], self.fingerprint, self.results["cell"], self.kind,
                     others)

    @property
    def kind(self):
        """"tuned" (by a sweep), "untuned" (the published settings) or "other"."""
        if self.results["data_fraction"] != 1:
            return "other"
        if self.winner:
            return "tuned"
        return "other" if self.unpublished else "untuned"

    @property
    def devices(self):
        """On what it was trained, in order, each as "1 GPU" or "2 cores"."""
        return _in_order(map(_device, self.environments))

    @property
    def versions(self):
        """Of TensorFlow, that trained it, in order."""
        return _in_order(known["tensorflow"] for known in self.environments)

    @property
    def commits(self):
        """The commits that trained it, shortened, in order."""
        return _in_order((known.get("git_commit") or "unknown")[:7] for known in self.environments)

    @property
    def uses_tensorflow_2(self):
        """Whether at least a part of it was trained with TensorFlow 2.x."""
        return any(not version.startswith("1.") for version in self.versions)

    def only_on(self, gpu):
        """Whether all of it was trained on a GPU (`gpu` True) or on a CPU (False)."""
        return all(bool(known.get("gpus")) == gpu for known in self.environments)

    def differences(self):
        """The differences from a published run, as a list of texts."""
        fraction, found = self.results["data_fraction"], []
        if fraction is None:
            found.append("other data than the published ones")
        elif fraction != 1:
            found.append("%.3g %% of the data" % (100 * fraction))
        return found + ["%s %s" % item for item in sorted(self.unpublished.items())]


def _in_order(values):
    """The values, each once where several in a row are equal."""
    return [value for value, _ in itertools.groupby(values)]


def _device(known):
    gpus = known.get("gpus")  # early versions did not record it, and had none
    return counted(gpus, "GPU") if gpus else counted(known["cores"], "core")


def _unpublished(saved, results):
    settings, found = saved["settings"], dict(saved["unpublished"])
    if results["epochs"] < settings["epochs"] and not settings.get("linear_decay"):
        found.pop("epochs", None)  # early stopping came first, so the limit made no difference
    return found


def title_of(saved):
    """The title of the data set of a settings.json."""
    return data_set_title(types.SimpleNamespace(**saved["settings"]))


def _data(saved):
    """What tells a sweep's data from another's: the title, and of a user's own the fingerprint."""
    title = title_of(saved)
    is_own = title != saved["settings"]["data_set_name"]
    return title, saved.get("data", {}).get("fingerprint") if is_own else None


def find_winners(folders):
    """The Winners of the finished sweeps below `folders`.

    Of several sweeps of one cell on a data set it is the one that is best on validation. A grid has
    none: it shows what some settings do, and is no tuning of all of them, as the paper's. Nor has
    one on a part of a data set, or on other data under its name, nor, on the paper's data sets, one
    in which others than the swept settings are not the published ones, such as fewer epochs. Raises
    UserError for damage.
    """
    best = {}
    for folder, files in _walk(folders):
        if "sweep.json" in files:
            with hint("remove it, or give the sweep's command again, which only reports"):
                sweep = load_sweep(folder)
                run = os.path.join(folder, trial_name(sweep["winner"]["trial"]))
                if not (has_settings(run) and has_results(run)):
                    continue  # an earlier version published none, or it is continued now
                saved = load_settings(run)
                unpublished = _unpublished(saved, load_results(run))
            settings, loss = saved["settings"], sweep["winner"]["loss"]
            if saved.get("data", {}).get("fraction", 1) != 1:
                continue
            if not unpublished or settings.get("search_method") == "grid":
                continue
            if settings["data_set_name"] in PAPER_RESULTS and not (
                    set(saved["unpublished"]) <= set(sweep["winner"]["point"])):
                continue
            data, cell = key = _data(saved), settings["cell_name"]
            if key not in best or loss < best[key].loss:
                best[key] = Winner(folder, trials=sweep["trials"], loss=loss, data=data, cell=cell,
                                   unpublished=unpublished)
    return list(best.values())


def find_runs(folders):
    """(the finished runs that were tested below `folders`, a line for each other run), by path.

    Tuned are those with the settings of a winner there or, if a cell has none on a data set, of the
    published one. A sweep and its trials that were not tested are in neither. Raises UserError for
    what is no folder, and for a damaged sweep.
    """
    runs, left_out = [], []
    winners = find_winners(folders)
    if PUBLISHED not in map(os.path.abspath, folders):
        own = {(winner.data, winner.cell) for winner in winners}
        winners += [winner for winner in find_winners([PUBLISHED])
                    if (winner.data, winner.cell) not in own]
    for folder, files in _walk(folders):
        if "settings.json" not in files and "results.json" not in files:
            continue
        try:
            with hint("put it back, or take the folder away"):
                saved = load_settings(folder)
            with hint("evaluate the run again"):
                results = load_results(folder) if "results.json" in files else {}
            is_result = results.get("stop_reason") and "test" in results
            if is_result:  # the many trials of a sweep are not read
                with hint("fix or remove the line"):
                    load_metrics(folder)
        except UserError as error:
            left_out.append(str(error))
            continue
        if is_result:
            runs.append(Run(folder, saved, results, winners))
        elif not (saved["settings"].get("do_hyperparameter_optimization")
                  or is_sweep(os.path.dirname(os.path.abspath(folder)))):
            left_out.append("%s: it is not finished, or was not tested" % folder)
    return runs, left_out


def _walk(folders):
    """(folder, names of its files) of all folders below `folders`, in order, each once."""
    seen = set()
    for top in folders:
        if not os.path.isdir(top) and top != PUBLISHED:  # of which a copy may lack it
            raise UserError("%s is not a folder" % top, "give folders that hold runs")
        for folder, subfolders, files in os.walk(os.path.normpath(top), followlinks=True):
            subfolders[:] = sorted(name for name in subfolders if not name.startswith(PART))
            if os.path.realpath(folder) in seen:  # by a link, or as it is in two of the tops
                subfolders[:] = []
            else:
                seen.add(os.path.realpath(folder))
                yield folder, files


def one_for_each_seed(runs):
    """(runs without repetitions, the repetitions): one run for each seed and TensorFlow 1 or 2.

    Of two, the one whose evaluation has the paper's kind of average stays, or else the first.
    """
    kept, left_out = {}, []
    for run in sorted(runs, key=lambda run: (_is_exact(run), run.folder)):
        key = run.seed, run.uses_tensorflow_2
        if key in kept:
            left_out.append(run)
        else:
            kept[key] = run
    return sorted(kept.values(), key=lambda run: (run.seed, run.folder)), left_out


def _is_exact(run):
    return is_exact(comparable(run.results["monitor"], run.results["test"]))


def mean_and_deviation(values):
    """(mean, standard deviation or None for a single value)."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None
