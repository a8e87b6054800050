"""Language modelling data: texts become token ids, and ids become batches of windows.

`python -u lm_utils.py` turns the texts in data/lm/unchanged into data/lm/ready/<data set>: the ids
of each split, {train,valid,test}.npy (see data_preparation/texts.py; of a text of your own, with
--own_text, one tokens.npy), and vocabulary.json (symbols of the training part, stats). It prints an
analysis. `load(settings)` is what lm_main.py works with.
"""

import platform

import files.environment  # noqa: F401: before numpy
import numpy as np

from data_preparation import own_text, published_texts, texts
from data_preparation.batches import STATE_RESETS, Batches, example_groups, generator
from data_preparation.identity import fingerprint_of
from data_preparation.own import OwnData
from data_preparation.prepared import SPLITS, PreparedData, data_label
from data_preparation.published_texts import DATA_SETS, DataSet
from data_preparation.task import Task
from files.arrays import map_array
from files.errors import TrainingFailed, UserError, hint, run_as_script
from files.reading import load_json, reading
from files.units import shown

OWN = OwnData(
    "OwnText", "own_text", {"own_unit": "character", "own_vocabulary": 10000}, own_text.find,
    own_text.check_options,
    {"own_text": "a text of your own: a file, a folder of .txt, or train,valid,test",
     "own_unit": "its tokens: character or word",
     "own_vocabulary": "the most symbols of it to know"})


