"""The generated part of docs/results.md: every published run, and what to expect on the way.

A terminal gets the same of a user's own runs, with the long commands below the tables.
"""

import os
from urllib.parse import quote

from files.progress import duration
from files.project import shown_path
from files.run_files import load_metrics
from files.units import in_table, unit
from reports.paper_results import CELL_NAMES, PAPER_RESULTS, rank
from reports.tables import CELL_TITLES, TENSORFLOW_2, markdown

CHECKED_EPOCHS = (1, 5)


def page(runs, root=None):
    """The generated part, in Markdown.

    root: of the project; links lead from its docs/ to the runs' folders. None: for a terminal,
    without links and without the rows of the paper that have no run.
    """
    done = {run.results["data_set"] for run in runs if run.kind != "other"}
    data_sets = [name for name in PAPER_RESULTS if root or name in done]
    parts = []
    if root or done:
        parts = ["## The runs of each row",
                 "Times hold training and validation; some runs shared the machine, so they do not "
                 "compare the cells. %s: with TensorFlow 2.x.%s" % (
                     TENSORFLOW_2, " A test value leads to the run's folder." if root else "")]
    for data_set in data_sets + sorted(done - set(PAPER_RESULTS)):
        parts += ["### " + data_set] + _of_data_set(runs, data_set, root)
    others = [run for run in runs if run.kind == "other"]
    if any(run.kind == "untuned" for run in runs):
        parts += ["## What to expect on the way",
                  "Validation after the first epochs and at the best one, for a run with the "
                  "published settings and seed 1 (or the lowest there is). On a CPU, with the same "
                  "commit, versions, processor and number of cores, the numbers come out the same "
                  "to the last digit. Otherwise music differs by up to 5 % after the first epoch, "
                  "and later as much as two seeds do; a classifier's first accuracies can differ "
                  "widely, as it leaves chance an epoch sooner or later. GB: the most memory the "
                  "run took, without a GPU's.",
                  check_table(runs)]
    if others and root:
        parts += ["## Short trials and other settings",
                  "They show that a script learns, how long an epoch takes, or what one setting "
                  "does. They reproduce no number of the paper."]
    elif others:
        parts += ["## Other settings and your own data",
                  "Their values are not to be set beside the paper's."]
    if others:
        parts.append(_table(others, root, True))
    return "\n\n".join(parts)


def _of_data_set(runs, data_set, root):
    """The paragraphs of one data set."""
    own = [run for run in runs if run.results["data_set"] == data_set]
    untuned = [run for run in own if run.kind == "untuned"]
    tuned = [run for run in own if run.kind == "tuned"]
    parts = []
    if untuned:
        parts += ["Published settings:", _table(untuned, root)]
    if tuned:
        winners = {run.winner.folder: run.winner for run in tuned}
        links = ["%s: %s" % (CELL_TITLES.get(winner.cell, winner.cell),
                             _link("%d trials" % winner.trials,
                                   os.path.join(winner.folder, "trials.csv"), root))
                 for winner in winners.values()]
        parts += ["Tuned, by a sweep for each cell (%s):" % ", ".join(links), _table(tuned, root)]
    return parts or ["Not run yet."]


def _table(runs, root, with_name=False):
    """The table of runs; in a terminal their folders and commands stand below it."""
    runs = sorted(runs, key=_place)
    titles = ["data set", "cell", "seed", "parameters", "epochs, best", "time", "validation",
              "test", "commit"]
    rows = [[run.results["data_set"]] + _details(run, root) for run in runs]
    if not with_name:
        titles, rows = titles[1:], [row[1:] for row in rows]
    if root:
        rows = [row + ["`%s`" % run.command] for row, run in zip(rows, runs)]
        return "\n".join(markdown(titles + ["command"], rows))
    commands = ["%s:\n    %s" % (shown_path(run.folder), run.command) for run in runs]
    return "\n".join(markdown(titles, rows) + [""] + commands)


def _place(run):
    data_set, cell = run.results["data_set"], run.results["cell"]
    row = rank(data_set, PAPER_RESULTS)
    return row, data_set, rank(cell, CELL_NAMES), run.seed, run.folder


def _details(run, root):
    """The cells of the table's line of one run."""
    results, metric = run.results, run.results["monitor"]
    sign = TENSORFLOW_2 if run.uses_tensorflow_2 else ""
    values = [in_table(metric, results[split][metric]) for split in ("valid", "test")]
    return [CELL_TITLES.get(results["cell"], results["cell"]), str(run.seed),
            "{:,}".format(results["parameters"]),
            "%d, %d" % (results["epochs"], results["best_epoch"]),
            "%s on %s%s" % (duration(results["seconds"]), _then(run.devices), sign),
            values[0],
            "%s %s" % (_link(values[1], run.folder, root), unit(metric).label), _then(run.commits)]


def _then(names):
    return ", then ".join(names)


def _link(text, path, root):
    """`text` as a link to a path, without a root `text` alone."""
    if not root:
        return text
    relative = os.path.relpath(path, os.path.join(root, "docs"))
    return "[%s](%s)" % (text, quote(relative.replace(os.sep, "/")))


def check_table(runs):
    """For each data set and cell: validation on the way, epochs, time an epoch, and memory."""
    titles = ["data set", "cell", "metric"] + ["epoch %d" % epoch for epoch in CHECKED_EPOCHS]
    titles += ["best", "epochs", "s an epoch", "GB", "TensorFlow"]
    firsts = {}
    for run in sorted((run for run in runs if run.kind == "untuned"), key=_place):
        firsts.setdefault((run.results["data_set"], run.results["cell"]), run)
    return "\n".join(markdown(titles, list(map(_check_line, firsts.values()))))


def _check_line(run):
    results, metric = run.results, run.results["monitor"]
    by_epoch = {line["epoch"]: line["valid"].get(metric)
                for line in load_metrics(run.folder)}
    wanted = CHECKED_EPOCHS + (results["best_epoch"],)
    values = [in_table(metric, by_epoch.get(epoch)) for epoch in wanted]
    seconds = "%.1f" % (results["seconds"] / results["epochs"])
    if len(run.devices) > 1:
        seconds = "-"  # their mean is the time of neither
    memory = results.get("peak_memory_gb", "-")  # of earlier versions' runs it is not known
    return [results["data_set"], CELL_TITLES.get(results["cell"], results["cell"]),
            unit(metric).label, *values, str(results["epochs"]), seconds, str(memory),
            "%s, %s" % (_then(run.versions), _then(run.devices))]
