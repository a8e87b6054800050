"""The paper's results table (arXiv 2108.00527), as published: tuned numbers were selected on the test split."""

import collections

PaperRow = collections.namedtuple("PaperRow", "metric tuned values")


def _row(metric, tuned, *values):
    return PaperRow(metric, tuned, dict(zip(("RRU", "GRU", "LSTM", "MogrifierLSTM"), values)))


# Data set -> the metric of our results that is comparable, the paper's sign for tuned ("+", "-" or "+/-"), and
# {cell: value}; accuracies as fractions.
PAPER_RESULTS = {
    "JSB Chorales": _row("window_nll", "+", 7.72, 8.20, 8.33, 8.18),
    "Nottingham": _row("window_nll", "+", 2.92, 3.22, 3.25, 3.28),
    "MuseData": _row("window_nll", "+", 7.03, 7.31, 7.24, 7.22),
    "Piano-midi.de": _row("window_nll", "+", 7.38, 7.58, 7.54, 7.52),
    "penn": _row("perplexity", "+", 102.56, 122.21, 140.35, 126.88),
    "pennchar": _row("bpc", "+/-", 1.27, 1.28, 1.34, 1.29),
    "enwik8": _row("bpc", "-", 1.37, 1.53, 1.49, 1.36),
    "text8": _row("bpc", "-", 1.35, 1.55, 1.44, 1.37),
    "IMDB": _row("accuracy", "-", 0.8720, 0.8704, 0.8589, 0.8623),
    "SequentialMNIST": _row("accuracy", "-", 0.9874, 0.9836, 0.9288, 0.9814),
    "P-MNIST": _row("accuracy", "-", 0.9767, 0.9868, 0.9739, 0.9781),
}


def paper_value(data_set_name, cell_name, metric):
    """The paper's value, None where it has none for this data set, cell and metric."""
    row = PAPER_RESULTS.get(data_set_name)
    return row.values.get(cell_name) if row and row.metric == metric else None
