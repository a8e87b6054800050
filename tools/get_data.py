"""Downloads the published data sets into data/<task>/unchanged and checks them. Started by get_data.sh.

It needs only the standard library of Python 3.6 or newer. A file takes its place after it was checked, against its
published checksum or else the SHA256SUMS of the user's own mirror. What is there and right is left alone; a
download that broke off goes on where it stopped.
"""

import fcntl
import http.client
import itertools
import os
import pathlib
import sys
import time
from collections import namedtuple
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from tools.download import (TIMEOUT, Rejected, add_to_record, digest, discard_parts, fetch, mismatch,
                              log, read_record, size_of, unpack)
from data_preparation.sources import DOWNLOADS
from files.errors import OneLineParser, UserError, run_as_script

TRIES = 3  # per address, when a connection breaks or what was resumed turns out wrong
PAUSE = 1.0  # seconds before another try

# What became of one file of a download. `problems` says why it is not in place; it is empty when it is.
Result = namedtuple("Result", "download file size state problems")


def describe(error):
    """An error in a few words, without the wrapping of urllib."""
    if isinstance(error, HTTPError):
        return "HTTP %d %s" % (error.code, error.reason)
    return " ".join(str(getattr(error, "reason", error)).split()) or type(error).__name__


def look(download, file, folder):
    """The Result of a file as it lies in `folder` now."""
    path = os.path.join(folder, file.name)
    if not os.path.exists(path):
        return Result(download, file, 0, "MISSING", ["missing"])
    problem, size = mismatch(file, path), size_of(path)
    if problem is None:
        return Result(download, file, size, "right", [])
    if read_record(folder).get(file.name) == digest(path):
        return Result(download, file, size, "taken on the mirror's word: " + problem, [])
    return Result(download, file, size, "WRONG: " + problem, [problem])


def mirror_address(text):
    """The address, with a slash at its end, of a mirror given as a folder or a URL. Empty if `text` is empty.

    Raises UserError where it is neither.
    """
    address = pathlib.Path(text).resolve().as_uri() if os.path.isdir(text) else text
    try:
        parts = urlsplit(address)
        (parts.hostname or "").encode("idna")  # as it is when the host is looked up
        usable = parts.scheme in ("http", "https", "file")
    except ValueError:
        usable = False
    if text and not usable:
        raise UserError("RRU_DATA_MIRROR is %r: set it to a folder or to a valid http:, https: or file: address"
                        % text)
    return address and quote(address, safe="/:?=&%@+,;~[]").rstrip("/") + "/"


class Getter(object):
    """Brings downloads into `data_folder`: from `mirror` (an address or ""), else from their own addresses."""

    def __init__(self, data_folder, mirror, force):
        self._data_folder, self._mirror, self._force = data_folder, mirror, force
        self._unreachable = set()  # hosts that gave no answer: each is waited for once only
        self._sums = self._read_sums() if mirror else {}

    def _read_sums(self):
        try:
            with urlopen(self._mirror + "SHA256SUMS", timeout=TIMEOUT) as response:
                lines = response.read().decode("utf-8", "replace").splitlines()
        except (OSError, http.client.HTTPException) as error:
            log("The mirror's SHA256SUMS cannot be read (%s): it counts only where a published checksum agrees."
                % describe(error))
            return {}
        pairs = (line.split(None, 1) for line in lines)
        return {pair[1].strip().lstrip("*"): pair[0].lower() for pair in pairs if len(pair) == 2}

    def get(self, download):
        """Make sure that the files of `download` are in place. Returns a Result for each."""
        folder = os.path.join(self._data_folder, download.task, "unchanged")
        for path in (folder, os.path.join(self._data_folder, download.task, "ready")):
            os.makedirs(path, exist_ok=True)
        results = [look(download, file, folder) for file in download.files]
        complete = not any(result.problems for result in results)
        if self._force or complete:
            discard_parts(download, folder)
        if complete and not self._force:
            notes = [", " + result.state for result in results if result.state != "right"]
            log("%s: there already%s" % (download.name, "".join(notes)))
            return results
        problems = []
        for url in ([self._mirror + quote(download.name)] if self._mirror else []) + list(download.urls):
            try:
                self._get_from(url, download, folder)
                return [look(download, file, folder) for file in download.files]
            except (Rejected, OSError, http.client.HTTPException) as error:
                log("  no: %s" % describe(error))
                problems.append("%s: %s" % (url, describe(error)))
        return [result._replace(problems=problems) if self._force or result.problems else result
                for result in results]

    def _get_from(self, url, download, folder):
        part = os.path.join(folder, download.name + ".part")
        host = urlsplit(url).netloc
        log("%s: fetching from %s" % (download.name, url))
        if host in self._unreachable:
            raise Rejected("its host could not be reached before")
        for tries_left in reversed(range(TRIES)):
            held = size_of(part)
            if held:
                log("  going on behind {:,} bytes".format(held))
            try:
                fetch(url, part, download.name)
                return self._take(url, download, part, folder)
            except URLError as error:
                if host and not isinstance(error, HTTPError):  # a file: address has no host
                    self._unreachable.add(host)
                raise
            except (Rejected, OSError, http.client.HTTPException) as error:
                wrong = isinstance(error, Rejected)
                if wrong:
                    discard_parts(download, folder)
                if not tries_left or (wrong and not held):  # what was fetched whole would be as wrong again
                    raise
                log("  %s; %s" % (describe(error), "fetching it anew" if wrong else "trying again"))
                time.sleep(PAUSE)

    def _take(self, url, download, part, folder):
        """Check what was fetched and rename it into place. Raises Rejected."""
        unpacked = unpack(download, part, folder)
        problems = {file.name: mismatch(file, path) for file, path in unpacked if mismatch(file, path)}
        if problems:
            from_mirror = self._mirror and url.startswith(self._mirror)
            if not from_mirror or self._sums.get(download.name) != digest(part):
                raise Rejected("; ".join("%s: %s" % item for item in problems.items()))
            # Written before the renaming: a kill in between must not leave a file that the next run does not know.
            add_to_record(folder, {file.name: digest(path) for file, path in unpacked if file.name in problems})
        for file, path in unpacked:
            os.replace(path, os.path.join(folder, file.name))
        discard_parts(download, folder)


