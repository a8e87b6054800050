"""The files that a sweep leaves for people: a table, trials.csv and pictures."""

import csv
import math

from matplotlib import ticker

from files import units
from files.writing import atomic_write
from reports.pictures import pyplot, save, whole_numbers
from sweeps import heat_map
from sweeps.grids import grid_of_records, two_settings
from sweeps.search_space import LISTS

_COLUMNS = ["metric", "value", "best_so_far", "epochs_done", "best_epoch", "parameters",
            "hidden_units", "seconds", "trial_seconds", "pruned", "machine", "finished", "reason"]


def shown(point):
    """A point in one line."""
    return ", ".join("%s %s" % item for item in sorted(point.items()))


def outcome(record):
    """The end of a trial in one line; its time is that of training, start-up and evaluation."""
    if record["loss"] is None:
        return "failed: %s" % record["reason"]
    text = "{metric} {value} {how} {epochs} epochs, {seconds:.0f} s"
    value = units.shown(record["metric"], record["value"])
    return text.format(metric=record["metric"], value=value, epochs=record["epochs"],
                       how="pruned after" if record.get("pruned") else "after",
                       seconds=record.get("trial_seconds", record["seconds"]))


def table(records, space):
    """The lines of the table of all trials, best first, failed ones last."""
    names = sorted(space)
    rows = [["trial"] + names + ["validation"]]
    for record in sorted(records, key=lambda record: (
            record["loss"] is None, record["loss"], record["trial"])):
        point = [str(record["point"][name]) for name in names]
        rows.append([str(record["trial"])] + point + [outcome(record)])
    widths = [max(map(len, column)) for column in list(zip(*rows))[:-1]]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths)]
        lines.append("  ".join(cells + row[-1:]))
    return lines


def write(run, records, space):
    """Write trials.csv (by number, with the best value so far) and the pictures of a sweep.

    best_so_far.png and dimensions.png, and if it is over lists of values of two settings also
    heat_map.png and epochs.png.
    """
    best, rows = None, []
    for record in sorted(records, key=lambda record: record["trial"]):
        if record["loss"] is not None and (best is None or record["loss"] < best["loss"]):
            best = record
        rows.append(dict(record, best_so_far=best and best["value"],
                         epochs_done=record.get("epochs"), **record["point"]))
    with atomic_write(run.file("trials.csv"), "w") as file:
        writer = csv.DictWriter(file, ["trial"] + sorted(space) + _COLUMNS, extrasaction="ignore",
                                lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    succeeded = [row for row in rows if row["loss"] is not None]
    title = "{}, {}, {} trials, {} failed".format(
        run.settings.data_set_name, run.settings.cell_name, len(rows), len(rows) - len(succeeded))
    drawn = [_in_shown_unit(row) for row in succeeded]
    _best_so_far(run, drawn, title)
    _dimensions(run, drawn, space, title)
    lists = all(dimension[0] in LISTS for dimension in space.values())
    if lists and two_settings([record["point"] for record in records]):
        _heat_maps(run, records, title)


def _in_shown_unit(row):
    factor = units.unit(row["metric"]).factor
    return dict(row, value=factor * row["value"], best_so_far=factor * row["best_so_far"])


def _label(rows):
    return "validation\n" + units.unit(rows[0]["metric"]).axis


def _best_so_far(run, rows, title):
    figure, axes = pyplot.subplots(figsize=(7, 4.2))
    numbers = [row["trial"] for row in rows]
    axes.plot(numbers, [row["value"] for row in rows], "o", color="0.6", markersize=4,
              label="trial")
    axes.step(numbers, [row["best_so_far"] for row in rows], where="post", color="tab:blue",
              label="best so far")
    axes.set_xlabel("trial")
    axes.set_ylabel(_label(rows))
    axes.set_title(title)
    whole_numbers(axes.xaxis)
    axes.grid(color="0.9")
    axes.legend()
    save(figure, run.file("best_so_far.png"))


def _dimensions(run, rows, space, title):
    across = min(len(space), 3)
    down = math.ceil(len(space) / across)
    figure, all_axes = pyplot.subplots(down, across, figsize=(4 * across, 3.4 * down), sharey=True,
                                       squeeze=False, constrained_layout=True)
    values, trials = [row["value"] for row in rows], [row["trial"] for row in rows]
    for axes, name in zip(all_axes.flat, sorted(space)):
        points = axes.scatter(_places(axes, [row[name] for row in rows], space[name]), values,
                              c=trials, cmap="viridis_r", zorder=2)
        axes.set_xlabel(name)
        axes.grid(color="0.9")
    for axes in all_axes[:, 0]:
        axes.set_ylabel(_label(rows))
    for axes in all_axes.flat[len(space):]:
        axes.set_axis_off()
    figure.suptitle(title)
    figure.colorbar(points, ax=all_axes, label="trial",
                    ticks=ticker.MaxNLocator(integer=True, min_n_ticks=1))
    save(figure, run.file("dimensions.png"))


def _places(axes, values, dimension):
    """Places of values on the x axis, which is made for their dimension."""
    if dimension[0] == "choice":
        names = [value for value in dimension[1] if value in values]
        axes.set_xticks(range(len(names)))
        axes.set_xticklabels(names)
        axes.set_xlim(-0.5, len(names) - 0.5)
        return [names.index(value) for value in values]
    if dimension[0] in ("log", "log_grid"):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(_log_ticks(min(values), max(values)))
        axes.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        axes.xaxis.set_minor_locator(ticker.NullLocator())
    return values


def _log_ticks(low, high):
    """At most about five ticks, so that their numbers do not overlap."""
    decades = math.log10(high / low)
    return ticker.LogLocator(subs=(1, 2, 5) if decades < 1 else (1, 3) if decades < 2.3 else (1,))


def _heat_maps(run, records, title):
    grid = grid_of_records(records, run.settings.data_set_name, run.settings.cell_name)
    if not grid.has_values:
        return
    columns, rows = map(set, zip(*grid.values))
    size = 2.5 + 0.6 * len(columns), 1.8 + 0.4 * len(rows)
    for attribute, name in (("values", "heat_map.png"), ("epochs", "epochs.png")):
        figure, axes = pyplot.subplots(figsize=size)
        image = heat_map.draw(axes, grid, heat_map.limits([grid], attribute), attribute)
        axes.set_title(title, fontsize=9)
        figure.colorbar(image, ax=axes, label=heat_map.label(grid, attribute))
        save(figure, run.file(name))
