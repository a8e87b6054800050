"""What a sweep leaves for people to look at: a table, trials.csv and two pictures."""

import csv
import math

from matplotlib import ticker

from files.writing import atomic_write
from reports.pictures import AXIS_LABELS, pyplot, save, whole_numbers


def shown(point):
    """A point in one line."""
    return ", ".join("%s %s" % item for item in sorted(point.items()))


def outcome(record):
    """How a trial ended, in one line."""
    if record["loss"] is None:
        return "failed: %s" % record["reason"]
    return "%s %.4f after %d epochs, %.0f s" % (record["metric"], record["value"], record["epochs"],
                                                record["seconds"])


def ranked(records):
    """The records, best first, failed ones last."""
    return sorted(records, key=lambda record: (record["loss"] is None, record["loss"], record["trial"]))


def table(records, space):
    """The lines of the table of all trials, best first."""
    rows = [["trial"] + sorted(space) + ["validation"]]
    rows += [[str(record["trial"])] + [str(record["point"][name]) for name in sorted(space)] + [outcome(record)]
             for record in ranked(records)]
    widths = [max(map(len, column)) for column in list(zip(*rows))[:-1]]
    return ["  ".join([cell.rjust(width) for cell, width in zip(row, widths)] + row[-1:]) for row in rows]


def write(run, records, space):
    """Write trials.csv (in the order of the trials, with the best value so far), best_so_far.png, dimensions.png."""
    best, rows = None, []
    for record in sorted(records, key=lambda record: record["trial"]):
        if record["loss"] is not None and (best is None or record["loss"] < best["loss"]):
            best = record
        rows.append(dict(record, best_so_far=best and best["value"], **record["point"]))
    columns = ["trial"] + sorted(space) + ["metric", "value", "best_so_far", "epochs", "best_epoch", "parameters",
                                           "hidden_units", "seconds", "machine", "finished", "reason"]
    with atomic_write(run.file("trials.csv"), "w") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    succeeded = [row for row in rows if row["loss"] is not None]
    title = "{}, {}, {} trials, {} failed".format(run.settings.data_set_name, run.settings.cell_name, len(rows),
                                                  len(rows) - len(succeeded))
    _best_so_far(run, succeeded, title)
    _dimensions(run, succeeded, space, title)


def _label(rows):
    return "validation\n" + AXIS_LABELS.get(rows[0]["metric"], rows[0]["metric"])


def _best_so_far(run, rows, title):
    figure, axes = pyplot.subplots(figsize=(7, 4.2))
    numbers = [row["trial"] for row in rows]
    axes.plot(numbers, [row["value"] for row in rows], "o", color="0.6", markersize=4, label="trial")
    axes.step(numbers, [row["best_so_far"] for row in rows], where="post", color="tab:blue", label="best so far")
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
    figure, all_axes = pyplot.subplots(down, across, figsize=(4 * across, 3.4 * down), sharey=True, squeeze=False,
                                       constrained_layout=True)
    for axes, name in zip(all_axes.flat, sorted(space)):
        values = [row[name] for row in rows]
        if space[name][0] == "choice":
            names = sorted(set(values))
            axes.set_xticks(range(len(names)))
            axes.set_xticklabels(names)
            axes.set_xlim(-0.5, len(names) - 0.5)
            values = [names.index(value) for value in values]
        elif space[name][0] == "log":
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
            axes.xaxis.set_minor_locator(ticker.NullLocator())
        points = axes.scatter(values, [row["value"] for row in rows], c=[row["trial"] for row in rows],
                              cmap="viridis_r", zorder=2)
        axes.set_xlabel(name)
        axes.grid(color="0.9")
    for axes in all_axes[:, 0]:
        axes.set_ylabel(_label(rows))
    for axes in all_axes.flat[len(space):]:
        axes.set_axis_off()
    figure.suptitle(title)
    figure.colorbar(points, ax=all_axes, label="trial", ticks=ticker.MaxNLocator(integer=True, min_n_ticks=1))
    save(figure, run.file("dimensions.png"))