def lock(data_folder):
    """Wait until no other run works in `data_folder`. The lock goes when the file that is returned is closed."""
    file = open(os.path.join(data_folder, ".get_data.lock"), "w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log("Another run fills %s: waiting until it ends." % data_folder)
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:
        log("%s cannot be locked: do not start a second run." % data_folder)
    return file


def summarize(results):
    """Print a table of all files, then what is missing and why, each reason once. Returns the exit status."""
    log("")
    for result in results:
        sets, size = ", ".join(result.download.sets), "{:,}".format(result.size)
        log("%-14s  %-20s  %11s bytes  %s" % (sets, result.file.name, size, result.state))
    failed = [result for result in results if result.problems]
    if not failed:
        return 0
    log("\nNot fetched:")
    for problems, alike in itertools.groupby(failed, lambda result: result.problems):
        names = ", ".join(result.file.name for result in alike)
        log("\n    ".join(["  %s, because of" % names] + problems))
    log("Run it again to go on; or get %s in another way into a folder, and run\n"
        "RRU_DATA_MIRROR=<folder> bash get_data.sh"
        % ", ".join(sorted({result.download.name for result in failed})))
    return 1


def main(argv=None, downloads=DOWNLOADS):
    """Get what the arguments ask for. Returns the exit status: 1 where something is missing. Raises UserError."""
    names = {name.lower(): name for download in downloads for name in download.sets}
    parser = OneLineParser(
        prog="bash get_data.sh", allow_abbrev=False,
        description="Downloads and checks the data sets. A mirror of your own (folder or address) is tried first"
                    " if RRU_DATA_MIRROR names it: file names as at the original addresses, checksums in"
                    " SHA256SUMS. Exit status: 0 all is in place, 1 something is missing, 2 wrong use.")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=list(names.values()), choices=names.values(),
                        type=lambda name: names.get(name.lower(), name),
                        help="data sets to get: %s (default: all)" % ", ".join(names.values()))
    parser.add_argument("--force", action="store_true", help="fetch anew what is there and right, too")
    parser.add_argument("--data_folder", default=os.path.join(ROOT, "data"), help="default: %(default)s")
    options = parser.parse_args(argv)
    mirror = mirror_address(os.environ.get("RRU_DATA_MIRROR", ""))
    try:
        os.makedirs(options.data_folder, exist_ok=True)
        with lock(options.data_folder):
            getter = Getter(options.data_folder, mirror, options.force)
            return summarize([result for download in downloads if set(download.sets) & set(options.only)
                              for result in getter.get(download)])
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError("the data folder cannot be used: %s" % error)
    except KeyboardInterrupt:
        print("\nStopped. Run it again to go on.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    run_as_script(main)
