"""Copying a finished run into results/, without its checkpoints."""

import os
import shutil
import sys

from files.errors import UserError, hint
from files.run_files import load_results

PUBLISHED_FILES = ("settings.json", "metrics.jsonl", "results.json", "learning_curve.png", "sample.mid",
                   "pianoroll.png", "sample.txt", "confusion_matrix.png", "log.txt")
SWEEP_FILES = ("settings.json", "trials.jsonl", "trials.csv", "best_so_far.png", "dimensions.png", "sweep.json",
               "log.txt")
LOG_LINES = 200  # a longer log loses its middle when it is published


def publish(folder, results_folder):
    """Copy a finished run without its checkpoints; returns results/<task>/<data set>/<cell>/<name>.

    The name of a sweep's run is <sweep>/<trial>, and the sweep's settings (with its search space), log, table and
    pictures are copied into <sweep>. Raises UserError where the run is not finished, was not tested, is damaged, or
    is published already.
    """
    with hint("let the run finish, or evaluate it"):
        results = load_results(folder)
    if not results["stop_reason"]:
        raise UserError("%s is not finished: --resume it" % folder)
    if "test" not in results:
        raise UserError("%s was not tested: --evaluate it with --evaluate_on_test True" % folder)
    if not results["environment"].get("git_clean"):
        print("the commit of %s is unknown, or files had been changed: nobody can repeat it" % folder,
              file=sys.stderr)
    above, name = os.path.split(os.path.abspath(folder))
    in_sweep = os.path.exists(os.path.join(above, "trials.jsonl"))
    cell_folder = os.path.join(results_folder, results["task"], results["data_set"], results["cell"])
    target = os.path.join(cell_folder, os.path.basename(above) if in_sweep else "", name)
    try:
        os.makedirs(target)
        if in_sweep:
            _copy(SWEEP_FILES, above, os.path.dirname(target))
        _copy(PUBLISHED_FILES, folder, target)
    except OSError as error:
        raise UserError("%s cannot be published as %s (%s): remove what is there" % (
            folder, target, error.strerror))
    return target


def _copy(names, source, target):
    """Copy those of the files that are there, the log shortened."""
    for name in names:
        path, copy = os.path.join(source, name), os.path.join(target, name)
        if not os.path.exists(path):
            continue
        if name == "log.txt":
            with open(path) as log, open(copy, "w") as file:
                file.writelines(shortened(list(log)))
        else:
            shutil.copyfile(path, copy)


def shortened(lines):
    """The first and last lines of a log that has more than LOG_LINES, with a line that says what is missing."""
    left_out = len(lines) - LOG_LINES
    if left_out <= 0:
        return lines
    half = LOG_LINES // 2
    return lines[:half] + ["... %d lines left out ...\n" % left_out] + lines[-half:]
