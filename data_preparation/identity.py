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

# fingerprint: a SHA-256, as hex, of the content of a data set's sources, so that other data have
# another one. fraction: 1 for the published data, less for a beginning of them, None for any other
# data.
Identity = namedtuple("Identity", "fingerprint fraction")

# Fingerprints of the published data sets that are known by what is in their archives:
# content_digest of the arrays named in mnist_utils.py and sa_utils.py, joined by `fingerprint_of`.
# The sample is known as a file.
PUBLISHED_CONTENT = {
    "MNIST": "57c3957960727ed5be81199ceaee2f201b920579df1813f084b10703e08da328",
    "IMDB": "9031fa935aa51ec3ae00d11e292e60bfb3236a30ef55b42eb5bd397e825dde94",
    "Bach Chorales": "ce3c38f6d5a84e3aa1c8f5c83c12c2adb7458802e106283665372f07a3b63480",
}

# SHA-256 of the first so many bytes of the published texts, as far as a beginning of them can be
# checked.
BEGINNINGS = {
    "text8": {
        4096: "55db9f1ef4dc2fd4ca102852cb21db800f61f6c61b97508ca257543b2311779e",
        8192: "029c52afa25a9c9340c063079c17ba2373262e4796e23c71fdd359e3ed4b7ae2",
        16384: "eaa5fcd1274856642d8adbdbbb56ee4a329f893bb1eda45760a3001f7e000286",
        32768: "cd2912d40cdcfcc8cb8ead7c81fd8c9a5916c4bb8879810293a945ed225f1c13",
        65536: "28b8d3ca377976b77aeef1ae27ec72f62ee1756f92e79498a1cbbb06afa371b4",
        131072: "ef7cf7a2899376c4d5d605069446b1be133de172a27eb58f2a76e763159d5b72",
        262144: "c8def9a2c0ff1b93f5472b7ad05d43f16e934547e174ad3dd776def20ef186e7",
        524288: "16aa909de9cd45b87678ee9daf440402b7202b4fe502734810df38cafc5fc87e",
        1048576: "f9635e4ae4e252df008db14870d2fef6ff6ba90be1c9f64032861fb9dc9d90cb",
        2097152: "4dc2e4b689c21a5364caa577eef0d5ec2e94fb8e7f6b7681e8cfd9935501d522",
        4194304: "2b43a1bcfd775f26b322343e927c170339102344d47174429b5234cdb2038ce4",
        8388608: "e44fc2c06ce24f24cf0560e15f45529f99f8de432bd9a9026f269c949f8c6d65",
        12549840: "1b40ab68e13d520469aa90315b92b1466810394246571fadf742c971c3b65a25",
    },
    "enwik8": {
        4096: "652ed0541c8b9e2d8194c2a1cd20a3ea516efaa542082535c0ef57267e1ca49e",
        8192: "b4a8bf3f56f0fcabc2a6d8fe6814c266ae9802db1ecd7cc2ae655c310f585d37",
        16384: "f72f174851ed11ae77711d9c7d2df9e3c34666e09adadb61a1081ff54df0196f",
        32768: "de91bc4727fadadb7abfa3af752e8d7ac6cfb24c87b7cf4078858088dcd4e5c7",
        65536: "05fc5f44993ef0557959db76bf47e45badb2dd9c69d93ce08911935b5e52bf40",
        131072: "e1caf642275159b230fe13d6c799cebdfb0f21eea2f7ef976eb4d2e911c196d1",
        262144: "0cdfd008d5327addbf5b118b4a8d616a8cc2971627727b10bfb20e97920881e7",
        524288: "30609555835426b5b5fb350fbd14e8dc81145593ac57084eb6a2afbc5f1c7d7e",
        1048576: "4fb5efa9f35df431737731bf3c8f38a467b69731940ff82a4ee0e218aae58834",
        2097152: "9dd214e64458c0c36f75a6100aed1a90a7b76ff9dfbb85dc032dea17a1963f50",
        4154399: "d502ac7ecb9dd47a062e7d19b8dcd3c753b07c142e48b13dcd521cb747116bdd",
    },
}


def content_digest(arrays):
    """The SHA-256, as hex, of numpy arrays: of the type, shape and bytes of each in turn."""
    digest = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        digest.update(("%s %s\n" % (array.dtype.str, array.shape)).encode())
        digest.update(array.data)
    return digest.hexdigest()


def file_digest(path):
    """The SHA-256 of a file, as hex; read in pieces, so that a large one needs little memory."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            digest.update(piece)
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


def _fraction(name, content):
    """1 for a published file, less for a beginning of one, None for another."""
    files = itertools.chain.from_iterable(source.files for source in DOWNLOADS)
    published, = [file for file in files if file.name == name]
    algorithm = {32: "md5", 64: "sha256"}[len(published.checksum)]
    if hashlib.new(algorithm, content).hexdigest() == published.checksum:
        return 1
    beginnings = BEGINNINGS.get(name, {})
    known = {size: digest for size, digest in beginnings.items() if size <= len(content)}
    if not known or len(content) >= published.size:
        return None
    view = memoryview(content)
    is_beginning = all(hashlib.sha256(view[:size]).hexdigest() == known[size] for size in known)
    return len(content) / published.size if is_beginning else None
