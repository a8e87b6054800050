"""Reading and writing files so that nothing is ever half-written, and so that bad ones are named in one line."""

import contextlib
import fcntl
import gzip
import json
import os
import pickle
import zipfile

import numpy as np

from training.errors import UserError


@contextlib.contextmanager
def replacing(path, mode="wb"):
    """Open a temporary file beside `path` for writing; it takes the place of `path` only when all went well.

    Missing folders are made. After an error or a kill the old `path`, if any, is still whole.
    """
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    temporary = "%s.%d.part" % (path, os.getpid())
    try:
        with open(temporary, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def hold(path):
    """Keep other processes out of a folder until the file that is returned is closed. Raises UserError, OSError."""
    lock = open(os.path.join(path, "lock"), "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise UserError("%s is in use by another process: wait for it or stop it" % path)
    return lock


def save_json(path, value):
    """Write `value` as indented JSON, atomically."""
    with replacing(path, "w") as file:
        json.dump(value, file, indent=2, sort_keys=True)
        file.write("\n")


def load_json(path, remedy):
    """Read a JSON file (.gz: packed). Raises UserError, ending in `remedy`, where it is missing or damaged."""
    with _named_in_errors(path, remedy):
        with (gzip.open if path.endswith(".gz") else open)(path, "rt") as file:
            return json.load(file)


def load_bytes(path, remedy):
    """Read a whole file. Raises UserError where it is missing or cannot be read."""
    with _named_in_errors(path, remedy):
        with open(path, "rb") as file:
            return file.read()


def load_pickle(path, remedy):
    """Read a pickle file with the allow-list unpickler. Raises UserError where it is missing or damaged."""
    with _named_in_errors(path, remedy):
        with open(path, "rb") as file:
            return safe_unpickle(file)


def save_arrays(path, **arrays):
    """Write named numpy arrays as one .npz, atomically."""
    # Not by np.savez: where the disk is full, its archive complains once more when it is freed.
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(name + ".npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def load_arrays(path, remedy, names=None):
    """Read the arrays `names` (None: all) of an .npz as a dict, no pickled objects.

    Raises UserError where the file is missing or damaged, or lacks one of them.
    """
    with _named_in_errors(path, remedy):
        zipfile.ZipFile(path).close()  # of a damaged one np.load leaves an object that fails once more when it is freed
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in names or archive.files}


def save_array(path, array):
    """Write one numpy array as .npy, atomically."""
    with replacing(path) as file:
        np.save(file, array, allow_pickle=False)


def map_array(path, remedy):
    """Memory-map an .npy for reading. Raises UserError where it is missing, damaged or cut short."""
    with _named_in_errors(path, remedy):
        return np.load(path, mmap_mode="r", allow_pickle=False)


def load_object_array(archive_path, name, remedy):
    """Read the object array `name` of an .npz with the allow-list unpickler (np.load would run any pickle)."""
    with _named_in_errors(archive_path, remedy):
        with zipfile.ZipFile(archive_path) as archive, archive.open(name + ".npy") as member:
            version = np.lib.format.read_magic(member)
            {(1, 0): np.lib.format.read_array_header_1_0,
             (2, 0): np.lib.format.read_array_header_2_0}[version](member)
            return safe_unpickle(member)


def safe_unpickle(file):
    """Unpickle plain containers, numbers, numpy arrays and scalars. Others raise pickle.UnpicklingError."""
    return _AllowListUnpickler(file, encoding="latin1").load()


class _AllowListUnpickler(pickle.Unpickler):
    """A pickle from the open web may name any callable to be run on loading; this one resolves only these."""

    allowed = {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
    }

    def find_class(self, module, name):
        module = module.replace("numpy._core", "numpy.core")  # numpy 2 writes the new name, and reads both
        # Python 3 writes bytes into pickles of protocol 2 as a call of _codecs.encode.
        if (module, name) == ("_codecs", "encode"):
            return _latin1_bytes
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError("it asks for %s.%s, which no data set needs" % (module, name))
        return super().find_class(module, name)


def _latin1_bytes(text, encoding):
    if encoding != "latin1":
        raise pickle.UnpicklingError("it holds bytes in the encoding %r" % (encoding,))
    return text.encode("latin1")


@contextlib.contextmanager
def _named_in_errors(path, remedy):
    if not os.path.exists(path):
        raise UserError("%s is missing: %s" % (path, remedy))
    try:
        yield
    except UserError:
        raise
    # A damaged file can raise nearly anything from zipfile, numpy or pickle, so all of it is named alike.
    except Exception as error:
        raise UserError("%s cannot be read (%s: %s): %s" % (path, type(error).__name__, error, remedy)) from error
