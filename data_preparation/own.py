"""A user's own text or music as a data set: its name, its files, its preparation's options."""

import hashlib
import json
import os
import re
from collections import namedtuple

from data_preparation.identity import Identity, fingerprint_of
from files.errors import UserError
from files.progress import counted
from files.project import existing_path

# The data set of a task that is made of the user's own files. `option`: the setting that names
# their place; `others`: {setting: default} of those that the preparation depends on, too;
# find(given) gives its files as {name: path}, none if they are gone; check(**others) refuses values
# of the others that cannot be; `help`: what each of the settings means.
OwnData = namedtuple("OwnData", "name option others find check help")

READER = 2  # raised when files are read in another way: data that are there are prepared again

_OPTIONS = {"OwnText": "own_text", "OwnMusic": "own_music"}


class NoFiles(UserError):
    """There is a folder, but no file in it that could be a user's own data."""


def data_set_title(settings):
    """The data set's name; of a user's own data followed by the name of its file or folder."""
    option = _OPTIONS.get(settings.data_set_name)
    given = getattr(settings, option, "") if option else ""
    return "%s %s" % (settings.data_set_name, _stem(given)) if given else settings.data_set_name


def ready_name(settings, options):
    """The name of the folder of the ready files, another for each text and its options."""
    given = getattr(settings, _OPTIONS[settings.data_set_name])
    text = json.dumps([given, options], sort_keys=True)
    return "%s %s" % (data_set_title(settings), hashlib.sha256(text.encode()).hexdigest()[:8])


def identity(records, options, defaults):
    """The Identity of a user's own data, from the records of their files and how they are prepared.

    The names count if there are several files: they say in which split each is. options: of the
    preparation, of which those count that are not the `defaults`.
    """
    lines = [record["sha256"] + " " + name for name, record in records.items()]
    lines = lines if len(lines) > 1 else [lines[0][:64]]
    lines += ["%s %s" % (name, options[name]) for name, default in sorted(defaults.items())
              if options[name] != default]
    return Identity(fingerprint_of(lines), 1)


def described(paths):
    """The files of a user's own data, {name: path}, in a few words."""
    first, more = next(iter(paths.values())), len(paths) - 1
    return first + (" and " + counted(more, "more file") if more else "")


def user_path(path):
    """The absolute form of a path to a user's data: from the current folder or the project's."""
    return os.path.abspath(existing_path(path))


def user_paths(given):
    """The absolute path of a file or folder; of several, if `given` is none but has commas."""
    whole = user_path(given)
    return [whole] if os.path.exists(whole) else [
        user_path(part.strip()) for part in given.split(",")]


def absolute(given):
    """Where a user's data are, with absolute paths; "" stays as it is.

    The run is then the same from whatever folder, and has ready files of its own.
    """
    if not given:
        return given
    paths = user_paths(given)
    return ",".join(paths) if any(map(os.path.exists, paths)) else user_path(given)


def files_below(folder, endings):
    """{name: path} of the files in a folder, and in those in it, whose name ends so; in any case.

    Hidden files and folders are left out, folders that are links are followed. The names are
    relative to the folder, with / between folders; they are in order. Raises NoFiles, and UserError
    for a folder that cannot be read.
    """
    found, seen = {}, set()
    for parent, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        real = os.path.realpath(parent)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if real in seen:  # by a link
            folders[:] = names[:] = []
        seen.add(real)
        for name in names:
            path = os.path.join(parent, name)
            if (name.lower().endswith(endings) and not name.startswith(".")
                    and os.path.isfile(path)):
                found[os.path.relpath(path, folder).replace(os.sep, "/")] = path
    if not found:
        raise NoFiles("%s has no file whose name ends with %s" % (folder, " or ".join(endings)))
    return {name: found[name] for name in sorted(found)}


def _refuse(error):
    raise UserError("%s cannot be read (%s)" % (error.filename, error.strerror),
                    "make it readable, or give another folder")


def _stem(given):
    """The name of the first file or the folder, without what no folder should be called."""
    name = os.path.basename(os.path.abspath(given.split(",")[0].strip()))
    name = re.sub(r"(\.(txt|text|gz|mid|midi))+$", "", name, flags=re.IGNORECASE)
    return re.sub(r"[^\w. -]", "_", name)[:60].strip(" .") or "data"
