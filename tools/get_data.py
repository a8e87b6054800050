"""Downloads the published data sets into data/<task>/unchanged and checks them. Started by get_data.sh.

It needs only the standard library of Python 3.6 or newer. A file takes its place after it was checked, against its
published checksum or else the SHA256SUMS of the user's own mirror. What is there and right is left alone; a
download that broke off goes on where it stopped.
"""

import argparse
import contextlib
import http.client
import os
import pathlib
import sys
import time
from collections import namedtuple
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

from data_files import (TIMEOUT, Rejected, add_to_record, digest, discard_parts, fetch, mismatch, read_record, say,
                        size_of, unpack)
from data_sources import DOWNLOADS

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

TRIES = 3  # per address, when a connection breaks or what was resumed turns out wrong
PAUSE = 1.0  # seconds before another try

# What became of one file of a download. `problems` says why it is not in place; it is empty when it is.
Result = namedtuple("Result", "download file size state problems")


class UsageError(Exception):
    """A wrong option or an unusable setting. Its text is one line."""


class OneLineParser(argparse.ArgumentParser):
    """Names a wrong option in one line."""

    def error(self, message):
        raise UsageError("%s (bash get_data.sh --help shows the options)" % message)


def describe(error):
    """An error in a few words, without the wrapping of urllib."""
    if isinstance(error, HTTPError):
        return "HTTP %d %s" % (error.code, error.reason)
    reason = getattr(error, "reason", error)
    if isinstance(reason, FileNotFoundError):
        return "not there"
    return " ".join(str(reason).split()) or type(reason).__name__


def look(download, file, folder):
    """The Result of a file as it lies in `folder` now."""
    path = os.path.join(folder, file.name)
    if not os.path.exists(path):
        return Result(download, file, 0, "MISSING", ["missing"])
    problem, size = mismatch(file, path), os.path.getsize(path)
    if problem is None:
        return Result(download, file, size, "right", [])
    if read_record(folder).get(file.name) == digest(path):
        return Result(download, file, size, "taken on the mirror's word: %s" % problem, [])
    return Result(download, file, size, "WRONG: %s" % problem, [problem])


def mirror_address(text):
    """The address, with a slash at its end, of a mirror given as a folder or a URL. None if `text` is empty."""
    if not text:
        return None
    if urlsplit(text).scheme in ("http", "https", "file"):
        return quote(text, safe="/:?=&%@+,;~[]").rstrip("/") + "/"
    if os.path.isdir(text):
        return pathlib.Path(text).resolve().as_uri().rstrip("/") + "/"
    raise UsageError("RRU_DATA_MIRROR is %r: set it to a folder or to an http:, https: or file: address" % text)


class Getter(object):
    """Brings downloads into `data_folder`: from `mirror` (an address or None), else from their own addresses."""

    def __init__(self, data_folder, mirror, force):
        self._data_folder, self._mirror, self._force = data_folder, mirror, force
        self._unreachable = set()  # hosts that gave no answer: each is waited for once only
        self._sums = self._read_sums() if mirror else {}

    def _read_sums(self):
        try:
            with urlopen(self._mirror + "SHA256SUMS", timeout=TIMEOUT) as response:
                lines = response.read().decode("utf-8", "replace").splitlines()
        except (OSError, http.client.HTTPException) as error:
            say("The mirror's SHA256SUMS cannot be read (%s): it counts only where a published checksum agrees."
                % describe(error))
            return {}
        pairs = (line.split(None, 1) for line in lines)
        return {pair[1].strip().lstrip("*"): pair[0].lower() for pair in pairs if len(pair) == 2}

    def get(self, download):
        """Make sure that the files of `download` are in place. Returns a Result for each."""
        folder = os.path.join(self._data_folder, download.task, "unchanged")
        os.makedirs(folder, exist_ok=True)
        os.makedirs(os.path.join(self._data_folder, download.task, "ready"), exist_ok=True)
        results = [look(download, file, folder) for file in download.files]
        complete = not any(result.problems for result in results)
        if self._force or complete:
            discard_parts(download, folder)
        if complete and not self._force:
            say("%s: there already" % download.name)
            return results
        problems = []
        for url in ([self._mirror + quote(download.name)] if self._mirror else []) + list(download.urls):
            try:
                self._get_from(url, download, folder)
                return [look(download, file, folder) for file in download.files]
            except (Rejected, OSError, http.client.HTTPException) as error:
                say("  no: %s" % describe(error))
                problems.append("%s: %s" % (url, describe(error)))
        return [result._replace(problems=problems) if self._force or result.problems else result
                for result in results]

    def _get_from(self, url, download, folder):
        part = os.path.join(folder, download.name + ".part")
        host = urlsplit(url).netloc
        say("%s: fetching from %s" % (download.name, url))
        if host in self._unreachable:
            raise Rejected("its host could not be reached before")
        for tries_left in reversed(range(TRIES)):
            held = size_of(part)
            if held:
                say("  going on behind {:,} bytes".format(held))
            try:
                fetch(url, part, download.name)
                return self._take(url, download, part, folder)
            except HTTPError:
                raise
            except URLError:
                self._unreachable.update({host} - {""})  # a file: address has no host
                raise
            except Rejected as error:
                discard_parts(download, folder)
                if not held or not tries_left:
                    raise
                say("  %s; fetching it anew" % error)
            except (OSError, http.client.HTTPException) as error:
                if not tries_left:
                    raise
                say("  %s; trying again" % describe(error))
                time.sleep(PAUSE)

    def _take(self, url, download, part, folder):
        """Check what was fetched and rename it into place. Raises Rejected."""
        unpacked = unpack(download, part, folder)
        problems = [(file.name, path, mismatch(file, path)) for file, path in unpacked]
        problems = [entry for entry in problems if entry[2]]
        if problems:
            from_mirror = self._mirror and url.startswith(self._mirror)
            if not from_mirror or self._sums.get(download.name) != digest(part):
                raise Rejected("; ".join("%s: %s" % (name, problem) for name, _, problem in problems))
            # Written before the renaming: a kill in between must not leave a file that the next run does not know.
            add_to_record(folder, {name: digest(path) for name, path, _ in problems})
        for file, path in unpacked:
            os.replace(path, os.path.join(folder, file.name))
        discard_parts(download, folder)


