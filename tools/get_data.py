"""Downloads the published data sets into data/<task>/unchanged and checks them; see get_data.sh.

It needs only the standard library of Python 3.6 or newer. A file takes its place after it was
checked, against its published checksum or else the SHA256SUMS of the user's own mirror. A file
that is there and right is left alone, one of another content is kept beside the one that takes its
place; a download that broke off continues from there.
"""

import argparse
import itertools
import os
import sys
import time
from collections import namedtuple
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from data_preparation.sources import DOWNLOADS
from files.errors import OneLineParser, did_you_mean, run_as_script
from files.project import project_path
from files.reading import file_digest
from files.writing import FolderInUse, lock_folder
from tools.download import (Rejected, add_to_record, describe, discard_parts, fetch,
                            is_prefix, log, mismatch, most_bytes, of_use_in_part, read_record,
                            size_of, unpack)
from tools.mirror import mirror_address, read_sums

TRIES = 3  # per address, when a connection breaks or what was resumed turns out wrong
PAUSE = 1.0  # seconds before another try
# Data sets of the scripts that need the download of another name, or none.
OTHER_NAMES = {"SequentialMNIST": "MNIST", "P-MNIST": "MNIST", "penn-standard": "penn"}
NO_DOWNLOAD = ("Bach Chorales", "PythonDocs", "SequentialDigits")

# The state of one file of a download. `problems` says why it is not in place; it is empty if it is.
Result = namedtuple("Result", "download file size state problems")


def look(download, file, folder):
    """The Result of a file as it lies in `folder` now."""
    path = os.path.join(folder, file.name)
    if not os.path.exists(path):
        return Result(download, file, 0, "MISSING", ["missing"])
    problem, size = mismatch(file, path), size_of(path)
    if problem is None:
        return Result(download, file, size, "right", [])
    if read_record(folder).get(file.name) == file_digest(path):
        return Result(download, file, size, "taken on the mirror's word: " + problem, [])
    return Result(download, file, size, "WRONG: " + problem, [problem])


class Getter(object):
    """Brings downloads into `data_folder`: from `mirror` (an address or ""), else from theirs."""

    def __init__(self, data_folder, mirror, force):
        self._data_folder, self._mirror, self._force = data_folder, mirror, force
        self._unreachable = set()  # hosts that gave no answer: each is waited for once only
        self._sums = read_sums(mirror) if mirror else {}

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
        mirrors = [self._mirror + quote(download.name)] if self._mirror else []
        for url in mirrors + list(download.urls):
            try:
                self._get_from(url, download, folder)
                return [look(download, file, folder) for file in download.files]
            except Exception as error:  # a server can answer anything: the others are still tried
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
                log("  continuing after {:,} bytes".format(held))
            try:
                fetch(url, part, download.name, most_bytes(download, self._is_mirror(url)))
                return self._take(url, download, part, folder)
            except URLError as error:
                if host and not isinstance(error, HTTPError):  # a file: address has no host
                    self._unreachable.add(host)
                raise
            except Exception as error:
                wrong = isinstance(error, Rejected)
                if wrong:
                    discard_parts(download, folder)
                if not tries_left or (wrong and not held):  # fetching it again would not help
                    raise
                then = "fetching it again" if wrong else "trying again"
                log("  %s; %s" % (describe(error), then))
                time.sleep(PAUSE)

    def _is_mirror(self, url):
        return bool(self._mirror) and url.startswith(self._mirror)

    def _take(self, url, download, part, folder):
        """Check what was fetched and rename it into place. Raises Rejected."""
        unpacked = unpack(download, part, folder)
        problems = {}
        for file, path in unpacked:
            problem = mismatch(file, path)
            if problem:
                problems[file.name] = problem
                self._check_word(url, download, part, file, problem)
        # Written before the renaming: a kill in between must not leave an unknown file.
        if problems:
            add_to_record(folder, {file.name: file_digest(path) for file, path in unpacked
                                   if file.name in problems})
        for file, path in unpacked:
            _keep_other(file, path, folder)
            os.replace(path, os.path.join(folder, file.name))
        discard_parts(download, folder)

    def _check_word(self, url, download, part, file, problem):
        """Raise Rejected unless the user's mirror vouches for a file that is not the published one.

        In an archive that is meant for a prefix: nothing else needs to differ from the published.
        """
        vouched = self._is_mirror(url) and self._sums.get(download.name) == file_digest(part)
        if not vouched or not (file.member is None or of_use_in_part(file)):
            raise Rejected("%s: %s" % (file.name, problem))


