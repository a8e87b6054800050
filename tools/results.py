"""The tables, the page and the chart of the published runs; a summary of your own; publishing.

    python -u tools/results.py                       the tables of the runs in results/
    python -u tools/results.py runs                  of those below another folder, or several;
                                                     their chart goes into the first of them
    python -u tools/results.py --readme              renew README.md, docs/results.md and the chart
    python -u tools/results.py --redraw              draw the learning curves in results/ again, or
                                                     those below folders, as this version does
    python -u tools/results.py --publish "runs/music/JSB Chorales/RRU/seed1"

--publish copies a finished run into results/<task>/<data set>/<cell>/<name>, with the weights of
its best epoch if it has at most 1.5 million parameters, and without its other checkpoints. Of
the folder of a sweep the winner's runs are copied, and no other trials.
"""

import argparse
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

import files.environment  # noqa: F401: before packages of the environment
from files.errors import OneLineParser, UserError, run_as_script
from files.output import print_line
from files.project import existing_path, shown_path
from files.run_files import has_settings, is_sweep, load_metrics
from files.writing import atomic_write
from reports import chart, rows, tables
from reports.pictures import learning_curve
from reports.publishing import publish, publish_sweep
from reports.results_page import page
from reports.runs import PUBLISHED, find_runs, one_for_each_seed

START = "<!-- results: python -u tools/results.py --readme -->"
END = "<!-- end of results -->"


def collect(folders):
    """The finished runs below `folders`, each seed once; say what is left out. Raises UserError."""
    runs, left_out = find_runs(folders)
    if PUBLISHED in folders and left_out:
        raise UserError("of the published runs, " + left_out[0])
    for line in left_out:
        print("left out: %s" % line, file=sys.stderr)
    groups = {}
    for run in runs:
        groups.setdefault(run.group, []).append(run)
    chosen = []
    for group in groups.values():
        kept, repeated = one_for_each_seed(group)
        chosen += kept
        for run in repeated:
            if not _is_of_published_sweep(run.folder):  # its winner's runs are there once more
                print("left out: %s: another run has its settings and seed" % run.folder,
                      file=sys.stderr)
    if not chosen:
        raise UserError("no finished run is below %s" % ", ".join(folders), "give other folders")
    return chosen


def _is_of_published_sweep(folder):
    sweep = os.path.dirname(os.path.abspath(folder))
    return sweep.startswith(PUBLISHED + os.sep) and is_sweep(sweep)


def with_tables(path, text, markdown):
    """The text of the page at `path` with `markdown` between its markers. Raises UserError."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise UserError("%s lacks the lines %s and %s" % (path, START, END),
                        "put them around the place of the generated part")
    return before + "\n".join([start, markdown, end]) + after


def pages(runs):
    """{path relative to the project: what stands between the markers there}."""
    return {"README.md": tables.for_readme(runs), tables.PAGE: page(runs, ROOT)}


def renew(runs):
    """Renew the generated parts of README.md and docs/results.md. Raises UserError."""
    renewed = {}
    for name, markdown in pages(runs).items():
        path = os.path.join(ROOT, name)
        with open(path, encoding="utf-8") as file:
            renewed[path] = with_tables(name, file.read(), markdown)
    for path, text in renewed.items():
        with atomic_write(path) as file:
            file.write(text.encode("utf-8"))


def redraw(folders):
    """Draw the learning curves of the finished runs below `folders` again. Raises UserError."""
    runs, _ = find_runs(folders)
    for run in runs:
        path = os.path.join(run.folder, "learning_curve.png")
        learning_curve(path, load_metrics(run.folder), run.results)
    print_line("%d learning curves are drawn as this version does" % len(runs))


def main(arguments=None):
    """Publish runs, or show those that are there. Raises UserError."""
    parser = OneLineParser(description=__doc__,
                           formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", help="where to look for runs (default: results)")
    one_of = parser.add_mutually_exclusive_group()
    one_of.add_argument("--readme", action="store_true",
                        help="renew the generated parts of README.md and docs/results.md, and "
                             "their chart")
    one_of.add_argument("--redraw", action="store_true", help="draw the learning curves again")
    one_of.add_argument("--publish", action="store_true",
                        help="the folders are runs, or sweeps: copy them into results")
    options = parser.parse_args(arguments)
    options.folders = list(map(existing_path, options.folders))
    if options.publish and not options.folders:
        raise UserError("--publish names no run", "give the folders of the runs to copy")
    if options.publish:
        for folder in options.folders:
            copy = publish_sweep if is_sweep(folder) else publish
            print_line(copy(folder, PUBLISHED))
        return
    if options.readme and options.folders:
        raise UserError("--readme is given with folders", "leave them out: README.md shows the "
                        "published runs; --publish yours first")
    folders = options.folders or [PUBLISHED]
    if options.redraw:
        redraw(folders)
        return
    runs = collect(folders)
    if options.folders:
        print_line("\n".join(rows.tables(runs) + [page(runs)]))
    else:
        print_line("%s\n\n%s" % (tables.for_readme(runs), page(runs, ROOT)))
    panels = chart.panels_of(runs)
    if panels and (options.readme or options.folders and not has_settings(folders[0])):
        path = os.path.join(folders[0], "chart.png")
        chart.draw(panels, path)
        print("written: %s" % shown_path(path), file=sys.stderr)
    if options.readme:
        renew(runs)


if __name__ == "__main__":
    run_as_script(main)
