"""The files that a sweep leaves for people: a table, trials.csv and pictures."""

import csv
import itertools
import math
import statistics

import numpy as np
from matplotlib import colors, ticker

from data_preparation.own import data_set_title
from data_preparation.prepared import data_label
from files import units
from files.progress import counted
from files.run_files import remove
from files.writing import atomic_write
from reports.pictures import pyplot, save, whole_numbers
from sweeps import heat_map
from sweeps.grids import grid_of_records
from sweeps.search_space import LISTS, bounds_or_values

_COLUMNS = ["metric", "value", "best_so_far", "epochs_done", "best_epoch", "parameters",
            "hidden_units", "seconds", "trial_seconds", "pruned", "machine", "finished", "reason"]
_HEAT_MAPS = {"values": "heat_map.png", "epochs": "epochs.png"}
_SHORT = ticker.FuncFormatter(lambda value, _: heat_map.short(value))  # 2600000 as 2.6 M


def point_text(point):
    """A point in one line."""
    return ", ".join("%s %s" % item for item in sorted(point.items()))


def outcome_text(record):
    """The end of a trial in one line; its time is that of training, start-up and evaluation."""
    if record["loss"] is None:
        return "failed: %s" % record["reason"]
    text = "{metric} {value} {how} {epochs}, {seconds:.0f} s"
    value = units.shown(record["metric"], record["value"])
    return text.format(metric=record["metric"], value=value,
                       epochs=counted(record["epochs"], "epoch"),
                       how="pruned after" if record.get("pruned") else "after",
                       seconds=record.get("trial_seconds", record["seconds"]))


def table(records, space):
    """The lines of the table of all trials, best first, failed ones last."""
    names = sorted(space)
    rows = [["trial"] + names + ["validation"]]
    for record in sorted(records, key=lambda record: (
            record["loss"] is None, record["loss"], record["trial"])):
        point = [str(record["point"][name]) for name in names]
        rows.append([str(record["trial"])] + point + [outcome_text(record)])
    widths = [max(map(len, column)) for column in list(zip(*rows))[:-1]]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths)]
        lines.append("  ".join(cells + row[-1:]))
    return lines


