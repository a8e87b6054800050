"""All finished runs as one table in the paper's layout, with how each was made, in Markdown, and as a chart.

    python -u tools/results.py                       the runs in results/
    python -u tools/results.py runs                  those below another folder, or several
    python -u tools/results.py --readme              also put the tables into README.md
    python -u tools/results.py --publish "runs/music/JSB Chorales/RRU/seed1"

The last copies a finished run, without its checkpoints, into results/<task>/<data set>/<cell>/<name>. The chart is
written to chart.png in the first folder. Runs with the published settings share a row, and so do the winners of sweeps
of the same name; all others stand in a row of their own that says what is different. Results on a part of the data
never have the paper's value beside them.
"""

import argparse
import collections
import importlib
import os
import statistics
import sys
from urllib.parse import quote

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from cells import registry
from reports.publishing import publish
from reports import pictures
from files.errors import OneLineParser, UserError, hint, run_as_script
from files.writing import atomic_write
from reports.paper_results import PAPER_RESULTS, paper_value
from files.progress import duration
from files.run_files import load_results, load_settings, load_sweep
from training.settings import command_line

SCRIPTS = ("mm_main", "lm_main", "sa_main", "mnist_main")
# Settings that have the same published value in all data sets, so that no table PUBLISHED has them.
PUBLISHED_EVERYWHERE = {"clip_gradients": True, "label_smoothing": 0.1, "state_reset_probability": 0.1,
                        "bucket_by_length": False, "mixed_precision": False}
BEFORE = {"linear_decay": False}  # how runs were made that are older than a setting
# Metric -> its name in the table, the factor to the table's unit, digits behind the point. All of the test part.
METRICS = {"window_nll": ("window NLL", 1, 3), "perplexity": ("perplexity", 1, 2), "bpc": ("BPC", 1, 3),
           "accuracy": ("accuracy %", 100, 2)}
START, END = "<!-- results: python -u tools/results.py --readme -->", "<!-- end of results -->"

Run = collections.namedtuple("Run", "folder results marks command trials")
Run.__doc__ = """A finished run.

marks: what makes it differ from a published run, tuple of texts. command: the command line that makes it again.
trials: of the sweep in the folder above it that these settings won; 0 for any other run.
"""


def find_runs(folders):
    """All finished runs below `folders` that were tested (a sweep's trials are not), as Run, by path.

    Raises UserError for what is no folder or is damaged.
    """
    runs = []
    for top in folders:
        if not os.path.isdir(top):
            raise UserError("%s is not a folder: give folders that hold runs" % top)
        for folder, subfolders, files in os.walk(top):
            subfolders.sort()
            if "results.json" in files:
                with hint("remove the run's folder, or evaluate the run again"):
                    saved, results = load_settings(folder), load_results(folder)
                if "test" in results and results["stop_reason"]:  # not a sweep's trials, nor what was cut off
                    runs.append(_run(folder, saved, results))
    return runs


def _run(folder, saved, results):
    changed = changed_settings(results, saved["settings"])
    above = os.path.dirname(folder)
    trials, point = winner(above)
    if not point.items() <= own_settings(saved["settings"]).items():
        trials, point = 0, {}
    tuned = ["tuned (sweep %s)" % os.path.basename(above)] if trials else []
    rest = [(name, value) for name, value in changed if name not in point]
    return Run(folder, results, tuple(tuned + marks(results, rest)), command(results, saved["script"], changed), trials)


def winner(folder):
    """(number of trials, the winner's point) of the sweep in a folder; (0, {}) where there is no finished sweep.

    Raises UserError where its sweep.json is damaged.
    """
    if not os.path.exists(os.path.join(folder, "sweep.json")):
        return 0, {}
    with hint("run the sweep again, it only reports anew"):
        sweep = load_sweep(folder)
    return sweep["trials"], sweep["winner"]["point"]


def own_settings(settings):
    """The settings of a run with those of its cell among them, {name: value}."""
    return dict(BEFORE, **dict(settings, **settings["cell_hyperparameters"]))


