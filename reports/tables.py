"""The two tables of README.md, ours beside the paper's, and in words what came out."""

import collections
import itertools
import re

from files.units import lower_is_better, unit
from reports.paper_results import CELL_NAMES, PAPER_RESULTS, comparable, is_exact, theirs
from reports.runs import mean_and_deviation

PAGE = "docs/results.md"
CELL_TITLES = dict(zip(CELL_NAMES, ("RRU", "GRU", "LSTM", "Mogrifier LSTM")))
TENSORFLOW_2, EXACT = "†", "‡"
# A result is as good as theirs if it is within this part of it, an accuracy within these points
# (two standard errors of MNIST's), or better.
CLOSE, CLOSE_POINTS = 0.01, 0.3

Entry = collections.namedtuple("Entry", "runs metric mean deviation miss")
Entry.__doc__ = """One cell on one data set, in the unit that is shown.

metric: its name. miss: how much worse it is than the published value of the same kind, such as
"1.3 % worse"; "" if it is as good, None if there is no such value.
"""


def entries(runs, tuned):
    """{data set: {cell: Entry}} of the paper's data sets that have runs of this kind."""
    found = {}
    for data_set in PAPER_RESULTS:
        for cell in CELL_NAMES:
            own = [run for run in runs if run.kind == ("tuned" if tuned else "untuned")
                   and (run.results["data_set"], run.results["cell"]) == (data_set, cell)]
            if own:
                found.setdefault(data_set, {})[cell] = entry(own, tuned)
    return found


def entry(runs, tuned):
    """The Entry of runs of one cell on one of the paper's data sets."""
    first = runs[0].results
    names = {comparable(first["monitor"], run.results["test"]) for run in runs}
    metric = names.pop() if len(names) == 1 else first["monitor"]
    factor = unit(metric).factor
    mean, deviation = mean_and_deviation([factor * run.results["test"][metric] for run in runs])
    published = theirs(first["data_set"], first["cell"], tuned)
    if published is None:
        return Entry(runs, metric, mean, deviation, None)
    low, high = (factor * value for value in published)
    if lower_is_better(metric):
        miss = "%.1f %% worse" % (100 * (mean / high - 1)) if mean > (1 + CLOSE) * high else ""
    else:
        miss = "%.2f points worse" % (low - mean) if mean < low - CLOSE_POINTS else ""
    return Entry(runs, metric, mean, deviation, miss)


def table(by_data_set, tuned):
    """The Markdown table of what `entries` gave; rows without any of ours show theirs alone.

    Rows without any number are left out. Each row's name leads to its part of docs/results.md.
    """
    rows = [data_set for data_set in PAPER_RESULTS
            if data_set in by_data_set or theirs(data_set, CELL_NAMES[0], tuned)]
    links = ["[%s](%s#%s)" % (data_set, PAGE, anchor(data_set)) for data_set in rows]
    return "\n".join(table_lines(by_data_set, tuned, rows, links))


def table_lines(by_data_set, tuned, rows, names):
    """The lines of a Markdown table of `rows`, data sets, called `names`."""
    lines = []
    for data_set, name in zip(rows, names):
        own = by_data_set.get(data_set, {})
        texts = [_text(own.get(cell), data_set, cell, tuned) for cell in CELL_NAMES]
        numbers = [str(len(own[cell].runs)) if cell in own else "-" for cell in CELL_NAMES]
        number = numbers[0] if len(set(numbers)) == 1 else ", ".join(numbers)
        lines.append([name, metric_label(data_set)] + texts + [number])
    return markdown(["", "metric"] + list(CELL_TITLES.values()) + ["n"], lines)


def metric_label(data_set):
    """The label of a row's metric; of music's NLL a sign tells the kind of average, see `signs`."""
    return unit(PAPER_RESULTS[data_set].metric).label.replace("window ", "")


def markdown(titles, rows, numbers=0):
    """The lines of a Markdown table, whose last `numbers` columns are aligned to the right."""
    marks = ["---"] * (len(titles) - numbers) + ["---:"] * numbers
    return ["| %s |" % " | ".join(cells) for cells in [titles, marks] + rows]


def _text(one, data_set, cell, tuned):
    published = theirs(data_set, cell, tuned)
    label = "" if published is None else " (%s)" % their_text(data_set, published)
    if one is None:
        return "-" + label
    return with_deviation(one.metric, one.mean, one.deviation) + signs(one) + label


def with_deviation(metric, mean, deviation):
    """"8.23 ± 0.05": a mean and its standard deviation (None for one value) in the shown unit."""
    digits = unit(metric).digits
    spread = "" if deviation is None else " ± %.*f" % (digits, deviation)
    return "%.*f" % (digits, mean) + spread


