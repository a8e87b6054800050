"""Rows of the paper's table as reproduce.py shows them, and how long they take."""

import os
import statistics

from files.run_files import load_metrics
from files.units import unit
from reports.paper_results import PAPER_RESULTS
from reports.runs import find_runs, mean_and_deviation
from reports.tables import entries, table_lines


def lines(folders):
    """The lines that end reproduce.py: the rows of finished runs beside the paper's, then others.

    folders: of the runs, finished or not.
    """
    there = [folder for folder in folders if os.path.isdir(folder)]
    runs, _ = find_runs(there)
    others = {}
    for run in runs:
        if run.kind == "other" or run.results["data_set"] not in PAPER_RESULTS:
            key = (run.results["data_set"], run.results["cell"], ", ".join(run.differences()),
                   run.fingerprint)
            others.setdefault(key, []).append(run)
    return tables(runs) + [_other(*key[:3], runs=group) for key, group in others.items()]


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


def _other(data_set, cell, differences, runs):
    metric = runs[0].results["monitor"]
    known = unit(metric)
    values = [known.factor * run.results["test"][metric] for run in runs]
    mean, deviation = mean_and_deviation(values)
    text = "%s %.*f" % (known.label, known.digits, mean)
    if deviation is not None:
        text += " ± %.*f" % (known.digits, deviation)
    ours = "%s, %s, test: %s, n %d" % (data_set, cell, text, len(runs))
    if differences:
        return "%s (%s: not to be set beside the paper's)" % (ours, differences)
    return ours


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
    return seconds * max(count - len(load_metrics(folder)), 1)
