"""The steps of tools/get_data.py with one file: fetch, unpack, tell whether it is the right one."""

import contextlib
import gzip
import json
import os
import re
import stat
import sys
import tarfile
import zipfile
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from files.errors import UserError
from files.output import is_terminal, print_line, printable
from files.reading import file_digest
from files.writing import open_own, save_json

TIMEOUT = 20  # seconds without a byte
CHUNK = 1 << 16  # bytes
MIRROR_RECORD = "taken_from_mirror.json"  # {file name: SHA-256} of what a mirror vouches for
MOST_UNPACKED = 64  # bytes that an archive may hold in all, for each byte of the files we want
MOST_AT_ONCE = 1 << 24  # bytes of an archive's own records, which are held in memory


class Rejected(Exception):
    """The error for fetched bytes that are not what they should be."""


def log(text):
    """Print a line, over the progress line if there is one."""
    print_line(("\r\033[K" if is_terminal(sys.stdout) else "") + text)


def show_progress(name, done, total):
    """One line on a terminal, written over and over; nothing elsewhere."""
    if is_terminal(sys.stdout):
        of_total = " of %.1f (%d %%)" % (total / 1e6, 100 * done // total) if total else ""
        print("\r\033[K  %s: %.1f MB%s" % (name, done / 1e6, of_total), end="", flush=True)


def describe(error):
    """An error in a few words, without urllib's wrapping and a server's control characters."""
    if isinstance(error, HTTPError):
        return printable("HTTP %d %s" % (error.code, error.reason))
    text = printable(str(getattr(error, "reason", error)))[:300]
    named = isinstance(error, (Rejected, OSError, UserError)) and text
    return text if named else ": ".join(filter(None, (type(error).__name__, text)))


def mismatch(file, path):
    """Tell in a few words why `path` is not the published `file`; None if it is."""
    size = size_of(path)
    if size != file.size:
        prefix = "only a prefix, %.3g %%: " % (100 * size / file.size)
        in_part = of_use_in_part(file) and size < file.size
        return "{}{:,} bytes instead of {:,}".format(prefix if in_part else "", size, file.size)
    right = file_digest(path, len(file.checksum)) == file.checksum
    return None if right else "its checksum is not the published one"


def of_use_in_part(file):
    """Whether a prefix of `file` will do: of enwik8 and text8, the files without an ending."""
    return "." not in file.name


def size_of(path):
    """Bytes of a file; 0 if there is none."""
    return os.path.getsize(path) if os.path.exists(path) else 0


def is_prefix(path, other):
    """Whether the file `other` begins with all of the file `path`."""
    with open(path, "rb") as file, open(other, "rb") as longer:
        chunks = iter(lambda: file.read(CHUNK), b"")
        return all(chunk == longer.read(len(chunk)) for chunk in chunks)


def discard_parts(download, folder):
    """Remove the temporary files of a download."""
    for name in [download.name] + [file.name for file in download.files]:
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(folder, name + ".part"))


def most_bytes(download, from_mirror):
    """The most bytes that may come for a download.

    A file that is fetched as it is has its published size; from a mirror it may be packed in
    another way. An archive's size is not known, only that of the files in it: it may hold others.
    """
    total = sum(file.size for file in download.files)
    is_archive = download.files[0].member is not None
    return 4 * total + CHUNK if is_archive or from_mirror else total


