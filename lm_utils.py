"""Language modelling data: texts become token ids, and ids become batches of windows.

`python -u lm_utils.py` turns the texts in data/lm/unchanged into data/lm/ready/<data set>/{train,valid,test}.npy
(ids, see data_preparation/texts.py) and vocabulary.json (symbols of the training part, facts), and prints an analysis.
`load(settings)` is what lm_main.py works with.
"""

import hashlib
import os
import platform
import string
from collections import namedtuple

import numpy as np

from data_preparation import texts
from data_preparation.batches import Batches, example_groups, generator
from data_preparation.identity import Identity, fingerprint_of, identity_of_files
from data_preparation.prepared import SPLITS, PreparedData, Task, data_label
from files.errors import UserError, hint, run_as_script
from files.arrays import map_array
from files.reading import load_bytes, load_json, reading

STATE_RESET_PURPOSE = 1

# A data set. `files` in data/lm/unchanged: one a split, one that is split by position, or none (embedded text).
# `alphabet`: the bytes an undamaged file may hold. `limit`: the most words to know. `blank`: its sign for a blank.
DataSet = namedtuple("DataSet", "files unit tokenise alphabet limit blank")

_ASCII = string.printable.encode()
_LETTERS = b" " + string.ascii_lowercase.encode()
_WORDS = ("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt")
_CHARACTERS = ("ptb.char.train.txt", "ptb.char.valid.txt", "ptb.char.test.txt")

DATA_SETS = {
    "penn": DataSet(_WORDS, "word", texts.paper_words, _ASCII, 9648, " "),
    "penn-standard": DataSet(_WORDS, "word", texts.standard_words, _ASCII, None, " "),
    "pennchar": DataSet(_CHARACTERS, "character", texts.visible_byte_codes, _ASCII, None, "_"),
    "enwik8": DataSet(("enwik8",), "byte", texts.byte_codes, bytes(range(1, 256)), None, " "),
    "text8": DataSet(("text8",), "character", texts.byte_codes, _LETTERS, None, " "),
    "PythonDocs": DataSet((), "character", texts.code_points, None, None, " "),
}


def _make(name, paths):
    """The ready files, the ids of each split and vocabulary.json, and the Identity of the text.

    vocabulary.json has `symbols` (by id) and `facts`: by split, the numbers of `tokens` and of
    `unknown` ones; the `commonest` symbols with their counts in training; `source_bytes`.
    """
    tokens, facts, identity = _read_files(name, paths) if paths else _read_embedded_text()
    symbols = texts.make_symbols(tokens["train"], DATA_SETS[name].limit)
    ids = {split: texts.make_ids(tokens[split], symbols) for split in SPLITS}
    counts = {split: texts.histogram(ids[split], len(symbols)) for split in SPLITS}
    commonest = np.argsort(-counts["train"], kind="stable")[:8]
    facts["tokens"] = {split: len(ids[split]) for split in SPLITS}
    facts["unknown"] = {split: int(counts[split][texts.UNKNOWN]) for split in SPLITS}
    facts["commonest"] = [[symbols[i], int(counts["train"][i])] for i in commonest]
    files = {split + ".npy": ids[split] for split in SPLITS}
    files["vocabulary.json"] = {"symbols": symbols, "facts": facts}
    return files, identity


def _read_files(name, paths):
    """(tokens by split, facts, Identity) of the texts of a data set."""
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
    facts = {"python": platform.python_version(), "sha256": digest, "source_bytes": len(raw)}
    identity = Identity(fingerprint_of([digest]), 1)
    return _split_by_position(texts.code_points(raw)), facts, identity


def _split_by_position(tokens):
    """The customary 90/5/5 split of enwik8 and text8: training, validation and test part in this order."""
    first, second = len(tokens) * 90 // 100, len(tokens) * 95 // 100
    return {"train": tokens[:first], "valid": tokens[first:second], "test": tokens[second:]}


