"""Make batches of examples: which belong together, in which order, reproducibly."""

import numpy as np


ORDER, STATE_RESETS, SAMPLES = range(3)  # purposes of the random generator


def generator(seed, epoch, purpose=ORDER):
    """A numpy random generator that is a function of (seed, epoch, purpose) alone.

    So a resumed run repeats what it draws.
    """
    return np.random.default_rng([seed, epoch, purpose])


def training_slices(count, batch_size):
    """Slices of floor(count / batch_size) batches; the remainder joins the last.

    The last batch holds batch_size .. 2 * batch_size - 1 examples.
    With fewer examples than `batch_size` there is one batch of all of them.
    """
    batches = max(count // batch_size, 1)
    starts = [i * batch_size for i in range(batches)]
    return [slice(start, stop) for start, stop in zip(starts, starts[1:] + [count])]


def example_groups(count, batch_size, random=None):
    """The numbers of the examples of each batch.

    They are shuffled by `random` for training; if it is None they are in order, each exactly once,
    the last batch smaller.
    """
    if random is None:
        return np.split(np.arange(count), range(batch_size, count, batch_size))
    order = random.permutation(count)
    return [order[part] for part in training_slices(count, batch_size)]


class Batches(object):
    """A sequence of batches that are made when they are asked for.

    Each batch is a dict from the name of one of the model's inputs to a numpy array, time first
    ([T, B, ..]). `keys` is a list (slices of examples, window numbers, ..) and `make(key)` turns
    one into its batch. Any batch can be had by its number, so that a run can continue in mid-epoch.
    """

    def __init__(self, keys, make):
        self._keys, self._make = keys, make

    def __len__(self):
        return len(self._keys)

    def __getitem__(self, index):
        return self._make(self._keys[index])
