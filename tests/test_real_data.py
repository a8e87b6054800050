"""The published data sets, if `bash get_data.sh` has fetched them: the counts on record of them.

They are also known to be the published ones, by their content.
"""

import os

import pytest

import lm_main
import lm_utils
import mm_main
import mm_utils
import mnist_main
import mnist_utils
import sa_main
import sa_utils
from data_preparation.sources import DOWNLOADS
from files.errors import UserError
from training.read_settings import read_settings

DATA = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data")


@pytest.fixture
def load(tmp_path):
    """A function that prepares a data set in a folder of its own; without its source, skip."""
    for task in ("mm", "lm", "sa", "mnist"):
        (tmp_path / task).mkdir()
        (tmp_path / task / "unchanged").symlink_to(os.path.join(DATA, task, "unchanged"))

    def load(script, utils, data_set):
        words = ["--data_set_name", data_set, "--data_folder", str(tmp_path)]
        try:
            return utils.load(read_settings(vars(script), words))
        except UserError as error:
            if not is_fetched(data_set):
                pytest.skip(str(error))
            raise
    return load


def is_fetched(data_set):
    source = "MNIST" if "MNIST" in data_set else data_set.replace("penn-standard", "penn")
    downloads = [download for download in DOWNLOADS if source in download.sets]
    assert downloads, data_set
    return all(os.path.exists(os.path.join(DATA, download.task, "unchanged", file.name))
               for download in downloads for file in download.files)


def of_all(data, *names):
    """The named counts of the training, validation and test split of published data."""
    assert data.fraction == 1
    analyses = [data.summary(split) for split in ("train", "valid", "test")]
    return tuple([analysis[name] for analysis in analyses] for name in names)


@pytest.mark.parametrize("data_set, songs, steps, silent, lowest, highest", [
    ("JSB Chorales", [229, 76, 77], [13807, 4602, 4725], 64, 43, 96),
    ("Nottingham", [694, 173, 170], [176561, 45513, 44463], 557, 31, 93),
    ("MuseData", [524, 135, 124], [245202, 82755, 64339], 22416, 21, 105),
    ("Piano-midi.de", [87, 12, 25], [75911, 8540, 19036], 5820, 21, 108)])
def test_music(load, data_set, songs, steps, silent, lowest, highest):
    found = of_all(load(mm_main, mm_utils, data_set), "songs", "sounding_steps", "silent_steps",
                   "lowest_note", "highest_note")
    assert found[0] == songs
    assert [sum(counts) for counts in zip(*found[1:3])] == steps and sum(found[2]) == silent
    assert (min(found[3]), max(found[4])) == (lowest, highest)


@pytest.mark.parametrize("data_set, ids, tokens, unknown", [
    ("penn", 9650, [887644, 70338, 78808], [1, 9, 0]),
    ("penn-standard", 10002, [929589, 73760, 82430], [0, 0, 0]),  # with padding and unknown
    ("pennchar", 51, [4975414, 389672, 438662], [0, 0, 0])])
def test_texts(load, data_set, ids, tokens, unknown):
    data = load(lm_main, lm_utils, data_set)
    assert data.vocabulary_size == ids
    assert of_all(data, "tokens", "unknown") == (tokens, unknown)


@pytest.mark.parametrize("data_set, ids", [("enwik8", 207), ("text8", 29)])
def test_wikipedia(load, data_set, ids):
    data = load(lm_main, lm_utils, data_set)
    if data.fraction != 1:
        assert data.fraction == data._stats["source_bytes"] / 1e8
        pytest.skip("only the beginning of %s is there" % data_set)
    assert data.vocabulary_size == ids
    assert of_all(data, "tokens") == ([90000000, 5000000, 5000000],)


def test_reviews(load):
    data = load(sa_main, sa_utils, "IMDB")
    assert data.vocabulary_size == 24902
    reviews, positive, quartiles = of_all(data, "reviews", "positive", "length_quartiles")
    assert reviews == [20000, 5000, 25000]
    assert (positive[0] + positive[1], positive[2]) == (12500, 12500)
    assert max(lengths[-1] for lengths in quartiles[:2]) == 2494


def test_digits(load):
    data = load(mnist_main, mnist_utils, "SequentialMNIST")
    assert of_all(data, "digits") == ([50000, 10000, 10000],)
    of_each_class = data.stats("test")["of_each_class"]
    assert of_each_class == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
