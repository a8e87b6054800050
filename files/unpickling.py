"""Reading pickles from the open web as plain lists, dicts, texts and numbers.

A pickle is a program, and even its own containers can fill the memory or overrun the C stack. So

- it can call only the stand-ins below, never numpy's own functions, which trust their arguments;
- it is run in a process of its own, with bounded memory: this file, as a script;
- its content comes back as JSON.
"""

import functools
import itertools
import json
import os
import pickle
import resource
import struct
import subprocess
import sys
import zipfile

# The struct format of each type that a file may name. "O": the items are Python objects.
_FORMATS = {"b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I",
            "u8": "Q", "f2": "e", "f4": "f", "f8": "d", "O": "O", "O4": "O", "O8": "O"}
_MEMORY, _MEMORY_PER_BYTE = 1 << 30, 100  # bytes that a file may take, and for each of its own
_ITEMS_PER_BYTE = 20  # values or characters that one byte of a file may become


def safe_unpickle(path, member=None):
    """The content of the pickle `path`, or of the array `member` (a .npy) of the archive `path`.

    Tuples come as lists, numpy's numbers as numbers, its arrays of one dimension as lists. Raises
    UnpicklingError for anything else than these and plain containers, and for a damaged file.
    """
    command = [sys.executable, "-I", "-S", os.path.abspath(__file__), path]
    done = subprocess.run(command + ([member] if member else []), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").split("\n")
        crash = "reading it ended with status %d" % done.returncode
        raise pickle.UnpicklingError(lines[0] if done.returncode == 1 else crash)
    return json.loads(done.stdout.decode("ascii"))


class _Type(object):
    """A numpy.dtype: of numbers or of objects, and nothing else."""

    __slots__ = ("format", "order", "size")

    def __init__(self, code):
        _require(code in _FORMATS, "it asks for the type %s" % (code,))
        self.format, self.order = _FORMATS[code], "<"
        self.size = 0 if self.format == "O" else struct.calcsize("=" + self.format)

    def __setstate__(self, state):
        """Take the byte order; numpy would also take fields and sizes, which can lead it astray."""
        problem = "it asks for a type with fields"
        _require(type(state) is tuple and len(state) >= 5, problem)
        version, order, *fields = state[:5]
        _require(version in (3, 4) and fields == [None] * 3, problem)
        _require(order in ("<", ">", "|", "="), problem)
        self.order = ">" if order == ">" else "<"

    def numbers(self, data):
        """The numbers that stand in `data`, as a tuple."""
        _require(self.size, "it takes bytes for objects")
        _require(len(data) % self.size == 0, "it has numbers that are cut short")
        data = data.encode("latin1") if isinstance(data, str) else data
        return struct.unpack("%s%d%s" % (self.order, len(data) // self.size, self.format), data)


class _Array(list):
    """A numpy.ndarray of one dimension."""

    def __setstate__(self, state):
        _version, shape, kind, _fortran_order, data = state
        _require(type(kind) is _Type, "it has an array without a type")
        _require(type(shape) is tuple and len(shape) == 1, "it has an array of shape %s" % (shape,))
        items = data if kind.format == "O" else list(kind.numbers(data))
        right = type(items) is list and len(items) == shape[0]
        _require(right, "it has an array of a wrong length")
        self[:] = items


def _require(right, problem):
    if not right:
        raise pickle.UnpicklingError(problem)


def _reconstruct(kind, _shape, _code):
    """Begin an array; its content follows by __setstate__."""
    _require(kind == "ndarray", "it asks for an array of another kind")
    return _Array()


def _dtype(code, *_align_and_copy):
    return _Type(code)


@functools.lru_cache(maxsize=1 << 12)  # the same few notes stand in a file a million times
def _scalar(kind, data):
    _require(type(kind) is _Type, "it has a number without a type")
    number, = kind.numbers(data)
    return number


def _encode(text, encoding):
    """Python 3 writes bytes into pickles of protocol 2 as a call of _codecs.encode."""
    _require(encoding == "latin1", "it holds bytes in the encoding %r" % (encoding,))
    return text.encode("latin1")


class _AllowListUnpickler(pickle.Unpickler):
    """A pickle may name any callable to be run on loading; this unpickler gives it only these."""

    allowed = {
        "numpy.core.multiarray._reconstruct": _reconstruct,
        "numpy.core.multiarray.scalar": _scalar,
        "numpy.ndarray": "ndarray",  # only to be handed to _reconstruct: it cannot be called
        "numpy.dtype": _dtype,
        "_codecs.encode": _encode,
    }

    def find_class(self, module, name):
        module = module.replace("numpy._core", "numpy.core")  # numpy 2 writes the new name
        full_name = "%s.%s" % (module, name)
        _require(full_name in self.allowed, "it asks for %s, which no data set needs" % full_name)
        return self.allowed[full_name]


def _skip_header(file):
    """Skip the header of a .npy file, to the pickle of an array of objects."""
    magic = file.read(8)
    _require(magic[:7] in (b"\x93NUMPY\x01", b"\x93NUMPY\x02"), "it is not an array")
    size = struct.Struct("<H" if magic[6] == 1 else "<I")
    length, = size.unpack(file.read(size.size))
    _require(b"O" in file.read(min(length, 10000)) and length <= 10000, "it is no array of objects")


def _require_bounded(value, most):
    """Refuse more than `most` items and characters; what is shared counts each time it is met."""
    sized, count, level = {list, tuple, dict, _Array, str, bytes}, 0, [value]
    while level:
        count += sum(map(len, level))
        _require(count <= most, "it holds far more than its size")
        parts = [part.values() if type(part) is dict else part
                 for part in level if type(part) not in (str, bytes)]
        items = list(itertools.chain.from_iterable(parts))
        found = not sized.isdisjoint(map(type, items))
        level = [item for item in items if type(item) in sized] if found else []


def _limit(kind, value):
    _, most = resource.getrlimit(kind)
    value = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(kind, (value, value))


def _main(path, member=None):
    size = os.path.getsize(path)
    memory = _MEMORY + _MEMORY_PER_BYTE * size
    with open(path, "rb") if member is None else zipfile.ZipFile(path).open(member) as file:
        _limit(resource.RLIMIT_AS, memory)
        _limit(resource.RLIMIT_CORE, 0)
        if member:
            _skip_header(file)
        value = _AllowListUnpickler(file, encoding="latin1").load()
        _require(member is None or type(value) is _Array, "it is no array of objects")
    _require_bounded([value], _ITEMS_PER_BYTE * size)
    sys.stdout.write(json.dumps(value, separators=(",", ":")))


if __name__ == "__main__":
    try:
        _main(*sys.argv[1:])
    except Exception as problem:
        names = [] if isinstance(problem, pickle.UnpicklingError) else [type(problem).__name__]
        sys.stderr.write(": ".join(names + [" ".join(str(problem).split())]) + "\n")
        sys.exit(1)
