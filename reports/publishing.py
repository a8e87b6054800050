"""Copying a finished run into results/, with the weights of its best epoch if they are small.

Of a sweep, its tables and pictures, and of its trials the winner.
"""

import contextlib
import os
import shutil
import sys

from files.errors import UserError, hint
from files.run_files import (BEST, is_sweep, load_results, load_settings, load_sweep, trial_name,
                             winner_name)
from files.writing import atomic_write, lock_folder
from reports.runs import PART, title_of

PUBLISHED_FILES = ("settings.json", "metrics.jsonl", "results.json", "learning_curve.png",
                   "sample.mid", "pianoroll.png", "sample.txt", "confusion_matrix.png", "log.txt")
SWEEP_FILES = ("settings.json", "trials.jsonl", "trials.csv", "best_so_far.png", "dimensions.png",
               "heat_map.png", "epochs.png", "sweep.json", "log.txt")
MOST_PARAMETERS = 1500000  # of a run whose weights are published too: 6 MB


def publish(folder, results_folder):
    """Copy a finished run; returns results/<task>/<data set>/<cell>/<name>.

    The weights of the best epoch are copied if there are at most MOST_PARAMETERS. The name of a
    sweep's run is <sweep>/<trial>, and the sweep's settings (with its search space), log, table
    and pictures are copied into <sweep>. Raises UserError if the run is not finished, was not
    tested, is damaged, is in use (its samples are made last), or is published already, and if the
    sweep is published with other trials.
    """
    with hint("let the run finish, or evaluate it"):
        results = _checked_results(folder)
    above, name = os.path.split(os.path.abspath(folder))
    in_sweep = is_sweep(above)
    cell_folder = os.path.join(results_folder, results["task"], results["data_set"],
                               results["cell"])
    target = os.path.join(cell_folder, os.path.basename(above) if in_sweep else "", name)
    if in_sweep:
        _check_continues(above, os.path.dirname(target))
    with lock_folder(folder), _new_folder(target) as part:
        _copy_run(folder, results, part)
        if in_sweep:
            _copy(SWEEP_FILES, above, os.path.dirname(target))
    return target


def publish_sweep(folder, results_folder):
    """Copy SWEEP_FILES of a finished sweep, and the winner's runs as `publish` does.

    Returns results/<task>/<data set>/<cell>/<name>. Raises UserError if it is not finished, is
    damaged, is in use, or is published already.
    """
    with hint("let the sweep finish: the same command continues"):
        saved, sweep = load_settings(folder), load_sweep(folder)
        number, seeds = sweep["winner"]["trial"], sweep["seeds"]
        names = [trial_name(number)] + [winner_name(number, seed) for seed in seeds[1:]]
        runs = {name: _checked_results(os.path.join(folder, name)) for name in names}
    target = os.path.join(results_folder, saved["task"], title_of(saved),
                          saved["settings"]["cell_name"], os.path.basename(os.path.abspath(folder)))
    with contextlib.ExitStack() as locks:
        for name in [""] + names:
            locks.enter_context(lock_folder(os.path.join(folder, name)))
        part = locks.enter_context(_new_folder(target))
        _copy(SWEEP_FILES, folder, part)
        for name in names:
            _copy_run(os.path.join(folder, name), runs[name], os.path.join(part, name))
    return target


def _check_continues(folder, published):
    """Raise UserError unless the files of a sweep may replace those that are published of it."""
    ours = _lines(os.path.join(folder, "trials.jsonl"))
    theirs = _lines(os.path.join(published, "trials.jsonl"))
    if not theirs <= ours:
        raise UserError("%s has trials that %s does not have" % (published, folder),
                        "remove what is published, or rename the sweep's folder")
    published_is_finished = os.path.exists(os.path.join(published, "sweep.json"))
    if published_is_finished and not os.path.exists(os.path.join(folder, "sweep.json")):
        raise UserError("%s is not finished, but what is published of it is" % folder,
                        "let the sweep finish")


def _lines(path):
    if not os.path.exists(path):
        return set()
    with open(path, "rb") as file:
        return set(file)


@contextlib.contextmanager
def _new_folder(target):
    """A folder to fill, which gets the name `target` when it is whole. Raises UserError."""
    if os.path.exists(target):
        raise UserError("%s exists already" % target, "remove what is there")
    part = os.path.join(os.path.dirname(target), PART + os.path.basename(target))
    shutil.rmtree(part, ignore_errors=True)  # of a call that was cut off
    os.makedirs(part)
    try:
        yield part
        os.rename(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _checked_results(folder):
    """The results of a run that may be published. Raises UserError for another."""
    results = load_results(folder)
    if not results["stop_reason"]:
        raise UserError("%s is not finished" % folder, "--resume it")
    if "test" not in results:
        raise UserError("%s was not tested" % folder, "--evaluate it with --evaluate_on_test True")
    if results["parameters"] <= MOST_PARAMETERS and not os.path.exists(os.path.join(folder, BEST)):
        raise UserError("%s has lost its weights, %s" % (folder, BEST), "train it again")
    evaluation = results.get("evaluated_in", results["environment"])
    if not (results["environment"].get("git_clean") and evaluation.get("git_clean")):
        print("the commit of %s is unknown, or files had been changed: nobody can repeat it" %
              folder, file=sys.stderr)
    return results


def _copy_run(folder, results, target):
    """Copy PUBLISHED_FILES of a run, and its weights if they are small."""
    _copy(PUBLISHED_FILES, folder, target)
    if results["parameters"] <= MOST_PARAMETERS:
        _copy([BEST], folder, target)


def _copy(names, source, target):
    """Copy those of the files that are there."""
    for name in names:
        path = os.path.join(source, name)
        if os.path.exists(path):
            with open(path, "rb") as file, atomic_write(os.path.join(target, name)) as copy:
                shutil.copyfileobj(file, copy)
