"""numpy arrays in files: .npz archives, .npy files, and the pickles that music and reviews come as."""

import zipfile

import numpy as np

from files.reading import reading
from files.unpickling import safe_unpickle
from files.writing import atomic_write


def save_arrays(path, **arrays):
    """Write named numpy arrays as one .npz, atomically."""
    # Not by np.savez: where the disk is full, its archive complains once more when it is freed.
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(name + ".npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def load_arrays(path, names=None):
    """Read the arrays `names` (None: all) of an .npz as a dict, no pickled objects.

    Raises UserError if the file is missing or damaged, or lacks one of them.
    """
    with reading(path):
        zipfile.ZipFile(path).close()  # a damaged one: np.load leaves an object that fails when freed
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in names or archive.files}


def save_array(path, array):
    """Write one numpy array as .npy, atomically."""
    with atomic_write(path) as file:
        np.save(file, array, allow_pickle=False)


def map_array(path):
    """Memory-map an .npy for reading. Raises UserError if it is missing, damaged or cut short."""
    with reading(path):
        return np.load(path, mmap_mode="r", allow_pickle=False)


def load_pickle(path):
    """Read a pickle file with the allow-list unpickler. Raises UserError if it is missing or damaged."""
    with reading(path), open(path, "rb") as file:
        return safe_unpickle(file)


def load_object_array(archive_path, name):
    """Read the object array `name` of an .npz with the allow-list unpickler (np.load would run any pickle)."""
    with reading(archive_path):
        with zipfile.ZipFile(archive_path) as archive, archive.open(name + ".npy") as member:
            version = np.lib.format.read_magic(member)
            {(1, 0): np.lib.format.read_array_header_1_0,
             (2, 0): np.lib.format.read_array_header_2_0}[version](member)
            return safe_unpickle(member)
