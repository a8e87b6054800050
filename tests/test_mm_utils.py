"""The music data: preparation, windows, batches, the baseline, and the chorales that ship."""

import argparse
import gzip
import json
import os
import pickle
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import mm_utils
from tools import make_sample_data
from data_preparation.ready_files import MADE_FROM
from files.errors import UserError
from files.project import call_of

NAME = "Nottingham"


def python_2_style(splits, container=list):
    """Notes as numpy.int64 scalars in steps of type `container`, as in the published files."""
    return {split: [[container(np.int64(note) for note in step) for step in song] for song in songs]
            for split, songs in splits.items()}


def made_up(generator, songs, longest):
    """Songs of 2..longest steps with 0 to 4 notes each."""
    return [[sorted(generator.choice(np.arange(21, 109), generator.integers(0, 5),
                                     replace=False).tolist())
             for _ in range(generator.integers(2, longest + 1))] for _ in range(songs)]


def made_up_splits():
    generator = np.random.default_rng(7)
    return {split: made_up(generator, songs, 60)
            for split, songs in (("train", 13), ("valid", 7), ("test", 6))}


def write_source(folder, content, name=NAME):
    path = folder / "mm" / "unchanged" / (name + ".pickle")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol=2))
    return path


def settings_for(folder, **changed):
    values = dict(data_set_name=NAME, data_folder=str(folder), window_size=20, batch_size=4,
                  seed=1, transpose=0)
    return argparse.Namespace(**dict(values, **changed))


def run(monkeypatch, capsys, folder):
    monkeypatch.setattr("sys.argv", ["mm_utils.py", "--data_folder", str(folder)])
    status = mm_utils.main()
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def prepared(tmp_path):
    """A data folder with a made-up data set, prepared, and its songs."""
    splits = made_up_splits()
    write_source(tmp_path, python_2_style(splits))
    mm_utils.prepare(NAME, str(tmp_path))
    return tmp_path, splits


def plain_windows(songs, window_size, step):
    """The definition in plain loops: a list of (inputs, targets), each a list of lists of notes."""
    windows = []
    for song in songs:
        song = [notes for notes in song if notes]
        n, rest = len(song), 0
        for start in range(0, n - window_size, step):
            windows.append((song[start:start + window_size],
                            song[start + 1:start + window_size + 1]))
            rest = start + step
        if n - rest >= 2:
            windows.append((song[rest:-1], song[rest + 1:]))
    return windows


def windows_of(batches):
    """The same form from batches; checks their types and that the padding is zero."""
    windows = []
    for batch in (batches[i] for i in range(len(batches))):
        inputs, targets, lengths = batch["inputs"], batch["targets"], batch["lengths"]
        assert inputs.dtype == targets.dtype == np.uint8 and lengths.dtype == np.int32
        assert inputs.shape == targets.shape == (lengths.max(), len(lengths), 88)
        for i, length in enumerate(lengths):
            assert not inputs[length:, i].any() and not targets[length:, i].any()
            windows.append(tuple([(np.flatnonzero(step) + 21).tolist() for step in roll[:length, i]]
                                 for roll in (inputs, targets)))
    return windows


@pytest.mark.parametrize("container", [list, tuple])
def test_python_2_pickles_are_read(tmp_path, container):
    splits = made_up_splits()
    write_source(tmp_path, python_2_style(splits, container))
    folder = mm_utils.prepare(NAME, str(tmp_path))
    for split, songs in splits.items():
        arrays = np.load(os.path.join(folder, split + ".npz"))
        sounding = [step for song in songs for step in song if step]
        keys = np.unpackbits(arrays["steps"], axis=1)
        assert [(np.flatnonzero(step) + 21).tolist() for step in keys] == sounding
        assert arrays["steps"].shape == (len(sounding), 11) and arrays["steps"].dtype == np.uint8
        assert arrays["song_lengths"].tolist() == [sum(map(bool, song)) for song in songs]
        assert arrays["silent_steps"] == sum(not step for song in songs for step in song) > 0


