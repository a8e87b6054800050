"""Learning curve and piano roll, and what all pictures share. Lines can be told in grey, too."""

import io
import math
import os

import matplotlib
import numpy as np
from PIL import Image

matplotlib.use("Agg")
from matplotlib import pyplot

from data_preparation.midi import LOWEST_NOTE
from data_preparation.prepared import data_label
from files.reading import load_bytes
from files.units import unit
from files.writing import atomic_write
from reports.paper_results import PAPER_RESULTS


def learning_curve(path, epochs, results):
    """Train and validation metric by epoch, the best epoch and the paper's value.

    epochs: the lines of metrics.jsonl. results: what results.json holds.
    """
    monitor, numbers = results["monitor"], [line["epoch"] for line in epochs]
    figure, axes = pyplot.subplots(figsize=(7, 4.2))
    train = [_shown(monitor, line["train"]) for line in epochs]
    valid = [_shown(monitor, line["valid"]) for line in epochs]
    axes.plot(numbers, train, "--", color="0.45", marker=".", label="train (with dropout)")
    axes.plot(numbers, valid, "-", color="tab:blue", marker=".", label="validation")
    best, value = results["best_epoch"], _shown(monitor, results["valid"])
    curves = [train, valid, [value]]
    axes.plot([best], [value], "o", color="tab:blue", markersize=9, fillstyle="none",
              label="best epoch: %d (%.4g)" % (best, value))
    if results["paper"] is not None:
        paper = unit(monitor).factor * results["paper"]
        tuned = "tuned, " if PAPER_RESULTS[results["data_set"]].tuned else ""
        axes.axhline(paper, color="black", linestyle=":",
                     label="paper, %stest: %g" % (tuned, paper))
        curves.append([paper])
    _leave_out_first(axes, curves)
    axes.set_xlabel("epoch")
    axes.set_ylabel(unit(monitor).axis)
    data = data_label(results["data_set"], results["data_fraction"])
    axes.set_title("{}, {}, {:,} parameters".format(data, results["cell"], results["parameters"]))
    whole_numbers(axes.xaxis)
    axes.grid(color="0.9")
    axes.legend()
    figure.tight_layout()
    save(figure, path)


def _leave_out_first(axes, curves):
    """Fit the vertical axis to curves without their first tenth, which would flatten the rest."""
    later = np.concatenate([curve[len(curve) // 10:] for curve in curves])
    if np.isfinite(later).any():
        low, high = np.nanmin(later), np.nanmax(later)
        axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low) + 1e-9)


def _shown(metric, values):
    """The value that is drawn of a metric; nan if it is missing, or None because it overflowed."""
    value = values.get(metric)
    return math.nan if value is None else unit(metric).factor * value


def piano_roll(path, sampled, real, prompt_steps, title):
    """Prompt and sampled continuation in two colours, above the prompt and its real continuation.

    sampled, real: keys [T, notes], 1 if a note sounds.
    """
    used = np.flatnonzero(sampled.any(axis=0) | real.any(axis=0)) + LOWEST_NOTE
    bottom, top = used[0] - 2, used[-1] + 2
    figure, both = pyplot.subplots(2, 1, figsize=(9, 6.4), sharex=True, sharey=True)
    names = "sampled by the model", "as the composer went on"
    for axes, keys, name, colour in zip(both, (sampled, real), names, ("tab:blue", "tab:orange")):
        step, note = np.nonzero(keys)
        given = step < prompt_steps
        for chosen, shade, label in ((given, "black", "prompt"), (~given, colour, name)):
            axes.barh(note[chosen] + LOWEST_NOTE, 1, 0.8, step[chosen], color=shade, label=label)
        axes.axvline(prompt_steps, color="0.4", linestyle="--", linewidth=1)
        octaves = range(math.ceil(bottom / 12) * 12, top + 1, 12)
        axes.set_yticks(octaves)
        axes.set_yticklabels(["C%d (%d)" % (number // 12 - 1, number) for number in octaves])
        axes.set_ylim(bottom, top)
        axes.set_xlim(0, max(len(sampled), len(real)))
        axes.set_ylabel("note (MIDI number)")
        axes.grid(axis="y", color="0.9")
        axes.set_axisbelow(True)
        axes.legend(loc="upper left", bbox_to_anchor=(0, 1.14), ncol=2, frameon=False,
                    borderpad=0, fontsize=9)
    both[0].set_title(title, loc="right", fontsize=10)
    both[1].set_xlabel("time step")
    figure.tight_layout()
    save(figure, path)


def whole_numbers(axis):
    """Tick an axis at whole numbers only, also where it spans a single one."""
    axis.get_major_locator().set_params(integer=True, min_n_ticks=1)


def save(figure, path):
    """Write a figure as PNG of 256 colours, a quarter of the bytes, atomically, and close it.

    A file that is the same already is left alone.
    """
    drawn, packed = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=120, bbox_inches="tight")
    pyplot.close(figure)
    Image.open(drawn).convert("RGB").quantize(256).save(packed, "PNG", optimize=True)
    if not (os.path.isfile(path) and load_bytes(path) == packed.getvalue()):
        with atomic_write(path) as file:
            file.write(packed.getvalue())
