"""Arrays in files: .npz archives, .npy files, and the pickles that music and reviews come as."""

import os
import struct
import zipfile

import numpy as np

from files.reading import reading
from files.unpickling import safe_unpickle
from files.writing import atomic_write

PACKED_AT_MOST = 100  # bytes that one byte of a packed file may become; deflate reaches 1,032
_LONGEST_HEADER = 10000  # bytes of a .npy's header; numpy's parser can crash on longer ones


def save_arrays(path, **arrays):
    """Write named numpy arrays as one .npz, atomically."""
    # Not by np.savez: if the disk is full, its archive complains once more when it is freed.
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(name + ".npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def load_arrays(path, names=None, texts=()):
    """Read the arrays `names` (None: all) of an .npz as a dict, no pickled objects.

    texts: the arrays that may hold text; all others must hold numbers. Raises UserError if the
    file is missing or damaged, or lacks one of them.
    """
    with reading(path), zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > PACKED_AT_MOST * os.path.getsize(path):
            raise ValueError("it unpacks to more than %d times its size" % PACKED_AT_MOST)
        if names is None:
            names = [name[:-len(".npy")] for name in archive.namelist() if name.endswith(".npy")]
        return {name: _read_member(archive, name, name in texts) for name in names}


def _read_member(archive, name, is_text):
    try:
        with archive.open(name + ".npy") as member:
            _check_header(member)
        with archive.open(name + ".npy") as member:
            array = np.lib.format.read_array(member, allow_pickle=False)
    except KeyError:
        raise KeyError("it has no %s" % name)
    return _checked(array, name, "U" if is_text else "biuf")


def _check_header(file):
    """Raise ValueError if a .npy file begins with a header that is longer than any needs to be."""
    version = file.read(8)[6:7]
    size = struct.Struct("<H" if version == b"\x01" else "<I")
    length, = size.unpack(file.read(size.size))
    if length > _LONGEST_HEADER:
        raise ValueError("its header has %d bytes" % length)


def _checked(array, name, kinds):
    if array.dtype.kind not in kinds:
        raise ValueError("%s holds %s" % (name, array.dtype))
    return array


def save_array(path, array):
    """Write one numpy array as .npy, atomically."""
    with atomic_write(path) as file:
        np.save(file, array, allow_pickle=False)


def map_array(path):
    """Memory-map an .npy of numbers. Raises UserError if it is missing, damaged or cut short."""
    with reading(path):
        with open(path, "rb") as file:
            _check_header(file)
        with np.errstate(over="raise"):  # a shape that overflows, which numpy would only warn of
            return _checked(np.load(path, mmap_mode="r", allow_pickle=False), "it", "biuf")


def load_pickle(path, member=None):
    """Read a pickle, or the object array `member` of an .npz: safe_unpickle. Raises UserError."""
    with reading(path):
        return safe_unpickle(path, member)
