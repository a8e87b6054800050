"""Writing files so that none is ever half-written, and locking folders. Standard library only."""

import contextlib
import fcntl
import json
import math
import os
import socket
import uuid

from files.errors import UserError


@contextlib.contextmanager
def atomic_write(path, mode="wb"):
    """Open a temporary file beside `path` for writing; it replaces `path` only if all went well.

    Missing folders are made. After an error or a kill the old `path`, if any, is still whole.
    """
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    temporary = _temporary_name(path)
    try:
        with open(temporary, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def _temporary_name(path):
    """A name of this process alone: two containers on one share may both have process id 1."""
    return "%s.%s-%d-%s.part" % (path, socket.gethostname(), os.getpid(), uuid.uuid4().hex[:8])


def lock_folder(path):
    """Keep other processes out of a folder until the file that is returned is closed.

    Raises UserError if another process holds the lock, OSError if the lock file cannot be written.
    """
    lock = open(os.path.join(path, "lock"), "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise UserError("%s is in use by another process" % path, "wait for it or stop it")
    return lock


def save_json(path, value):
    """Write `value` as indented JSON, atomically."""
    with atomic_write(path, "w") as file:
        json.dump(json_value(value), file, indent=2, sort_keys=True)
        file.write("\n")


def json_value(value):
    """`value` with null in place of nan and infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {name: json_value(content) for name, content in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(content) for content in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