def fetch(url, part, name, most):
    """Fetch `url` into the file `part`, continuing after what `part` holds if the server can.

    most: bytes at which it ends. Raises Rejected for more, URLError if nothing can be had, another
    OSError, HTTPException or ValueError if the connection breaks or the server answers nonsense
    (what came stays in `part`). Whether `part` is right, its checksum must tell.
    """
    offset = size_of(part)
    # Some hosts turn away the user agent that urllib names by itself.
    headers = {"User-Agent": "Mozilla/5.0 (compatible; get_data)"}
    if offset:
        headers["Range"] = "bytes=%d-" % offset
    try:
        response = build_opener(_Redirects).open(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        if error.code == 416 and offset:  # `part` is complete
            return
        raise
    with response:
        resumed = response.getcode() == 206
        done = offset if resumed else 0
        length = response.headers.get("Content-Length") or ""
        total = done + int(length) if re.match("[0-9]{1,15}$", length) else None
        if total is not None and total < offset <= most:  # such as a page: the file has moved
            raise ConnectionError("it has {:,} bytes, fewer than are here already".format(total))
        with open_own(part, "ab" if resumed else "wb") as file:
            for chunk in iter(lambda: response.read(CHUNK), b""):
                done += len(chunk)
                if max(done, total or 0) > most:
                    raise Rejected("it is longer than the {:,} bytes that it can have".format(most))
                file.write(chunk)
                show_progress(name, done, total)
    if total is not None and done < total:
        raise ConnectionError("broke off after {:,} of {:,} bytes".format(done, total))


class _Redirects(HTTPRedirectHandler):
    """Follow redirects; one to a host that cannot be reached does not count against the first."""

    def http_error_302(self, *arguments):
        """Follow one redirect."""
        try:
            return super().http_error_302(*arguments)
        except HTTPError:
            raise
        except URLError as error:
            raise ConnectionError("redirected to a host that gives no answer: %s" % error.reason)

    http_error_301 = http_error_303 = http_error_307 = http_error_302


class _Bounded(object):
    """A packed file for reading, of which neither much is read at once nor too much in all."""

    def __init__(self, file, most):
        self._file, self._most = file, most
        self.tell = file.tell

    def read(self, size):
        """Read up to `size` bytes. Raises Rejected."""
        if size > MOST_AT_ONCE:
            raise Rejected("its records are too long")
        return self._file.read(size)

    def seek(self, position):
        """Go to a position. Raises Rejected."""
        if position > self._most:
            raise Rejected("it unpacks to far more than it should")
        return self._file.seek(position)


def _members(path, name, most):
    """Yield (name, is a link, function that opens it) of all in the archive `name`, which is a
    .zip or a .tgz."""
    if name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                is_link = stat.S_ISLNK(info.external_attr >> 16)
                yield info.filename, is_link, lambda info=info: archive.open(info)
    else:
        with gzip.open(path) as packed:
            archive = tarfile.open(fileobj=_Bounded(packed, most), mode="r:")
            for info in archive:
                is_link = not (info.isfile() or info.isdir())
                yield info.name, is_link, lambda info=info: archive.extractfile(info)


def unpack(download, part, folder):
    """Bring the files of what was fetched to a temporary place each: [(file, path)].

    Only the wanted members of an archive are read, each up to its published size, and written to
    paths that do not come from the archive. Raises Rejected.
    """
    if download.files[0].member is None:
        return [(download.files[0], part)]
    wanted, unpacked = {file.member: file for file in download.files}, []
    most = MOST_UNPACKED * sum(file.size for file in download.files) + MOST_AT_ONCE
    try:
        for name, is_link, source in _members(part, download.name, most):
            name = os.path.normpath(name)
            if is_link and any((member + "/").startswith(name + "/") for member in wanted):
                raise Rejected("%s in it is a link" % name)
            file = wanted.pop(name, None)
            if file:
                unpacked.append((file, os.path.join(folder, file.name + ".part")))
                _copy(source, unpacked[-1][1], file)
    except Rejected:
        raise
    except Exception as error:  # a damaged archive can raise nearly anything
        if isinstance(error, OSError) and error.errno:  # it is the disk's, not the archive's
            raise
        raise Rejected("it cannot be unpacked (%s)" % error)
    if wanted:
        raise Rejected("the archive holds no " + ", ".join(sorted(wanted)))
    return unpacked


def _copy(open_source, path, file):
    with open_source() as source, open_own(path, "wb") as target:
        while target.tell() <= file.size:
            chunk = source.read(CHUNK)
            if not chunk:
                return
            target.write(chunk)
    raise Rejected("%s: it unpacks to more than %d bytes" % (file.name, file.size))


def read_record(folder):
    """Files that were taken on a mirror's word before: file name -> SHA-256."""
    try:
        with open(os.path.join(folder, MIRROR_RECORD)) as file:
            return dict(json.load(file))
    except (OSError, ValueError, TypeError):
        return {}


def add_to_record(folder, entries):
    """Note files (name -> SHA-256) as taken on a mirror's word."""
    save_json(os.path.join(folder, MIRROR_RECORD), dict(read_record(folder), **entries))
