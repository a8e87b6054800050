"""Digit images read one pixel a step: SequentialMNIST, P-MNIST (permuted) and SequentialDigits.

`python -u mnist_utils.py` turns data/mnist/unchanged/mnist.npz into data/mnist/ready/MNIST, writes scikit-learn's
own 8x8 digits to data/mnist/ready/SequentialDigits, and prints an analysis. `load(settings)` prepares the data if
need be and gives the training script its batches.
"""

import argparse
import collections
import functools
import os

import numpy as np

from training.batches import Batches, evaluation_slices, generator, training_slices
from training.errors import UserError, run_as_script
from training.files import load_arrays, save_arrays

SPLITS = ("train", "valid", "test")
GET_DATA = "run `bash get_data.sh --only MNIST`"

# folder: in data/mnist/ready. pixel_scale: the brightest value. permuted: pixels in one fixed random order.
DataSet = collections.namedtuple("DataSet", "folder steps pixel_scale permuted")
DATA_SETS = collections.OrderedDict([
    ("SequentialMNIST", DataSet("MNIST", 784, 255., False)),
    ("P-MNIST", DataSet("MNIST", 784, 255., True)),
    ("SequentialDigits", DataSet("SequentialDigits", 64, 16., False)),
])


def prepare(name, data_folder):
    """Write the ready files of data set `name`: {train,valid,test}.npz, uint8 images [digits, pixels] and labels.

    SequentialMNIST and P-MNIST have the same ones; those of SequentialDigits need no download. Raises UserError
    where mnist.npz is missing or damaged, or the ready files cannot be written.
    """
    if DATA_SETS[name].folder == "MNIST":
        parts = _mnist_parts(os.path.join(data_folder, "mnist", "unchanged", "mnist.npz"))
    else:
        parts = _digits_parts()
    try:
        for split, (images, labels) in zip(SPLITS, parts):
            save_arrays(_ready_path(name, data_folder, split), images=images, labels=labels)
    except OSError as error:
        raise UserError("%s cannot be prepared (%s): check the access rights and the free space" % (name, error))


def _ready_path(name, data_folder, split):
    return os.path.join(data_folder, "mnist", "ready", DATA_SETS[name].folder, split + ".npz")


def _mnist_parts(path):
    """(images, labels) of the splits; validation is the last sixth of the training digits: 10,000 of 60,000."""
    arrays = load_arrays(path, GET_DATA, ["x_train", "y_train", "x_test", "y_test"])
    for half in ("train", "test"):
        images, labels = arrays["x_" + half], arrays["y_" + half]
        if (images.dtype != np.uint8 or images.shape[1:] != (28, 28) or len(images) < 6
                or labels.shape != images.shape[:1] or set(labels.tolist()) - set(range(10))):
            found = "x_%s is %s %s, y_%s %s" % (half, images.dtype, images.shape, half, labels.shape)
            raise UserError("%s is damaged (%s; not uint8 n x 28 x 28 and n labels from 0 to 9): remove it and %s"
                            % (path, found, GET_DATA))
        arrays["x_" + half] = images.reshape(len(images), -1)
        arrays["y_" + half] = labels.astype(np.uint8)
    x, y = arrays["x_train"], arrays["y_train"]
    count = len(y) - len(y) // 6
    return [(x[:count], y[:count]), (x[count:], y[count:]), (arrays["x_test"], arrays["y_test"])]


def _digits_parts():
    """(images, labels) of scikit-learn's 1,797 digits: 1,257 / 270 / 270, each class in proportion."""
    from sklearn.datasets import load_digits  # here, because importing it takes a second
    digits = load_digits()
    images, labels = digits.data.astype(np.uint8), digits.target.astype(np.uint8)
    order = np.random.RandomState(0).permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    # Out of every 20 digits of the sorted list 14 go to train, 3 to valid, 3 to test.
    place = np.arange(len(labels)) % 20
    parts = [by_class[place >= 6], by_class[place < 3], by_class[(place >= 3) & (place < 6)]]
    return [(images[np.sort(part)], labels[np.sort(part)]) for part in parts]


