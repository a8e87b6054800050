import argparse
import re

import numpy as np
import pytest

import mnist_utils
from data_preparation import prepared as data
from files.errors import UserError
from files.project import call_of


def settings(folder, name="SequentialMNIST", **changes):
    values = dict(data_set_name=name, data_folder=str(folder), batch_size=4, seed=5)
    return argparse.Namespace(**dict(values, **changes))


def made_up_digits():
    random = np.random.RandomState(1)
    return {"x_train": random.randint(0, 256, (18, 28, 28)).astype(np.uint8),
            "y_train": np.arange(18) % 10,
            "x_test": random.randint(0, 256, (7, 28, 28)).astype(np.uint8), "y_test": np.arange(7)}


def write_unchanged(folder, **changes):
    unchanged = folder / "mnist" / "unchanged"
    unchanged.mkdir(parents=True, exist_ok=True)
    arrays = {name: array for name, array in dict(made_up_digits(), **changes).items()
              if array is not None}
    np.savez(str(unchanged / "mnist.npz"), **arrays)
    return unchanged / "mnist.npz"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("data")
    write_unchanged(path)
    mnist_utils.prepare("SequentialMNIST", str(path))
    mnist_utils.prepare("SequentialDigits", str(path))
    return path


def joined(batches, steps=784):
    """Images [digits, steps] and labels of all batches; checks shapes and types."""
    images, labels = [], []
    for batch in batches:
        count = len(batch["labels"])
        assert batch["inputs"].dtype == np.uint8 and batch["inputs"].shape == (steps, count)
        assert batch["labels"].dtype == batch["lengths"].dtype == np.int32
        assert batch["lengths"].tolist() == [steps] * count
        images.append(batch["inputs"].T)
        labels.append(batch["labels"])
    return np.concatenate(images), np.concatenate(labels)


def test_the_last_sixth_of_the_training_digits_is_for_validation(folder):
    digits = made_up_digits()
    expected = {"valid": (digits["x_train"][15:], digits["y_train"][15:]),
                "test": (digits["x_test"], digits["y_test"])}
    data = mnist_utils.load(settings(folder))
    for split, (images, labels) in expected.items():
        found_images, found_labels = joined(data.batches(split))
        assert np.array_equal(found_images, images.reshape(len(images), 784))
        assert np.array_equal(found_labels, labels)
    assert [len(batch["labels"]) for batch in data.batches("test")] == [4, 3]


@pytest.mark.parametrize("name", ["SequentialMNIST", "P-MNIST"])
def test_training_order_depends_on_seed_and_epoch_alone(folder, name):
    def images(seed, epoch):
        batches = mnist_utils.load(settings(folder, name, seed=seed)).batches("train", epoch)
        assert [len(batch["labels"]) for batch in batches] == [4, 4, 7]
        return joined(batches)[0].tolist()

    first = images(5, 0)
    assert images(5, 0) == first
    for other in (images(5, 1), images(6, 0)):
        assert other != first and sorted(other) == sorted(first)


def test_permuted_digits_have_their_pixels_in_the_published_order(folder):
    plain, labels = joined(mnist_utils.load(settings(folder)).batches("test"))
    permuted, same_labels = joined(mnist_utils.load(settings(folder, "P-MNIST")).batches("test"))
    assert np.array_equal(permuted, plain[:, np.random.RandomState(0).permutation(784)])
    assert np.array_equal(labels, same_labels)


def test_sequential_digits_need_no_download(tmp_path):
    from sklearn.datasets import load_digits
    data = mnist_utils.load(settings(tmp_path, "SequentialDigits"))
    parts = [joined(data.batches(split), 64) for split in ("train", "valid", "test")]
    assert [len(labels) for _, labels in parts] == [1257, 270, 270]
    found = np.concatenate([np.column_stack(part) for part in parts])
    expected = np.column_stack([load_digits().data, load_digits().target])
    assert sorted(found.tolist()) == sorted(expected.tolist())
    for _, labels in parts:
        assert np.bincount(labels).min() >= .085 * len(labels)
    assert (data.steps, data.pixel_scale) == (64, 16.) and parts[0][0].max() == 16


def test_attributes_and_stats(folder):
    data = mnist_utils.load(settings(folder, "P-MNIST"))
    assert (data.steps, data.pixel_scale, len(data.class_names)) == (784, 255., 10)
    assert data.class_names == tuple("0123456789")
    stats = data.stats("test")
    digits = made_up_digits()["x_test"]
    assert stats["digits"] == 7 and stats["of_each_class"] == [1] * 7 + [0] * 3
    assert stats["mean_intensity"] == pytest.approx(digits.mean() / 255)
    assert stats["blank_fraction"] == pytest.approx((digits == 0).mean())


