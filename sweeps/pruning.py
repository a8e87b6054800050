"""The median stopping rule: a trial that is worse than the median of the earlier ones stops.

Golovin et al. 2017, "Google Vizier", section 3.2; like Optuna's MedianPruner. After `prune_after`
epochs and more a trial stops if its best validation value so far is worse than the median of the
finished trials' best values up to the same epoch. One that stopped before that epoch, as it no
longer improved, counts with its best.
"""

import math
import os
import statistics

from files.run_files import load_metrics, trial_name
from files.units import lower_is_better
from sweeps.records import load_records

FIRST_TRIALS = 5  # these must be finished before any is pruned


def median_rule(folder, prune_after):
    """Return a function of the epochs done: the median of the earlier trials' best values by then.

    It gives None before prune_after epochs, and while fewer than FIRST_TRIALS have finished. The
    function is None if prune_after is 0. folder: of a trial; the sweep's is the one that it is in.
    What the earlier trials reached is read from their metrics.jsonl. Trials that failed or were
    pruned do not count. Raises UserError for damaged files.
    """
    if not prune_after:
        return None
    sweep = os.path.dirname(os.path.abspath(folder))
    finished = [record for record in load_records(sweep)
                if record["loss"] is not None and not record.get("pruned")]
    courses = [_best_by_epoch(os.path.join(sweep, trial_name(record["trial"])),
                              record["metric"]) for record in finished]
    courses = [course for course in courses if course]

    def median(epochs_done):
        if epochs_done < prune_after or len(courses) < FIRST_TRIALS:
            return None
        return statistics.median(course[min(epochs_done, len(course)) - 1] for course in courses)
    return median


def _best_by_epoch(folder, metric):
    """The best validation value up to each epoch of a finished trial."""
    better, best = (min, math.inf) if lower_is_better(metric) else (max, -math.inf)
    course = []
    for line in load_metrics(folder):
        value = line["valid"].get(metric)
        if value is not None:  # None: it overflowed
            best = better(best, value)
        course.append(best)
    return course
