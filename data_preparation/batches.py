"""How examples become batches: which belong together, in which order, reproducibly."""

import numpy as np


def generator(seed, epoch, purpose=0):
    """A numpy random generator that is a function of (seed, epoch, purpose) alone.

    So a resumed run repeats what it draws.
    """
    return np.random.default_rng([seed, epoch, purpose])


def training_slices(count, batch_size):
    """Slices of floor(count / batch_size) batches; the remainder joins the last.

    So that holds batch_size .. 2 * batch_size - 1 examples.
    With fewer examples than `batch_size` there is one batch of all of them.
    """
    batches = max(count // batch_size, 1)
    starts = [i * batch_size for i in range(batches)]
    return [slice(start, stop) for start, stop in zip(starts, starts[1:] + [count])]


def evaluation_slices(count, batch_size):
    """Slices that hold every example exactly once, the last partial batch included."""
    return [slice(start, min(start + batch_size, count)) for start in range(0, count, batch_size)]


def example_groups(count, batch_size, random=None):
    """The numbers of the examples of each batch.

    They are shuffled by `random` for training, all and in order if it is None.
    """
    if random is None:
        order, slices = np.arange(count), evaluation_slices(count, batch_size)
    else:
        order, slices = random.permutation(count), training_slices(count, batch_size)
    return [order[part] for part in slices]


class Batches(object):
    """A sequence of batches that are made when they are asked for.

    Each batch is a dict from the name of one of the model's inputs to a numpy array, time first
    ([T, B, ..]). `keys` is a list (slices of examples, window numbers, ..) and `make(key)` turns
    one into its batch. Any batch can be had by its number, so that a run can go on in mid-epoch.
    """

    def __init__(self, keys, make):
        self._keys = keys
        self._make = make

    def __len__(self):
        return len(self._keys)

    def __getitem__(self, index):
        return self._make(self._keys[index])
