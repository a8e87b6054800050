"""Which data these are: a fingerprint of their content, and whether they are the published.

Neither a file's name nor its size identifies its content. So a data set is known by
digests: those of data_preparation/sources.py for files that everybody has alike, and of what is in
them for archives that differ from one download to the next (their arrays are the same, their
compression is not).
"""

import hashlib
import itertools
from collections import namedtuple

import numpy as np

from data_preparation.sources import DOWNLOADS
from files.project import project_path
from files.reading import load_json, new_digest

# fingerprint: a SHA-256, as hex, of the content of a data set's sources, so that other data have
# another one. fraction: 1 for the published data and a user's own, less for a beginning of the
# published ones, None for any other data.
Identity = namedtuple("Identity", "fingerprint fraction")

# Fingerprints of the published data sets that are known by what is in their archives:
# content_digest of the arrays named in mnist_utils.py and sa_utils.py, joined by `fingerprint_of`.
# The sample is known as a file.
PUBLISHED_CONTENT = {
    "MNIST": "57c3957960727ed5be81199ceaee2f201b920579df1813f084b10703e08da328",
    "IMDB": "9031fa935aa51ec3ae00d11e292e60bfb3236a30ef55b42eb5bd397e825dde94",
    "Bach Chorales": "ce3c38f6d5a84e3aa1c8f5c83c12c2adb7458802e106283665372f07a3b63480",
}

# {text: {bytes: SHA-256 of that many first bytes}} of the published texts, as far as is known.
_BEGINNINGS = project_path("data_preparation/beginnings.json")


def content_digest(arrays):
    """The SHA-256, as hex, of numpy arrays: of the type, shape and bytes of each in turn."""
    digest = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        digest.update(("%s %s\n" % (array.dtype.str, array.shape)).encode())
        digest.update(array.data)
    return digest.hexdigest()


def fingerprint_of(digests):
    """One fingerprint for all sources of a data set, from the digest of each."""
    return hashlib.sha256("\n".join(digests).encode("utf-8", "surrogateescape")).hexdigest()


def identity_of_content(name, digests):
    """The Identity of a data set that is known by the content of its archives."""
    fingerprint = fingerprint_of(digests)
    return Identity(fingerprint, 1 if fingerprint == PUBLISHED_CONTENT[name] else None)


def identity_of_files(contents):
    """The Identity of a data set that is known by its files; contents: {file name: bytes}."""
    fractions = {_fraction(name, content) for name, content in contents.items()}
    digests = [hashlib.sha256(content).hexdigest() for content in contents.values()]
    return Identity(fingerprint_of(digests), fractions.pop() if len(fractions) == 1 else None)


def beginnings(name):
    """{bytes: SHA-256 of that many first bytes} of a published text, by which a prefix is known."""
    return {int(size): digest for size, digest in load_json(_BEGINNINGS).get(name, {}).items()}


def _fraction(name, content):
    """1 for a published file, less for a beginning of one, None for another."""
    files = itertools.chain.from_iterable(source.files for source in DOWNLOADS)
    published = next((file for file in files if file.name == name), None)
    if published is None:
        return None
    digest = new_digest(len(published.checksum))
    digest.update(content)
    if digest.hexdigest() == published.checksum:
        return 1
    known = {size: digest for size, digest in beginnings(name).items() if size <= len(content)}
    if not known or len(content) >= published.size:
        return None
    view = memoryview(content)
    is_beginning = all(hashlib.sha256(view[:size]).hexdigest() == known[size] for size in known)
    return len(content) / published.size if is_beginning else None
