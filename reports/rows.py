"""Rows of the paper's table as reproduce.py shows them, and how long they take."""

import collections
import os
import statistics

from files.errors import UserError
from files.run_files import load_metrics
from files.units import unit
from reports.paper_results import PAPER_RESULTS
from reports.runs import find_runs, mean_and_deviation
from reports.tables import entries, table_lines, with_deviation


def lines(folders):
    """The lines that end reproduce.py: the rows of finished runs beside the paper's, then others.

    folders: of the runs, finished or not.
    """
    there = [folder for folder in folders if os.path.isdir(folder)]
    runs, _ = find_runs(there)
    others = {}
    for run in runs:
        if run.kind == "other" or run.results["data_set"] not in PAPER_RESULTS:
            others.setdefault(run.group, []).append(run)
    alike = collections.Counter(group._replace(fingerprint=None) for group in others)
    return tables(runs) + [_other(own, alike[group._replace(fingerprint=None)] > 1)
                           for group, own in others.items()]


def tables(runs):
    """The lines of the tables of the paper's rows that `runs` have, untuned and tuned."""
    found = []
    for tuned in (False, True):
        by_data_set = entries(runs, tuned)
        if by_data_set:
            kind = "Tuned" if tuned else "Untuned"
            found += ["%s, on the test part: ours (theirs)" % kind, ""]
            found += table_lines(by_data_set, tuned, list(by_data_set), list(by_data_set)) + [""]
    return found


def _other(runs, name_data):
    """The line of the runs of a group; name_data: with their fingerprint."""
    results, metric = runs[0].results, runs[0].results["monitor"]
    known = unit(metric)
    values = [known.factor * run.results["test"][metric] for run in runs]
    text = known.label + " " + with_deviation(metric, *mean_and_deviation(values))
    ours = "%s, %s, test: %s, n %d" % (results["data_set"], results["cell"], text, len(runs))
    if name_data:
        ours += ", data with the fingerprint %.12s" % runs[0].fingerprint
    differences = ", ".join(runs[0].differences())
    return ours + " (%s: not to be set beside the paper's)" % differences if differences else ours


def expected_seconds(published, settings, folder):
    """Estimate the seconds of a run from published runs on its data set; None if unknown.

    published: the Runs to go by, of which those with neither published nor tuned settings are left
    out: they are of other sizes, or were cut short. An epoch takes as long as their median, as some
    shared the machine with others; the number of epochs is that of the same cell if it was run.
    folder: the run's; its epochs that are done are left out.
    """
    own = [run for run in published
           if run.kind != "other" and run.results["data_set"] == settings.data_set_name
           and run.settings["number_of_parameters"] == settings.number_of_parameters]
    if not own:
        return None
    alike = [run for run in own if run.results["cell"] == settings.cell_name] or own
    seconds = statistics.median(run.results["seconds"] / run.results["epochs"] for run in own)
    count = min(settings.epochs, statistics.mean(run.results["epochs"] for run in alike))
    try:
        done = len(load_metrics(folder))
    except UserError:  # the training will say so
        done = 0
    return seconds * max(count - done, 1)
