"""Digit images read one pixel a step: SequentialMNIST, P-MNIST (permuted) and SequentialDigits.

`python -u mnist_utils.py` turns data/mnist/unchanged/mnist.npz into data/mnist/ready/MNIST, writes
scikit-learn's own 8x8 digits to data/mnist/ready/SequentialDigits, and prints an analysis.
`load(settings)` prepares the data if need be and gives the training script its batches.
"""

import collections
import itertools

import files.environment  # noqa: F401: before numpy
import numpy as np

from data_preparation.batches import Batches, example_groups, generator
from data_preparation.identity import (Identity, content_digest, fingerprint_of,
                                       identity_of_content)
from data_preparation.prepared import SPLITS, LabelledData
from data_preparation.task import Task
from files.arrays import load_arrays
from files.errors import UserError, run_as_script

# sources: in data/mnist/unchanged. pixel_scale: the brightest value. permuted: pixels in one fixed
# random order.
DataSet = collections.namedtuple("DataSet", "sources ready steps pixel_scale permuted")
DATA_SETS = {
    "SequentialMNIST": DataSet(["mnist.npz"], "MNIST", 784, 255., False),
    "P-MNIST": DataSet(["mnist.npz"], "MNIST", 784, 255., True),
    "SequentialDigits": DataSet([], "SequentialDigits", 64, 16., False),
}
Digits = collections.namedtuple("Digits", "images labels")


def _make(name, sources, options):
    """The ready files, uint8 images [digits, pixels] and labels, and the Identity of the digits.

    SequentialMNIST and P-MNIST share them.
    """
    parts = _mnist_parts(*sources.values()) if sources else _digits_parts()
    digest = content_digest(itertools.chain.from_iterable(parts))
    identity = (identity_of_content("MNIST", [digest]) if sources
                else Identity(fingerprint_of([digest]), 1))
    files = {split + ".npz": {"images": images, "labels": labels}
             for split, (images, labels) in zip(SPLITS, parts)}
    return files, identity


def _mnist_parts(path):
    """(images, labels) of the splits; validation is the last sixth of the training digits.

    That is 10,000 of 60,000. Raises UserError.
    """
    arrays = load_arrays(path, ["x_train", "y_train", "x_test", "y_test"])
    for half in ("train", "test"):
        images, labels = arrays["x_" + half], arrays["y_" + half]
        if (images.dtype != np.uint8 or images.shape[1:] != (28, 28) or len(images) < 6
                or labels.shape != images.shape[:1] or set(labels.tolist()) - set(range(10))):
            found = "the %s digits are %s %s, their labels %s" % (
                half, images.dtype, images.shape, labels.shape)
            raise UserError("%s is damaged (%s; not uint8 n x 28 x 28 and n labels from 0 to 9)"
                            % (path, found))
        arrays["x_" + half] = images.reshape(len(images), -1)
        arrays["y_" + half] = labels.astype(np.uint8)
    x, y = arrays["x_train"], arrays["y_train"]
    count = len(y) - len(y) // 6
    return [(x[:count], y[:count]), (x[count:], y[count:]), (arrays["x_test"], arrays["y_test"])]


def _digits_parts():
    """(images, labels) of scikit-learn's digits: 1,257 / 270 / 270, each class in proportion."""
    from sklearn.datasets import load_digits  # here, because importing it takes a second
    digits = load_digits()
    images, labels = digits.data.astype(np.uint8), digits.target.astype(np.uint8)
    order = np.random.RandomState(0).permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    # Out of every 20 digits of the sorted list 14 go to train, 3 to valid, 3 to test.
    place = np.arange(len(labels)) % 20
    parts = [by_class[place >= 6], by_class[place < 3], by_class[(place >= 3) & (place < 6)]]
    return [(images[np.sort(part)], labels[np.sort(part)]) for part in parts]


class DigitData(LabelledData):
    """The prepared digits as time-major batches, one pixel a step."""

    class_names = tuple("0123456789")

    def __init__(self, settings, place):
        super().__init__(settings, place)
        data_set = DATA_SETS[settings.data_set_name]
        self.steps, self.pixel_scale = data_set.steps, data_set.pixel_scale
        order, self._pixels = "row by row", np.arange(self.steps)
        if data_set.permuted:
            # The same for all of P-MNIST: with another order its results could not be compared.
            order = "in one fixed random order"
            self._pixels = np.random.RandomState(0).permutation(self.steps)
        self.description = "%d pixels from 0 to %d, %s" % (self.steps, self.pixel_scale, order)

    def batches(self, split, epoch=0):
        """Batches of {"inputs": uint8 [T, B], "lengths": int32 [B], "labels": int32 [B]}.

        T is `steps`, of all digits; the lengths are all T. The model divides the inputs by
        pixel_scale. Training digits are shuffled by (seed, epoch), each once an epoch; the others
        keep their order.
        """
        images, labels = self._open(split)
        random = generator(self._settings.seed, epoch) if split == "train" else None
        groups = example_groups(len(labels), self._settings.batch_size, random)
        return Batches(groups, lambda chosen: self._batch(images, labels, chosen))

    def stats(self, split):
        """Counts of a split, as plain numbers; "mean_intensity" is in units of pixel_scale."""
        images, labels = self._open(split)
        return {"digits": len(labels),
                "of_each_class": np.bincount(labels, minlength=10).tolist(),
                "mean_intensity": float(images.mean() / self.pixel_scale),
                "blank_fraction": float((images == 0).mean())}

    def summary(self, split):
        """The counts of a split, a line for each class."""
        stats = self.stats(split)
        of_each_class = stats.pop("of_each_class")
        stats.update(("of class %s" % name, count)
                     for name, count in zip(self.class_names, of_each_class))
        return stats

    def _read(self, split):
        return Digits(*self._arrays(split, "images", "labels"))

    def _batch(self, images, labels, chosen):
        return {"inputs": images[chosen].T[self._pixels], "labels": labels[chosen].astype(np.int32),
                "lengths": np.full(len(chosen), self.steps, np.int32)}


TASK = Task("mnist", {name: data_set.sources for name, data_set in DATA_SETS.items()}, _make,
            DigitData, ready={name: data_set.ready for name, data_set in DATA_SETS.items()})
prepare, load, main = TASK.prepare, TASK.load, TASK.main

if __name__ == "__main__":
    run_as_script(main)