@pytest.mark.parametrize("window_size", [2, 3, 20, 21, 200])
@pytest.mark.parametrize("split", ["valid", "test"])
def test_evaluation_windows_are_those_of_the_definition(prepared, split, window_size):
    folder, splits = prepared
    data = mm_utils.load(settings_for(folder, window_size=window_size))
    expected = plain_windows(splits[split], window_size, window_size)
    assert windows_of(data.batches(split)) == expected
    stats = data.stats(split)
    assert (stats["songs"], stats["windows"]) == (len(splits[split]), len(expected))
    assert stats["targets"] == sum(len(targets) for _, targets in expected)
    # Every target once: all sounding steps of a song but its first.
    lengths = [sum(map(bool, song)) for song in splits[split]]
    assert stats["targets"] == sum(max(length - 1, 0) for length in lengths)
    assert list(stats)[2:4] == ["sounding_steps", "targets"]  # the fewer below the more


@pytest.mark.parametrize("window_size", [2, 3, 20, 200])
def test_training_windows_are_those_of_the_definition(prepared, window_size):
    folder, splits = prepared
    data = mm_utils.load(settings_for(folder, window_size=window_size))
    expected = plain_windows(splits["train"], window_size, window_size // 2)
    assert sorted(windows_of(data.batches("train"))) == sorted(expected)


@pytest.mark.parametrize("length",
                         list(range(0, 12)) + [199, 200, 201, 202, 399, 400, 401, 402, 601])
@pytest.mark.parametrize("step", [100, 200])
def test_window_starts_around_the_edges(length, step):
    song = [[21 + i % 88] for i in range(length)]
    starts, lengths = mm_utils.cut_windows(np.array([5, length], np.int32), 200, step)
    plain = plain_windows([[[21]] * 5, song], 200, step)
    assert lengths.tolist() == [len(inputs) for inputs, _ in plain]
    expected_starts = [0] + [5 + i * step for i in range(len(plain) - 1)]
    assert starts.tolist() == expected_starts


def test_the_remainder_joins_the_last_training_batch_and_is_a_batch_in_evaluation(prepared):
    data = mm_utils.load(settings_for(prepared[0], batch_size=4))
    for split, sizes_of in (("train", lambda n: [4] * (n // 4 - 1) + [4 + n % 4]),
                            ("valid", lambda n: [4] * (n // 4) + [n % 4] * (n % 4 > 0))):
        batches = data.batches(split)
        sizes = [len(batches[i]["lengths"]) for i in range(len(batches))]
        assert sizes == sizes_of(data.stats(split)["windows"]) and data.stats(split)["windows"] % 4


def test_order_is_a_function_of_seed_and_epoch(prepared):
    def order(split, seed, epoch):
        return windows_of(mm_utils.load(settings_for(prepared[0], seed=seed)).batches(split, epoch))
    assert order("train", 1, 0) == order("train", 1, 0)
    assert order("train", 1, 0) != order("train", 1, 1)
    assert order("train", 1, 0) != order("train", 2, 0)
    assert order("test", 1, 0) == order("test", 2, 5)


def test_frequency_baseline_equals_plain_loops(prepared):
    folder, splits = prepared
    sounding = [step for song in splits["train"] for step in song if step]
    probability = {note: (sum(note in step for step in sounding) + 1) / (len(sounding) + 2)
                   for note in range(21, 109)}

    def loss(step):
        return -sum(np.log(p if note in step else 1 - p) for note, p in probability.items())
    windows = [[loss(step) for step in targets]
               for _, targets in plain_windows(splits["valid"], 20, 20)]
    baseline = mm_utils.load(settings_for(folder)).baseline("valid")
    assert baseline["window_nll"] == pytest.approx(np.mean([np.mean(window) for window in windows]))
    assert baseline["frame_nll"] == pytest.approx(np.mean(sum(windows, [])))


def test_test_data_are_opened_only_when_asked_for(prepared):
    data = mm_utils.load(settings_for(prepared[0]))
    (prepared[0] / "mm" / "ready" / NAME / "test.npz").write_bytes(b"not an archive")
    assert data.batches("train")[0] and data.stats("valid") and data.baseline("valid")
    call = re.escape(call_of("mm_utils.py"))
    message = r"test\.npz cannot be read .* run `%s --data_folder" % call
    with pytest.raises(UserError, match=message):
        data.batches("test")


def test_ready_file_with_other_content_is_refused(prepared):
    path = prepared[0] / "mm" / "ready" / NAME / "valid.npz"
    arrays = dict(np.load(path))
    data = mm_utils.load(settings_for(prepared[0]))
    np.savez(path, **dict(arrays, steps=arrays["steps"][:-1]))
    with pytest.raises(UserError,
                       match="what mm_utils.py writes: run `" + re.escape(call_of("mm_utils.py"))):
        data.batches("valid")


@pytest.mark.parametrize("change", [lambda path: path.unlink(),
                                    lambda path: path.write_bytes(path.read_bytes()[:-9])])
def test_ready_files_that_are_gone_or_cut_are_made_again_at_once(prepared, change):
    path = prepared[0] / "mm" / "ready" / NAME / "test.npz"
    whole = path.read_bytes()
    change(path)
    mm_utils.load(settings_for(prepared[0]))
    assert path.read_bytes() == whole
    change(path)
    (prepared[0] / "mm" / "unchanged" / (NAME + ".pickle")).unlink()
    with pytest.raises(UserError, match="Nottingham.pickle is missing: run `bash get_data.sh"):
        mm_utils.load(settings_for(prepared[0]))


def test_a_cut_archive_is_one_line(prepared):
    """Of such a file numpy 1.19 leaves an object whose end Python tells of on standard error."""
    path = prepared[0] / "mm" / "ready" / NAME / "test.npz"
    path.write_bytes(path.read_bytes()[:-9])
    code = ("from files import arrays, errors\n"
            "errors.run_as_script(lambda: arrays.load_arrays(%r))" % str(path))
    ended = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE,
                           universal_newlines=True)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "test.npz cannot be read" in ended.stderr


def test_preparing_again_repairs_and_changes_nothing_else(prepared, monkeypatch, capsys):
    folder = prepared[0] / "mm" / "ready" / NAME
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(before) == {"train.npz", "valid.npz", "test.npz", MADE_FROM}
    (folder / "train.npz").write_bytes(before["train.npz"][:100])
    assert run(monkeypatch, capsys, prepared[0])[0] == 0
    before.pop(MADE_FROM)  # has the times
    assert all((folder / name).read_bytes() == content for name, content in before.items())


class Hostile(object):
    def __reduce__(self):
        return os.system, ("touch should_never_exist",)


WRONG = [
    (Hostile(), "which no data set needs"),
    (b"\x80\x02}q", "cannot be read"),
    ([1, 2], "is not a dict of train, valid and test"),
    ({"train": [], "valid": []}, "is not a dict of train, valid and test"),
    ({"train": "abc"}, "train: it is not a list of songs"),
    ({"train": [5]}, "train: it is not a list of songs"),
    ({"train": [[60, 61]]}, "train: a time step is not a list of notes"),
    ({"valid": [[[60], [61.5]]]}, "valid: a note is not an integer"),
    ({"valid": [[[60], [None]]]}, "valid: a note is not an integer"),
    ({"test": [[[60]], [[np.int64(60)], [np.int64(109)]]]},
     r"test: song 2 has the note 109, .* 21\.\.108"),
    ({"test": [[[60], [2 ** 70]]]}, "song 1 has the note 1180591620717411303424"),
    ({"test": [[[-1], [60]]]}, "song 1 has the note -1"),
    ({"train": []}, "train: no song has two steps with notes"),
    ({"train": [[[], [60], []]]}, "train: no song has two steps with notes"),
]


@pytest.mark.parametrize("content, message", WRONG, ids=[str(i) for i in range(len(WRONG))])
def test_wrong_sources_are_named_and_leave_the_others_alone(tmp_path, monkeypatch, capsys, content,
                                                            message):
    if isinstance(content, dict) and len(content) == 1:
        content = dict({split: [[[60], [61]]] for split in mm_utils.SPLITS}, **content)
    path = write_source(tmp_path, content)
    write_source(tmp_path, python_2_style(made_up_splits()), "Piano-midi.de")
    with pytest.raises(UserError, match=message) as raised:
        mm_utils.prepare(NAME, str(tmp_path))
    assert str(path) in str(raised.value)
    advice = "move it away and run `bash get_data.sh --only Nottingham --data_folder"
    assert advice in str(raised.value)
    assert not (tmp_path / "mm" / "ready").exists()

    status, output, errors = run(monkeypatch, capsys, tmp_path)
    assert status == 2 and errors.startswith("error: ") and errors.count("\n") == 1
    assert sorted(os.listdir(str(tmp_path / "mm" / "ready"))) == ["Bach Chorales", "Piano-midi.de"]
    assert "Piano-midi.de in" in output and not os.path.exists("should_never_exist")


def test_missing_sets_are_one_line_each_and_the_sample_is_prepared(tmp_path, monkeypatch, capsys):
    status, output, errors = run(monkeypatch, capsys, tmp_path)
    assert status == 0 and not errors
    lines = output.splitlines()
    path = tmp_path / "mm" / "unchanged" / "JSB Chorales.pickle"
    command = "bash get_data.sh --only 'JSB Chorales' --data_folder %s" % tmp_path
    assert lines[0] == "JSB Chorales: %s is not there: run `%s`" % (path, command)
    missing = [line.split(":")[0] for line in lines if "is not there" in line]
    assert missing == list(mm_utils.DATA_SETS)[:4]
    sample = output[output.index("Bach Chorales in "):].splitlines()
    assert sample[2].split() == ["train", "valid", "test"]
    assert sample[3].split() == ["songs", "298", "36", "37"]


def test_load_prepares_what_is_there_and_says_how_to_get_the_rest(tmp_path, capsys):
    with pytest.raises(UserError,
                       match="pickle is missing: run `bash get_data.sh --only Nottingham"):
        mm_utils.load(settings_for(tmp_path))
    assert not capsys.readouterr().out
    path = write_source(tmp_path, python_2_style(made_up_splits()))
    assert mm_utils.load(settings_for(tmp_path)).stats("train")["songs"] == 13
    assert capsys.readouterr().out.startswith("preparing Nottingham in ")
    mm_utils.load(settings_for(tmp_path))
    assert not capsys.readouterr().out
    write_source(tmp_path, dict(made_up_splits(), train=[[[60], [62]]]))
    os.utime(str(path), (1, 1))  # an older file than before is another one, too
    assert mm_utils.load(settings_for(tmp_path)).stats("train")["songs"] == 1
    message = "data_set_name is 'Notingham': choose one of JSB Chorales, Nottingham"
    with pytest.raises(UserError, match=message):
        mm_utils.load(settings_for(tmp_path, data_set_name="Notingham"))


@pytest.mark.parametrize("option", ["--nosuch", "--window_size=1", "--window_size=x"])
def test_wrong_options_are_one_line(monkeypatch, option):
    monkeypatch.setattr("sys.argv", ["mm_utils.py", option])
    with pytest.raises(UserError, match="mm_utils.py --help lists all options"):
        mm_utils.main()


def test_unwritable_folder_is_named(tmp_path):
    write_source(tmp_path, python_2_style(made_up_splits()))
    (tmp_path / "mm" / "ready").write_text("a file where a folder should be")
    with pytest.raises(UserError, match="Nottingham cannot be prepared"):
        mm_utils.prepare(NAME, str(tmp_path))


def test_load_prepares_the_sample_and_renews_it_when_it_changes(tmp_path, monkeypatch):
    sample = tmp_path / "sample.json.gz"
    shutil.copy(mm_utils.SAMPLE_PATH, str(sample))
    monkeypatch.setitem(mm_utils.DATA_SETS, mm_utils.SAMPLE, [str(sample)])
    settings = settings_for(tmp_path, data_set_name=mm_utils.SAMPLE, window_size=200, batch_size=16)
    data = mm_utils.load(settings)
    assert data.stats("train")["songs"] == 298
    assert data.batches("valid")[0]["inputs"].shape[1:] == (16, 88)
    with gzip.open(str(sample), "wt") as file:
        json.dump({split: [[[60], [62]]] for split in mm_utils.SPLITS}, file)
    later = os.path.getmtime(str(sample)) + 10
    os.utime(str(sample), (later, later))
    assert mm_utils.load(settings).stats("train")["songs"] == 1
    sample.write_bytes(b"not gzip")
    later += 1e6
    os.utime(str(sample), (later, later))
    with pytest.raises(UserError, match="cannot be read .* it comes with the project"):
        mm_utils.load(settings)


def test_the_sample_is_what_its_readme_says():
    assert os.path.getsize(mm_utils.SAMPLE_PATH) < 200000
    with gzip.open(mm_utils.SAMPLE_PATH, "rt") as file:
        splits = json.load(file)
    counts = {split: len(songs) for split, songs in splits.items()}
    assert counts == {"train": 298, "valid": 36, "test": 37}
    steps = [step for songs in splits.values() for song in songs for step in song]
    assert len(steps) == 20247 and sum(not step for step in steps) == 295
    assert all(step == sorted(set(step)) for step in steps)
    assert {note for step in steps for note in step} <= set(range(36, 82))
    assert max(map(len, steps)) == 5


def test_no_piece_of_the_sample_is_in_two_splits():
    """Compared without silent steps and from the same bass note: another key is the same piece."""
    with gzip.open(mm_utils.SAMPLE_PATH, "rt") as file:
        splits = json.load(file)
    pieces = {}
    for split, songs in splits.items():
        for song in songs:
            song = [step for step in song if step]
            pieces.setdefault(str([[note - song[0][0] for note in step] for step in song]),
                              set()).add(split)
    assert len(pieces) < 371 and all(len(found_in) == 1 for found_in in pieces.values())


def test_quarter_steps_hold_what_sounds_at_the_beginning_of_a_quarter():
    def part(name, *notes):
        notes = [argparse.Namespace(offset=offset,
                                    duration=argparse.Namespace(quarterLength=length),
                                    pitches=[argparse.Namespace(midi=midi)])
                 for midi, offset, length in notes]
        return argparse.Namespace(partName=name, flatten=lambda: argparse.Namespace(notes=notes))
    voices = [part("Soprano", (72, 0, 1.5), (74, 1.5, 0.5), (72, 4, 1)),
              part("Alto", (64, 0, 0.5), (65, 0.5, 1)),
              part("Tenor", (60, 0, 2)), part("Bass", (48, 0, 1), (60, 1, 1))]
    expected = [[48, 60, 64, 72], [60, 65, 72], [], [], [72]]
    assert make_sample_data.quarter_steps(argparse.Namespace(parts=voices)) == expected
    with_horn = argparse.Namespace(parts=[part("Horn 1", (90, 0, 9))] + voices)
    assert make_sample_data.quarter_steps(with_horn) == expected


def test_versions_of_a_piece_are_dealt_to_one_split():
    generator = np.random.default_rng(3)
    songs = [[sorted(generator.choice(np.arange(40, 80), 4, replace=False).tolist())
              for _ in range(20)]
             for _ in range(30)]
    for i in range(10):
        songs.append([[note + 2 for note in step] for step in songs[i]])
    groups = make_sample_data.group_pieces([("", song) for song in songs])
    assert groups == [[i, i + 30] if i < 10 else [i] for i in range(30)]
    splits = make_sample_data.split_groups(groups, 40)
    assert sorted(sum(splits.values(), [])) == list(range(40))
    assert all((i in indices) == (i + 30 in indices) for indices in splits.values()
               for i in range(10))
    # A part ends at the group that fills its share (a group has 1 or 2): at most one chorale more.
    assert 0 <= len(splits["train"]) - make_sample_data.TRAIN_END * 40 < 2
    assert splits == make_sample_data.split_groups(groups, 40)


def test_transposed_windows_keep_their_intervals_and_stay_on_the_keyboard(tmp_path):
    plain = settings_for(tmp_path, data_set_name=mm_utils.SAMPLE, window_size=200, batch_size=16)
    shifted = settings_for(tmp_path, data_set_name=mm_utils.SAMPLE, window_size=200, batch_size=16,
                           transpose=50)
    batches = [mm_utils.load(settings).batches("train", 3) for settings in (plain, shifted)]
    seen = set()
    for i in range(3):
        before, after = batches[0][i], batches[1][i]
        np.testing.assert_array_equal(before["lengths"], after["lengths"])
        for window in range(len(before["lengths"])):
            (_, old), (_, new) = [np.nonzero(batch["inputs"][:, window])
                                  for batch in (before, after)]
            assert len(set(new - old)) == 1
            (_, old), (_, new_targets) = [np.nonzero(batch["targets"][:, window])
                                          for batch in (before, after)]
            shift = new[0] - np.nonzero(before["inputs"][:, window])[1][0]
            assert set(new_targets - old) == {shift}
            seen.add(shift)
    assert len(seen) > 20 and min(seen) < 0 < max(seen)
    valid = [mm_utils.load(settings).batches("valid")[0]["inputs"] for settings in (plain, shifted)]
    np.testing.assert_array_equal(*valid)
