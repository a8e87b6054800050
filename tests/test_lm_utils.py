"""Language data: tokens, vocabularies, ready files, and windows against plain loops over tokens."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

import lm_utils
from data_preparation import ready_files, texts
from files.errors import UserError
from files.project import call_of

ROOT = os.path.dirname(os.path.abspath(lm_utils.__file__))
PENN_TRAIN = " the u.s. 's price is $ N \n the <unk> price fell \n"


def settings(folder, name="pennchar", **changes):
    values = dict(data_set_name=name, data_folder=str(folder), window_size=4, batch_size=2, seed=1,
                  stateful=False, state_reset_probability=0.1)
    return SimpleNamespace(**dict(values, **changes))


def write_unchanged(folder, **files):
    target = os.path.join(str(folder), "lm", "unchanged")
    os.makedirs(target, exist_ok=True)
    for name, content in files.items():
        with open(os.path.join(target, name.replace("_", ".")), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode("utf-8"))


def write_letters(folder, train, valid=9, test=9):
    """A pennchar data set whose splits have so many symbols; no two neighbours are alike."""
    text = (" ".join("abcdefghijklmnopqrstuvwxyz") + " ") * 40
    lengths = {"train": train, "valid": valid, "test": test}
    write_unchanged(folder, **{"ptb_char_%s_txt" % split: text[:2 * count]
                               for split, count in lengths.items()})
    lm_utils.prepare("pennchar", str(folder))


def all_batches(batches):
    return [batches[i] for i in range(len(batches))]


def windows_of(batch):
    """Each window of a batch as (inputs, targets), cut to its length."""
    cuts = enumerate(batch["lengths"])
    return [(tuple(batch["inputs"][:length, i]), tuple(batch["targets"][:length, i]))
            for i, length in cuts]


# --- Tokens and vocabularies ---

def test_words_of_the_paper():
    words = texts.paper_words(b" The U.S. 's a-b $ <unk> N \n")
    assert words == ["the", "u", "s", "'s", "a", "b", "unk", "n"]


def test_words_of_the_literature():
    words = texts.standard_words(b" the u.s. <unk> \r\n $ N \n")
    assert words == ["the", "u.s.", "<unk>", "<eos>", "$", "N", "<eos>"]


def test_word_symbols_are_by_frequency_then_first_appearance():
    words = "b c a a c d e".split()
    assert texts.make_symbols(Counter(words)) == ["<padding>", "<unknown>", "c", "a", "b", "d", "e"]
    symbols = texts.make_symbols(Counter(words), 3)
    assert symbols[2:] == ["c", "a", "b"]
    assert texts.make_ids(words, symbols).tolist() == [4, 2, 3, 3, 2, 1, 1]


def test_penn_knows_the_9648_commonest_words_and_the_literature_all(tmp_path):
    words = " ".join("w%d" % i for i in range(9700))
    write_unchanged(tmp_path, ptb_train_txt=words + " w9699\n", ptb_valid_txt="w9647\n",
                    ptb_test_txt="w9646 w9698\n")
    data = lm_utils.load(settings(tmp_path, "penn"))
    assert data.vocabulary_size == 9650
    assert data.tokens("train")[-2:].tolist() == [2, 2]  # w9699 is the commonest
    assert data.tokens("valid").tolist() == [texts.UNKNOWN]
    assert data.tokens("test").tolist() == [9649, texts.UNKNOWN]
    assert lm_utils.load(settings(tmp_path, "penn-standard")).vocabulary_size == 9703


def test_character_symbols_are_by_code_and_chunks_change_nothing(monkeypatch):
    codes = texts.code_points("“banana” an Ünique".encode("utf-8"))
    symbols = texts.make_symbols(texts.histogram(codes))
    ids = texts.make_ids(codes, symbols)
    assert symbols[2:] == sorted(set("“banana” an Ünique"))
    assert "".join(symbols[i] for i in ids) == "“banana” an Ünique"
    counts = texts.histogram(ids, 100)
    assert len(counts) == 100 and counts[symbols.index("n")] == 4
    monkeypatch.setattr(texts, "_CHUNK", 3)
    assert texts.make_symbols(texts.histogram(codes)) == symbols
    assert texts.make_ids(codes, symbols).tolist() == ids.tolist()
    assert texts.histogram(ids, 100).tolist() == counts.tolist()


@pytest.mark.parametrize("size, kind", [(256, np.uint8), (257, np.uint16)])
def test_ids_are_as_small_as_they_can_be(size, kind):
    words = ["w%d" % i for i in range(size - 2)]
    ids = texts.make_ids(words, texts.make_symbols(Counter(words)))
    assert ids.dtype == kind and ids[-1] == size - 1


# --- Ready files ---

def stats_of(folder):
    with open(os.path.join(folder, "vocabulary.json")) as file:
        return json.load(file)["stats"]


def test_penn_is_prepared_in_both_tokenisations(tmp_path):
    write_unchanged(tmp_path, ptb_train_txt=PENN_TRAIN, ptb_valid_txt=" the dog \n",
                    ptb_test_txt=" u.s. \n")
    stats = stats_of(lm_utils.prepare("penn", str(tmp_path)))
    assert stats["tokens"] == {"train": 11, "valid": 2, "test": 2}
    assert stats["unknown"] == {"train": 0, "valid": 1, "test": 0}
    assert stats["commonest"][:2] == [["the", 2], ["price", 2]]
    standard = stats_of(lm_utils.prepare("penn-standard", str(tmp_path)))
    assert standard["tokens"] == {"train": 13, "valid": 3, "test": 2}
    data = lm_utils.load(settings(tmp_path, "penn"))
    assert not data.characters and data.vocabulary_size == len(data.symbols) == 11
    assert data.decode(data.encode("The  price, zebra")) == "the price <unknown>"
    assert data.fraction is None and len(data.fingerprint) == 64


def test_pennchar_leaves_line_ends_out_and_reads_blanks_as_underscores(tmp_path):
    write_unchanged(tmp_path, ptb_char_train_txt="t o _ b e \n o r _ \n ",
                    ptb_char_valid_txt="b e \n ",
                    ptb_char_test_txt="z z \n ")
    data = lm_utils.load(settings(tmp_path))
    assert data.symbols[2:] == list("_beort") and data.characters
    assert data.decode(data.tokens("train")) == "to beor "
    assert data.decode(data.encode("be or")) == "be or"
    assert data.tokens("test").tolist() == [1, 1]


def test_enwik8_is_split_by_position_and_its_symbols_are_bytes(tmp_path):
    text = ("“é” &amp; " * 10).encode("utf-8")
    write_unchanged(tmp_path, enwik8=text + b"XYZ")
    data = lm_utils.load(settings(tmp_path, "enwik8"))
    size = len(text) + 3
    lengths = [len(data.tokens(split)) for split in lm_utils.SPLITS]
    assert lengths == [size * 90 // 100, size * 95 // 100 - size * 90 // 100,
                       size - size * 95 // 100]
    assert data.vocabulary_size == 2 + len(set(text))
    assert data.tokens("train").dtype == np.uint8 and isinstance(data.tokens("train"), np.memmap)
    assert data.decode(data.encode("“é” mama")) == "“é” mama"
    assert "\ufffd" in data.decode(data.encode("“")[:2])
    assert data.tokens("test").tolist()[-3:] == [1, 1, 1]
    assert data.fraction is None


def test_python_docs_need_no_download_and_are_prepared_by_load(tmp_path):
    data = lm_utils.load(settings(tmp_path, "PythonDocs", stateful=True, window_size=64,
                                  batch_size=8))
    counts = [len(data.tokens(split)) for split in lm_utils.SPLITS]
    assert counts[0] == sum(counts) * 90 // 100 and sum(counts) > 300000
    stats = data.stats("train")
    assert stats["python"].startswith("3.7.") and len(stats["sha256"]) == 64
    assert data.fraction == 1
    # Another Python has another text, which is prepared beside it.
    assert os.listdir(str(tmp_path / "lm" / "ready")) == ["PythonDocs " + stats["python"]]
    batch = data.batches("train")[0]
    assert "assert" in data.decode(batch["inputs"][:, 0]) and data.characters


@pytest.mark.parametrize("content, found",
                         [(b"", "it is empty"), (b"an apple\0", "0x00"), (b"Capital", "0x43")])
def test_a_damaged_source_is_named(tmp_path, content, found):
    write_unchanged(tmp_path, text8=content)
    message = "text8 is not the published text .*%s.*get_data.sh --only text8" % found
    with pytest.raises(UserError, match=message):
        lm_utils.prepare("text8", str(tmp_path))


def test_a_missing_source_and_an_unknown_set_are_named(tmp_path):
    with pytest.raises(UserError,
                       match="ptb.train.txt is missing: run `bash get_data.sh --only penn --data_"):
        lm_utils.load(settings(tmp_path, "penn-standard"))
    with pytest.raises(UserError, match="'tex8': choose one of penn, "):
        lm_utils.load(settings(tmp_path, "tex8"))


def test_unwritable_ready_folder(tmp_path):
    write_unchanged(tmp_path, text8="an apple a day")
    (tmp_path / "lm" / "ready").write_text("a file where a folder must be")
    with pytest.raises(UserError, match="text8 cannot be prepared"):
        lm_utils.prepare("text8", str(tmp_path))


def test_ready_files_are_opened_when_asked_for_and_damage_is_named(tmp_path):
    write_letters(tmp_path, 20)
    ready = tmp_path / "lm" / "ready" / "pennchar"
    data = lm_utils.load(settings(tmp_path))
    (ready / "test.npy").unlink()
    (ready / "valid.npy").write_bytes((ready / "valid.npy").read_bytes()[:-4])
    assert len(data.batches("train")[0]["lengths"]) == 2 and data.stats("test")["tokens"] == 9
    advice = "run `" + re.escape(call_of("lm_utils.py"))
    with pytest.raises(UserError, match="test.npy is missing: " + advice):
        data.batches("test")[0]
    with pytest.raises(UserError, match="valid.npy cannot be read"):
        data.tokens("valid")
    np.save(str(ready / "test.npy"), np.zeros(5, np.uint8))
    with pytest.raises(UserError, match="does not fit"):
        data.tokens("test")
    lm_utils.prepare("pennchar", str(tmp_path))
    for broken in ("{", "[]", json.dumps({"symbols": ["a"], "stats": {"tokens": {"train": 1}}})):
        (ready / "vocabulary.json").write_text(broken)
        # Recorded as it is; otherwise it would be prepared again.
        made_from = json.loads((ready / "made_from.json").read_text())
        records = ready_files.file_records({"vocabulary.json": str(ready / "vocabulary.json")})
        made_from["ready"].update(records)
        (ready / "made_from.json").write_text(json.dumps(made_from))
        with pytest.raises(UserError,
                           match="vocabulary.json .*run `" + re.escape(call_of("lm_utils.py"))):
            lm_utils.load(settings(tmp_path))


def test_a_preparation_that_is_cut_short_is_done_again(tmp_path, monkeypatch):
    write_letters(tmp_path, 20)
    write_unchanged(tmp_path, ptb_char_train_txt="z y z y z y z y")

    def cut_short(path, array):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setitem(ready_files._SAVE, ".npy", cut_short)
        with pytest.raises(KeyboardInterrupt):
            lm_utils.prepare("pennchar", str(tmp_path))
    language = lm_utils.load(settings(tmp_path))
    assert language.symbols[2:] == ["y", "z"] and len(language.tokens("train")) == 8


def run_script(folder):
    return subprocess.run([sys.executable, "-u", os.path.join(ROOT, "lm_utils.py"),
                           "--data_folder", str(folder)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)


def test_script_prepares_what_is_there_and_names_what_is_not(tmp_path):
    write_unchanged(tmp_path, text8="the cat sat on the mat " * 10)
    done = run_script(tmp_path)
    assert done.returncode == 0 and not done.stderr
    for name in ("penn", "pennchar", "enwik8"):
        assert "run `bash get_data.sh --only %s --data_folder" % name in done.stdout
    shown = " ".join(done.stdout.split())
    assert "text8 12 ids (10 characters, padding, unknown), commonest: " in shown
    assert "from 230 bytes, other data than the published text8" in shown
    assert "PythonDocs in" in shown
    assert (tmp_path / "lm" / "ready" / "text8" / "train.npy").exists()


def test_script_ends_with_one_line_and_status_2_on_a_damaged_file(tmp_path):
    write_unchanged(tmp_path, text8=b"\x1f\x8b not text8")
    done = run_script(tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: text8: ")
    assert done.stderr.count("\n") == 1


# --- Windows ---

@pytest.mark.parametrize("count", list(range(2, 24)) + [51])
def test_evaluation_predicts_every_target_once_and_with_the_most_context(tmp_path, count):
    write_letters(tmp_path, 40, valid=count)
    for window in (1, 2, 3, 4, 5, 8, 9, 30):
        for batch_size, stateful in ((1, False), (3, True)):
            data = lm_utils.load(settings(tmp_path, window_size=window, batch_size=batch_size,
                                          stateful=stateful))
            text, stride = data.tokens("valid").tolist(), max(window // 2, 1)
            expected, starts = [], []
            for target in range(1, count):
                start = 0
                while target > start + window:
                    start += stride
                starts.append(start)
                expected.append((target, text[start:target], text[target]))
            batches = all_batches(data.batches("valid"))
            found, position = [], 0
            for batch in batches:
                shape = (max(batch["lengths"]), len(batch["lengths"]))
                assert batch["inputs"].shape == batch["targets"].shape == shape
                assert not stateful or batch["reset_state"]
                for i, length in enumerate(batch["lengths"]):
                    assert not batch["inputs"][length:, i].any()
                    assert not batch["targets"][length:, i].any()
                    for t in range(batch["first_counted"][i], length):
                        context = batch["inputs"][:t + 1, i].tolist()
                        found.append((position + t + 1, context, batch["targets"][t, i]))
                        assert len(context) == position + t + 1 or len(context) >= window / 2
                    position += stride
            assert found == expected
            stats = data.stats("valid")
            assert (stats["windows"], stats["targets"]) == (len(set(starts)), count - 1)
            assert stats["windows"] == sum(len(batch["lengths"]) for batch in batches)


@pytest.mark.parametrize("count, window",
                         [(5, 4), (6, 4), (31, 4), (31, 5), (30, 1), (32, 8), (33, 7)])
def test_unstateful_training_has_each_full_window_once_an_epoch(tmp_path, count, window):
    write_letters(tmp_path, count)
    data = lm_utils.load(settings(tmp_path, window_size=window, batch_size=3))
    text, expected, start = data.tokens("train").tolist(), [], 0
    while start + window < count:
        expected.append((tuple(text[start:start + window]),
                         tuple(text[start + 1:start + window + 1])))
        start += max(window // 2, 1)
    batches = all_batches(data.batches("train", epoch=3))
    found = [pair for batch in batches for pair in windows_of(batch)]
    assert Counter(found) == Counter(expected)
    assert len(batches) == max(len(expected) // 3, 1)
    for batch in batches:
        assert sorted(batch) == ["first_counted", "inputs", "lengths", "targets"]
        assert all(array.dtype == np.int32 for array in batch.values())
        assert (batch["lengths"] == window).all() and not batch["first_counted"].any()
    assert data.stats("train")["targets"] == len(expected) * window


def test_order_depends_on_seed_and_epoch_alone(tmp_path):
    write_letters(tmp_path, 300)

    def order(seed, epoch):
        batches = lm_utils.load(settings(tmp_path, seed=seed)).batches("train", epoch)
        return [pair for batch in all_batches(batches) for pair in windows_of(batch)]

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3) and order(1, 2) != order(2, 2)


@pytest.mark.parametrize("count, window, streams",
                         [(9, 4, 2), (16, 4, 2), (50, 3, 4), (101, 5, 3), (100, 7, 1)])
def test_stateful_training_reads_contiguous_streams(tmp_path, count, window, streams):
    write_letters(tmp_path, count)
    data = lm_utils.load(settings(tmp_path, window_size=window, batch_size=streams, stateful=True))
    text = data.tokens("train").tolist()
    steps = len([start for start in range(count) if start % window == 0
                 and start + window < count]) // streams
    batches = all_batches(data.batches("train"))
    assert len(batches) == steps >= 1
    for stream in range(streams):
        read = np.concatenate([batch["inputs"][:, stream] for batch in batches]).tolist()
        aims = np.concatenate([batch["targets"][:, stream] for batch in batches]).tolist()
        first, size = stream * steps * window, steps * window
        assert read == text[first:first + size] and aims == text[first + 1:first + size + 1]
    assert data.stats("train")["targets"] == steps * window * streams
    assert set(batches[0]) == set(data.batches("valid")[0]) >= {"reset_state"}


def test_state_is_reset_first_and_by_chance(tmp_path):
    write_letters(tmp_path, 1000)

    def resets(chance, epoch=0, seed=1):
        changes = dict(stateful=True, state_reset_probability=chance, window_size=1, batch_size=1,
                       seed=seed)
        batches = lm_utils.load(settings(tmp_path, **changes)).batches("train", epoch)
        return [bool(batches[i]["reset_state"]) for i in reversed(range(len(batches)))][::-1]

    assert resets(0) == [True] + [False] * 998 and all(resets(1))
    assert 60 < sum(resets(0.1)) < 150 and resets(0.1)[0] and resets(0.1, 1)[0]
    assert resets(0.1, 5) == resets(0.1, 5)
    assert resets(0.1, 5) != resets(0.1, 6) and resets(0.1, 5, seed=2) != resets(0.1, 5)


def test_texts_that_are_too_short_are_named(tmp_path):
    write_letters(tmp_path, 8, valid=1, test=2)
    data = lm_utils.load(settings(tmp_path, window_size=4, batch_size=2, stateful=True))
    with pytest.raises(UserError, match="train part of pennchar has 8 tokens, but needs 9"):
        data.batches("train")
    with pytest.raises(UserError, match="valid part of pennchar has 1 tokens, but needs 2"):
        data.batches("valid")
    assert len(data.batches("test")) == 1
    with pytest.raises(UserError, match="has 8 tokens, but needs 9"):
        lm_utils.load(settings(tmp_path, window_size=8)).batches("train")
    assert len(lm_utils.load(settings(tmp_path, window_size=7)).batches("train")) == 1