def write(run, records, space):
    """Write trials.csv (by number, with the best value so far) and the pictures of a sweep.

    best_so_far.png and dimensions.png, and if it is over lists of values of two settings also
    heat_map.png and epochs.png; none before a trial has succeeded.
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
    if best is None:
        return
    data = data_label(data_set_title(run.settings), run.data_identity["fraction"])
    title = "{}, {}, {}, {} failed".format(
        data, run.settings.cell_name, counted(len(rows), "trial"),
        sum(row["loss"] is None for row in rows))
    trials = _Trials(rows, best["metric"])
    _best_so_far(run, trials, title)
    _dimensions(run, trials, space, title)
    if all(dimension[0] in LISTS for dimension in space.values()):
        _heat_maps(run, records, data, title)


class _Trials(object):
    """Trials as pictures show them: failed ones and outliers are drawn at the edge.

    values: of each trial in the unit that is shown, nan if it failed. best: the best value up to
    each trial. limit: the worst value; if some are far worse than the rest, three times as far from
    the best as the median instead. outliers: which trials are beyond the limit.
    """

    def __init__(self, rows, metric):
        known = units.unit(metric)
        self.rows, self.numbers = rows, [row["trial"] for row in rows]
        self.label = "validation\n" + known.axis
        self.values = known.factor * np.array([row.get("value") for row in rows], float)
        self.best = known.factor * np.array([row["best_so_far"] for row in rows], float)
        self.failed = np.isnan(self.values)
        values, best = self.values[~self.failed], self.best[-1]
        far = 3 * (statistics.median(values) - best)
        self.limit = values[np.argmax(abs(values - best))]
        if 0 < 1.5 * abs(far) < abs(self.limit - best):
            self.limit = best + far
        self.span = self.limit - best or (1 if units.lower_is_better(metric) else -1)
        self.outliers = abs(np.nan_to_num(self.values - best)) > abs(self.limit - best)

    def draw(self, axes, places, colours):
        """Draw the trials at `places` into axes: pruned ones hollow, failed ones as crosses."""
        edge = self.limit + 0.1 * self.span
        heights, places = np.where(self.outliers | self.failed, edge, self.values), np.array(places)
        faces = np.array(colours)
        faces[[bool(row.get("pruned")) for row in self.rows], 3] = 0
        arrow = "^" if self.span > 0 else "v"
        for marker, chosen, label in (("o", ~(self.outliers | self.failed), "trial"),
                                      (arrow, self.outliers, None)):
            axes.scatter(places[chosen], heights[chosen], marker=marker, facecolors=faces[chosen],
                         edgecolors=colours[chosen], zorder=2, label=label)
        axes.plot(places[self.failed], heights[self.failed], "x", color="black")
        beyond = self.outliers.any() or self.failed.any()
        ends = self.best[-1] - 0.06 * self.span, self.limit + (0.16 if beyond else 0.06) * self.span
        axes.set_ylim(min(ends), max(ends))

    def key(self):
        """The line that tells what the signs are; "" if all trials are plain points."""
        signs = ["hollow: pruned"] if any(row.get("pruned") for row in self.rows) else []
        if self.outliers.any():
            farthest = (max if self.span > 0 else min)(self.values[self.outliers])
            signs.append("triangle: worse, as far as %.4g" % farthest)
        return "; ".join(signs + (["cross: failed"] if self.failed.any() else []))


def _best_so_far(run, trials, title):
    figure, axes = pyplot.subplots(figsize=(7, 4.2))
    trials.draw(axes, trials.numbers, np.tile(colors.to_rgba("0.55"), (len(trials.rows), 1)))
    axes.step(trials.numbers, trials.best, where="post", color="tab:blue", label="best so far")
    axes.set_xlabel("trial")
    axes.set_ylabel(trials.label)
    axes.set_title(_with_key(title, trials))
    whole_numbers(axes.xaxis)
    axes.grid(color="0.9")
    axes.legend()
    save(figure, run.file("best_so_far.png"))


def _with_key(title, trials):
    return "\n".join(filter(None, (title, trials.key())))


def _dimensions(run, trials, space, title):
    across = min(len(space), 3)
    down = math.ceil(len(space) / across)
    figure, all_axes = pyplot.subplots(down, across, figsize=(4 * across, 3.4 * down), sharey=True,
                                       squeeze=False, constrained_layout=True)
    scale = pyplot.cm.ScalarMappable(pyplot.Normalize(min(trials.numbers), max(trials.numbers)),
                                     "viridis_r")
    colours = scale.to_rgba(trials.numbers)
    for axes, name in zip(all_axes.flat, sorted(space)):
        places = _places(axes, [row[name] for row in trials.rows], space[name])
        trials.draw(axes, places, colours)
        axes.set_xlabel(name)
        axes.grid(color="0.9")
    for axes in all_axes[:, 0]:
        axes.set_ylabel(trials.label)
    for axes in all_axes.flat[len(space):]:
        axes.set_axis_off()
    figure.suptitle(_with_key(title, trials))
    figure.colorbar(scale, ax=all_axes, label="trial",
                    ticks=ticker.MaxNLocator(integer=True, min_n_ticks=1))
    save(figure, run.file("dimensions.png"))


def _places(axes, values, dimension):
    """Places of values on the x axis, which is made to show all of their dimension."""
    if dimension[0] == "choice":
        names = dimension[1]
        axes.set_xticks(range(len(names)))
        axes.set_xticklabels([heat_map.short(value) for value in names])
        axes.set_xlim(-0.5, len(names) - 0.5)
        return [names.index(value) for value in values]
    low, high = min(bounds_or_values(dimension)), max(bounds_or_values(dimension))
    if dimension[0] in ("log", "log_grid"):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(ticker.FixedLocator(_log_ticks(low, high)))
        axes.xaxis.set_major_formatter(_SHORT)
        axes.xaxis.set_minor_locator(ticker.NullLocator())
        axes.set_xlim(low / (high / low) ** 0.04, high * (high / low) ** 0.04)
    else:
        axes.set_xlim(low - 0.04 * (high - low), high + 0.04 * (high - low))
        if dimension[0] == "integer":
            whole_numbers(axes.xaxis)
            axes.xaxis.set_major_formatter(_SHORT)
    return values


def _log_ticks(low, high):
    """At most about five round ticks, so that their numbers do not overlap; else the two ends."""
    decades = math.log10(high / low)
    digits = (1, 2, 5) if decades < 1.1 else (1, 3) if decades < 2.3 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1,
                   math.ceil(decades / 6))
    round_numbers = (float("%de%d" % pair) for pair in itertools.product(digits, powers))
    ticks = sorted(number for number in round_numbers if low <= number <= high)
    return ticks if len(ticks) > 1 else [low, high]


def _heat_maps(run, records, data, title):
    grid = grid_of_records(records, data, run.settings.cell_name)
    if grid is None:  # the records before may have been of two settings
        for name in _HEAT_MAPS.values():
            remove(run.path, name)
        return
    columns, rows = map(set, zip(*grid.values))
    size = 2.5 + 0.6 * len(columns), 1.8 + 0.4 * len(rows)
    for attribute, name in _HEAT_MAPS.items():
        figure, axes = pyplot.subplots(figsize=size)
        image = heat_map.draw(axes, grid, heat_map.limits([grid], attribute), attribute)
        axes.set_title(title, fontsize=9)
        figure.colorbar(image, ax=axes, label=heat_map.label(grid, attribute))
        save(figure, run.file(name))
