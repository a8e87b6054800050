"""The published texts, and the one that comes with Python: from their files to ids."""

import hashlib
import platform
import string
from collections import Counter, namedtuple

import numpy as np

from data_preparation import texts
from data_preparation.identity import Identity, fingerprint_of, identity_of_files
from data_preparation.prepared import SPLITS
from files.errors import UserError
from files.reading import load_bytes

# A data set. `files` in data/lm/unchanged: one a split, one that is split by position, or none
# (embedded text). `alphabet`: the bytes the published text has. `limit`: the most words to know.
# `blank`: its sign for a blank.
DataSet = namedtuple("DataSet", "files unit tokenise alphabet limit blank")

_ASCII = string.printable.encode()
_LETTERS = b" " + string.ascii_lowercase.encode()
_BYTES = bytes(range(1, 256))
_WORDS = ("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt")
_CHARACTERS = ("ptb.char.train.txt", "ptb.char.valid.txt", "ptb.char.test.txt")

DATA_SETS = {
    "penn": DataSet(_WORDS, "word", texts.paper_words, _ASCII, 9648, " "),
    "penn-standard": DataSet(_WORDS, "word", texts.standard_words, _ASCII, None, " "),
    "pennchar": DataSet(_CHARACTERS, "character", texts.visible_byte_codes, _ASCII, None, "_"),
    "enwik8": DataSet(("enwik8",), "byte", texts.byte_codes, _BYTES, None, " "),
    "text8": DataSet(("text8",), "character", texts.byte_codes, _LETTERS, None, " "),
    "PythonDocs": DataSet((), "character", texts.code_points, None, None, " "),
}


def make(name, paths):
    """The ready files, the ids of each split and vocabulary.json, and the Identity of the text.

    vocabulary.json has `symbols` (by id) and `stats`: those of texts.stats, and `source_bytes`.
    Raises UserError if the files are not those of the data set.
    """
    tokens, origin, identity = _read_files(name, paths) if paths else _read_embedded_text()
    count = Counter if DATA_SETS[name].unit == "word" else texts.histogram
    symbols = texts.make_symbols(count(tokens["train"]), DATA_SETS[name].limit)
    ids = {split: texts.make_ids(tokens[split], symbols) for split in SPLITS}
    counts = {split: texts.histogram(ids[split], len(symbols)) for split in SPLITS}
    files = {split + ".npy": ids[split] for split in SPLITS}
    stats = dict(texts.stats(symbols, counts), **origin)
    files["vocabulary.json"] = {"symbols": symbols, "stats": stats}
    return files, identity


def _read_files(name, paths):
    """(tokens by split, stats, Identity) of the texts of a data set."""
    source = DATA_SETS[name]
    raw = [load_bytes(path) for path in paths]
    for path, part in zip(paths, raw):
        foreign = part.translate(None, source.alphabet)
        if foreign or not part:
            found = "it holds the byte 0x%02x" % foreign[0] if foreign else "it is empty"
            raise UserError("%s: %s is not the published text (%s)" % (name, path, found))
    if len(raw) > 1:  # of Penn Treebank's lines only the words matter, not how the lines end
        raw = [part.replace(b"\r\n", b"\n") for part in raw]
    identity = identity_of_files(dict(zip(source.files, raw)))
    tokens = [source.tokenise(part) for part in raw]
    by_split = dict(zip(SPLITS, tokens)) if len(tokens) > 1 else _split_by_position(tokens[0])
    return by_split, {"source_bytes": sum(map(len, raw))}, identity


def _read_embedded_text():
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise UserError("PythonDocs: this Python lacks its module pydoc_data",
                        "use a complete CPython 3.7")
    raw = "".join(topics[key] for key in sorted(topics)).encode("utf-8")
    # Every patch release of Python has a text of its own, so these tell which one was used.
    digest = hashlib.sha256(raw).hexdigest()
    origin = {"python": platform.python_version(), "sha256": digest, "source_bytes": len(raw)}
    identity = Identity(fingerprint_of([digest]), 1)
    return _split_by_position(texts.code_points(raw)), origin, identity


def _split_by_position(tokens):
    """{split: tokens}, as is customary for enwik8 and text8."""
    return dict(zip(SPLITS, np.split(tokens, texts.split_ends(len(tokens)))))