def _keep_other(file, new, folder):
    """Rename a file that is about to be replaced if it may be the user's own, and say so."""
    path = os.path.join(folder, file.name)
    known = read_record(folder).get(file.name)
    if not os.path.exists(path) or not mismatch(file, path) or known == file_digest(path):
        return
    if is_prefix(path, new):  # a part of what takes its place, broken off
        return
    names = ("%s.other-%d" % (path, number) for number in itertools.count(1))
    kept = next(name for name in names if not os.path.lexists(name))
    os.rename(path, kept)
    log("  kept the other file of this name that was there: %s" % kept)


def summarize(results):
    """Print a table of all files, then what is missing and why. Returns the exit status."""
    log("")
    for result in results:
        sets = ", ".join(result.download.sets)
        size = "{:,} bytes".format(result.size)
        log("%-14s  %-20s  %17s  %s" % (sets, result.file.name, size, result.state))
    failed = [result for result in results if result.problems]
    if not failed:
        return 0
    log("\nNot fetched:")
    for problems, alike in itertools.groupby(failed, lambda result: result.problems):
        names = ", ".join(result.file.name for result in alike)
        log("\n    ".join(["  %s, because of" % names] + problems))
    log("The same command continues; or get %s in another way into a folder,\n"
        "and put RRU_DATA_MIRROR=<folder> before the command"
        % ", ".join(sorted({result.download.name for result in failed})))
    return 1


def main(argv=None, downloads=DOWNLOADS):
    """Get what the arguments ask for. Returns the exit status: 1 if something is missing."""
    options = _parser(downloads).parse_args(argv)
    folder = project_path(options.data_folder)
    mirror = mirror_address(os.environ.get("RRU_DATA_MIRROR", ""))
    os.makedirs(folder, exist_ok=True)
    with _lock(folder):
        getter = Getter(folder, mirror, options.force)
        results = [getter.get(download) for download in downloads
                   if set(download.sets) & set(options.only)]
        return summarize(list(itertools.chain.from_iterable(results)))


def _parser(downloads):
    sets = itertools.chain.from_iterable(download.sets for download in downloads)
    names = list(dict.fromkeys(sets))  # some need two downloads
    others = [other for other, name in OTHER_NAMES.items() if name in names]

    def data_set(text):
        known = {name.lower(): name for name in names}
        known.update((other.lower(), OTHER_NAMES[other]) for other in others)
        if text.lower() in known:
            return known[text.lower()]
        if text.lower() in map(str.lower, NO_DOWNLOAD):
            raise argparse.ArgumentTypeError("%s needs no download" % text)
        raise argparse.ArgumentTypeError("there is no %r%s (of %s)" % (
            text, did_you_mean(text, list(known.values()) + others), ", ".join(names + others)))

    parser = OneLineParser(
        prog="bash get_data.sh", allow_abbrev=False,
        description="Downloads and checks the data sets. A mirror of your own (folder or address)"
                    " is tried first if RRU_DATA_MIRROR names it: file names as at the original"
                    " addresses, checksums in SHA256SUMS. Exit status: 0 all is in place, 1"
                    " something is missing, 2 wrong use.")
    parser.add_argument("--only", nargs="+", metavar="NAME", default=names, type=data_set,
                        help="data sets to get: %s (default: all)" % ", ".join(names + others))
    parser.add_argument("--force", action="store_true",
                        help="fetch again what is there and right, too; a file of another content"
                             " is kept as NAME.other-1")
    parser.add_argument("--data_folder", default="data",
                        help="a relative one is in the project's folder (default: %(default)s)")
    return parser


def _lock(folder):
    """Lock the data folder, waiting until no other run works in it."""
    try:
        return lock_folder(folder, ".get_data.lock")
    except FolderInUse:
        log("Another run fills %s: waiting until it ends." % folder)
        return lock_folder(folder, ".get_data.lock", wait=True)


if __name__ == "__main__":
    run_as_script(main)