class LanguageData(PreparedData):
    """A prepared data set: its vocabulary, and batches of windows of W = window_size inputs.

    A window that starts at token s has s .. s+W-1 as inputs and s+1 .. s+W as targets. These windows there are:

    - Training, not stateful: all full windows that start every W/2 tokens (rounded down), shuffled in each epoch.
    - Training, stateful: full windows one after another. Stream j of a batch is the j-th contiguous block of
      floor(windows / batch_size) windows; batch i has window i of every stream, so that states can be carried on.
    - Validation and test: one every W/2 tokens, the last as short as the text leaves it. In all but the first only
      those targets count which the one before did not reach (the second half), so each of the n - 1 targets of n
      tokens counts once.

    Attributes: symbols (texts by id), vocabulary_size, characters (True: the metric is BPC, False: perplexity),
    metric (its name) and finish, which turns a mean loss in nats into it.
    """

    def __init__(self, settings, place):
        super().__init__(settings, place)
        self._source = DATA_SETS[settings.data_set_name]
        path = self._path("vocabulary.json")
        with hint(self._prepare), reading(path):
            content = load_json(path)
            self.symbols, self._stats = list(content["symbols"]), dict(content["facts"])
            self._counts = {split: int(self._stats["tokens"][split]) for split in SPLITS}
        self.vocabulary_size = len(self.symbols)
        self.characters = self._source.unit != "word"
        self.metric, self.finish = ("bpc", texts.nats_to_bits) if self.characters else ("perplexity", np.exp)

    @property
    def description(self):
        """Symbols and source, as a line."""
        facts, train = self._stats, self._counts["train"]
        commonest = ", ".join("%r %.1f%%" % (text, 100 * count / train)
                              for text, count in facts["commonest"])
        source = ("Python " + facts["python"] if "python" in facts
                  else data_label(self._settings.data_set_name, self.fraction))
        symbols = "%d ids (%d %ss, padding, unknown), commonest: %s" % (
            self.vocabulary_size, self.vocabulary_size - 2, self._source.unit, commonest)
        return "%s; from %s bytes, %s" % (symbols, format(facts["source_bytes"], ","), source)

    @property
    def _stride(self):
        return max(self._settings.window_size // 2, 1)

    def summary(self, split):
        """The facts that do not depend on window_size."""
        return {"tokens": self._counts[split], "unknown": self._stats["unknown"][split]}

    def encode(self, text):
        """The ids of a text, int32 [tokens]."""
        raw = text.replace(" ", self._source.blank).encode("utf-8")
        return texts.make_ids(self._source.tokenise(raw), self.symbols).astype(np.int32)

    def decode(self, ids):
        """The text of a sequence of ids. Of enwik8's bytes, those that are not UTF-8 become U+FFFD."""
        text = ("" if self.characters else " ").join(self.symbols[i] for i in ids)
        if self._source.unit == "byte":
            return text.encode("latin-1").decode("utf-8", "replace")
        return text.replace(self._source.blank, " ")

    def tokens(self, split):
        """The ids of a split, memory-mapped at the first call. Raises UserError where the file is not right."""
        return self._open(split)

    def _read(self, split):
        path = self._path(split + ".npy")
        ids = map_array(path)
        if ids.shape != (self._counts[split],) or ids.dtype != np.min_scalar_type(self.vocabulary_size - 1):
            raise UserError("%s does not fit the vocabulary.json beside it" % path)
        return ids

    def file_order(self, split):
        """The numbers of the windows in the order in which batches(split) yields them in evaluation."""
        return np.arange(len(self._starts(split)))

    def stats(self, split):
        """Counts of tokens, windows and targets that count; "python" and "sha256" of an embedded text."""
        windows = len(self._starts(split))
        targets = windows * self._settings.window_size if split == "train" else self._counts[split] - 1
        origin = {key: self._stats[key] for key in ("python", "sha256") if key in self._stats}
        return dict(origin, tokens=self._counts[split], windows=windows, targets=targets)

    def baseline(self, split="test"):
        """What a model reaches that knows only how often each id occurs in the training part.

        Its probabilities are (count + 1) / (tokens + ids), Laplace's rule. Scored on the targets of `split`,
        "valid" or "test": all tokens but the first. Returns {"bpc" or "perplexity": .., "accuracy": ..}.
        """
        train = texts.histogram(self.tokens("train"), self.vocabulary_size)
        counts = texts.histogram(self.tokens(split)[1:], self.vocabulary_size)
        losses = np.log(train.sum() + len(train)) - np.log(train + 1.)
        return {self.metric: float(self.finish(np.average(losses, weights=counts))),
                "accuracy": float(counts[train.argmax()] / counts.sum())}

    def batches(self, split, epoch=0):
        """The Batches of a split; `epoch` matters in training only. Raises UserError where the text is too short.

        Each is a dict: inputs and targets int32 [T, B] (0 where a window has ended), lengths and first_counted
        int32 [B]: the target at step t counts in the metric if first_counted <= t < lengths. For stateful models
        also reset_state, a bool: whether the state starts from zero (or is carried on from the batch before).
        """
        settings, starts = self._settings, self._starts(split)
        if split == "train" and settings.stateful:
            groups = list(starts.reshape(settings.batch_size, -1).T)
            draws = generator(settings.seed, epoch, STATE_RESET_PURPOSE).random(len(groups))
            resets = (draws < settings.state_reset_probability) | (np.arange(len(groups)) == 0)
        else:
            random = generator(settings.seed, epoch) if split == "train" else None
            groups = [starts[group] for group in example_groups(len(starts), settings.batch_size, random)]
            resets = np.ones(len(groups), bool)
        return Batches(list(zip(groups, resets)), lambda key: self._batch(split, *key))

    def _starts(self, split):
        """The first token of every window, in the order of the text."""
        count, window = self._counts[split], self._settings.window_size
        if split != "train":
            needed = 2
            # Another window is due while the counted part of it would not be empty.
            starts = np.arange(0, max(count - 1 - (window - self._stride), 1), self._stride)
        elif self._settings.stateful:
            streams = self._settings.batch_size
            needed = streams * window + 1
            starts = np.arange(0, count - window, window)
            starts = starts[:len(starts) // streams * streams]
        else:
            needed = window + 1
            starts = np.arange(0, count - window, self._stride)
        if count < needed:
            raise UserError("the %s part of %s has %d tokens, but needs %d: lower window_size or batch_size, or "
                            "use a longer text" % (split, self._settings.data_set_name, count, needed))
        return starts

    def _batch(self, split, starts, reset):
        tokens, window = self.tokens(split), self._settings.window_size
        last = len(tokens) - 1
        lengths = np.minimum(window, last - starts)
        steps = np.arange(lengths.max() + 1)[:, np.newaxis]
        text = tokens[np.minimum(starts + steps, last)].astype(np.int32)
        real = steps[:-1] < lengths
        overlap = 0 if split == "train" else window - self._stride
        batch = {"inputs": text[:-1] * real, "targets": text[1:] * real, "lengths": lengths.astype(np.int32),
                 "first_counted": np.where(starts > 0, overlap, 0).astype(np.int32)}
        if self._settings.stateful:
            batch["reset_state"] = np.bool_(reset)
        return batch


TASK = Task("lm", {name: data_set.files for name, data_set in DATA_SETS.items()}, _make, LanguageData)
prepare, load, main = TASK.prepare, TASK.load, TASK.main

if __name__ == "__main__":
    run_as_script(main)
