"""Data are known by their content: fingerprints, fractions, and ready files that were copied."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import lm_utils
import mm_utils
import mnist_utils
import sa_utils
import test_lm_utils
import test_mm_utils
import test_mnist_utils
import test_sa_utils
from data_preparation import identity, prepared, ready_files, sources
from files.errors import UserError
from reports.runs import find_runs

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CORPUS = "the cat sat on the mat and saw a dog " * 40


def music(folder, **changes):
    return mm_utils.load(test_mm_utils.settings_for(folder, **changes))


def text(folder, name="text8", **changes):
    return lm_utils.load(test_lm_utils.settings(folder, name, **changes))


def write_text8(folder, content):
    test_lm_utils.write_unchanged(folder, text8=content)


def publish(monkeypatch, name, content):
    """Make `content` the published file `name`, as data_preparation/sources.py has it."""
    file = sources.File(name, hashlib.sha256(content).hexdigest(), len(content), None)
    source = sources.Download(name, (name.split(".")[0],), "mm", (), (file,))
    monkeypatch.setattr(identity, "DOWNLOADS", (source,))


# --- Fingerprints and fractions ---

def test_published_runs_had_the_data_that_get_data_fetches():
    files = {download.sets[0]: [file.checksum for file in download.files]
             for download in sources.DOWNLOADS if download.task == "mm"}
    expected = {name: identity.fingerprint_of(digests) for name, digests in files.items()}
    expected["SequentialMNIST"] = identity.PUBLISHED_CONTENT["MNIST"]
    runs, _ = find_runs([os.path.join(ROOT, "results")])
    found = {run.results["data_set"]: run.results["data"]["fingerprint"] for run in runs
             if "data" in run.results}
    assert len(expected) == 5
    assert {name: found[name] for name in expected} == expected


def test_other_songs_under_a_published_name_are_other_data(tmp_path, monkeypatch):
    path = test_mm_utils.write_source(tmp_path, test_mm_utils.made_up_splits())
    publish(monkeypatch, path.name, path.read_bytes())
    published = music(tmp_path)
    assert published.fraction == 1 and len(published.fingerprint) == 64
    splits = test_mm_utils.made_up_splits()
    splits["test"][0][0] = [60]
    test_mm_utils.write_source(tmp_path, splits)
    other = music(tmp_path)
    assert other.fraction is None and other.fingerprint != published.fingerprint


def test_a_beginning_of_a_text_is_known_by_its_content(tmp_path, monkeypatch):
    raw = CORPUS.encode()
    publish(monkeypatch, "text8", raw)
    monkeypatch.setattr(identity, "beginnings", lambda name: {
        size: hashlib.sha256(raw[:size]).hexdigest() for size in (64, 128, 256, 512)})
    fingerprints = set()
    for size, fraction in ((len(raw), 1), (740, 0.5), (370, 0.25), (300, 300 / 1480), (63, None)):
        write_text8(tmp_path, raw[:size])
        data = text(tmp_path, window_size=2)
        assert data.fraction == fraction
        fingerprints.add(data.fingerprint)
    assert len(fingerprints) == 5
    for other in (raw[:100] + b"x" + raw[101:400], raw + b"x", raw[1:], raw[:-1] + b"x"):
        write_text8(tmp_path, other)
        assert text(tmp_path, window_size=2).fraction is None


def test_known_beginnings_are_of_rising_length_and_within_the_texts():
    for name in ("text8", "enwik8"):
        known = identity.beginnings(name)
        assert list(known) == sorted(known) and 4096 in known and max(known) < 10 ** 8
        assert all(len(digest) == 64 for digest in known.values())
    assert identity.beginnings("ptb.train.txt") == {}


def test_line_ends_of_penn_treebank_change_nothing(tmp_path):
    parts = {"ptb_train_txt": "a b c\nd a\n", "ptb_valid_txt": "a\n", "ptb_test_txt": "b d\n"}
    test_lm_utils.write_unchanged(tmp_path / "unix", **parts)
    dos = {name: part.replace("\n", "\r\n") for name, part in parts.items()}
    test_lm_utils.write_unchanged(tmp_path / "dos", **dos)
    for name in ("penn", "penn-standard"):
        unix, dos = [text(tmp_path / kind, name) for kind in ("unix", "dos")]
        assert unix.fingerprint == dos.fingerprint
        assert unix.tokens("train").tolist() == dos.tokens("train").tolist()


def test_digits_are_known_by_their_arrays_not_by_their_archive(tmp_path, monkeypatch):
    archive = test_mnist_utils.write_unchanged(tmp_path)
    first = mnist_utils.load(test_mnist_utils.settings(tmp_path))
    assert first.fraction is None
    monkeypatch.setitem(identity.PUBLISHED_CONTENT, "MNIST", first.fingerprint)
    digits = test_mnist_utils.made_up_digits()
    digits["y_train"] = digits["y_train"].astype(np.uint8)
    np.savez_compressed(str(archive), **digits)
    for name in ("SequentialMNIST", "P-MNIST"):
        again = mnist_utils.load(test_mnist_utils.settings(tmp_path, name))
        assert (again.fingerprint, again.fraction) == (first.fingerprint, 1)
    digits["x_test"][3, 5, 5] ^= 1
    np.savez_compressed(str(archive), **digits)
    other = mnist_utils.load(test_mnist_utils.settings(tmp_path))
    assert other.fraction is None and other.fingerprint != first.fingerprint
    test_mnist_utils.write_unchanged(tmp_path, x_train=digits["x_train"][:12],
                                     y_train=digits["y_train"][:12])
    assert mnist_utils.load(test_mnist_utils.settings(tmp_path)).fraction is None


def test_reviews_are_known_by_their_words_not_by_their_archive(tmp_path, monkeypatch):
    first_folder, second_folder = tmp_path / "first", tmp_path / "second"
    test_sa_utils.write_unchanged(first_folder)
    first = sa_utils.load(test_sa_utils.settings(first_folder))
    monkeypatch.setitem(identity.PUBLISHED_CONTENT, "IMDB", first.fingerprint)
    unchanged = test_sa_utils.write_unchanged(second_folder)
    index = json.loads((unchanged / "imdb_word_index.json").read_text())
    (unchanged / "imdb_word_index.json").write_text(json.dumps(index, indent=1, sort_keys=True))
    with np.load(str(unchanged / "imdb.npz"), allow_pickle=True) as arrays:
        arrays = {name: arrays[name] for name in arrays.files}
    np.savez_compressed(str(unchanged / "imdb.npz"), **arrays)
    second = sa_utils.load(test_sa_utils.settings(second_folder))
    assert (second.fingerprint, second.fraction) == (first.fingerprint, 1)
    arrays["x_train"][4][0] += 1
    np.savez_compressed(str(unchanged / "imdb.npz"), **arrays)
    assert sa_utils.load(test_sa_utils.settings(second_folder)).fraction is None


def test_what_comes_along_is_whole(tmp_path):
    assert music(tmp_path, data_set_name=mm_utils.SAMPLE).fraction == 1
    assert text(tmp_path, "PythonDocs").fraction == 1
    digits = mnist_utils.load(test_mnist_utils.settings(tmp_path, "SequentialDigits"))
    assert digits.fraction == 1 and len(digits.fingerprint) == 64


def test_data_that_are_prepared_again_from_others_while_in_use_are_refused(tmp_path):
    splits = test_mm_utils.made_up_splits()
    test_mm_utils.write_source(tmp_path, splits)
    in_training = music(tmp_path)
    in_training.batches("train")
    music(tmp_path).batches("test")  # the same data, for another run
    splits["test"][0][0] = [60]
    test_mm_utils.write_source(tmp_path, splits)
    music(tmp_path).batches("test")
    with pytest.raises(UserError, match="from other data while it was in use: put the data back"):
        in_training.batches("test")


def test_an_analysis_does_not_disturb_who_uses_the_data(tmp_path, monkeypatch, capsys):
    test_mm_utils.write_source(tmp_path, test_mm_utils.made_up_splits())
    in_training = music(tmp_path)

    def write(*_):
        raise AssertionError("prepared again")
    monkeypatch.setattr(ready_files, "write", write)
    monkeypatch.setattr(mm_utils.TASK, "_sources", {test_mm_utils.NAME: [
        test_mm_utils.NAME + ".pickle"]})
    assert test_mm_utils.run(monkeypatch, capsys, tmp_path)[0] == 0
    assert len(in_training.batches("test")) > 0


@pytest.mark.parametrize("fraction, label", [
    (1, "text8"), (0.125, "12.5 % of the full text8"),
    (None, "other data than the published text8")])
def test_labels_say_which_data_it_was(fraction, label):
    assert prepared.data_label("text8", fraction) == label


def test_file_order_is_that_of_the_batches(tmp_path):
    test_sa_utils.write_unchanged(tmp_path)
    reviews = sa_utils.load(test_sa_utils.settings(tmp_path))
    lengths = np.load(str(tmp_path / "sa" / "ready" / "IMDB" / "test.npz"))["lengths"]
    batches = reviews.batches("test")
    found = np.concatenate([batches[i]["lengths"] for i in range(len(batches))])
    order = reviews.file_order("test")
    assert sorted(order) == list(range(9)) and order.tolist() != sorted(order)
    assert np.minimum(lengths[order], 12).tolist() == found.tolist()
    songs = music(tmp_path, data_set_name=mm_utils.SAMPLE)
    assert songs.file_order("test") is None


# --- Ready files ---

@pytest.fixture
def never_again(monkeypatch):
    """From the call of this function on, preparing anything fails the test."""
    def forbid():
        def fail(*_):
            raise AssertionError("prepared again")
        monkeypatch.setattr(ready_files, "write", fail)
    return forbid


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("with_sources", [False, True])
def test_a_copied_folder_is_used_as_it_is(tmp_path, monkeypatch, never_again, read_only,
                                          with_sources):
    write_text8(tmp_path / "here", CORPUS)
    here = text(tmp_path / "here")
    shutil.copytree(str(tmp_path / "here"), str(tmp_path / "there"), copy_function=shutil.copyfile)
    if not with_sources:
        shutil.rmtree(str(tmp_path / "there" / "lm" / "unchanged"))
    never_again()
    if read_only:
        def refuse(*_):
            raise PermissionError("read-only")
        monkeypatch.setattr(ready_files, "save_json", refuse)
    for _ in range(2):
        there = text(tmp_path / "there")
        assert there.fingerprint == here.fingerprint
        assert there.tokens("test").tolist() == here.tokens("test").tolist()


def test_the_times_of_a_copy_are_noted_so_that_it_is_read_once(tmp_path, monkeypatch):
    write_text8(tmp_path, CORPUS)
    text(tmp_path)
    ready = tmp_path / "lm" / "ready" / "text8"
    os.utime(str(ready / "train.npy"), (5, 5))
    os.utime(str(tmp_path / "lm" / "unchanged" / "text8"), (5, 5))
    read = []
    real = ready_files.file_digest
    monkeypatch.setattr(ready_files, "file_digest",
                        lambda path: read.append(os.path.basename(path)) or real(path))
    text(tmp_path)
    assert sorted(read) == ["text8", "train.npy"]
    text(tmp_path)
    assert len(read) == 2


@pytest.mark.parametrize("name", ["train.npy", "vocabulary.json"])
def test_a_ready_file_of_the_same_size_but_other_content_is_made_again(tmp_path, name):
    write_text8(tmp_path, CORPUS)
    text(tmp_path)
    path = tmp_path / "lm" / "ready" / "text8" / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:])
    os.utime(str(path), (5, 5))
    text(tmp_path)
    assert path.read_bytes() == whole


def test_a_source_of_the_same_size_and_other_content_is_noticed(tmp_path):
    write_text8(tmp_path, CORPUS)
    first = text(tmp_path)
    write_text8(tmp_path, CORPUS.replace("dog", "cow"))
    second = text(tmp_path)
    assert second.fingerprint != first.fingerprint and "w" in second.symbols


@pytest.mark.parametrize("content", [
    "", "{", "[]", '{"sources": {"text8": [1480, 1]}, "ready": {}}', '{"format": 2}',
    '{"format": 2, "options": [], "sources": 5, "ready": null}', "[" * 100000])
def test_ready_folders_of_earlier_versions_are_prepared_again(tmp_path, content):
    write_text8(tmp_path, CORPUS)
    expected = text(tmp_path).fingerprint
    path = tmp_path / "lm" / "ready" / "text8" / ready_files.MADE_FROM
    path.write_text(content)
    assert text(tmp_path).fingerprint == expected
    assert json.loads(path.read_text())["format"] == ready_files.FORMAT


def test_a_preparation_killed_anywhere_is_done_again(tmp_path):
    write_text8(tmp_path, CORPUS)
    code = ("import time; from files import writing\n"
            "from data_preparation import ready_files\n"
            "import lm_utils, os\n"
            "real = os.replace\n"
            "def slow(a, b):\n"
            "    print(b, flush=True); time.sleep(0.3); real(a, b)\n"
            "os.replace = slow\n"
            "lm_utils.prepare('text8', %r)" % str(tmp_path))
    ready = tmp_path / "lm" / "ready" / "text8"
    for files in (1, 2, 4):
        process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
        for _ in range(files):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert list(ready.glob("*.part"))
        assert not (ready / ready_files.MADE_FROM).exists()
        for path in ready.glob("*.part"):
            os.utime(str(path), (time.time() - 7200,) * 2)
        assert text(tmp_path).stats("train")["tokens"] == len(CORPUS) * 90 // 100
        assert not list(ready.glob("*.part"))
        write_text8(tmp_path, CORPUS)
        os.remove(str(ready / ready_files.MADE_FROM))


def test_processes_that_start_at_once_prepare_once(tmp_path):
    write_text8(tmp_path, CORPUS)
    code = ("import test_lm_utils, lm_utils\n"
            "data = lm_utils.load(test_lm_utils.settings(%r, 'text8'))\n"
            "print(data.fingerprint, len(data.tokens('train')))" % str(tmp_path))
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([ROOT, os.path.join(ROOT, "tests")]))
    processes = [subprocess.Popen([sys.executable, "-c", code], env=environment,
                                  stdout=subprocess.PIPE, universal_newlines=True)
                 for _ in range(3)]
    shown = [process.communicate()[0].splitlines()[-1] for process in processes]
    assert len(set(shown)) == 1 and shown[0].endswith(" %d" % (len(CORPUS) * 90 // 100))
    assert [process.returncode for process in processes] == [0, 0, 0]


# --- Where data are ---

def test_relative_folders_are_the_projects_and_the_home_is_known(tmp_path, monkeypatch):
    test_mm_utils.write_source(tmp_path, test_mm_utils.made_up_splits())
    monkeypatch.chdir(str(tmp_path))
    relative = os.path.relpath(str(tmp_path), ROOT)
    assert music(relative).stats("train")["songs"] == 13
    assert (tmp_path / "mm" / "ready" / "Nottingham" / "train.npz").exists()
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    assert music("~/" + tmp_path.name).stats("train")["songs"] == 13
    with pytest.raises(UserError, match="%s/nowhere/mm/unchanged.* is missing" % ROOT):
        music("nowhere")


def test_scripts_mean_the_same_folder_wherever_they_are_started(tmp_path):
    test_mm_utils.write_source(tmp_path, test_mm_utils.made_up_splits())
    (tmp_path / "elsewhere").mkdir()
    relative = os.path.relpath(str(tmp_path), ROOT)
    command = [sys.executable, os.path.join(ROOT, "mm_utils.py"), "--data_folder", relative]
    ended = subprocess.run(command, cwd=str(tmp_path / "elsewhere"), stdout=subprocess.PIPE,
                           universal_newlines=True)
    assert ended.returncode == 0 and "Nottingham in %s" % tmp_path in ended.stdout


@pytest.mark.parametrize("utils, name, file", [
    (lm_utils, "text8", "text8"), (lm_utils, "penn", "ptb.train.txt"),
    (mm_utils, "JSB Chorales", "JSB Chorales.pickle"), (sa_utils, "IMDB", "imdb_word_index.json"),
    (mnist_utils, "P-MNIST", "mnist.npz")])
def test_what_stands_under_a_published_name_is_never_to_be_overwritten(tmp_path, utils, name, file):
    unchanged = tmp_path / utils.__name__.split("_")[0] / "unchanged"
    unchanged.mkdir(parents=True)
    for path in utils.TASK._sources[name]:
        (unchanged / path).write_bytes("My own diary, naïve.\n".encode("utf-8"))
    with pytest.raises(UserError) as raised:
        utils.prepare(name, str(tmp_path))
    message = str(raised.value)
    assert file in message and "--force" not in message and "move it away and run" in message
    if utils in (lm_utils, mm_utils):
        assert "what is your own is read by --data_set_name Own" in message
    if utils is lm_utils:
        assert "is not the published text" in message


def test_files_that_nobody_published_are_data_of_their_own():
    found = identity.identity_of_files({"mine.pickle": b"\x80"})
    assert found.fraction is None and len(found.fingerprint) == 64
