"""Reading files so that whatever is wrong with one is a single line that names it."""

import contextlib
import gzip
import json
import os
import stat

from files.errors import UserError

PACKED_AT_MOST = 100  # bytes that one byte of a packed file may become; deflate reaches 1,032


@contextlib.contextmanager
def reading(path):
    """Turn whatever goes wrong while `path` is read and taken apart into a UserError that names it.

    A damaged file can raise nearly anything from zipfile, numpy, json or from the code that takes
    its content apart, so every exception is treated alike. Only files are read: a pipe could hang.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UserError("%s is not a file" % path)
        yield
    except UserError:
        raise
    except Exception as error:
        if not os.path.lexists(path):
            raise UserError("%s is missing" % path)
        reason = " ".join(str(error).split())[:300]
        raise UserError("%s cannot be read (%s)" % (
            path, ": ".join(filter(None, (type(error).__name__, reason))))) from error


def load_json(path):
    """Read a JSON file (.gz: packed). Raises UserError if it is missing or damaged."""
    with reading(path), open(path, "rb") as file:
        if not path.endswith(".gz"):
            return json.loads(file.read().decode("utf-8"))
        limit = PACKED_AT_MOST * os.path.getsize(path)
        text = gzip.GzipFile(fileobj=file).read(limit + 1)
        if len(text) > limit:
            raise ValueError("it unpacks to more than %d times its size" % PACKED_AT_MOST)
        return json.loads(text.decode("utf-8"))


def load_bytes(path):
    """Read a whole file. Raises UserError if it is missing or cannot be read."""
    with reading(path), open(path, "rb") as file:
        return file.read()