def changed_settings(results, settings):
    """The settings of a run that are not the published ones: [(name, value)], by name."""
    published = published_settings(results["task"], results["data_set"], results["cell"])
    own = own_settings(settings)
    if results["epochs"] < settings["epochs"] and not own["linear_decay"]:
        del own["epochs"]  # early stopping came first, so the limit made no difference
    return [(name, own[name]) for name, value in sorted(published.items()) if name in own and own[name] != value]


def marks(results, changed):
    """What makes a run differ from a published one: part of the data, TensorFlow 2, settings; a list of texts."""
    found = []
    if results["data_fraction"] != 1:
        found.append("only %.3g %% of the data" % (100 * results["data_fraction"]))
    version = results["environment"]["tensorflow"]
    if not version.startswith("1."):
        found.append("TensorFlow %s" % version)
    return found + ["%s %s" % item for item in changed]


def command(results, script, changed):
    """The command line that makes a run again; `changed` as of changed_settings."""
    run = [("data_set_name", results["data_set"]), ("cell_name", results["cell"]), ("seed", results["seed"])]
    return command_line(script, run + changed)


def published_settings(task, data_set_name, cell_name):
    """The published settings that change what a run computes, {name: value}, the cell's own among them.

    Raises UserError for a task, data set or cell that this version of the scripts does not have.
    """
    scripts = {script.TASK: script for script in map(importlib.import_module, SCRIPTS)}
    try:
        own = registry.published_hyperparameters(cell_name, data_set_name)
        return dict(PUBLISHED_EVERYWHERE, **scripts[task].PUBLISHED[data_set_name], **own)
    except KeyError as missing:
        raise UserError("the scripts know no %s (of a run of %s, %s, %s): leave its folder out" % (
            missing, task, data_set_name, cell_name))


def rows_of(runs):
    """{(task, data set, marks): {cell: [runs]}}, in the paper's order, then the rest; one run for each seed."""
    def place(run):
        name = run.results["data_set"]
        return (list(PAPER_RESULTS).index(name) if name in PAPER_RESULTS else len(PAPER_RESULTS), name,
                run.marks, run.results["seed"])

    rows = {}
    for run in sorted(runs, key=place):
        key = run.results["task"], run.results["data_set"], run.marks
        cell = rows.setdefault(key, {}).setdefault(run.results["cell"], [])
        if run.results["seed"] in [other.results["seed"] for other in cell]:
            print("left out, as another run has its settings and seed: %s" % run.folder, file=sys.stderr)
        else:
            cell.append(run)
    return rows


def statistics_of(runs, marks):
    """(mean of the test metric, standard deviation or None, the paper's value or None), in the table's unit."""
    first = runs[0].results
    monitor = first["monitor"]
    factor = METRICS[monitor][1]
    values = [factor * run.results["test"][monitor] for run in runs]
    whole = not any(mark.startswith("only ") for mark in marks)
    paper = paper_value(first["data_set"], first["cell"], monitor) if whole else None
    return (statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None,
            None if paper is None else factor * paper)


def table(rows):
    """The Markdown table of what rows_of gives; links are relative to the project's folder."""
    cells = list(registry.CELLS)
    lines = ["| data set | metric | %s |" % " | ".join(cells), "| --- | --- |" + " --- |" * len(cells)]
    for (task, data_set, marks), by_cell in rows.items():
        metric = next(iter(by_cell.values()))[0].results["monitor"]
        label = "%s, %s" % (task, data_set) + "".join("<br>*%s*" % mark for mark in marks)
        entries = [_entry(by_cell[cell], marks) if cell in by_cell else "-" for cell in cells]
        lines.append("| %s | %s | %s |" % (label, METRICS[metric][0], " | ".join(entries)))
    return "\n".join(lines)