def test_test_digits_are_not_read_before_they_are_asked_for(folder, monkeypatch):
    read = []
    real = data.load_arrays
    monkeypatch.setattr(data, "load_arrays",
                        lambda path, *others: read.append(path) or real(path, *others))
    digits = mnist_utils.load(settings(folder))
    digits.batches("train")
    digits.batches("valid")
    assert len(read) == 2 and not any("test.npz" in path for path in read)


def test_prepared_digits_are_found_again_and_preparing_repeats_them(tmp_path):
    archive = write_unchanged(tmp_path)
    ready = tmp_path / "mnist" / "ready" / "MNIST"
    mnist_utils.load(settings(tmp_path))
    first = {path.name: path.read_bytes() for path in ready.iterdir()}
    mnist_utils.prepare("P-MNIST", str(tmp_path))
    again = {path.name: path.read_bytes() for path in ready.iterdir()}
    assert sorted(again) == sorted(first)
    assert all(again[name] == first[name] for name in first if name.endswith("z"))
    assert sorted(first) == ["made_from.json", "test.npz", "train.npz", "valid.npz"]
    archive.unlink()
    assert len(mnist_utils.load(settings(tmp_path, "P-MNIST")).batches("test")) == 2


@pytest.mark.parametrize("changes", [
    {"x_test": np.zeros((7, 28, 27), np.uint8)},
    {"x_test": np.uint8(0)},
    {"x_train": np.zeros((18, 28, 28), np.float32)},
    {"y_train": np.full(18, 10)},
    {"y_train": np.full(18, -1)},
    {"y_test": np.zeros(8, int)},
    {"x_train": np.zeros((3, 28, 28), np.uint8), "y_train": np.zeros(3, int)},
    {"y_test": None},
    {"x_test": np.array([None, {}])},
])
def test_wrong_arrays_are_named_in_one_line(tmp_path, changes):
    write_unchanged(tmp_path, **changes)
    with pytest.raises(UserError,
                       match="mnist.npz .*run `bash get_data.sh --only MNIST --data_folder"):
        mnist_utils.load(settings(tmp_path))
    assert not (tmp_path / "mnist" / "ready").exists()


def test_missing_and_cut_files_name_the_command(tmp_path):
    with pytest.raises(UserError, match="mnist.npz is missing: run `bash get_data.sh --only MNIST"):
        mnist_utils.load(settings(tmp_path, "P-MNIST"))
    archive = write_unchanged(tmp_path)
    whole = archive.read_bytes()
    archive.write_bytes(whole[:len(whole) // 2])
    with pytest.raises(UserError, match="mnist.npz cannot be read"):
        mnist_utils.load(settings(tmp_path))
    archive.write_bytes(whole)
    data = mnist_utils.load(settings(tmp_path))
    (tmp_path / "mnist" / "ready" / "MNIST" / "train.npz").write_bytes(b"half a file")
    message = "train.npz cannot be read .* run `" + re.escape(call_of("mnist_utils.py"))
    with pytest.raises(UserError, match=message):
        data.batches("train")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    write_unchanged(tmp_path)
    (tmp_path / "mnist" / "ready").write_text("a file where a folder should be")
    with pytest.raises(UserError, match="SequentialMNIST cannot be prepared"):
        mnist_utils.load(settings(tmp_path))


def test_an_unknown_data_set_is_named():
    with pytest.raises(UserError,
                       match="'MNIST': choose one of SequentialMNIST, P-MNIST, SequentialDigits"):
        mnist_utils.load(settings("data", "MNIST"))


def test_the_script_prints_an_analysis(folder, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["mnist_utils.py", "--data_folder", str(folder)])
    mnist_utils.main()
    shown = capsys.readouterr().out
    assert "MNIST\n  784 pixels from 0 to 255, row by row\n" in shown
    assert "in one fixed random order" in shown
    counts = [line.split()[1:] for line in shown.splitlines() if line.startswith("  digits ")]
    assert counts == [["15", "3", "7"]] * 2 + [["1,257", "270", "270"]]
    assert max(len(line) for line in shown.splitlines() if line.startswith("  ")) <= 100
    classes = [line.split() for line in shown.splitlines() if line.startswith("  of class ")]
    assert [words[2] for words in classes[-10:]] == list("0123456789")
    # The test part's.
    assert [words[-1] for words in classes[-10:]] == ["27"] * 6 + ["28", "26", "27", "27"]


def test_the_script_continues_without_mnist(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["mnist_utils.py", "--data_folder", str(tmp_path)])
    assert mnist_utils.main() == 0
    advice = "mnist.npz is not there: run `bash get_data.sh --only MNIST"
    assert capsys.readouterr().out.count(advice) == 2
