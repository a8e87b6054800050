"""Sentiment analysis data: IMDB film reviews (Maas et al. 2011) as Keras numbers and orders them.

`python -u sa_utils.py` turns data/sa/unchanged/{imdb.npz, imdb_word_index.json} into data/sa/ready/IMDB and prints
an analysis. `load(settings)` prepares the data if need be and gives the training script its batches.
"""

import argparse
import collections
import functools
import itertools
import os

import numpy as np

from training.batches import Batches, evaluation_slices, generator, training_slices
from training.errors import UserError, run_as_script
from training.files import load_arrays, load_json, load_object_array, save_arrays, save_json

DATA_SETS = ("IMDB",)
SPLITS = ("train", "valid", "test")
# Ids: 0 padding, 1 start of a review, 2 unknown word, 3 unused, word of rank k = k + 3.
SPECIAL_WORDS = ["<pad>", "<start>", "<unk>", "<unused>"]
START, UNKNOWN, RANK_OFFSET = 1, 2, 3
VOCABULARY_SIZE = 24902

GET_DATA = "run `bash get_data.sh --only IMDB`"

# ids: uint16, all reviews one after another; the others have one entry a review, `ends` being the end of its ids.
Reviews = collections.namedtuple("Reviews", "ids ends lengths labels")


def prepare(name, data_folder):
    """Write the ready files of data set `name`: {train,valid,test}.npz (whole reviews) and words.json (by id).

    Raises UserError where a downloaded file is missing or damaged, or the ready files cannot be written.
    """
    folder = os.path.join(data_folder, "sa", "unchanged")
    archive = os.path.join(folder, "imdb.npz")
    ranks = load_json(os.path.join(folder, "imdb_word_index.json"), GET_DATA)
    labels = load_arrays(archive, GET_DATA, ["y_train", "y_test"])
    # Keras shuffles both halves with one generator, training first; the order decides what is validation data.
    shuffler = np.random.RandomState(113)
    try:
        words = sorted(ranks, key=ranks.get)
        if [ranks[word] for word in words] != list(range(1, len(words) + 1)):
            raise ValueError("the words do not have the ranks 1, 2, ..")
        halves = [_make_reviews(load_object_array(archive, "x_" + half, GET_DATA), labels["y_" + half], len(words),
                                shuffler) for half in ("train", "test")]
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise UserError("the files in %s are damaged (%s): remove them and %s" % (folder, error, GET_DATA))
    count = len(halves[0].labels)
    train, valid = _split(halves[0], count - count // 5)
    try:
        for split, part in zip(SPLITS, (train, valid, halves[1])):
            save_arrays(_ready_path(name, data_folder, split + ".npz"), ids=part.ids, lengths=part.lengths,
                        labels=part.labels)
        save_json(_ready_path(name, data_folder, "words.json"), (SPECIAL_WORDS + words)[:VOCABULARY_SIZE])
    except OSError as error:
        raise UserError("%s cannot be prepared (%s): check the access rights and the free space" % (name, error))


def _ready_path(name, data_folder, file):
    return os.path.join(data_folder, "sa", "ready", name, file)


def _make_reviews(lists, labels, word_count, shuffler):
    """Reviews from lists of word ranks, shuffled and numbered as by load_data of tf.keras.datasets.imdb."""
    if np.ndim(lists) != 1 or len(lists) < 5 or labels.shape != (len(lists),) or set(labels.tolist()) - {0, 1}:
        raise ValueError("they are not 5 or more reviews, each with a label of 0 or 1")
    order = np.arange(len(lists))
    shuffler.shuffle(order)
    lengths = np.array([len(lists[i]) for i in order], np.int32)
    ranks = np.fromiter(itertools.chain.from_iterable(lists[i] for i in order), np.int64, lengths.sum())
    if ranks.size and not 1 <= ranks.min() <= ranks.max() <= word_count:
        raise ValueError("reviews have the ranks %d..%d, words 1..%d" % (ranks.min(), ranks.max(), word_count))
    ids = np.insert(ranks + RANK_OFFSET, np.cumsum(lengths) - lengths, START)
    ids = np.where(ids < VOCABULARY_SIZE, ids, UNKNOWN).astype(np.uint16)
    return Reviews(ids, np.cumsum(lengths + 1), lengths + 1, labels[order].astype(np.uint8))


def _split(reviews, count):
    """The first `count` of the reviews, and the rest."""
    ids, ends, lengths, labels = reviews
    middle = ends[count - 1]
    return (Reviews(ids[:middle], ends[:count], lengths[:count], labels[:count]),
            Reviews(ids[middle:], ends[count:] - middle, lengths[count:], labels[count:]))


class ReviewData(object):
    """The prepared reviews as time-major batches. Each split is read when it is first asked for."""

    vocabulary_size = VOCABULARY_SIZE
    class_names = ("negative", "positive")
    class_count = len(class_names)

    def __init__(self, settings):
        self._settings = settings
        self._remedy = "run `python -u sa_utils.py --data_folder %s`" % settings.data_folder
        self._opened = {}

    def batches(self, split, epoch=0):
        """Batches of {"inputs": int32 [T, B], "lengths": int32 [B], "labels": int32 [B]}.

        T is the longest review of the batch, at most window_size; longer reviews keep their last ids, shorter ones
        are padded with 0 at the end. Training data are shuffled by (seed, epoch), each review once an epoch; the
        others come longest first, which wastes least padding and meets a lack of memory at once.
        """
        reviews = self._open(split)
        batch_size = self._settings.batch_size
        if split == "train":
            groups = self._training_groups(reviews.lengths, generator(self._settings.seed, epoch))
        else:
            order = np.argsort(-reviews.lengths, kind="stable")
            groups = [order[part] for part in evaluation_slices(len(order), batch_size)]
        return Batches(groups, functools.partial(self._batch, reviews))

    def facts(self, split):
        """Counts of a split, as plain numbers; "cut" reviews are longer than window_size."""
        reviews = self._open(split)
        return {"reviews": len(reviews.labels), "positive": int(reviews.labels.sum()), "ids": len(reviews.ids),
                "unknown": int((reviews.ids == UNKNOWN).sum()), "mean_length": float(reviews.lengths.mean()),
                "length_quartiles": np.percentile(reviews.lengths, (0, 25, 50, 75, 100)).tolist(),
                "cut": int((reviews.lengths > self._settings.window_size).sum())}

    def frequency_baseline(self, split="test"):
        """The accuracy on `split` of always giving the commonest class of the training part: {"accuracy": ..}."""
        commonest = np.bincount(self._open("train").labels).argmax()
        return {"accuracy": float((self._open(split).labels == commonest).mean())}

    def decode(self, ids):
        """The text of a sequence of ids, padding left out."""
        if "words" not in self._opened:
            self._opened["words"] = load_json(self._path("words.json"), self._remedy)
        return " ".join(self._opened["words"][i] for i in ids if i)

    def _open(self, split):
        if split not in self._opened:
            arrays = load_arrays(self._path(split + ".npz"), self._remedy, ["ids", "lengths", "labels"])
            self._opened[split] = Reviews(ends=np.cumsum(arrays["lengths"]), **arrays)
        return self._opened[split]

    def _path(self, file):
        return _ready_path(self._settings.data_set_name, self._settings.data_folder, file)

    def _training_groups(self, lengths, random):
        batch_size = self._settings.batch_size
        order = random.permutation(len(lengths))
        slices = training_slices(len(order), batch_size)
        if self._settings.bucket_by_length:
            # Sorting within 50 batches, not over all, leaves it to chance which reviews meet in a batch.
            chunk = 50 * batch_size
            lengths = np.minimum(lengths, self._settings.window_size)
            order = np.concatenate([part[np.argsort(lengths[part], kind="stable")]
                                    for part in np.split(order, range(chunk, len(order), chunk))])
            random.shuffle(slices)
        return [order[part] for part in slices]

    def _batch(self, reviews, chosen):
        lengths = np.minimum(reviews.lengths[chosen], self._settings.window_size)
        steps = np.arange(lengths.max())[:, None]
        inside = steps < lengths
        positions = np.where(inside, reviews.ends[chosen] - lengths + steps, 0)
        return {"inputs": np.where(inside, reviews.ids[positions], 0).astype(np.int32),
                "lengths": lengths.astype(np.int32), "labels": reviews.labels[chosen].astype(np.int32)}


def load(settings):
    """The data set that `settings` names, as ReviewData; it is prepared first where its ready files are missing.

    Reads data_set_name, data_folder, window_size (the longest review, in ids), batch_size, seed and
    bucket_by_length. Raises UserError where the data are missing, damaged or unknown.
    """
    name = settings.data_set_name
    if name not in DATA_SETS:
        raise UserError("data_set_name is %r: choose one of %s" % (name, ", ".join(DATA_SETS)))
    files = [split + ".npz" for split in SPLITS] + ["words.json"]
    if not all(os.path.exists(_ready_path(name, settings.data_folder, file)) for file in files):
        prepare(name, settings.data_folder)
    return ReviewData(settings)


def analyse(name, data):
    """Print what each split holds."""
    print("%s: %d ids" % (name, data.vocabulary_size))
    print("%-6s%9s%10s%10s%8s%10s   %s" % ("split", "reviews", "positive", "unknown", "cut", "mean ids",
                                           "ids: shortest, quarter, half, three quarters, longest"))
    for split in SPLITS:
        facts = data.facts(split)
        print("%-6s%9d%9.2f%%%9.2f%%%8d%10.2f   %s" % (
            split, facts["reviews"], 100. * facts["positive"] / facts["reviews"],
            100. * facts["unknown"] / facts["ids"], facts["cut"], facts["mean_length"],
            " ".join("%d" % length for length in facts["length_quartiles"])))


def main():
    """Prepare and analyse the reviews."""
    parser = argparse.ArgumentParser(description="Prepares the IMDB reviews and prints an analysis.")
    parser.add_argument("--data_folder", default="data", help="the folder that sa is in (default: data)")
    parser.add_argument("--window_size", type=int, default=512, help="longer reviews count as cut (default: 512)")
    parser.set_defaults(data_set_name="IMDB")
    settings = parser.parse_args()
    prepare(settings.data_set_name, settings.data_folder)
    analyse(settings.data_set_name, ReviewData(settings))


if __name__ == "__main__":
    run_as_script(main)