def their_text(data_set, published):
    """A published value, or the range of several, in the unit that is shown."""
    low, high = (unit(PAPER_RESULTS[data_set].metric).factor * value for value in published)
    if low == high:
        return "%.2f" % low
    return "%g to %g" % (low, high) if low > 10 else "%.3f to %.3f" % (low, high)


def signs(one):
    """The signs of an Entry: trained on TensorFlow 2.x, or not averaged as in the paper."""
    found = TENSORFLOW_2 if any(run.uses_tensorflow_2 for run in one.runs) else ""
    return found + (EXACT if is_exact(one.metric) else "")


def anchor(heading):
    """The anchor that GitHub gives a heading of a Markdown page."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def outcome(tuned, untuned):
    """In words: how many of the paper's results were run, how many came out, which did not."""
    pairs = itertools.product(PAPER_RESULTS, CELL_NAMES)
    run = [(data_set, cell) for data_set, cell in pairs
           if cell in tuned.get(data_set, {}) or cell in untuned.get(data_set, {})]
    judged = [_judged(tuned, untuned, data_set, cell) for data_set, cell in run]
    compared = [(name, miss) for name, miss in judged if miss is not None]
    missed = ["%s (%s)" % (name, miss) for name, miss in compared if miss]
    alone = [pair for pair, (_, miss) in zip(run, judged) if miss is None]
    words = ["Of the paper's %d results %d were run here." % (
        sum(len(row.values) for row in PAPER_RESULTS.values()), len(run))]
    text = ("%d of them have a published value of the same kind, tuned or untuned; %d are "
            "within %g %% of it or its range (accuracies: %g points) or better.")
    words.append(text % (
        len(compared), len(compared) - len(missed), 100 * CLOSE, CLOSE_POINTS))
    if missed:
        words.append("Not so: %s; [why](%s#where-ours-differ)." % (", ".join(missed), PAGE))
    words += _beside_tuned([
        100 * (untuned[data_set][cell].mean / PAPER_RESULTS[data_set].values[cell] - 1)
        for data_set, cell in alone if cell in untuned.get(data_set, {})])
    return " ".join(words)


def _beside_tuned(above):
    """The sentence on untuned results, `above` percent worse than tuned ones; [] for none."""
    if not above:
        return []
    if len(above) == 1:
        return ["The other one was run untuned and is %.1f %% above the published, tuned value." %
                above[0]]
    return ["The other %d were run untuned and are %.1f to %.1f %% above the published, tuned "
            "values." % (len(above), min(above), max(above))]


def _judged(tuned, untuned, data_set, cell):
    """(name, miss) of the tuned result if it can be compared, else of the untuned."""
    name = "%s %s" % (data_set, CELL_TITLES[cell])
    for kind in (tuned, untuned):
        one = kind.get(data_set, {}).get(cell)
        if one and one.miss is not None:
            return name, one.miss
    return name, None


def _trials(tuned):
    """" (trials: RRU 20; LSTM 12)": of the sweeps whose winners are in the table; "" for none."""
    cells = {}  # {number of trials: titles}
    for row in tuned.values():
        for cell, one in row.items():
            cells.setdefault(one.runs[0].winner.trials, []).append(CELL_TITLES[cell])
    texts = ["%s %d" % (", ".join(dict.fromkeys(titles)), trials)
             for trials, titles in cells.items()]
    return " (trials: %s)" % "; ".join(texts) if texts else ""


def for_readme(runs):
    """The generated part of README.md, between its two markers."""
    tuned, untuned = entries(runs, True), entries(runs, False)
    used = ""
    for row in itertools.chain(tuned.values(), untuned.values()):
        used += "".join(map(signs, row.values()))
    legend = ["Ours ± standard deviation over n seeds (theirs in brackets), on the test part, with "
              "the weights of the best validation epoch; -: not run."]
    if TENSORFLOW_2 in used:
        legend.append("%s: with TensorFlow 2.x." % TENSORFLOW_2)
    if EXACT in used:
        legend.append("%s (earlier versions): the exact mean over all examples; all other "
                      "music NLLs and accuracies are means of batch means, as theirs." % EXACT)
    parts = [
        "**Untuned**: the published settings. Theirs are the paper's, or, for Nottingham and penn, "
        "the range of the authors' own untuned runs.", table(untuned, False),
        "**Tuned**: settings chosen by a sweep, theirs on the test part, ours on validation%s." %
        _trials(tuned),
        table(tuned, True), " ".join(legend), outcome(tuned, untuned)]
    return "\n\n".join(parts)
