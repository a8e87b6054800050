"""Draw grids of several cells side by side on one scale of colours, with their summary as a table.

    python -u tools/grids.py --paper docs/paper_grids.csv --output docs/paper_grids.png
    python -u tools/grids.py "runs/music/JSB Chorales"/*/grid --output grids.png

A grid is a sweep over two settings (search_method "grid"; see docs/sweeps.md). The grids of one
data set stand together and share one bar of colours. The table is printed as Markdown; if a grid of
ours has a point of the authors', so is the difference.
"""

import argparse
import math
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

import files.environment  # noqa: F401: before packages of the environment
from files.errors import OneLineParser, UserError, run_as_script
from files.output import print_line
from files.project import existing_path
from files.units import in_table, unit
from reports.paper_results import CELL_NAMES, rank
from reports.pictures import pyplot, save
from reports.tables import CELL_TITLES, markdown
from sweeps import grids, heat_map

PAPER = os.path.join(ROOT, "docs", "paper_grids.csv")
_TITLES = dict(CELL_TITLES, **{grids.NOT_NORMALISED: "RRU, not normalised"})


def main(arguments=None):
    """Read the grids, draw them, and print their table."""
    parser = OneLineParser(prog="grids.py", description=__doc__,
                           formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help="of a sweep over two settings")
    parser.add_argument("--paper", metavar="CSV", help="draw the grids in this file, too")
    parser.add_argument("--output", required=True, metavar="PNG", help="the picture to write")
    parser.add_argument("--epochs", action="store_true", help="draw epochs instead of the metric")
    given = parser.parse_args(arguments)
    if not given.output.lower().endswith(".png"):
        raise UserError("--output is %s" % given.output, "give a name that ends in .png")
    folders = {os.path.realpath(folder): folder for folder in map(existing_path, given.folders)}
    own = sorted(map(grids.load_grid, folders.values()),
                 key=lambda grid: rank(grid.cell, CELL_NAMES))
    shown = own + (grids.load_paper_grids(given.paper) if given.paper else [])
    if not shown:
        raise UserError("there is no grid to draw", "give folders of sweeps, or --paper CSV")
    draw(shown, given.output, "epochs" if given.epochs else "values")
    print_line("\n".join(table(shown)))
    lines = compare(own, grids.load_paper_grids(PAPER)) if own else []
    if lines[2:]:
        print_line("\n" + "\n".join(lines))


def rows_of(shown):
    """Lists of the grids that share a row: of one data set, metric and part of the data."""
    rows = {}
    for grid in shown:
        rows.setdefault((grid.data_set, grid.metric, grid.part), []).append(grid)
    return list(rows.values())


def draw(shown, path, attribute):
    """Write the picture of all grids; those of a data set share one bar of colours."""
    wide = _most_values(shown, 0) > 6
    across = min(len(shown), 2 if wide else 3)  # so that the numbers can be read on a page
    lines = []
    for alike in rows_of(shown):
        lines += [alike[start:start + across] for start in range(0, len(alike), across)]
    heights = [1.3 + 0.22 * max(_most_values(line, 1), 3) for line in lines]
    figure, all_axes = pyplot.subplots(
        len(lines), across, squeeze=False, constrained_layout=True,
        figsize=(10, sum(heights)), gridspec_kw={"height_ratios": heights})
    for alike in rows_of(shown):
        count = math.ceil(len(alike) / across)
        alike_axes, all_axes = all_axes[:count].ravel(), all_axes[count:]
        limits = heat_map.limits(alike, attribute)
        for place, (grid, axes) in enumerate(zip(alike, alike_axes)):
            image = heat_map.draw(axes, grid, limits, attribute)
            axes.set_title(_title(grid), fontsize=9)
            if place % across:
                axes.set_ylabel("")
        for axes in alike_axes[len(alike):]:
            axes.set_axis_off()
        figure.colorbar(image, ax=list(alike_axes), label=heat_map.label(alike[0], attribute),
                        fraction=0.02, pad=0.01)
    save(figure, path)


def _most_values(shown, axis):
    """The most values that any grid has of its setting across (axis 0) or down (1)."""
    return max(len(set(list(zip(*grid.values))[axis])) for grid in shown)


def table(shown):
    """The lines of the Markdown table of summaries."""
    alike = len({tuple(grid.names) for grid in shown}) == 1
    rows = []
    for grid in shown:
        numbers = grids.grid_summary(grid)
        place = next(place for place, value in grid.values.items() if value == numbers["best"])
        texts = [heat_map.short(value) if alike else "%s %s" % (name, heat_map.short(value))
                 for name, value in zip(grid.names, place)]
        rows.append([
            "%s, %s %s" % (_title(grid), grid.part, unit(grid.metric).label),
            "%s (%s)" % (_text(grid, numbers["best"]), ", ".join(texts)),
            _text(grid, numbers["median"]), _text(grid, numbers["worst"]),
            "%.0f %%" % (100 * numbers["within_5_percent"]),
            "%d of %d" % (numbers["failed"], numbers["trials"]), "{:,}".format(numbers["epochs"])])
    best = "best (%s)" % (", ".join(shown[0].names) if alike else "at")
    titles = ["grid", best, "median", "worst", "within 5 % of the best", "failed", "epochs"]
    if any(grid.pruned for grid in shown):
        titles.insert(-1, "pruned")
        for row, grid in zip(rows, shown):
            row.insert(-1, "%d of %d" % (len(grid.pruned), len(grid.values)))
    return markdown(titles, rows, len(titles) - 2)


def compare(own, paper):
    """The lines of the Markdown table of our points that the authors have, too."""
    rows = []
    for grid in own:
        for across, down, ours, theirs in grids.differences(grid, paper):
            off = "-" if None in (ours, theirs) else "%+.3f" % (
                unit(grid.metric).factor * (ours - theirs))
            rows.append([_title(grid), "%s, %s" % (heat_map.short(across), heat_map.short(down)),
                         "%s (%s)" % (_text(grid, ours), grid.part), _text(grid, theirs), off])
    return markdown(["grid", "point", "ours", "theirs (test)", "difference"], rows, 3)


def _title(grid):
    return "%s %s" % (grid.data_set, _TITLES.get(grid.cell, grid.cell))


def _text(grid, value):
    return in_table(grid.metric, value, "failed")


if __name__ == "__main__":
    run_as_script(main)
