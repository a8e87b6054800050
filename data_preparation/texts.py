"""From raw text to token ids: tokenisations, vocabularies, and the two put together.

Tokens are a list of words, or an array of character or byte codes. Symbols are the texts of the
ids: 0 is padding, 1 whatever the vocabulary does not have, 2.. are words or characters.
"""

import string
from collections import Counter

import numpy as np

SPECIAL_SYMBOLS = ["<padding>", "<unknown>"]
UNKNOWN = 1  # id 0 is padding

_CHUNK = 1 << 22
_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation.replace("'", ""), " "))


def paper_words(raw):
    """The words of the paper's perplexities: lower case, split at all marks but apostrophes."""
    return raw.decode("utf-8").lower().translate(_PUNCTUATION).split()


def standard_words(raw):
    """The words of the literature: as they stand, with <eos> for the end of a line."""
    return raw.decode("utf-8").replace("\n", " <eos> ").split()


def byte_codes(raw):
    """Every byte is a token."""
    return np.frombuffer(raw, np.uint8)


def visible_byte_codes(raw):
    """Every byte is a token, but for blanks and line ends, which only separate."""
    codes = byte_codes(raw)
    return codes[codes > ord(" ")]


def code_points(raw):
    """Every character of a UTF-8 text is a token."""
    return np.frombuffer(raw.decode("utf-8").encode("utf-32-le"), "<u4")


def split_ends(count):
    """The ends of training and validation part of `count` tokens in the customary 90/5/5 split."""
    return count * 90 // 100, count * 95 // 100


def make_symbols(counts, limit=None):
    """The symbols of all ids: special ones, then the `limit` commonest of a text (None: all).

    counts: of words, a Counter, or how often each character's code occurs, an array. Words stand by
    falling frequency, equally common ones by their first appearance; characters by code.
    """
    if isinstance(counts, Counter):
        return SPECIAL_SYMBOLS + sorted(counts, key=counts.get, reverse=True)[:limit]
    commonest = np.argsort(-counts, kind="stable")[:np.count_nonzero(counts)][:limit]
    return SPECIAL_SYMBOLS + [chr(code) for code in np.sort(commonest)]


def id_type(symbols):
    """The type of the ids of so many symbols: the smallest unsigned one that fits them all."""
    return np.min_scalar_type(symbols - 1)


def make_ids(tokens, symbols):
    """The id of every token, as an array of id_type."""
    kind = id_type(len(symbols))
    known = range(len(SPECIAL_SYMBOLS), len(symbols))
    if isinstance(tokens, list):
        table = {symbols[i]: i for i in known}
        return np.fromiter((table.get(word, UNKNOWN) for word in tokens), kind, len(tokens))
    table = np.full(0x110000, UNKNOWN, kind)
    table[[ord(symbols[i]) for i in known]] = known
    ids = np.empty(len(tokens), kind)
    for codes, part in zip(_chunks(tokens), _chunks(ids)):
        part[:] = table[codes]
    return ids


def histogram(numbers, size=0):
    """Count how often each number from 0 to the largest occurs; at least `size` counts."""
    size = max(size, int(numbers.max()) + 1) if len(numbers) else size
    counts = (np.bincount(chunk, minlength=size) for chunk in _chunks(numbers))
    return sum(counts, np.zeros(size, np.int64))


def stats(symbols, counts):
    """The stats of a text that vocabulary.json holds, from {split: how often each id occurs}.

    By split the numbers of `tokens` and of `unknown` ones; the `commonest` symbols with their
    counts in training.
    """
    training = counts["train"]
    commonest = np.argsort(-training, kind="stable")[:8]
    return {"tokens": {split: int(numbers.sum()) for split, numbers in counts.items()},
            "unknown": {split: int(numbers[UNKNOWN]) for split, numbers in counts.items()},
            "commonest": [[symbols[i], int(training[i])] for i in commonest]}


def nats_to_bits(nats):
    """A mean loss in nats a character as bits a character (BPC)."""
    return nats / np.log(2)


def _chunks(array):
    """Views of parts: to count or to index, numpy makes small integers 8 bytes long."""
    return (array[start:start + _CHUNK] for start in range(0, len(array), _CHUNK))
