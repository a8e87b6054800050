"""A user's own text: files of all kinds, splits, symbols, and what is refused."""

import gzip
import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

import lm_main
import lm_utils
from data_preparation import own_text, ready_files, texts
from data_preparation.own import data_set_title
from files.errors import TrainingFailed, UserError
from files.reading import load_json
from sweeps.search_space import search_space
from training.run_folder import run_path
from training.read_settings import read_settings

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NOVEL = "“Naïve café,” said Ünal's dog - well, 3 times.\nAnother line!\n\n" * 30


def load(folder, path, **changes):
    values = dict(data_set_name="OwnText", data_folder=str(folder / "data"), own_text=str(path),
                  own_unit="character", own_vocabulary=10000, window_size=8, batch_size=2, seed=1,
                  stateful=False, state_reset_probability=0.1)
    return lm_utils.load(SimpleNamespace(**dict(values, **changes)))


def prepare_again(folder, path):
    lm_utils.prepare("OwnText", str(folder / "data"), own_text=str(path))


def whole(data):
    """The text of all splits, as decoded from the ids."""
    return "".join(data.decode(data.tokens(split)) for split in lm_utils.SPLITS)


def write(path, content, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def options(folder, *more):
    return ["--data_folder", str(folder / "data"), "--runs_folder", str(folder / "runs"),
            "--number_of_parameters", "30000", "--epochs", "1", "--name", "one"] + list(more)


# --- What is read ---

def test_a_text_is_split_by_position_and_comes_back_whole(tmp_path):
    data = load(tmp_path, write(tmp_path / "novel.txt", NOVEL))
    total = len(NOVEL)
    counts = [len(data.tokens(split)) for split in lm_utils.SPLITS]
    ends = total * 90 // 100, total * 95 // 100
    assert counts == [ends[0], ends[1] - ends[0], total - ends[1]]
    assert whole(data) == NOVEL and data.characters and data.metric == "bpc"
    assert data.symbols[2:] == sorted(set(NOVEL)) and data.tokens("train").dtype == np.uint8
    assert (data.title, data.fraction, len(data.fingerprint)) == ("OwnText novel", 1, 64)
    assert data.decode(data.encode("café dog")) == "café dog"
    assert data.encode("Ω").tolist() == [texts.UNKNOWN]
    assert data.batches("train")[0]["inputs"].shape == (8, 2)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_marks_encodings_and_line_ends_are_read(tmp_path, encoding, line_end):
    path = write(tmp_path / "novel.txt", NOVEL.replace("\n", line_end), encoding)
    assert whole(load(tmp_path, path)) == NOVEL


def test_packed_files_and_folders_are_read(tmp_path):
    write(tmp_path / "novel.txt.gz", gzip.compress(NOVEL.encode("utf-8")))
    assert whole(load(tmp_path, tmp_path / "novel.txt.gz")) == NOVEL
    folder = tmp_path / "my books"
    write(folder / "b.txt", "second " * 9)
    write(folder / "a" / "deep.TXT", "first " * 9)
    write(folder / "c.txt.gz", gzip.compress(b"third " * 9))
    write(folder / "notes.md", "not this")
    write(folder / ".hidden.txt", "not this")
    write(folder / ".checkpoints" / "b.txt", "not this")
    write(tmp_path / "shelf" / "d.txt", "fourth " * 9)
    os.symlink(str(tmp_path / "shelf"), str(folder / "linked"))
    os.symlink(str(folder), str(folder / "loop"))
    os.symlink(str(folder / "a"), str(folder / "another_a"))
    data = load(tmp_path, folder)
    assert whole(data) == "first " * 9 + "\n" + "second " * 9 + "\n" + "third " * 9 + (
        "\n" + "fourth " * 9)
    assert data.title == "OwnText my books"


def test_three_files_are_the_three_splits(tmp_path):
    parts = {"a.txt": "abcab" * 30, "b.txt": "abz", "c.txt": "ba"}
    names = ",".join(str(write(tmp_path / name, part)) for name, part in parts.items())
    data = load(tmp_path, names)
    decoded = [data.decode(data.tokens(split)) for split in lm_utils.SPLITS]
    assert decoded == ["abcab" * 30, "ab<unknown>", "ba"] and data.title == "OwnText a"
    assert [data.summary(split)["unknown"] for split in lm_utils.SPLITS] == [0, 1, 0]
    comma = write(tmp_path / "one, two.txt", NOVEL)
    assert whole(load(tmp_path, comma)) == NOVEL


def test_a_text_with_a_comma_in_its_name_that_is_gone_is_read_from_its_prepared_data(tmp_path):
    path = write(tmp_path / "Austen, Emma.txt", NOVEL)
    load(tmp_path, path)
    os.remove(str(path))
    assert whole(load(tmp_path, path)) == NOVEL
    with pytest.raises(UserError, match="but there is no such file or folder"):
        load(tmp_path, tmp_path / "Bront\u00eb, Jane Eyre.txt")


def test_words_keep_the_marks_that_combine_with_their_letters():
    for word in ("\u0939\u093f\u0928\u094d\u0926\u0940", "nai\u0308ve", "cafe\u0301's",
                 "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd", "\u0645\u06cc\u200c\u062e",
                 "ta\u00adble"):
        assert own_text.split_words("a %s, b" % word) == ["a", word, ",", "b"]


def test_words_have_marks_of_punctuation_and_line_ends(tmp_path):
    data = load(tmp_path, write(tmp_path / "novel.txt", NOVEL), own_unit="word")
    first = data.decode(data.tokens("train"))[:70]
    assert first == "“ Naïve café , ” said Ünal's dog - well , 3 times . <eos> Another line"
    assert not data.characters and data.metric == "perplexity"
    assert data.decode(data.encode("Ünal's cat,")) == "Ünal's <unknown> ,"
    assert sum(len(data.tokens(split)) for split in lm_utils.SPLITS) == 20 * 30


@pytest.mark.parametrize("unit", own_text.UNITS)
@pytest.mark.parametrize("piece", [1, 3, 7, 64])
def test_pieces_change_nothing(tmp_path, monkeypatch, unit, piece):
    path = write(tmp_path / "novel.txt", NOVEL.replace("\n", "\r\n"))
    expected = load(tmp_path, path, own_unit=unit)
    tokens = [expected.tokens(split).tolist() for split in lm_utils.SPLITS]
    shutil.rmtree(str(tmp_path / "data"))
    monkeypatch.setattr(own_text, "PIECE", max(piece, 20) if unit == "word" else piece)
    again = load(tmp_path, path, own_unit=unit)
    assert [again.tokens(split).tolist() for split in lm_utils.SPLITS] == tokens
    assert again.symbols == expected.symbols


def test_a_text_without_blanks_is_no_endless_word(tmp_path, monkeypatch):
    monkeypatch.setattr(own_text, "PIECE", 50)
    data = load(tmp_path, write(tmp_path / "novel.txt", "abc" * 9999), own_unit="word")
    assert max(map(len, data.symbols[2:])) <= 100 and len(data.tokens("train")) > 200


@pytest.mark.parametrize("unit, kept", [("character", " ab"), ("word", ["a", "b"])])
def test_the_commonest_symbols_are_kept(tmp_path, unit, kept):
    path = write(tmp_path / "novel.txt", "a b a b a c a b " * 20)
    data = load(tmp_path, path, own_unit=unit, own_vocabulary=len(kept))
    assert data.symbols[2:] == list(kept)
    assert data.summary("train")["unknown"] == np.count_nonzero(data.tokens("train") == 1) > 0


def test_a_large_text_needs_little_memory(tmp_path):
    path = tmp_path / "large.txt"
    with open(str(path), "w") as file:
        for i in range(40000):
            file.write("line %d of a long text, which goes on and on without an end\n" % i * 10)
    size = path.stat().st_size
    assert size > 20 * own_text.PIECE
    load(tmp_path, write(tmp_path / "small.txt", NOVEL))  # what imports need
    tracemalloc.start()
    data = load(tmp_path, path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(len(data.tokens(split)) for split in lm_utils.SPLITS) == size
    assert peak < 60 << 20


# --- What is refused ---

@pytest.mark.parametrize("content, message", [
    (b"", "novel.txt is too short: it has 0 characters"),
    (b"tiny", r"novel.txt is too short: it has 4 characters .*: give 40 or more"),
    (b"a" * 1000, "novel.txt has nothing to predict: its training part holds only 'a'"),
    (b"caf\xe9 " * 100, "novel.txt is not UTF-8 .*byte 0xe9.*: convert it .* by `iconv"),
    (b"a\0b\0" * 100, "novel.txt is not text: it holds NUL characters: convert it to UTF-8"),
    (b"\xff\xfea\0b" + b"\x00\xd8" * 50, "novel.txt is not UTF-16"),
])
def test_what_is_no_text_is_one_line(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        load(tmp_path, write(tmp_path / "novel.txt", content))
    assert not (tmp_path / "data" / "lm" / "ready").exists()


def test_damaged_archives_and_missing_files_are_one_line(tmp_path):
    packed = gzip.compress(NOVEL.encode("utf-8"))
    for content in (packed[:-20], b"no gzip", packed[:60] + b"xxxxx" + packed[65:]):
        with pytest.raises(UserError, match="novel.txt.gz cannot be read"):
            load(tmp_path, write(tmp_path / "novel.txt.gz", content))
    with pytest.raises(UserError, match="own_text is 'nowhere.txt', but there is no such file"):
        load(tmp_path, "nowhere.txt")
    with pytest.raises(UserError, match="OwnText needs to know where .*: give --own_text"):
        load(tmp_path, "")
    path = write(tmp_path / "a.txt", NOVEL)
    with pytest.raises(UserError, match="own_text names 2 files: name one, or three"):
        load(tmp_path, "%s,%s" % (path, path))
    with pytest.raises(UserError, match="b.txt is missing"):
        load(tmp_path, "%s,%s,%s/b.txt" % (path, path, tmp_path))
    with pytest.raises(UserError, match="own_text is /dev/zero, which is neither a file nor"):
        load(tmp_path, "/dev/zero")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty has no file whose name ends with .txt or .txt.gz"):
        load(tmp_path, tmp_path / "empty")


@pytest.mark.parametrize("changes, message", [
    ({"own_unit": "letter"}, "own_unit is 'letter': give one of character, word"),
    ({"own_vocabulary": 0}, "own_vocabulary is 0: give 1 or more")])
def test_wrong_options_are_one_line(tmp_path, capsys, changes, message):
    with pytest.raises(UserError, match=message):
        load(tmp_path, write(tmp_path / "novel.txt", NOVEL), **changes)
    assert "preparing" not in capsys.readouterr().out


def test_a_name_that_is_no_unicode_is_read(tmp_path):
    folder = os.path.join(os.fsencode(str(tmp_path)), b"books")
    os.mkdir(folder)
    for name in (b"caf\xe9.txt", b"b.txt"):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(NOVEL.encode("utf-8"))
    assert whole(load(tmp_path, tmp_path / "books")) == NOVEL + "\n" + NOVEL


# --- Found again ---

def test_ready_files_are_found_again_and_changes_prepare_again(tmp_path, monkeypatch, capsys):
    path = write(tmp_path / "novel.txt", NOVEL)
    load(tmp_path, path)
    shown = capsys.readouterr().out
    assert "preparing OwnText novel in " in shown and "unigram baseline, valid: bpc" in shown

    def prepared(*arguments, **changes):
        load(tmp_path, *arguments, **changes)
        return "preparing" in capsys.readouterr().out

    assert not prepared(path)
    assert prepared(path, own_unit="word") and not prepared(path, own_unit="word")
    assert prepared(path, own_vocabulary=20) and not prepared(path, own_vocabulary=20)
    assert not prepared(path)
    os.utime(str(path), (5, 5))
    assert not prepared(path)
    write(path, NOVEL + "more")
    assert prepared(path)
    path.unlink()
    assert not prepared(path)
    folder = tmp_path / "books"
    write(folder / "a.txt", NOVEL)
    write(folder / "b.txt", NOVEL)
    assert prepared(folder) and not prepared(folder)
    write(folder / "c.txt", NOVEL)
    assert prepared(folder) and not prepared(folder)
    (folder / "b.txt").unlink()
    assert prepared(folder) and not prepared(folder)


def test_the_same_name_in_two_folders_is_two_texts(tmp_path):
    first = load(tmp_path, write(tmp_path / "1" / "novel.txt", NOVEL))
    second = load(tmp_path, write(tmp_path / "2" / "novel.txt", NOVEL.upper()))
    assert first.fingerprint != second.fingerprint
    assert whole(first) == NOVEL and whole(second) == NOVEL.upper()


def test_a_relative_path_is_of_the_current_folder_or_the_project(tmp_path, monkeypatch):
    write(tmp_path / "here" / "novel.txt", NOVEL)
    monkeypatch.chdir(str(tmp_path / "here"))
    assert whole(load(tmp_path, "novel.txt")) == NOVEL
    monkeypatch.setenv("HOME", str(tmp_path / "here"))
    assert whole(load(tmp_path, "~/novel.txt")) == NOVEL
    monkeypatch.chdir(str(tmp_path))
    relative = os.path.relpath(str(tmp_path / "here" / "novel.txt"), ROOT)
    assert whole(load(tmp_path, relative)) == NOVEL


def test_a_run_keeps_the_whole_path(tmp_path, monkeypatch):
    found = set()
    for name in ("a", "b"):
        write(tmp_path / name / "book.txt", NOVEL + name)
        monkeypatch.chdir(tmp_path / name)
        settings = read_settings(vars(lm_main), ["--data_set_name", "OwnText", "--own_text",
                                                 "book.txt"])
        assert settings.own_text == str(tmp_path / name / "book.txt")
        assert settings.own_text in settings.command()
        found.add(lm_utils.TASK._place(settings).folder)
    assert len(found) == 2
    three = read_settings(vars(lm_main), ["--data_set_name", "OwnText", "--own_text",
                                          "book.txt, book.txt,book.txt"])
    assert three.own_text == ",".join([str(tmp_path / "b" / "book.txt")] * 3)


def test_a_text_without_its_data_set_is_named(tmp_path):
    text = str(write(tmp_path / "novel.txt", NOVEL))
    for words in (["--own_text", text], ["--own_unit", "word", "--data_set_name", "penn"]):
        with pytest.raises(UserError, match="%s is given, but data_set_name is .*: add "
                           "--data_set_name OwnText" % words[0].lstrip("-")):
            read_settings(vars(lm_main), words)


def test_prepared_data_are_enough_and_what_lacks_them_is_named(tmp_path):
    folder = tmp_path / "books"
    folder.mkdir()
    (folder / "novel.txt").write_text("It was a dark and stormy night. " * 100)
    ready = load(tmp_path, folder)
    (folder / "novel.txt").unlink()  # as on a drive that is not mounted
    assert load(tmp_path, folder).fingerprint == ready.fingerprint
    with pytest.raises(UserError, match="your data are gone, so .* cannot be made again"):
        prepare_again(tmp_path, folder)
    for path in tmp_path.glob("data/lm/ready/*/made_from.json"):
        path.unlink()
    with pytest.raises(UserError, match="your data are gone, so .* put them back"):
        load(tmp_path, folder)


def test_of_three_files_none_may_be_missing_though_all_were_prepared(tmp_path):
    paths = [write(tmp_path / name, NOVEL) for name in ("a.txt", "b.txt", "c.txt")]
    given = ",".join(map(str, paths))
    load(tmp_path, given)
    paths[1].unlink()
    with pytest.raises(UserError, match="b.txt is missing"):
        load(tmp_path, given)


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    write(tmp_path / "books" / "novel.txt", NOVEL)
    write(tmp_path / "books" / "lost+found" / "other.txt", NOVEL)
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("lost+found"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match="lost.found cannot be read .Permission denied.: make it"):
        load(tmp_path, tmp_path / "books")


def test_the_units_of_a_text_are_two_data_sets_and_a_vocabulary_is_of_its_run(tmp_path):
    (tmp_path / "novel.txt").write_text("It was a dark and stormy night. " * 100)
    data = load(tmp_path, tmp_path / "novel.txt")
    assert load(tmp_path, tmp_path / "novel.txt", own_unit="word").fingerprint != data.fingerprint
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "novel.txt").write_text("The cat sat on the mat. " * 100)
    assert load(tmp_path, tmp_path / "b" / "novel.txt").identity["vocabulary"] != (
        data.identity["vocabulary"])


def test_weights_refuse_another_vocabulary(tmp_path):
    text = tmp_path / "novel.txt"
    text.write_text("It was a dark and stormy night. " * 100)
    lm_main.main(options(tmp_path, "--data_set_name", "OwnText", "--own_text", str(text),
                         "--batch_size", "2", "--window_size", "16"))
    run, = (tmp_path / "runs").glob("language/*/RRU/one")
    text.write_text("It was a mark and stordy night. " * 100)
    lm_main.main(["--evaluate", str(run), "--other_data", "True"])
    assert (run / "results-other-data.json").exists()
    text.write_text("It was a dark and stormy night. It was a")  # its training part is not read
    lm_main.main(["--evaluate", str(run), "--other_data", "True"])
    counts = load_json(str(run / "results-other-data.json"))["counts"]
    assert set(counts) == {"valid", "test"}
    lm_main.main(["--sample", str(run)])  # a sample needs the vocabulary only
    text.write_text("Yt was a dark and stormy night. " * 100)
    with pytest.raises(UserError, match="was made with another vocabulary: put its data back"):
        lm_main.main(["--evaluate", str(run), "--other_data", "True"])


def test_a_text_that_was_moved_is_found_by_its_new_path(tmp_path):
    text, moved = write(tmp_path / "novel.txt", NOVEL), tmp_path / "elsewhere.txt"
    lm_main.main(options(tmp_path, "--data_set_name", "OwnText", "--own_text", str(text),
                         "--batch_size", "2", "--window_size", "16"))
    text.rename(moved)
    shutil.rmtree(str(tmp_path / "data" / "lm"))
    run, = (tmp_path / "runs").glob("language/OwnText novel/RRU/one")
    with pytest.raises(UserError, match="own_text is '.*novel.txt', but there is no such file"):
        lm_main.main(["--evaluate", str(run)])
    lm_main.main(["--evaluate", str(run), "--own_text", str(moved)])
    lm_main.main(["--resume", str(run), "--own_text", str(moved), "--epochs", "2"])
    saved = json.loads((run / "settings.json").read_text())
    assert saved["settings"]["own_text"] == str(moved)
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2
    moved.write_text(NOVEL[:len(NOVEL) // 2])
    with pytest.raises(UserError, match="was made with other data"):
        lm_main.main(["--evaluate", str(run)])


def test_how_a_text_is_prepared_is_the_same_in_all_trials(tmp_path):
    text = str(write(tmp_path / "novel.txt", NOVEL))
    words = ["--data_set_name", "OwnText", "--own_text", text, "--search",
             '{"own_vocabulary": ("choice", [100, 200])}']
    settings = read_settings(vars(lm_main), words + ["--do_hyperparameter_optimization", "True"])
    with pytest.raises(UserError, match="own_vocabulary is the same in all trials"):
        search_space(settings)


def test_the_analysis_refuses_options_of_a_text_that_is_not_given(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["lm_utils.py", "--own_unit", "word"])
    with pytest.raises(UserError, match="own_unit is given without own_text: add --own_text"):
        lm_utils.main()


def test_a_window_that_does_not_fit_leaves_no_run_and_is_a_points_fault(tmp_path):
    text = str(write(tmp_path / "novel.txt", NOVEL))
    words = options(tmp_path, "--data_set_name", "OwnText", "--own_text", text)
    with pytest.raises(TrainingFailed, match="lower window_size or batch_size"):
        lm_main.main(words + ["--window_size", "5000"])
    assert not (tmp_path / "runs").exists()
    lm_main.main(words + ["--window_size", "8"])
    assert (tmp_path / "runs" / "language" / "OwnText novel" / "RRU" / "one").exists()


def test_a_text_that_changes_while_it_is_read_leaves_no_ready_data(tmp_path, monkeypatch):
    path = write(tmp_path / "novel.txt", NOVEL)
    real = own_text._symbols

    def meanwhile(*arguments):
        write(path, NOVEL[:600])
        return real(*arguments)

    monkeypatch.setattr(own_text, "_symbols", meanwhile)
    with pytest.raises(UserError, match="changed while it was read"):
        load(tmp_path, path)
    assert not list(tmp_path.glob("data/lm/ready/*/" + ready_files.MADE_FROM))


# --- Names and scripts ---

@pytest.mark.parametrize("given, title", [
    ("novel.txt", "OwnText novel"), ("/a/b/War and Peace.txt.gz", "OwnText War and Peace"),
    ("books/", "OwnText books"), ("a.txt,b.txt,c.txt", "OwnText a"), ("x:y*?.txt", "OwnText x_y__"),
    (".txt", "OwnText data"), ("ä" * 100, "OwnText " + "ä" * 60)])
def test_run_folders_are_named_after_the_file(given, title):
    words = ["--data_set_name", "OwnText", "--own_text", given]
    settings = read_settings(vars(lm_main), words)
    assert data_set_title(settings) == title
    assert os.path.join("language", title, "RRU", "a") in run_path(settings, "a")


@pytest.mark.tf2
@pytest.mark.parametrize("unit, metric", [("character", "bpc"), ("word", "perplexity")])
def test_training_and_evaluation(tmp_path, unit, metric):
    path = write(tmp_path / "novel.txt", NOVEL * 4)
    words = ["--data_folder", str(tmp_path / "data"), "--runs_folder", str(tmp_path / "runs")]
    lm_main.main(["--data_set_name", "OwnText", "--own_text", str(path), "--own_unit", unit,
                  "--epochs", "1", "--cell_name", "GRU", "--number_of_parameters", "30000",
                  "--number_of_layers", "1",
                  "--window_size", "16", "--batch_size", "4", "--name", "one"] + words)
    run = tmp_path / "runs" / "language" / "OwnText novel" / "GRU" / "one"
    results = json.loads((run / "results.json").read_text())
    assert (results["data_set"], results["data_fraction"]) == ("OwnText novel", 1)
    assert results["monitor"] == metric and (run / "sample.txt").exists()
    path.unlink()  # the ready files are enough
    lm_main.main(["--evaluate", str(run)])
    assert json.loads((run / "results.json").read_text())["test"] == results["test"]


def test_the_script_analyses_a_text(tmp_path):
    path = write(tmp_path / "novel.txt", NOVEL)
    command = [sys.executable, os.path.join(ROOT, "lm_utils.py"), "--data_folder", str(tmp_path),
               "--own_text", str(path), "--own_unit", "word", "--own_vocabulary", "5"]
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           universal_newlines=True)
    assert ended.returncode == 0 and not ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("OwnText novel in ") and lines[1].startswith("  7 ids (5 words")
    assert "penn" not in ended.stdout
    missing = subprocess.run(command[:-5] + ["nowhere"], stderr=subprocess.PIPE,
                             universal_newlines=True)
    assert missing.returncode == 2 and missing.stderr.count("\n") == 1
