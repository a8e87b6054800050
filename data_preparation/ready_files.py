"""The ready files of a data set, and the record beside them of what they were made from.

made_from.json has `format`, the `fingerprint` and the `fraction` of data_preparation/identity.py,
the `options` of the preparation, and `sources` and `ready`: {file name: {"size", "time",
"sha256"}}.
"""

import contextlib
import glob
import json
import os
import time
from collections import namedtuple

import numpy as np

from files.arrays import save_array, save_arrays
from files.reading import file_digest, load_json, reading
from files.writing import atomic_write, save_json

MADE_FROM = "made_from.json"
FORMAT = 3  # of the ready files and of made_from.json; those of another format are made again
# An array that is written piece by piece: its type, its length, and an iterable of its pieces.
ArrayInPieces = namedtuple("ArrayInPieces", "dtype length pieces")


def _save_array(path, array):
    if not isinstance(array, ArrayInPieces):
        return save_array(path, array)
    header = {"descr": array.dtype.str, "fortran_order": False, "shape": (array.length,)}
    with atomic_write(path) as file:
        np.lib.format.write_array_header_1_0(file, header)
        for piece in array.pieces:
            file.write(piece.astype(array.dtype, copy=False).tobytes())


_SAVE = {".npz": lambda path, arrays: save_arrays(path, **arrays), ".npy": _save_array,
         ".json": save_json}


def file_records(paths):
    """{name: size, time and digest} of files, {name: path}. Raises UserError."""
    records = {}
    for name, path in paths.items():
        with reading(path):
            records[name] = _record(path)
    return records


def write(folder, files, sources, identity, options):
    """Write the ready files, {name: content}, and made_from.json. Raises OSError.

    A content is a dict of arrays (.npz), an array or an ArrayInPieces (.npy) or a JSON-able value,
    or a function that gives it when it is its turn. sources: their file_records; identity: an
    Identity; options: what the preparation depends on, JSON-able.
    """
    path = os.path.join(folder, MADE_FROM)
    # Removed first, written last: after a kill no such file stands beside those of two
    # preparations.
    with contextlib.suppress(FileNotFoundError):
        os.remove(path)
    _remove_leftovers(folder)
    for name, content in files.items():
        content = content() if callable(content) else content
        _SAVE[os.path.splitext(name)[1]](os.path.join(folder, name), content)
    ready = file_records({name: os.path.join(folder, name) for name in files})
    save_json(path, dict(identity._asdict(), format=FORMAT, options=options, sources=sources,
                         ready=ready))


def identity(folder):
    """(fingerprint, fraction) of the data that are ready in a folder. Raises UserError."""
    path = os.path.join(folder, MADE_FROM)
    made_from = load_json(path)
    with reading(path):
        return str(made_from["fingerprint"]), made_from["fraction"]


def are_current(folder, sources, options):
    """Whether the ready files are whole and made from `sources`, {name: path}, as they are now.

    Sources that are gone do not matter. Size and time decide; if the time is another one, as in a
    copy, the content does, and the times are noted if the folder can be written.
    """
    path = os.path.join(folder, MADE_FROM)
    try:
        with open(path) as file:
            old = json.load(file)
        if old["format"] != FORMAT:
            return False
        if any(old["options"].get(name) != value for name, value in options.items()):
            return False
        present = {name: source for name, source in sources.items() if os.path.exists(source)}
        ready = {name: os.path.join(folder, name) for name in old["ready"]}
        sources_now = dict(old["sources"], **_unchanged(present, old["sources"]))
        new = dict(old, sources=sources_now, ready=_unchanged(ready, old["ready"]))
    except Exception:  # whatever is wrong with the record: the files are made again
        return False
    if new != old:
        with contextlib.suppress(OSError):
            save_json(path, new)
    return True


def _record(path):
    return dict(_size_and_time(path), sha256=file_digest(path))


def _size_and_time(path):
    status = os.stat(path)
    return {"size": status.st_size, "time": status.st_mtime_ns}


def _unchanged(paths, records):
    """The records of files, {name: path}, as they are now. Raises ValueError if one changed."""
    current = {}
    for name, path in paths.items():
        record = current[name] = dict(records[name], **_size_and_time(path))
        if record != records[name]:
            if record["size"] != records[name]["size"] or record != _record(path):
                raise ValueError("%s is not what it was" % path)
    return current


def _remove_leftovers(folder):
    """Remove what a killed preparation left; what another one writes now is younger."""
    for path in glob.glob(os.path.join(glob.escape(folder), "*.part")):
        with contextlib.suppress(OSError):
            if time.time() - os.path.getmtime(path) > 3600:
                os.remove(path)
