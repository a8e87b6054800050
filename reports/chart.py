"""The chart of the paper's rows: ours with its spread beside theirs, also to be read in grey."""

from files.units import lower_is_better, unit
from reports.paper_results import CELL_NAMES, PAPER_RESULTS, theirs
from reports.pictures import pyplot, save
from reports.tables import entries, metric_label

_SHORT = ("RRU", "GRU", "LSTM", "Mogr.")
_ACROSS = 4


def panels_of(runs):
    """A panel for each row of the paper that has runs, untuned and tuned ones apart.

    So ours stand beside theirs of the same kind, if there are any.
    """
    panels = []
    for is_tuned in (False, True):
        panels += [(data_set, is_tuned, own) for data_set, own in entries(runs, is_tuned).items()]
    return panels


def draw(panels, path):
    """Draw the chart of the panels that `panels_of` gave."""
    lines = len(panels) // _ACROSS + 1  # with a place for the legend
    figure, all_axes = pyplot.subplots(lines, _ACROSS, figsize=(10.5, 2.5 * lines), squeeze=False)
    for axes, panel in zip(all_axes.flat, panels):
        _panel(axes, *panel)
    for axes in all_axes.flat[len(panels):]:
        axes.axis("off")
    _legend(all_axes.flat[len(panels)], panels)
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
            if low == high:
                axes.plot([place + 0.15], [low], "D", color="black", fillstyle="none")
            else:
                axes.plot([place + 0.15] * 2, [low, high], "_-", color="black")
    axes.set_xticks(range(len(CELL_NAMES)))
    axes.set_xticklabels(_SHORT, fontsize=9)
    axes.set_xlim(-0.6, len(CELL_NAMES) - 0.4)
    axes.margins(y=0.2)
    axes.tick_params(axis="y", labelsize=9)
    axes.ticklabel_format(axis="y", useOffset=False)
    kind = "tuned" if is_tuned else "untuned"
    if not any(theirs(data_set, cell, is_tuned) for cell in CELL_NAMES):
        axes.set_xlabel("no %s value is published" % kind, fontsize=9, color="0.35")
    better = "lower" if lower_is_better(PAPER_RESULTS[data_set].metric) else "higher"
    axes.set_title("%s, %s\n%s (%s is better)" % (
        data_set, kind, metric_label(data_set), better), fontsize=9)
    axes.grid(axis="y", color="0.9")


def _legend(axes, panels):
    """Explain the marks that are in the panels."""
    published = []
    for data_set, is_tuned, _ in panels:
        published += [theirs(data_set, cell, is_tuned) for cell in CELL_NAMES]
    single = any(value and value[0] == value[1] for value in published)
    ranges = any(value and value[0] != value[1] for value in published)
    marks = [
        (True, "ours (bar: standard\ndeviation over seeds)", {"marker": "o", "color": "tab:blue"}),
        (single, "theirs", {"marker": "D", "color": "black", "fillstyle": "none"}),
        (ranges, "theirs (range)", {"marker": "|", "color": "black", "markersize": 12})]
    shown = [(name, style) for is_there, name, style in marks if is_there]
    axes.legend([pyplot.Line2D([], [], linestyle="", **style) for _, style in shown],
                [name for name, _ in shown], title="on the test part", loc="center", frameon=False,
                fontsize=10)
