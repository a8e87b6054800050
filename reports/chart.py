"""The chart of the paper's rows: ours with its spread beside theirs, also to be read in grey."""

from files.units import unit
from reports.paper_results import CELL_NAMES, PAPER_RESULTS, theirs
from reports.pictures import pyplot, save
from reports.tables import entries, metric_label

_SHORT = ("RRU", "GRU", "LSTM", "Mogr.")
_COLUMNS, _LINES = 4, 3


def draw(runs, path):
    """Draw a panel for each row of the paper: tuned if we tuned there, else untuned.

    So ours stands beside theirs of the same kind; a row without any of ours shows the paper's.
    """
    tuned, untuned = entries(runs, True), entries(runs, False)
    figure, panels = pyplot.subplots(_LINES, _COLUMNS, figsize=(10.5, 7.2))
    for axes, data_set in zip(panels.flat, PAPER_RESULTS):
        is_tuned = data_set in tuned or (
            data_set not in untuned and PAPER_RESULTS[data_set].tuned)
        _panel(axes, data_set, is_tuned, (tuned if is_tuned else untuned).get(data_set, {}))
    _legend(panels.flat[len(PAPER_RESULTS)])
    figure.tight_layout()
    save(figure, path)


def _panel(axes, data_set, is_tuned, own):
    known = unit(PAPER_RESULTS[data_set].metric)
    for place, cell in enumerate(CELL_NAMES):
        if cell in own:
            axes.errorbar([place - 0.15], [own[cell].mean], yerr=own[cell].deviation, fmt="o",
                          color="tab:blue", markersize=6, capsize=4)
        published = theirs(data_set, cell, is_tuned)
        if published is not None:
            low, high = (known.factor * value for value in published)
            axes.errorbar([place + 0.15], [(low + high) / 2], yerr=[(high - low) / 2], fmt="D",
                          color="black", markersize=6, fillstyle="none", linewidth=1)
    axes.set_xticks(range(len(CELL_NAMES)))
    axes.set_xticklabels(_SHORT, fontsize=9)
    axes.set_xlim(-0.6, len(CELL_NAMES) - 0.4)
    axes.margins(y=0.2)
    axes.tick_params(axis="y", labelsize=9)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_title("%s, %s\n%s" % (data_set, "tuned" if is_tuned else "untuned",
                                    metric_label(data_set)), fontsize=10)
    axes.grid(axis="y", color="0.9")


def _legend(axes):
    axes.axis("off")
    marks = [pyplot.Line2D([], [], marker="o", color="tab:blue", linestyle=""),
             pyplot.Line2D([], [], marker="D", color="black", fillstyle="none", linestyle="")]
    names = ["ours (bar: deviation)", "theirs (bar: range)"]
    axes.legend(marks, names, loc="center", frameon=False, fontsize=11)
