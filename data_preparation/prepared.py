"""Base class of the tasks' data classes: a prepared data set, read split by split."""

import os

import numpy as np

from data_preparation import ready_files
from data_preparation.own import data_set_title
from files.arrays import load_arrays
from files.errors import UserError, hint

SPLITS = ("train", "valid", "test")


class PreparedData(object):
    """Base of the data classes; each split is read when it is first asked for.

    A subclass has batches(split, epoch), stats(split), baseline(split) and `baseline_name`,
    _read(split) for what _open returns, and `description`, a line on the whole data set.

    Attributes: title, the data set's name, of a user's own data with that of the file or folder;
    fingerprint, a SHA-256 (hex) of the sources' content, and fraction: 1 for the published data and
    for a user's own, less for a beginning of the published, None for other data.
    """

    def __init__(self, settings, place):
        self._settings, self._folder = settings, place.folder
        self._prepare_hint = place.prepare_hint
        self._opened, self.title = {}, data_set_title(settings)
        with hint(self._prepare_hint):
            self.fingerprint, self.fraction = ready_files.identity(place.folder)

    @property
    def identity(self):
        """What tells these data from others, as it stands in a run's settings.json."""
        return {"fingerprint": self.fingerprint, "fraction": self.fraction}

    def summary(self, split):
        """The numbers of a split that are printed when the data are prepared."""
        return self.stats(split)

    def file_order(self, split):
        """For each example, in the order of batches(split), its position in the file; None if the
        two orders are the same. split: "valid" or "test"."""

    def remarks(self):
        """Further lines that are printed when the data are prepared."""
        return []

    def _open(self, split):
        if split not in self._opened:
            with hint(self._prepare_hint):
                self._opened[split] = self._read(split)
                self._check_unchanged()
        return self._opened[split]

    def _check_unchanged(self):
        """Refuse splits of other data: a process may have prepared them in our folder meanwhile."""
        fingerprint, _ = ready_files.identity(self._folder)
        if fingerprint != self.fingerprint:
            raise UserError("%s was prepared from other data while it was in use" % self._folder,
                            "put the data back; then --resume continues the run, or --evaluate")

    def _path(self, file):
        return os.path.join(self._folder, file)

    def _arrays(self, split, *names):
        arrays = load_arrays(self._path(split + ".npz"), names)
        return [arrays[name] for name in names]


class LabelledData(PreparedData):
    """Base of the data sets for classifiers.

    What _open returns has `labels`; the subclass has `class_names`.
    """

    baseline_name = "majority-class baseline"

    def baseline(self, split):
        """The majority-class baseline: always the commonest class of training: {"accuracy": ..}."""
        commonest = np.bincount(self._open("train").labels).argmax()
        return {"accuracy": float((self._open(split).labels == commonest).mean())}


def data_label(data_set_name, fraction):
    """The data set's name, and how the data differ from the published ones if they do.

    fraction: see PreparedData.
    """
    if fraction == 1:
        return data_set_name
    if fraction is None:
        return "other data than the published %s" % data_set_name
    return "%.3g %% of the full %s" % (100 * fraction, data_set_name)
