"""The data sets of a task: finding their sources, preparing them, loading them, analysing them."""

import argparse
import itertools
import os
import shlex
import textwrap
from collections import namedtuple

from data_preparation import own, ready_files
from data_preparation.prepared import SPLITS
from data_preparation.sources import DOWNLOADS
from files.errors import OneLineParser, UserError, hint
from files.output import print_error, print_line
from files.project import call_of, project_path, shown_path
from files.writing import lock_folder

# One data set on its way: its sources {name: path}, the options that its preparation depends on,
# the folder of its ready files, and the advice if a source or a ready file is missing or damaged.
Place = namedtuple("Place", "sources options folder fetch_hint prepare_hint")


class Task(object):
    """The data sets of a task: data/<folder>/unchanged -> data/<folder>/ready/<data set>.

    folder: also the first part of the names of the task's scripts. sources: {data set: names of the
    files that it is made from}, a full path being that of a file that comes with the project.
    make(name, {name: path} of the sources, options) returns ({name: content} of the ready files,
    Identity), see ready_files.write; the Identity of a user's own data is None. It raises UserError
    if a source is not right. data_class: a PreparedData. ready: {data set: name of its folder of
    ready files} if that is another. window_size: the analysis's, if windows matter. own_data: the
    OwnData, if the task can read a user's own.
    """

    def __init__(self, folder, sources, make, data_class, ready=None, window_size=None,
                 own_data=None):
        self._folder, self._sources, self._make = folder, sources, make
        self._data_class = data_class
        self._ready, self._window_size, self._own = ready or {}, window_size, own_data

    def prepare(self, name, data_folder, **options):
        """Write the ready files of data set `name`, again if they are there; returns their folder.

        options: of a user's own data, the settings that it reads. Raises UserError, with no file
        touched, if a source is missing or damaged; also if the folder cannot be written.
        """
        options = dict(self._own.others if self._own else {}, **options)
        settings = argparse.Namespace(data_set_name=name, data_folder=data_folder, **options)
        return self._prepare(name, self._place(settings), again=True)

    def load(self, settings):
        """The data set that `settings` names, prepared first if it is not, or its sources changed.

        Reads data_set_name, data_folder and what the data class reads. Raises UserError, with the
        command that helps, for an unknown data set and for missing or damaged files.
        """
        name = settings.data_set_name
        if name not in self._sources and not self._is_own(name):
            names = list(self._sources) + ([self._own.name] if self._own else [])
            raise UserError("data_set_name is %r: choose one of %s" % (name, ", ".join(names)))
        place = self._place(settings)
        if ready_files.are_current(place.folder, place.sources, place.options):
            return self._data_class(settings, place)
        _check_presence(name, place)
        print_line("preparing %s in %s" % (own.data_set_title(settings), place.folder))
        self._prepare(name, place)
        data = self._data_class(settings, place)
        if self._is_own(name):
            _analyse(data, place)
        return data

    def check(self, settings):
        """Raise UserError if `load` would find neither sources nor ready files."""
        place = self._place(settings)
        if not os.path.exists(place.folder):
            _check_presence(settings.data_set_name, place)

    def own_fingerprint(self, settings):
        """That of the user's own data as they are now; None if they are gone, or for other data."""
        place = self._place(settings)
        if not (place.sources and self._is_own(settings.data_set_name)):
            return None
        records = ready_files.file_records(place.sources)
        return own.identity(records, place.options, self._own.others).fingerprint

    def main(self):
        """Prepare and analyse the data sets whose sources are there; returns the exit status."""
        settings = self._arguments()
        if self._own and getattr(settings, self._own.option):
            given = getattr(settings, self._own.option)
            setattr(settings, self._own.option, own.absolute(given))
            return self._prepare_and_analyse([self._own.name], settings)
        for name, default in (self._own.others if self._own else {}).items():
            if getattr(settings, name) != default:
                raise UserError("%s is given without %s" % (name, self._own.option),
                                "add --" + self._own.option)
        return self._prepare_and_analyse(self._sources, settings)

    def _arguments(self):
        parser = OneLineParser(
            description="Prepares the data that are there and prints an analysis of them.")
        parser.add_argument("--data_folder", default="data", help="where get_data.sh put the data, "
                            "relative to the project's folder (default: data)")
        if self._window_size:
            parser.add_argument("--window_size", type=_steps, default=self._window_size,
                                help="of the analysis, in steps from 2 on (default: %(default)s)")
        if self._own:
            settings = dict({self._own.option: ""}, **self._own.others)
            for name, default in settings.items():
                parser.add_argument("--" + name, default=default, type=type(default),
                                    help=self._own.help[name] + " (default: %(default)r)")
        return parser.parse_args()

    def _prepare_and_analyse(self, names, settings):
        status, done = 0, set()
        for name in names:
            settings.data_set_name = name
            try:
                place = self._place(settings)
                missing = [path for path in place.sources.values() if not os.path.exists(path)]
                if missing:
                    print_line("%s: %s is not there: %s\n" % (name, missing[0], place.fetch_hint))
                    continue
                if place.folder not in done:
                    done.add(self._prepare(name, place))
                _analyse(self._data_class(settings, place), place)
            except UserError as error:
                print_error("error: %s" % error)
                status = 2
        return status

    def _prepare(self, name, place, again=False):
        """Write the ready files if they are not current, or in any case; one process at a time."""
        _check_presence(name, place)
        if not place.sources and self._is_own(name):
            raise UserError("your data are gone, so %s cannot be made again" % place.folder,
                            "put them back")
        ready = os.path.dirname(place.folder)
        try:
            os.makedirs(os.path.dirname(ready), exist_ok=True)
            with lock_folder(os.path.dirname(ready), ".ready.lock", wait=True):
                # Another process may have made them while this one waited.
                if again or not ready_files.are_current(place.folder, place.sources, place.options):
                    self._write(name, place)
        except OSError as error:
            raise UserError("%s cannot be prepared (%s)" % (name, error),
                            "check rights and free space of " + ready) from error
        return place.folder

    def _write(self, name, place):
        with hint(place.fetch_hint):
            records = ready_files.file_records(place.sources)
            files, identity = self._make(name, place.sources, place.options)
        identity = identity or own.identity(records, place.options, self._own.others)
        ready_files.write(place.folder, files, records, identity, place.options)

    def _is_own(self, name):
        return self._own is not None and name == self._own.name

    def _place(self, settings):
        name, folder = settings.data_set_name, project_path(settings.data_folder)
        folder = os.path.join(folder, self._folder)
        option = ("" if settings.data_folder == "data"
                  else " --data_folder " + shlex.quote(settings.data_folder))
        prepare = call_of(self._folder + "_utils.py") + option
        if self._is_own(name):
            return self._own_place(settings, os.path.join(folder, "ready"), prepare)
        sources = {os.path.basename(file): os.path.join(folder, "unchanged", file)
                   for file in self._sources[name]}
        ready = os.path.join(folder, "ready", self._ready.get(name, name))
        fetch_hint = self._fetch_hint(name, sources, option)
        return Place(sources, {}, ready, fetch_hint, "run `%s`" % prepare)

    def _own_place(self, settings, folder, prepare):
        given = getattr(settings, self._own.option, "")
        if not given:
            raise UserError("%s needs to know where your data are" % self._own.name,
                            "give --%s" % self._own.option)
        options = {name: getattr(settings, name) for name in self._own.others}
        self._own.check(**options)
        words = ["--%s %s" % (name, shlex.quote(str(value)))
                 for name, value in dict({self._own.option: given}, **options).items()]
        folder = os.path.join(folder, own.ready_name(settings, options))
        sources = self._own_sources(given, os.path.exists(folder))
        options = dict(options, files=list(sources), reader=own.READER) if sources else options
        command = "run `%s %s`" % (prepare, " ".join(words))
        return Place(sources, options, folder, "give another --" + self._own.option, command)

    def _own_sources(self, given, prepared):
        """The user's files, {name: path}; may be none if they are `prepared` already."""
        try:
            sources = self._own.find(given)
        except own.NoFiles:
            if not prepared:
                raise
            return {}
        if not (sources or prepared):
            raise UserError("%s is %r, but there is no such file or folder" % (
                self._own.option, given), "give a path that exists")
        return sources

    def _fetch_hint(self, name, sources, option):
        """The advice if sources are missing or damaged; it never overwrites what is there."""
        for download in DOWNLOADS:
            if set(sources) & {file.name for file in download.files}:
                wanted = name if name in download.sets else download.sets[0]
                program = shlex.quote(shown_path(project_path("get_data.sh")))
                command = "run `bash %s --only %s%s`" % (program, shlex.quote(wanted), option)
                if not all(map(os.path.exists, sources.values())):
                    return command
                if not self._own:
                    return "move it away and " + command
                return "move it away and %s (what is your own is read by --data_set_name %s)" % (
                    command, self._own.name)
        return "it comes with the project, copy it from there again"


