"""A user's own text, of any size, read in pieces: its files, its symbols and its ids."""

import codecs
import functools
import gzip
import io
import os
import re
import sys
import unicodedata
from collections import Counter

import numpy as np

from data_preparation import texts
from data_preparation.own import described, files_below, user_paths
from data_preparation.prepared import SPLITS
from data_preparation.ready_files import ArrayInPieces
from files.errors import UserError
from files.reading import reading

UNITS = ("character", "word")
LEAST = 40  # tokens, so that every part of the text has something to predict
PIECE = 1 << 20  # characters
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"),
          (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
          (codecs.BOM_UTF16_BE, "utf-16"))
_BLANK = re.compile(r"\s\S*\Z")


def find(given):
    """{name: path} of a text: of one file, of the files of a folder, or of "train,valid,test"."""
    paths = user_paths(given)
    path = paths[0] if len(paths) == 1 else ""
    if os.path.isdir(path):
        return files_below(path, (".txt", ".txt.gz"))
    if os.path.isfile(path):
        return {os.path.basename(path): path}
    if os.path.exists(path):
        raise UserError("own_text is %s, which is neither a file nor a folder" % path)
    present = [path for path in paths if os.path.exists(path)]
    if not present:
        return {}
    if len(paths) != len(SPLITS):
        raise UserError("own_text names %d files" % len(paths),
                        "name one, or three as train,valid,test without commas in their paths")
    if len(present) < len(paths):
        raise UserError("%s is missing" % next(path for path in paths if path not in present))
    return dict(zip(SPLITS, paths))


def check_options(own_unit, own_vocabulary):
    """Raise UserError for values that cannot be."""
    if own_unit not in UNITS:
        raise UserError("own_unit is %r" % own_unit, "give one of " + ", ".join(UNITS))
    if own_vocabulary < 1:
        raise UserError("own_vocabulary is %d" % own_vocabulary, "give 1 or more")


def make(paths, unit, limit):
    """The ready files of a text: tokens.npy, the ids of all splits in turn, and vocabulary.json.

    paths: see `find`; unit: one of UNITS; limit: the most symbols to know, the commonest of the
    training part. Nothing of the text is kept in memory but a piece at a time and the counts of
    words. Raises UserError if there is no such text, or not enough of it.
    """
    text, title = Text(paths, unit), described(paths)
    total = sum(text.lengths.values())
    if total < LEAST or min(text.lengths.values()) < 2:
        parts = ", ".join("%d in %s" % (count, split) for split, count in text.lengths.items())
        raise UserError("%s is too short: it has %d %ss (%s)" % (title, total, unit, parts),
                        "give %d or more, and 2 in each part" % LEAST)
    symbols = _symbols(text, unit, limit)
    known = len(symbols) - len(texts.SPECIAL_SYMBOLS)
    if known < 2:
        raise UserError("%s has nothing to predict: its training part holds only %r" % (
            title, symbols[-1]))
    counts = {split: np.zeros(len(symbols), np.int64) for split in SPLITS}

    def ids():
        for split, tokens in text.segments():
            part = texts.make_ids(tokens, symbols)
            counts[split] += texts.histogram(part, len(symbols))
            yield part
        if sum(map(np.sum, counts.values())) != total:
            raise UserError("%s changed while it was read" % title, "start again")

    def vocabulary():  # called when all ids are written, so that the counts are there
        stats = texts.stats(symbols, counts)
        stats["source_bytes"] = sum(map(os.path.getsize, paths.values()))
        return {"symbols": symbols, "stats": stats}

    tokens = ArrayInPieces(texts.id_type(len(symbols)), total, ids())
    return {"tokens.npy": tokens, "vocabulary.json": vocabulary}


