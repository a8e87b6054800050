"""Reading files so that whatever is wrong with one is a single line that names it."""

import contextlib
import gzip
import json
import os

from files.errors import UserError


@contextlib.contextmanager
def reading(path):
    """Turn whatever goes wrong while `path` is read and taken apart into a UserError that names it.

    A damaged file can raise nearly anything from zipfile, numpy, pickle or from the code that takes its content
    apart, so every exception is treated alike.
    """
    if not os.path.exists(path):
        raise UserError("%s is missing" % path)
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError("%s cannot be read (%s: %s)" % (path, type(error).__name__, error)) from error


def load_json(path):
    """Read a JSON file (.gz: packed). Raises UserError if it is missing or damaged."""
    with reading(path), (gzip.open if path.endswith(".gz") else open)(path, "rt") as file:
        return json.load(file)


def load_bytes(path):
    """Read a whole file. Raises UserError if it is missing or cannot be read."""
    with reading(path), open(path, "rb") as file:
        return file.read()
