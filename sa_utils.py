"""Sentiment analysis data: IMDB film reviews (Maas et al. 2011) as Keras numbers and orders them.

`python -u sa_utils.py` turns data/sa/unchanged/{imdb.npz, imdb_word_index.json} into
data/sa/ready/IMDB and prints an analysis. `load(settings)` prepares the data if need be and gives
the training script its batches.
"""

import collections
import itertools
import os

import files.environment  # noqa: F401: before numpy
import numpy as np

from data_preparation.batches import Batches, example_groups, generator, training_slices
from data_preparation.identity import content_digest, identity_of_content
from data_preparation.prepared import SPLITS, LabelledData
from data_preparation.task import Task
from files.arrays import load_arrays, load_pickle
from files.errors import UserError, run_as_script
from files.reading import load_json

DATA_SETS = {"IMDB": ["imdb.npz", "imdb_word_index.json"]}
# Ids: 0 padding, 1 start of a review, 2 unknown word, 3 unused, word of rank k = k + 3.
START, UNKNOWN, RANK_OFFSET = 1, 2, 3
VOCABULARY_SIZE = 24902

# ids: uint16, all reviews one after another; the others have one entry a review.
Reviews = collections.namedtuple("Reviews", "ids lengths labels")


def _make(name, sources, options):
    """The ready files, whole reviews of each split, and their Identity."""
    archive, index = sources.values()
    ranks, labels = load_json(index), load_arrays(archive, ["y_train", "y_test"])
    try:
        words = sorted(ranks, key=ranks.get)
        if [ranks[word] for word in words] != list(range(1, len(words) + 1)):
            raise ValueError("the words do not have the ranks 1, 2, ..")
        train, test = [_checked(load_pickle(archive, "x_%s.npy" % half), labels["y_" + half],
                                len(words)) for half in ("train", "test")]
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise UserError("the files of %s in %s are damaged (%s)" % (
            name, os.path.dirname(archive), error))
    text = np.frombuffer("\n".join(words).encode("utf-8"), np.uint8)
    digests = [content_digest(train), content_digest(test), content_digest([text])]
    # Keras shuffles both halves with one generator, training first; the order decides what is
    # validation data.
    shuffler = np.random.RandomState(113)
    train, test = _shuffled(train, shuffler), _shuffled(test, shuffler)
    count = len(train.labels)
    parts = _split(train, count - count // 5) + (test,)
    files = {split + ".npz": dict(part._asdict()) for split, part in zip(SPLITS, parts)}
    return files, identity_of_content("IMDB", digests)


def _checked(lists, labels, word_count):
    """Reviews, lists of word ranks, as arrays, the ranks of one review after another.

    Returns ranks int64, lengths int32 [reviews] and labels uint8 [reviews]. Raises various errors
    if they are not right.
    """
    if len(lists) < 5 or labels.shape != (len(lists),) or set(labels.tolist()) - {0, 1}:
        raise ValueError("they are not 5 or more reviews, each with a label of 0 or 1")
    lengths = np.array(list(map(len, lists)), np.int32)
    ranks = np.fromiter(itertools.chain.from_iterable(lists), np.int64, lengths.sum())
    if ranks.size and not 1 <= ranks.min() <= ranks.max() <= word_count:
        raise ValueError("reviews have the ranks %d..%d, words 1..%d" % (
            ranks.min(), ranks.max(), word_count))
    return ranks, lengths, labels.astype(np.uint8)


def _shuffled(half, shuffler):
    """The Reviews of a half (see _checked), shuffled and numbered like load_data of Keras does."""
    ranks, lengths, labels = half
    order = np.arange(len(lengths))
    shuffler.shuffle(order)
    reviews = np.split(ranks, np.cumsum(lengths)[:-1])
    ranks, lengths = np.concatenate([reviews[i] for i in order]), lengths[order]
    ids = np.insert(ranks + RANK_OFFSET, np.cumsum(lengths) - lengths, START)
    ids = np.where(ids < VOCABULARY_SIZE, ids, UNKNOWN).astype(np.uint16)
    return Reviews(ids, lengths + 1, labels[order])


def _split(reviews, count):
    """The first `count` of the reviews, and the rest."""
    ids, lengths, labels = reviews
    middle = lengths[:count].sum()
    return (Reviews(ids[:middle], lengths[:count], labels[:count]),
            Reviews(ids[middle:], lengths[count:], labels[count:]))


class ReviewData(LabelledData):
    """The prepared reviews as time-major batches."""

    vocabulary_size = VOCABULARY_SIZE
    class_names = ("negative", "positive")
    description = "%d ids" % VOCABULARY_SIZE

    def batches(self, split, epoch=0):
        """Batches of {"inputs": int32 [T, B], "lengths": int32 [B], "labels": int32 [B]}.

        T is the longest review of the batch, at most window_size; longer reviews keep their last
        ids, shorter ones are padded with 0 at the end. Training data are shuffled by (seed, epoch),
        each review once an epoch; the others come longest first, which wastes least padding and
        meets a lack of memory at once.
        """
        reviews = self._open(split)
        if split == "train":
            groups = self._training_groups(reviews.lengths, generator(self._settings.seed, epoch))
        else:
            order = self.file_order(split)
            groups = example_groups(len(order), self._settings.batch_size)
            groups = [order[group] for group in groups]
        ends = np.cumsum(reviews.lengths)  # of each review in ids
        return Batches(groups, lambda chosen: self._batch(reviews, ends[chosen], chosen))

    def file_order(self, split):
        """The numbers of the reviews as batches(split) of valid and test has them in turn."""
        return np.argsort(-self._open(split).lengths, kind="stable")

    def stats(self, split):
        """Counts of a split, as plain numbers; "cut" reviews are longer than window_size."""
        reviews = self._open(split)
        return {"reviews": len(reviews.labels), "positive": int(reviews.labels.sum()),
                "ids": len(reviews.ids), "unknown": int((reviews.ids == UNKNOWN).sum()),
                "mean_length": float(reviews.lengths.mean()),
                "length_quartiles": np.percentile(reviews.lengths, (0, 25, 50, 75, 100)).tolist(),
                "cut": int((reviews.lengths > self._settings.window_size).sum())}

    def _read(self, split):
        return Reviews(*self._arrays(split, *Reviews._fields))

    def _training_groups(self, lengths, random):
        batch_size = self._settings.batch_size
        order = random.permutation(len(lengths))
        slices = training_slices(len(order), batch_size)
        if self._settings.bucket_by_length:
            # Sorted within 50 batches, not over all: chance decides which reviews meet in a batch.
            chunk = 50 * batch_size
            lengths = np.minimum(lengths, self._settings.window_size)
            parts = np.split(order, range(chunk, len(order), chunk))
            order = np.concatenate([part[np.argsort(lengths[part], kind="stable")]
                                    for part in parts])
            random.shuffle(slices)
        return [order[part] for part in slices]

    def _batch(self, reviews, ends, chosen):
        lengths = np.minimum(reviews.lengths[chosen], self._settings.window_size)
        steps = np.arange(lengths.max())[:, None]
        inside = steps < lengths
        positions = np.where(inside, ends - lengths + steps, 0)
        return {"inputs": np.where(inside, reviews.ids[positions], 0).astype(np.int32),
                "lengths": lengths.astype(np.int32),
                "labels": reviews.labels[chosen].astype(np.int32)}


TASK = Task("sa", DATA_SETS, _make, ReviewData, window_size=512)
prepare, load, main = TASK.prepare, TASK.load, TASK.main

if __name__ == "__main__":
    run_as_script(main)