class DigitData(object):
    """The prepared digits as time-major batches, one pixel a step. A split is read when it is first asked for."""

    class_names = tuple("0123456789")
    class_count = len(class_names)

    def __init__(self, settings):
        data_set = DATA_SETS[settings.data_set_name]
        self.steps = data_set.steps
        self.pixel_scale = data_set.pixel_scale
        self._settings = settings
        self._opened = {}
        # One fixed order for all of P-MNIST: with another one its results could not be compared.
        self._pixels = np.arange(self.steps)
        if data_set.permuted:
            np.random.RandomState(0).shuffle(self._pixels)

    def batches(self, split, epoch=0):
        """Batches of {"inputs": uint8 [T, B], "lengths": int32 [B] (all T), "labels": int32 [B]}, T = steps.

        The model divides the inputs by pixel_scale. Training digits are shuffled by (seed, epoch), each once an
        epoch; the others keep their order.
        """
        images, labels = self._open(split)
        order, slices = np.arange(len(labels)), evaluation_slices
        if split == "train":
            order, slices = generator(self._settings.seed, epoch).permutation(order), training_slices
        groups = [order[part] for part in slices(len(order), self._settings.batch_size)]
        return Batches(groups, functools.partial(self._batch, images, labels))

    def facts(self, split):
        """Counts and shares of a split, as plain numbers; "mean_intensity" is a share of pixel_scale."""
        images, labels = self._open(split)
        return {"digits": len(labels), "of_each_class": np.bincount(labels, minlength=10).tolist(),
                "mean_intensity": float(images.mean() / self.pixel_scale),
                "blank_share": float((images == 0).mean())}

    def frequency_baseline(self, split="test"):
        """The accuracy on `split` of always giving the commonest class of the training part: {"accuracy": ..}."""
        commonest = np.bincount(self._open("train")[1]).argmax()
        return {"accuracy": float((self._open(split)[1] == commonest).mean())}

    def _open(self, split):
        if split not in self._opened:
            path = _ready_path(self._settings.data_set_name, self._settings.data_folder, split)
            remedy = "run `python -u mnist_utils.py --data_folder %s`" % self._settings.data_folder
            arrays = load_arrays(path, remedy, ["images", "labels"])
            self._opened[split] = arrays["images"], arrays["labels"]
        return self._opened[split]

    def _batch(self, images, labels, chosen):
        return {"inputs": images[chosen].T[self._pixels], "labels": labels[chosen].astype(np.int32),
                "lengths": np.full(len(chosen), self.steps, np.int32)}


def load(settings):
    """The data set that `settings` names, as DigitData; it is prepared first where its ready files are missing.

    Reads data_set_name, data_folder, batch_size and seed. Raises UserError where the data are missing, damaged or
    unknown.
    """
    name = settings.data_set_name
    if name not in DATA_SETS:
        raise UserError("data_set_name is %r: choose one of %s" % (name, ", ".join(DATA_SETS)))
    if not all(os.path.exists(_ready_path(name, settings.data_folder, split)) for split in SPLITS):
        prepare(name, settings.data_folder)
    return DigitData(settings)


def analyse(name, data):
    """Print what each split holds."""
    print("%s: %d pixels from 0 to %d" % (name, data.steps, data.pixel_scale))
    print("%-6s%8s%16s%8s   %s" % ("split", "digits", "mean intensity", "blank", "digits of class 0 to 9"))
    for split in SPLITS:
        facts = data.facts(split)
        print("%-6s%8d%16.4f%7.1f%%   %s" % (
            split, facts["digits"], facts["mean_intensity"], 100. * facts["blank_share"],
            " ".join(map(str, facts["of_each_class"]))))


def main():
    """Prepare and analyse all digits, those first that need no download."""
    parser = argparse.ArgumentParser(description="Prepares the digit images and prints an analysis.")
    parser.add_argument("--data_folder", default="data", help="the folder that mnist is in (default: data)")
    settings = parser.parse_args()
    for settings.data_set_name in ("SequentialDigits", "SequentialMNIST"):
        prepare(settings.data_set_name, settings.data_folder)
        analyse(settings.data_set_name, DigitData(settings))


if __name__ == "__main__":
    run_as_script(main)