def _steps(text):
    if not (text.isdecimal() and 2 <= int(text) < 2 ** 31):
        raise argparse.ArgumentTypeError("%r is not a whole number from 2 to 2^31 - 1" % text)
    return int(text)


def _check_presence(name, place):
    for path in place.sources.values():
        if not os.path.exists(path):
            raise UserError("%s: %s is missing" % (name, path), place.fetch_hint)


def _analyse(data, place):
    """Print what the splits hold, one column each, in at most 100 characters a line."""
    columns = [[("", split)] + list(data.summary(split).items()) for split in SPLITS]
    print_line("%s in %s" % (data.title, place.folder))
    print_line(textwrap.fill(data.description, 100, initial_indent="  ", subsequent_indent="  "))
    for row in zip(*columns):
        cells = [textwrap.wrap(_shown(value), 23) for _, value in row]
        for line in itertools.zip_longest([row[0][0].replace("_", " ")], *cells, fillvalue=""):
            print_line("  %-22s  %23s  %23s  %23s" % line)
    for line in data.remarks():
        print_line("  " + line)
    print_line()


def _shown(value):
    if isinstance(value, list):
        return " ".join(map(_shown, value))
    if isinstance(value, float):
        return "%.4g" % value
    return "{:,}".format(value) if isinstance(value, int) else value
