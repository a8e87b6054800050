"""Metrics: exact means over examples or tokens, and the published averages over batches."""

import collections

import numpy as np

from data_preparation.batches import training_slices

Metric = collections.namedtuple("Metric", "total count finish", defaults=[float])
Metric.__doc__ = """A mean over examples or tokens; `total` and `count`: scalar tensors of a batch.

`finish` is applied to the sum of totals over the sum of counts: exp for a perplexity, none for a
plain mean.
"""


def zero_sums(metrics):
    """The sums {name: [total, count]} before the first batch."""
    return {name: [0.0, 0.0] for name in metrics}


def tensors(metrics):
    """The tensors that `add` needs of each batch."""
    return {name: (metric.total, metric.count) for name, metric in metrics.items()}


def add(sums, fetched):
    """Add what was fetched for one more batch to the sums."""
    for name, (total, count) in fetched.items():
        sums[name][0] += float(total)
        sums[name][1] += float(count)


def values(metrics, sums):
    """The metrics {name: value}; infinite if one overflows, nan if nothing was counted."""
    with np.errstate(over="ignore", invalid="ignore"):
        return {name: float(metric.finish(np.float64(sums[name][0]) / sums[name][1]))
                for name, metric in metrics.items()}


def mean_of_batch_means(values, order, batch_size):
    """The published average: the mean over batches of the mean of each one's examples, in float64.

    The batches hold `batch_size` examples in the order of the file, the remainder joins the last
    one. values [n]: a number for each example, in the order of evaluation. order [n]: the numbers
    of these examples in the file, None if that is the order of evaluation.
    """
    of_file = np.array(values, np.float64)
    if order is not None:
        of_file[order] = values
    slices = training_slices(len(values), batch_size)
    return float(np.mean([of_file[batch].mean() for batch in slices]))
