"""All pictures that the scripts make. Lines differ in style and marker too, so that a print in grey can be read."""

import math

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from training.files import replacing

AXIS_LABELS = {"window_nll": "negative log-likelihood [nats/step]", "perplexity": "perplexity",
               "bpc": "bits per character", "accuracy": "accuracy (fraction)"}


def learning_curve(path, epochs, results, title):
    """Train and validation metric by epoch, the best epoch and the paper's value.

    epochs: the lines of metrics.jsonl. results: what results.json holds.
    """
    watched, numbers = results["watched"], [line["epoch"] for line in epochs]
    figure, axes = pyplot.subplots(figsize=(7, 4.2))
    axes.plot(numbers, [line["train"][watched] for line in epochs], "--", color="0.45", marker=".",
              label="train (with dropout)")
    axes.plot(numbers, [line["valid"][watched] for line in epochs], "-", color="tab:blue", marker=".",
              label="validation")
    best = results["best_epoch"]
    axes.plot([best], [results["valid"][watched]], "o", color="tab:blue", markersize=9, fillstyle="none",
              label="best epoch: %d (%.4g)" % (best, results["valid"][watched]))
    if results["paper"] is not None:
        axes.axhline(results["paper"], color="black", linestyle=":", label="paper, test: %g" % results["paper"])
    axes.set_xlabel("epoch")
    axes.set_ylabel(AXIS_LABELS.get(watched, watched))
    axes.set_title(title)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(color="0.9")
    axes.legend()
    _save(figure, path)


def results_chart(path, rows):
    """One panel for each row of the results table: our mean with its standard deviation, and the paper's value.

    rows: list of (title, axis label, {cell name: (our value, standard deviation or None, paper's value or None)}).
    """
    columns = min(len(rows), 3)
    lines = math.ceil(len(rows) / columns)
    figure, all_axes = pyplot.subplots(lines, columns, figsize=(3.6 * columns, 2.9 * lines + 0.5), squeeze=False)
    for axes in all_axes.flat[len(rows):]:
        axes.axis("off")
    for axes, (title, label, cells) in zip(all_axes.flat, rows):
        for i, (ours, deviation, paper) in enumerate(cells.values()):
            axes.errorbar([i - 0.1], [ours], yerr=deviation, fmt="o", color="tab:blue", capsize=4)
            if paper is not None:
                axes.plot([i + 0.1], [paper], "D", color="black", fillstyle="none")
        axes.set_xticks(range(len(cells)))
        axes.set_xticklabels([name.replace("Mogrifier", "Mogrifier\n") for name in cells], fontsize=9)
        axes.set_xlim(-0.6, len(cells) - 0.4)
        axes.margins(y=0.25)
        axes.ticklabel_format(axis="y", useOffset=False)
        axes.set_title(title, fontsize=10)
        axes.set_ylabel(label, fontsize=9)
        axes.grid(axis="y", color="0.9")
    marks = [pyplot.Line2D([], [], marker="o", color="tab:blue", linestyle=""),
             pyplot.Line2D([], [], marker="D", color="black", fillstyle="none", linestyle="")]
    figure.legend(marks, ["ours (bar: standard deviation)", "paper"], loc="lower center", ncol=2, frameon=False)
    _save(figure, path, bottom=0.5 / (2.9 * lines + 0.5))


def _save(figure, path, bottom=0):
    figure.tight_layout(rect=(0, bottom, 1, 1))
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=120)
    pyplot.close(figure)
