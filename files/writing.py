"""Writing files so that none is ever half-written, and locking folders. Standard library only."""

import contextlib
import errno
import fcntl
import json
import math
import os
import socket
import uuid

from files.errors import UserError
from files.output import print_error

_warned_of = set()  # folders that cannot be locked


@contextlib.contextmanager
def atomic_write(path, mode="wb"):
    """Open a temporary file beside `path` for writing; it replaces `path` only if all went well.

    Missing folders are made. After an error or a kill the old `path`, if any, is still whole. If
    `path` is a link, the link is replaced and not what it leads to. Text is written as UTF-8.
    """
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    temporary = _temporary_name(path)
    try:
        # "x": a file or link of that name, which only a stranger can have made, is refused.
        encoding = None if "b" in mode else "utf-8"
        with open(temporary, mode.replace("w", "x"), encoding=encoding) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)


def _temporary_name(path):
    """A name of this process alone: two containers on one share may both have process id 1."""
    return "%s.%s-%d-%s.part" % (path, socket.gethostname(), os.getpid(), uuid.uuid4().hex[:8])


def open_own(path, mode):
    """Open a file of ours for writing that is not replaced as a whole, made if missing.

    Raises UserError if `path` is a link: we made none, so what it leads to is not ours.
    """
    def opener(name, flags):
        # O_NONBLOCK: a pipe in its place is refused, instead of waited for.
        return os.open(name, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)

    try:
        return open(path, mode, opener=opener, encoding=None if "b" in mode else "utf-8")
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK) and os.path.islink(path):
            raise UserError("%s is a link, to %s" % (path, os.readlink(path)), "remove it")
        raise


class FolderInUse(UserError):
    """Another process holds the lock of a folder."""


def lock_folder(path, name="lock", wait=False):
    """Keep other processes out of a folder until the file that is returned is closed.

    name: of the lock file. wait: until another process that holds the lock ends. If the file
    system has no locks, a line on standard error says so, once a folder. Raises FolderInUse if
    another process holds the lock and we do not wait, OSError if the file cannot be written.
    """
    lock = open_own(os.path.join(path, name), "a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):  # NFS gives the latter
            lock.close()
            raise FolderInUse("%s is in use by another process" % path, "wait for it or stop it")
        if path not in _warned_of:
            _warned_of.add(path)
            print_error("warning: %s cannot be locked (%s): let no second process use it"
                        % (path, error.strerror))
    return lock


def save_json(path, value):
    """Write `value` as indented JSON, atomically."""
    with atomic_write(path, "w") as file:
        json.dump(json_value(value), file, indent=2, sort_keys=True)
        file.write("\n")


def save_json_lines(path, values):
    """Write `values`, a line of JSON for each, atomically."""
    with atomic_write(path, "w") as file:
        for value in values:
            file.write(json.dumps(json_value(value), sort_keys=True) + "\n")


def json_value(value):
    """`value` with null in place of nan and infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {name: json_value(content) for name, content in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(content) for content in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