class Text(object):
    """The tokens of a text, read from disk each time.

    paths: {split: path} of three files, else {name: path} of one text that is split by position,
    90/5/5. Attribute: lengths, {split: number of tokens}.
    """

    def __init__(self, paths, unit):
        self._tokens = characters if unit == "character" else words
        self._parts = ([(split, [paths[split]]) for split in SPLITS] if set(paths) == set(SPLITS)
                       else [(None, list(paths.values()))])
        counts = [sum(map(len, self._tokens(files))) for _, files in self._parts]
        if len(counts) == 1:
            self._ends = texts.split_ends(counts[0])
            counts = np.diff([0, *self._ends, counts[0]]).tolist()
        self.lengths = dict(zip(SPLITS, counts))

    def segments(self):
        """Pieces of the text in order, as (split, tokens)."""
        for split, files in self._parts:
            position = 0
            for tokens in self._tokens(files):
                if split:
                    yield split, tokens
                    continue
                first, second = [max(end - position, 0) for end in self._ends]
                pieces = tokens[:first], tokens[first:second], tokens[second:]
                yield from ((name, piece) for name, piece in zip(SPLITS, pieces) if len(piece))
                position += len(tokens)


def characters(paths):
    """The code points of a text in pieces, uint32 arrays."""
    for piece in pieces(paths):
        yield np.frombuffer(piece.encode("utf-32-le"), "<u4")


def words(paths):
    """The words of a text in pieces, lists of text: words as they are written, each mark of
    punctuation, and <eos> for the end of a line."""
    rest = ""
    for piece in pieces(paths):
        rest += piece
        blank = _BLANK.search(rest, max(len(rest) - PIECE, 0))
        end = blank.start() + 1 if blank else 0  # without the last word, which may continue
        if not end and len(rest) > PIECE:
            end = len(rest)
        yield split_words(rest[:end])
        rest = rest[end:]
    yield split_words(rest)


def split_words(text):
    """The words of a piece of text, see `words`."""
    return ["<eos>" if word == "\n" else word for word in _word().findall(text)]


@functools.lru_cache(maxsize=None)
def _word():
    """The pattern of a word. To Python the marks that combine with a letter, as the vowel signs
    of Hindi, are no part of a word, nor are the joiners and the soft hyphen within one. Most signs
    are ASCII, and passed over at once."""
    signs = map(chr, range(sys.maxunicode + 1))
    marks = "".join(sign for sign in signs if unicodedata.category(sign)[0] == "M")
    letters = r"\w+(?:(?![\x00-\x7f])[\u200c\u200d\u00ad%s]+\w*)*" % re.escape(marks)
    return re.compile(r"\n|%s(?:['’]%s)*|[^\w\s]" % (letters, letters))


def encoded_words(raw):
    """The words of a UTF-8 text, see `words`."""
    return split_words(raw.decode("utf-8"))


def pieces(paths):
    """A text in pieces of at most PIECE characters, a line's end between its files.

    Raises UserError for a file that is not text.
    """
    for number, path in enumerate(paths):
        if number:
            yield "\n"
        with reading(path):
            try:
                with _open(path) as file:
                    for piece in iter(lambda: file.read(PIECE), ""):
                        if "\0" in piece:
                            raise UserError("%s is not text: it holds NUL characters" % path,
                                            "convert it to UTF-8, or give another one")
                        yield piece
            except UnicodeDecodeError as error:
                raise UserError(
                    "%s is not %s (%s: byte 0x%02x)" % (
                        path, error.encoding.upper(), error.reason, error.object[error.start]),
                    "convert it to UTF-8" + (", such as by `iconv -f ISO-8859-1 -t UTF-8 OLD > NEW`"
                                             if error.encoding == "utf-8" else ""))


def _open(path):
    """A file as text: UTF-8, or what its first bytes say; every line's end becomes a newline."""
    raw = (gzip.open if path.lower().endswith(".gz") else open)(path, "rb")
    start = raw.read(4)
    raw.seek(0)
    encoding = next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8")
    return io.TextIOWrapper(raw, encoding=encoding)


def _symbols(text, unit, limit):
    """See texts.make_symbols."""
    training = (tokens for split, tokens in text.segments() if split == "train")
    if unit == "word":
        counts = Counter()
        for tokens in training:
            counts.update(tokens)
            if len(counts) > max(20 * limit, 1 << 20):  # the rarest go, to bound the memory
                counts = Counter(dict(counts.most_common(max(10 * limit, 1 << 19))))
    else:
        counts = sum(texts.histogram(tokens, 0x110000) for tokens in training)
    return texts.make_symbols(counts, limit)
