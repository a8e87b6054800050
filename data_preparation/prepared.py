"""What the data modules of all tasks share: ready files made from source files, splits, analysis."""

import argparse
import itertools
import os
import shlex
import sys
import textwrap
from collections import namedtuple

import numpy as np

from data_preparation import ready_files
from data_preparation.sources import DOWNLOADS
from files.errors import OneLineParser, UserError, hint
from files.arrays import load_arrays
from files.project import project_path

SPLITS = ("train", "valid", "test")

# One data set on its way: the paths of its sources, the folder of its ready files, and the commands that help
# where a source or a ready file is missing or damaged.
Paths = namedtuple("Paths", "sources folder fetch prepare")


class Task(object):
    """The data sets of a task: data/<folder>/unchanged -> data/<folder>/ready/<data set>.

    folder: also the first part of the names of the task's scripts. sources: {data set: names of the
    files that it is made from}, a full path being that of a file that comes with the project.
    make(name, paths) returns ({name: content} of the ready files, Identity), see ready_files.write;
    it raises UserError if a source is not right. data_class: a PreparedData. ready: {data set: name
    of its folder of ready files} if that is another. window_size: the analysis's, if windows matter.
    """

    def __init__(self, folder, sources, make, data_class, ready=None, window_size=None):
        self._task, self._sources, self._make, self._data_class = folder, sources, make, data_class
        self._ready, self._window_size = ready or {}, window_size

    def prepare(self, name, data_folder):
        """Write the ready files of data set `name`, anew if they are there; returns their folder.

        Raises UserError, with no file touched, if a source is missing or damaged; also if the folder
        cannot be written.
        """
        place = self._place(name, data_folder)
        _check_presence(name, place)
        with hint(place.fetch):
            sources = ready_files.file_records(_by_name(place))
            files, identity = self._make(name, place.sources)
        try:
            ready_files.write(place.folder, files, sources, identity, {})
        except OSError as error:
            raise UserError("%s cannot be prepared (%s): check rights and free space of %s" % (
                name, error, place.folder)) from error
        return place.folder

    def load(self, settings):
        """The data set that `settings` names, prepared first where it is not yet or no longer, or its sources changed.

        Reads data_set_name, data_folder and what the data class reads. Raises UserError, with the command that
        helps, for an unknown data set and for missing or damaged files.
        """
        name = settings.data_set_name
        if name not in self._sources:
            raise UserError("data_set_name is %r: choose one of %s" % (name, ", ".join(self._sources)))
        place = self._place(name, settings.data_folder)
        if not ready_files.are_current(place.folder, _by_name(place), {}):
            _check_presence(name, place)
            print("preparing %s in %s" % (name, place.folder), flush=True)
            self.prepare(name, settings.data_folder)
        return self._data_class(settings, place)

    def main(self):
        """Prepare all data sets whose sources are there and print an analysis; returns the exit status."""
        parser = OneLineParser(description="Prepares the data that are there and prints an analysis of them.")
        parser.add_argument("--data_folder", default="data", help="where get_data.sh put the data (default: data)")
        if self._window_size:
            parser.add_argument("--window_size", type=_steps, default=self._window_size,
                                help="of the analysis, in steps from 2 on (default: %(default)s)")
        settings = parser.parse_args()
        status, done = 0, set()
        for name in self._sources:
            settings.data_set_name = name
            place = self._place(name, settings.data_folder)
            try:
                missing = [path for path in place.sources if not os.path.exists(path)]
                if missing:
                    print("%s: %s is not there: %s\n" % (name, missing[0], place.fetch), flush=True)
                    continue
                if place.folder not in done:
                    done.add(self.prepare(name, settings.data_folder))
                _analyse(name, self._data_class(settings, place), place)
            except UserError as error:
                print("error: %s" % error, file=sys.stderr, flush=True)
                status = 2
        return status

    def _place(self, name, data_folder):
        folder = os.path.join(project_path(data_folder), self._task)
        sources = [os.path.join(folder, "unchanged", file) for file in self._sources[name]]
        option = "" if data_folder == "data" else " --data_folder " + shlex.quote(data_folder)
        return Paths(sources, os.path.join(folder, "ready", self._ready.get(name, name)),
                      _fetch(name, sources, option), "run `python -u %s_utils.py%s`" % (self._task, option))


def _steps(text):
    if not (text.isdecimal() and 2 <= int(text) < 2 ** 31):
        raise argparse.ArgumentTypeError("%r is no whole number from 2 on, below 2^31" % text)
    return int(text)


def _fetch(name, sources, option):
    """What helps where sources are missing or damaged. What is there is fetched anew only by --force."""
    file_names = set(map(os.path.basename, sources))
    for download in DOWNLOADS:
        if file_names & {file.name for file in download.files}:
            force = " --force" if all(map(os.path.exists, sources)) else ""
            wanted = name if name in download.sets else download.sets[0]
            return "run `bash get_data.sh --only %s%s%s`" % (shlex.quote(wanted), force, option)
    return "it comes with the project, copy it from there again"


def _check_presence(name, place):
    for path in place.sources:
        if not os.path.exists(path):
            raise UserError("%s: %s is missing" % (name, path), place.fetch)


def _by_name(place):
    return {os.path.basename(path): path for path in place.sources}


class PreparedData(object):
    """Base of the data classes: a prepared data set, each split of which is read when it is first asked for.

    A subclass has batches(split, epoch), stats(split), baseline(split), file_order(split),
    _read(split) for what _open returns, and `description`, a line on the whole data set.

    Attributes: fingerprint, a SHA-256 (hex) of the sources' content, and fraction: 1 for the
    published data, less for a beginning of them, None for other data.
    """

    def __init__(self, settings, place):
        self._settings, self._folder, self._prepare = settings, place.folder, place.prepare
        self._opened = {}
        with hint(self._prepare):
            self.fingerprint, self.fraction = ready_files.identity(place.folder)

    def summary(self, split):
        """The numbers of a split that are printed when the data are prepared."""
        return self.stats(split)

    def _open(self, split):
        if split not in self._opened:
            with hint(self._prepare):
                self._opened[split] = self._read(split)
        return self._opened[split]

    def _path(self, file):
        return os.path.join(self._folder, file)

    def _arrays(self, split, *names):
        arrays = load_arrays(self._path(split + ".npz"), names)
        return [arrays[name] for name in names]


class LabelledData(PreparedData):
    """Base of the data sets for classifiers: what _open returns has `labels`; the subclass has `class_names`."""

    @property
    def class_count(self):
        """Number of classes."""
        return len(self.class_names)

    def baseline(self, split="test"):
        """The accuracy on `split` of always giving the commonest class of the training part: {"accuracy": ..}."""
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


def _analyse(name, data, place):
    """Print what the splits hold, one column each, in at most 100 characters a line."""
    columns = [[("", split)] + list(data.summary(split).items()) for split in SPLITS]
    print("%s in %s" % (name, place.folder))
    print(textwrap.fill(data.description, 100, initial_indent="  ", subsequent_indent="  "))
    for row in zip(*columns):
        cells = [textwrap.wrap(_shown(value), 23) for _, value in row]
        for line in itertools.zip_longest([row[0][0].replace("_", " ")], *cells, fillvalue=""):
            print("  %-22s  %23s  %23s  %23s" % line)
    print(flush=True)


def _shown(value):
    if isinstance(value, list):
        return " ".join(map(_shown, value))
    if isinstance(value, float):
        return "%.4g" % value
    return "{:,}".format(value) if isinstance(value, int) else value