@contextlib.contextmanager
def only_run(data_folder):
    """Wait until no other run works in `data_folder`. The lock goes with the process, however that ends."""
    with open(os.path.join(data_folder, ".get_data.lock"), "w") as file:
        if fcntl:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("Another run fills %s: waiting until it ends." % data_folder)
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError:
                say("%s cannot be locked: do not start a second run." % data_folder)
        yield


def summarize(results):
    """Print a table of all files, then what is missing and why. Returns the exit status."""
    rows = [(", ".join(result.download.sets), result.file.name, "{:,}".format(result.size), result.state)
            for result in results]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    say("")
    for row in rows:
        say("%-*s  %-*s  %*s bytes  %s" % (widths[0], row[0], widths[1], row[1], widths[2], row[2], row[3]))
    failed = [result for result in results if result.problems]
    if not failed:
        return 0
    say("\nNot fetched:")
    for result in failed:
        say("\n    ".join(["  %s, because of" % result.file.name] + result.problems))
    say("Run it again to go on; or get %s in another way into a folder, and run\n"
        "RRU_DATA_MIRROR=<folder> bash get_data.sh"
        % ", ".join(sorted({result.download.name for result in failed})))
    return 1


def parse_arguments(argv, downloads):
    """Returns (the downloads asked for, data folder, force)."""
    names = list(dict.fromkeys(name for download in downloads for name in download.sets))
    default = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data")
    parser = OneLineParser(
        prog="get_data.sh", allow_abbrev=False,
        description="Downloads and checks the data sets. A mirror of your own (folder or address) is tried first"
                    " if RRU_DATA_MIRROR names it: file names as at the original addresses, checksums in"
                    " SHA256SUMS. Exit status: 0 all is in place, 1 something is missing, 2 wrong use.")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=names,
                        help="data sets to get: %s (default: all)" % ", ".join(names))
    parser.add_argument("--force", action="store_true", help="fetch anew what is there and right, too")
    parser.add_argument("--data_folder", default=default, help="default: %(default)s")
    arguments = parser.parse_args(argv)
    for name in arguments.only:
        if name.lower() not in [known.lower() for known in names]:
            parser.error("--only got %r, the data sets are: %s" % (name, ", ".join(names)))
    wanted = {name.lower() for name in arguments.only}
    chosen = [download for download in downloads if wanted & {name.lower() for name in download.sets}]
    return chosen, arguments.data_folder, arguments.force


def main(argv=None, downloads=DOWNLOADS):
    """Get what the arguments ask for. Returns the exit status."""
    try:
        chosen, data_folder, force = parse_arguments(argv, downloads)
        mirror = mirror_address(os.environ.get("RRU_DATA_MIRROR"))
        os.makedirs(data_folder, exist_ok=True)
        with only_run(data_folder):
            getter = Getter(data_folder, mirror, force)
            return summarize([result for download in chosen for result in getter.get(download)])
    except UsageError as error:
        print("error: %s" % error, file=sys.stderr)
    except OSError as error:
        print("error: the data folder cannot be used: %s" % error, file=sys.stderr)
    except KeyboardInterrupt:
        print("\nStopped. Run it again to go on.", file=sys.stderr)
        return 130
    return 2


if __name__ == "__main__":
    sys.exit(main())
