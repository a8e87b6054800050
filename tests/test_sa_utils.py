import argparse
import io
import json
import os
import pickle
import re
import zipfile

import numpy as np
import pytest

import sa_utils
from data_preparation import prepared as data
from files.errors import UserError
from files.project import call_of

REVIEWS = {"train": 20, "test": 9}
WORDS = 30000  # more than the vocabulary, so that some are unknown


def settings(folder, **changes):
    values = dict(data_set_name="IMDB", data_folder=str(folder), window_size=12, batch_size=4,
                  seed=5, bucket_by_length=False)
    return argparse.Namespace(**dict(values, **changes))


def made_up_reviews():
    """(lists of word ranks, labels) by half. No two reviews are of one length."""
    random = np.random.RandomState(1)
    reviews = {half: ([random.randint(1, WORDS + 1, 2 * i + 1 + (half == "test")).tolist()
                       for i in range(count)],
                      random.randint(0, 2, count)) for half, count in REVIEWS.items()}
    for lists, _ in reviews.values():
        lists[3][:2] = [24898, 24899]  # the last word that is known, and the first that is not
    return reviews


def object_array(lists):
    array = np.empty(len(lists), object)
    array[:] = lists
    return array


def write_unchanged(folder, reviews=None, index=None):
    unchanged = folder / "sa" / "unchanged"
    unchanged.mkdir(parents=True)
    arrays = {}
    for half, (lists, labels) in (reviews or made_up_reviews()).items():
        arrays.update({"x_" + half: object_array(lists), "y_" + half: labels})
    np.savez(str(unchanged / "imdb.npz"), **arrays)
    index = {"word%d" % rank: rank for rank in range(WORDS, 0, -1)} if index is None else index
    (unchanged / "imdb_word_index.json").write_text(json.dumps(index))
    return unchanged


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("data")
    write_unchanged(path)
    sa_utils.prepare("IMDB", str(path))
    return path


def as_keras_loads_them():
    """The documented steps of Keras's load_data, with num_words = 24902: [(ids, label)] by half."""
    np.random.seed(113)
    result = {}
    for half in ("train", "test"):
        lists, labels = made_up_reviews()[half]
        indices = np.arange(len(lists))
        np.random.shuffle(indices)
        ids = [[1] + [rank + 3 if rank + 3 < 24902 else 2 for rank in ranks] for ranks in lists]
        result[half] = [(ids[i], labels[i]) for i in indices]
    return result


def reviews_of(batches):
    """[(real ids, label)] of all batches; checks shapes, types and padding."""
    found = []
    for batch in batches:
        inputs, lengths, labels = batch["inputs"], batch["lengths"], batch["labels"]
        assert inputs.dtype == lengths.dtype == labels.dtype == np.int32
        assert inputs.shape == (lengths.max(), len(lengths)) and labels.shape == lengths.shape
        for column, length, label in zip(inputs.T, lengths, labels):
            assert (column[:length] > 0).all() and not column[length:].any()
            found.append((column[:length].tolist(), label))
    return found


def in_any_order(reviews, window_size=12):
    return sorted((list(ids[-window_size:]), int(label)) for ids, label in reviews)


def test_splits_are_those_that_keras_would_give(folder):
    expected = as_keras_loads_them()
    expected = {"train": expected["train"][:16], "valid": expected["train"][16:],
                "test": expected["test"]}
    data = sa_utils.load(settings(folder))
    for split, reviews in expected.items():
        assert in_any_order(reviews_of(data.batches(split))) == in_any_order(reviews)
    assert any(2 in ids for ids, _ in expected["test"])
    assert any(len(ids) > 12 for ids, _ in expected["test"])


def test_long_reviews_keep_their_last_ids(folder):
    whole = reviews_of(sa_utils.load(settings(folder, window_size=512)).batches("test"))
    cut = reviews_of(sa_utils.load(settings(folder, window_size=3)).batches("test"))
    assert all(ids[0] == 1 for ids, _ in whole)
    assert cut == [(ids[-3:], label) for ids, label in whole]