class LanguageData(PreparedData):
    """A prepared data set: its vocabulary, and batches of windows of W = window_size inputs.

    A window that starts at token s has s .. s+W-1 as inputs and s+1 .. s+W as targets. The windows:

    - Training, not stateful: all full windows that start every W/2 tokens (rounded down), shuffled
      in each epoch.
    - Training, stateful: full windows one after another. Stream j of a batch is the j-th contiguous
      block of floor(windows / batch_size) windows; batch i has window i of every stream, so that
      states can be carried on.
    - Validation and test: one every W/2 tokens, the last as short as the text leaves it. In all but
      the first only those targets count which the one before did not reach (the second half), so
      each of the n - 1 targets of n tokens counts once.

    Attributes: symbols (texts by id), vocabulary_size, characters (True: the metric is BPC, False:
    perplexity), metric (its name) and finish, which turns a mean loss in nats into it.
    """

    baseline_name = "unigram baseline"

    def __init__(self, settings, place):
        super().__init__(settings, place)
        self._own = settings.data_set_name == OWN.name
        self._source = _own_source(settings) if self._own else DATA_SETS[settings.data_set_name]
        path = self._path("vocabulary.json")
        with hint(self._prepare_hint), reading(path):
            content = load_json(path)
            self.symbols, self._stats = list(content["symbols"]), dict(content["stats"])
            self._counts = {split: int(self._stats["tokens"][split]) for split in SPLITS}
        self.vocabulary_size = len(self.symbols)
        self.characters = self._source.unit != "word"
        self.metric, self.finish = (("bpc", texts.nats_to_bits) if self.characters
                                    else ("perplexity", np.exp))

    @property
    def identity(self):
        """See PreparedData; also the vocabulary: with another, ids mean other symbols."""
        return dict(super().identity, vocabulary=fingerprint_of(self.symbols))

    @property
    def description(self):
        """Symbols and source, as a line."""
        stats, train = self._stats, self._counts["train"]
        commonest = ", ".join("%r %.1f%%" % (text, 100 * count / train)
                              for text, count in stats["commonest"])
        source = ("Python " + stats["python"] if "python" in stats
                  else data_label(self.title, self.fraction))
        symbols = "%d ids (%d %ss, padding, unknown), commonest: %s" % (
            self.vocabulary_size, self.vocabulary_size - 2, self._source.unit, commonest)
        return "%s; from %s bytes, %s" % (symbols, format(stats["source_bytes"], ","), source)

    def remarks(self):
        """The unigram baseline of a text of the user's own, which no table has."""
        values = self.baseline("valid") if self._own else {}
        return ["%s, valid: %s %s" % (self.baseline_name, name, shown(name, value))
                for name, value in values.items()]

    @property
    def _stride(self):
        return max(self._settings.window_size // 2, 1)

    def summary(self, split):
        """The counts that do not depend on window_size."""
        return {"tokens": self._counts[split], "unknown": self._stats["unknown"][split]}

    def encode(self, text):
        """The ids of a text, int32 [tokens]."""
        raw = text.replace(" ", self._source.blank).encode("utf-8")
        return texts.make_ids(self._source.tokenise(raw), self.symbols).astype(np.int32)

    def decode(self, ids):
        """The text of a sequence of ids. Of enwik8's bytes, those not UTF-8 become U+FFFD."""
        text = ("" if self.characters else " ").join(self.symbols[i] for i in ids)
        if self._source.unit == "byte":
            return text.encode("latin-1").decode("utf-8", "replace")
        return text.replace(self._source.blank, " ")

    def tokens(self, split):
        """The ids of a split, memory-mapped at the first call. Raises UserError."""
        return self._open(split)

    def _read(self, split):
        if self._own:
            start = sum(self._counts[name] for name in SPLITS[:SPLITS.index(split)])
            ids = self._mapped("tokens.npy", sum(self._counts.values()))
            return ids[start:start + self._counts[split]]
        return self._mapped(split + ".npy", self._counts[split])

    def _mapped(self, file, count):
        ids = map_array(self._path(file))
        if ids.shape != (count,) or ids.dtype != texts.id_type(self.vocabulary_size):
            raise UserError("%s does not fit the vocabulary.json beside it" % self._path(file))
        return ids

    def stats(self, split):
        """Counts of tokens, windows and targets; "python" and "sha256" of an embedded text."""
        windows = len(self._starts(split))
        targets = (windows * self._settings.window_size if split == "train"
                   else self._counts[split] - 1)
        origin = {key: self._stats[key] for key in ("python", "sha256") if key in self._stats}
        return dict(origin, tokens=self._counts[split], windows=windows, targets=targets)

    def baseline(self, split):
        """The unigram baseline: a model that knows only how often each id occurs in training.

        Its probabilities are (count + 1) / (tokens + ids), Laplace's rule. Scored on the targets of
        `split`, "valid" or "test": all tokens but the first. Returns {"bpc" or "perplexity": ..,
        "accuracy": ..}.
        """
        train = texts.histogram(self.tokens("train"), self.vocabulary_size)
        counts = texts.histogram(self.tokens(split)[1:], self.vocabulary_size)
        losses = np.log(train.sum() + len(train)) - np.log(train + 1.)
        return {self.metric: float(self.finish(np.average(losses, weights=counts))),
                "accuracy": float(counts[train.argmax()] / counts.sum())}

    def batches(self, split, epoch=0):
        """The Batches of a split; `epoch` matters in training only.

        Each is a dict: inputs and targets int32 [T, B] (0 after the end of a window), lengths and
        first_counted int32 [B]: the target at step t counts in the metric if first_counted <= t <
        lengths. For stateful models also reset_state, a bool: whether the state starts from zero
        (or is carried on from the batch before). Raises UserError for a text that is too short.
        """
        settings, starts = self._settings, self._starts(split)
        if split == "train" and settings.stateful:
            groups = list(starts.reshape(settings.batch_size, -1).T)
            draws = generator(settings.seed, epoch, STATE_RESETS).random(len(groups))
            resets = (draws < settings.state_reset_probability) | (np.arange(len(groups)) == 0)
        else:
            random = generator(settings.seed, epoch) if split == "train" else None
            groups = [starts[group]
                      for group in example_groups(len(starts), settings.batch_size, random)]
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
            raise TrainingFailed("the {} part of {} has {} tokens, but needs {}".format(
                split, self.title, count, needed),
                "lower window_size or batch_size, or use a longer text")
        return starts

    def _batch(self, split, starts, reset):
        tokens, window = self.tokens(split), self._settings.window_size
        last = len(tokens) - 1
        lengths = np.minimum(window, last - starts)
        steps = np.arange(lengths.max() + 1)[:, np.newaxis]
        ids = tokens[np.minimum(starts + steps, last)].astype(np.int32)
        inside = steps[:-1] < lengths
        overlap = 0 if split == "train" else window - self._stride
        batch = {"inputs": ids[:-1] * inside, "targets": ids[1:] * inside,
                 "lengths": lengths.astype(np.int32),
                 "first_counted": np.where(starts > 0, overlap, 0).astype(np.int32)}
        if self._settings.stateful:
            batch["reset_state"] = np.bool_(reset)
        return batch


def _make(name, sources, options):
    """The ready files and the Identity, see Task."""
    if name == OWN.name:
        return own_text.make(sources, options["own_unit"], options["own_vocabulary"]), None
    return published_texts.make(name, list(sources.values()))


def _own_source(settings):
    """A text of the user's own, as a DataSet."""
    words = settings.own_unit == "word"
    return DataSet((), settings.own_unit, own_text.encoded_words if words else texts.code_points,
                   None, settings.own_vocabulary, " ")


# Each Python comes with a text of its own.
TASK = Task("lm", {name: data_set.files for name, data_set in DATA_SETS.items()}, _make,
            LanguageData, {"PythonDocs": "PythonDocs " + platform.python_version()}, own_data=OWN)
prepare, load, main = TASK.prepare, TASK.load, TASK.main

if __name__ == "__main__":
    run_as_script(main)
