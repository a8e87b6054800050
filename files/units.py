"""Names and units of metrics as people see them: accuracies in percent, in files as fractions."""

import collections

Unit = collections.namedtuple("Unit", "label factor digits axis")
Unit.__doc__ = """Name, unit and digits of a metric.

label: its name with its unit. factor: from a file's value to the one shown. digits: after the
point, in tables. axis: its name with its unit in pictures.
"""

_UNITS = {
    "window_nll": Unit("window NLL", 1, 3, "negative log-likelihood [nats/step]"),
    "batch_nll": Unit("batch NLL", 1, 3, "batch NLL [nats/step]"),
    "frame_nll": Unit("frame NLL", 1, 3, "frame NLL [nats/step]"),
    "perplexity": Unit("perplexity", 1, 2, "perplexity"),
    "bpc": Unit("BPC", 1, 3, "bits per character"),
    "accuracy": Unit("accuracy %", 100, 2, "accuracy [%]"),
    "batch_accuracy": Unit("batch accuracy %", 100, 2, "batch accuracy [%]"),
}


def unit(metric):
    """The Unit of a metric; one that is not known is shown as it is."""
    return _UNITS.get(metric, Unit(metric, 1, 4, metric))


def lower_is_better(metric):
    """Whether less of a metric is better; only accuracies are to be high."""
    return "accuracy" not in metric


def in_table(metric, value, missing="-"):
    """A metric's value as it stands in a table, without its unit; `missing` if it is None."""
    known = unit(metric)
    return missing if value is None else "%.*f" % (known.digits, known.factor * value)


def shown(metric, value):
    """A metric's value as it stands on the screen: "7.8196", or "87.20 %" for an accuracy.

    value: None for one that overflowed, as in metrics.jsonl.
    """
    known = unit(metric)
    if value is None:
        return "not finite"
    return "%.2f %%" % (known.factor * value) if known.factor == 100 else "%.4f" % value