def test_evaluation_has_every_review_once_longest_first(folder):
    batches = sa_utils.load(settings(folder)).batches("test")
    assert [len(batch["labels"]) for batch in batches] == [4, 4, 1]
    lengths = np.concatenate([batch["lengths"] for batch in batches])
    assert (np.diff(lengths) <= 0).all() and len(lengths) == 9


@pytest.mark.parametrize("bucket_by_length", [False, True])
def test_training_order_depends_on_seed_and_epoch_alone(folder, bucket_by_length):
    def order(seed, epoch):
        data = sa_utils.load(settings(folder, seed=seed, batch_size=3,
                                      bucket_by_length=bucket_by_length))
        batches = data.batches("train", epoch)
        assert sorted(len(batch["labels"]) for batch in batches) == [3, 3, 3, 3, 4]
        return reviews_of(batches)

    first = order(5, 0)
    assert order(5, 0) == first
    for other in (order(5, 1), order(6, 0)):
        assert other != first and in_any_order(other) == in_any_order(first)


def test_bucketed_batches_have_reviews_of_similar_length_in_mixed_order(folder):
    def spread(bucket_by_length):
        data = sa_utils.load(settings(folder, window_size=512, bucket_by_length=bucket_by_length))
        lengths = [batch["lengths"] for batch in data.batches("train", epoch=2)]
        return sum(part.max() - part.min() for part in lengths), [part.max() for part in lengths]

    width, longest = spread(True)
    assert width < spread(False)[0] / 2
    assert longest != sorted(longest)


def test_stats(folder):
    data = sa_utils.load(settings(folder))
    test = as_keras_loads_them()["test"]
    stats = data.stats("test")
    assert (data.vocabulary_size, len(data.class_names)) == (24902, 2)
    assert data.class_names == ("negative", "positive")
    assert stats["reviews"] == 9 and stats["ids"] == sum(len(ids) for ids, _ in test)
    assert stats["positive"] == sum(label for _, label in test)
    assert stats["unknown"] == sum(ids.count(2) for ids, _ in test)
    assert stats["cut"] == sum(len(ids) > 12 for ids, _ in test)


def test_test_reviews_are_not_read_before_they_are_asked_for(folder, monkeypatch):
    read = []
    real = data.load_arrays
    def load(path, *others):
        read.append(os.path.basename(path))
        return real(path, *others)

    monkeypatch.setattr(data, "load_arrays", load)
    reviews = sa_utils.load(settings(folder))
    reviews.batches("train")
    reviews.batches("valid")
    assert read == ["train.npz", "valid.npz"]


def test_prepared_data_need_no_download_and_preparing_repeats_them(tmp_path):
    unchanged = write_unchanged(tmp_path)
    ready = tmp_path / "sa" / "ready" / "IMDB"
    sa_utils.load(settings(tmp_path))
    first = {path.name: path.read_bytes() for path in ready.iterdir()}
    sa_utils.prepare("IMDB", str(tmp_path))
    again = {path.name: path.read_bytes() for path in ready.iterdir()}
    assert sorted(again) == sorted(first)
    assert all(again[name] == first[name] for name in first if name.endswith("z"))
    assert sorted(first) == ["made_from.json", "test.npz", "train.npz", "valid.npz"]
    for path in list(unchanged.iterdir()):
        path.unlink()
    assert len(sa_utils.load(settings(tmp_path)).batches("test")) == 3


class Hostile(object):
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_hostile_archive_is_refused_and_runs_nothing(tmp_path):
    target = tmp_path / "made by the pickle"
    reviews = made_up_reviews()
    reviews["train"][0][3] = Hostile(str(target))
    write_unchanged(tmp_path, reviews)
    with pytest.raises(UserError, match="imdb.npz cannot be read .*mkdir"):
        sa_utils.load(settings(tmp_path))
    assert not target.exists()