def _entry(runs, marks):
    mean, deviation, paper = statistics_of(runs, marks)
    digits = METRICS[runs[0].results["monitor"]][2]
    ours = "**%.*f**" % (digits, mean) + ("" if deviation is None else " ± %.*f" % (digits, deviation))
    lines = ["%s (n = %d)" % (ours, len(runs))]
    if paper is not None:
        only_theirs = PAPER_RESULTS[runs[0].results["data_set"]].tuned == "+" and not runs[0].trials
        lines.append("paper%s %.2f, %+.*f" % (", tuned" if only_theirs else "", paper, digits, mean - paper))
    links = ["[%s](%s)" % (run.results["seed"], quote(os.path.relpath(run.folder, ROOT))) for run in runs]
    if runs[0].trials:
        trials = os.path.join(os.path.dirname(runs[0].folder), "trials.csv")
        links.append("of [%d trials](%s)" % (runs[0].trials, quote(os.path.relpath(trials, ROOT))))
    return "<br>".join(lines + ["seed " + " ".join(links)])


def details(rows):
    """The Markdown table of how each run was made: command, size, time and validation beside test."""
    lines = ["| command | parameters | units | epochs, best | time on cores | s an epoch | valid | test |",
             "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for run in (run for by_cell in rows.values() for runs in by_cell.values() for run in runs):
        results = run.results
        metric, factor, digits = METRICS[results["monitor"]]
        lines.append("| `%s` | %s | %d | %d, %d | %s on %d | %.1f | %.*f | [%.*f](%s) %s |" % (
            run.command, "{:,}".format(results["parameters"]), results["hidden_units"], results["epochs"],
            results["best_epoch"], duration(results["seconds"]), results["environment"]["cores"],
            results["seconds"] / results["epochs"], digits, factor * results["valid"][results["monitor"]],
            digits, factor * results["test"][results["monitor"]], quote(os.path.relpath(run.folder, ROOT)), metric))
    return "\n".join(lines)


def for_readme(rows):
    """What stands between the two markers of README.md."""
    return "%s\n\nHow each run was made; its time holds training and validation:\n\n%s" % (table(rows), details(rows))


def chart(rows, path):
    """Draw what rows_of gives as a PNG."""
    panels = []
    for (_, data_set, marks), by_cell in rows.items():
        metric = next(iter(by_cell.values()))[0].results["monitor"]
        title = "\n".join((data_set,) + marks)
        panels.append((title, METRICS[metric][0] + ", test", {
            cell: statistics_of(by_cell[cell], marks) for cell in registry.CELLS if cell in by_cell}))
    try:
        pictures.results_chart(path, panels)
    except OSError as error:
        raise UserError("%s cannot be written (%s): give a folder that can be" % (path, error.strerror))


def with_tables(text, markdown):
    """The text of README.md with the tables between its two markers. Raises UserError where they are not there."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise UserError("README.md lacks the lines %s and %s: put them where the tables shall be" % (START, END))
    return "%s%s\n%s\n%s%s" % (before, start, markdown, end, after)


def main(arguments=None):
    """Publish runs, or show those that are there. Raises UserError."""
    parser = OneLineParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", help="where to look for runs (default: results)")
    parser.add_argument("--readme", action="store_true", help="put the tables into README.md")
    parser.add_argument("--publish", action="store_true", help="the folders are runs: copy them into results")
    options = parser.parse_args(arguments)
    published = os.path.join(ROOT, "results")
    if options.publish and not options.folders:
        raise UserError("--publish names no run: give the folders of the runs to copy")
    if options.publish:
        for folder in options.folders:
            print(publish(folder, published))
        return
    folders = options.folders or [published]
    rows = rows_of(find_runs(folders))
    if not rows:
        raise UserError("no finished run is below %s: give other folders" % ", ".join(folders))
    markdown = for_readme(rows)
    print(markdown)
    chart(rows, os.path.join(folders[0], "chart.png"))
    if options.readme:
        path = os.path.join(ROOT, "README.md")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with atomic_write(path) as file:
            file.write(with_tables(text, markdown).encode("utf-8"))


if __name__ == "__main__":
    run_as_script(main)
