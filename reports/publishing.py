"""Copying a finished run into results/, with the weights of its best epoch if they are small.

Of a sweep, its tables and pictures without the trials.
"""

import contextlib
import os
import shutil
import sys

from files.errors import UserError, hint
from files.run_files import BEST, is_sweep, load_results, load_settings, load_sweep
from files.writing import atomic_write, lock_folder
from reports.runs import PART, title_of

PUBLISHED_FILES = ("settings.json", "metrics.jsonl", "results.json", "learning_curve.png",
                   "sample.mid", "pianoroll.png", "sample.txt", "confusion_matrix.png", "log.txt")
SWEEP_FILES = ("settings.json", "trials.jsonl", "trials.csv", "best_so_far.png", "dimensions.png",
               "heat_map.png", "epochs.png", "sweep.json", "log.txt")
MOST_PARAMETERS = 1500000  # of a run whose weights are published too: 6 MB
LOG_LINES = 200  # a longer log loses its middle when it is published


def publish(folder, results_folder):
    """Copy a finished run; returns results/<task>/<data set>/<cell>/<name>.

    The weights of the best epoch are copied if there are at most MOST_PARAMETERS. The name of a
    sweep's run is <sweep>/<trial>, and the sweep's settings (with its search space), log, table
    and pictures are copied into <sweep>. Raises UserError if the run is not finished, was not
    tested, is damaged, is in use (its samples are made last), or is published already.
    """
    with hint("let the run finish, or evaluate it"):
        results = load_results(folder)
    _check(folder, results)
    above, name = os.path.split(os.path.abspath(folder))
    in_sweep = is_sweep(above)
    cell_folder = os.path.join(results_folder, results["task"], results["data_set"],
                               results["cell"])
    target = os.path.join(cell_folder, os.path.basename(above) if in_sweep else "", name)
    with lock_folder(folder), _new_folder(target) as part:
        if in_sweep:
            _copy(SWEEP_FILES, above, os.path.dirname(target))
        _copy(PUBLISHED_FILES, folder, part)
        if results["parameters"] <= MOST_PARAMETERS:
            os.makedirs(os.path.dirname(os.path.join(part, BEST)))
            shutil.copyfile(os.path.join(folder, BEST), os.path.join(part, BEST))
    return target


def publish_sweep(folder, results_folder):
    """Copy SWEEP_FILES of a finished sweep, as for a grid, whose trials are all of interest alike.

    Returns results/<task>/<data set>/<cell>/<name>. Raises UserError if it is not finished, is
    damaged, is in use, or is published already.
    """
    with hint("let the sweep finish: the same command continues"):
        saved = load_settings(folder)
        load_sweep(folder)
    name = os.path.basename(os.path.abspath(folder))
    target = os.path.join(results_folder, saved["task"], title_of(saved),
                          saved["settings"]["cell_name"], name)
    with lock_folder(folder), _new_folder(target) as part:
        _copy(SWEEP_FILES, folder, part)
    return target


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


def _check(folder, results):
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


def _copy(names, source, target):
    """Copy those of the files that are there, the log shortened."""
    for name in names:
        path, copy = os.path.join(source, name), os.path.join(target, name)
        if not os.path.exists(path):
            continue
        if name == "log.txt":
            text = {"encoding": "utf-8", "errors": "surrogateescape"}  # whatever bytes are in it
            with open(path, **text) as log, atomic_write(copy) as file:
                file.write("".join(shortened(list(log))).encode(**text))
        else:
            with open(path, "rb") as original, atomic_write(copy) as file:
                shutil.copyfileobj(original, file)


def shortened(lines):
    """The first and last lines of a log that has more than LOG_LINES, and how many are missing."""
    left_out = len(lines) - LOG_LINES
    if left_out <= 0:
        return lines
    half = LOG_LINES // 2
    return lines[:half] + ["... %d lines left out ...\n" % left_out] + lines[-half:]