def test_an_archive_of_older_numpy_is_read(tmp_path):
    # numpy before 1.17 wrote pickles of protocol 2, which have bytes as a call of _codecs.encode.
    path = write_unchanged(tmp_path) / "imdb.npz"
    with np.load(str(path), allow_pickle=True) as archive:
        arrays = {name: archive[name] for name in archive.files}
    with zipfile.ZipFile(str(path), "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            if array.dtype == object:
                header = np.lib.format.header_data_from_array_1_0(array)
                np.lib.format.write_array_header_1_0(member, header)
                pickle.dump(array, member, protocol=2)
            else:
                np.save(member, array)
            archive.writestr(name + ".npy", member.getvalue())
    assert b"_codecs" in path.read_bytes()
    assert sa_utils.load(settings(tmp_path)).stats("train")["reviews"] == 16


def damaged(change):
    reviews = made_up_reviews()
    change(reviews)
    return reviews


@pytest.mark.parametrize("reviews, index, message", [
    (damaged(lambda halves: halves["train"][0].__setitem__(0, [0])), None, "the ranks 0"),
    (damaged(lambda halves: halves["train"][0].__setitem__(0, ["good"])), None, "damaged"),
    (damaged(lambda halves: halves["test"][0].__setitem__(0, None)), None, "damaged"),
    (damaged(lambda halves: halves["test"][1].__setitem__(0, 7)), None, "label of 0 or 1"),
    (damaged(lambda halves: halves.update(test=([[1]] * 4, np.zeros(4, int)))), None, "5 or more"),
    (damaged(lambda halves: halves.update(test=([[1]] * 6, np.zeros(7, int)))), None,
     "label of 0 or 1"),
    (damaged(lambda halves: halves.pop("test")), None, "y_test"),
    (None, {"word": 1}, "words 1..1"),
    (None, {"word": 2}, "ranks 1, 2"),
    (None, {"word": "first"}, "ranks 1, 2"),
    (None, ["word"], "damaged"),
])
def test_damaged_downloads_are_named_in_one_line(tmp_path, reviews, index, message):
    write_unchanged(tmp_path, reviews, index)
    with pytest.raises(UserError, match=message) as caught:
        sa_utils.load(settings(tmp_path))
    assert "get_data.sh --only IMDB" in str(caught.value)
    assert not (tmp_path / "sa" / "ready").exists()


def test_missing_and_cut_files_name_the_command(tmp_path):
    with pytest.raises(UserError,
                       match="is missing: run `bash get_data.sh --only IMDB --data_folder"):
        sa_utils.load(settings(tmp_path))
    archive = write_unchanged(tmp_path) / "imdb.npz"
    whole = archive.read_bytes()
    archive.write_bytes(whole[:len(whole) // 2])
    with pytest.raises(UserError, match="imdb.npz cannot be read"):
        sa_utils.load(settings(tmp_path))
    archive.write_bytes(whole)
    data = sa_utils.load(settings(tmp_path))
    (tmp_path / "sa" / "ready" / "IMDB" / "valid.npz").write_bytes(b"half a file")
    message = "valid.npz cannot be read .* run `" + re.escape(call_of("sa_utils.py"))
    with pytest.raises(UserError, match=message):
        data.batches("valid")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    write_unchanged(tmp_path)
    (tmp_path / "sa" / "ready").write_text("a file where a folder should be")
    with pytest.raises(UserError, match="IMDB cannot be prepared"):
        sa_utils.load(settings(tmp_path))


def test_an_unknown_data_set_is_named():
    with pytest.raises(UserError, match="'Yelp': choose one of IMDB"):
        sa_utils.load(settings("data", data_set_name="Yelp"))


def test_the_script_prints_an_analysis(folder, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["sa_utils.py", "--data_folder", str(folder)])
    sa_utils.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("IMDB") and lines[1] == "  24902 ids"
    assert lines[3].split() == ["reviews", "16", "4", "9"]
