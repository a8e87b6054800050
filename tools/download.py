"""What tools/get_data.py does with one file: fetch it, unpack it, tell whether it is the right one."""

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tarfile
import zipfile
import zlib
from urllib.error import HTTPError
from urllib.request import Request, urlopen

TIMEOUT = 20  # seconds without a byte
CHUNK = 1 << 16  # bytes
MIRROR_RECORD = "taken_from_mirror.json"  # file name -> SHA-256 of what was taken on a mirror's word


class Rejected(Exception):
    """What was fetched is not what it should be."""


def log(text):
    """Print a line, over the progress line if there is one."""
    print(("\r\033[K" if sys.stdout.isatty() else "") + text, flush=True)


def show_progress(name, done, total):
    """One line on a terminal, written over and over; nothing elsewhere."""
    if sys.stdout.isatty():
        share = " of %.1f (%d %%)" % (total / 1e6, 100 * done // total) if total else ""
        print("\r\033[K  %s: %.1f MB%s" % (name, done / 1e6, share), end="", flush=True)


def digest(path, length=64):
    """Hex MD5 or SHA-256 of a file; the `length` of the digest, 32 or 64, says which."""
    total = {32: hashlib.md5, 64: hashlib.sha256}[length]()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(CHUNK), b""):
            total.update(chunk)
    return total.hexdigest()


def mismatch(file, path):
    """Why `path` is not the published `file`, in a few words; None when it is."""
    size = size_of(path)
    if size != file.size:
        # enwik8 and text8, the files without an ending, are of use in part too.
        only = "only a prefix, %.3g %%: " % (100 * size / file.size) if "." not in file.name else ""
        return "{}{:,} bytes instead of {:,}".format(only if size < file.size else "", size, file.size)
    return None if digest(path, len(file.checksum)) == file.checksum else "its checksum is not the published one"


def size_of(path):
    """Bytes of a file; 0 where there is none."""
    return os.path.getsize(path) if os.path.exists(path) else 0


def discard_parts(download, folder):
    """Remove the temporary files of a download."""
    for name in [download.name] + [file.name for file in download.files]:
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(folder, name + ".part"))


def fetch(url, part, name):
    """Fetch `url` into the file `part`, going on behind what `part` holds where the server can.

    Raises URLError when nothing can be had, another OSError or HTTPException when the connection breaks (what came
    stays in `part`). Whether `part` is right, its checksum must tell.
    """
    offset = size_of(part)
    # Some hosts turn away the user agent that urllib names by itself.
    headers = {"User-Agent": "Mozilla/5.0 (compatible; get_data)"}
    if offset:
        headers["Range"] = "bytes=%d-" % offset
    try:
        response = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        if error.code == 416 and offset:  # nothing lies behind what `part` holds
            return
        raise
    with response:
        resumed = response.getcode() == 206
        done = offset if resumed else 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        with open(part, "ab" if resumed else "wb") as file:
            for chunk in iter(lambda: response.read(CHUNK), b""):
                file.write(chunk)
                done += len(chunk)
                show_progress(name, done, total)
    if total is not None and done < total:
        raise ConnectionError("broke off after {:,} of {:,} bytes".format(done, total))


def _members(path, name):
    """Yield (member name, open file) of an archive's regular files. The ending of `name` tells its kind."""
    if name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            yield from ((info.filename, archive.open(info)) for info in archive.infolist())
    else:
        with tarfile.open(path) as archive:
            yield from ((info.name, archive.extractfile(info)) for info in archive if info.isfile())


def unpack(download, part, folder):
    """Bring the files of what was fetched to a temporary place each. Returns [(file, path)]. Raises Rejected.

    Only the wanted members of an archive are read, and written to paths that do not come from the archive.
    """
    if download.files[0].member is None:
        return [(download.files[0], part)]
    wanted, unpacked = {file.member: file for file in download.files}, []
    try:
        for name, source in _members(part, download.name):
            file = wanted.pop(os.path.normpath(name), None)
            if file:
                unpacked.append((file, os.path.join(folder, file.name + ".part")))
                with source, open(unpacked[-1][1], "wb") as target:
                    shutil.copyfileobj(source, target, CHUNK)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, RuntimeError, zlib.error) as error:
        raise Rejected("it cannot be unpacked (%s)" % error)
    if wanted:
        raise Rejected("the archive holds no " + ", ".join(sorted(wanted)))
    return unpacked


def read_record(folder):
    """What was taken on a mirror's word before: file name -> SHA-256."""
    try:
        with open(os.path.join(folder, MIRROR_RECORD)) as file:
            return dict(json.load(file))
    except (OSError, ValueError, TypeError):
        return {}


def add_to_record(folder, entries):
    """Note files (name -> SHA-256) as taken on a mirror's word."""
    path = os.path.join(folder, MIRROR_RECORD)
    with open(path + ".part", "w") as file:
        json.dump(dict(read_record(folder), **entries), file, indent=2, sort_keys=True)
    os.replace(path + ".part", path)
