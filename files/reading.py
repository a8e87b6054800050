"""Reading files so that whatever is wrong with one is a single line that names it."""

import contextlib
import gzip
import hashlib
import json
import os
import stat

from files.errors import UserError


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
    with reading(path), (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
        return json.loads(file.read().decode("utf-8"))


def new_digest(digits=64):
    """A hashlib object for digests of so many hex digits: SHA-256, or MD5 for 32."""
    return hashlib.new({32: "md5", 64: "sha256"}[digits])


def file_digest(path, digits=64):
    """The hex digest of a file, read in pieces, see new_digest."""
    digest = new_digest(digits)
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()


def load_bytes(path):
    """Read a whole file. Raises UserError if it is missing or cannot be read."""
    with reading(path), open(path, "rb") as file:
        return file.read()
