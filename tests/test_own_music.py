"""A folder of a user's own MIDI files: what is read, what is left out and why, how it is split."""

import json
import os
import re
import shutil
from types import SimpleNamespace

import mido
import numpy as np
import pytest

import mm_main
import mm_utils
import test_midi
from data_preparation import own_music
from data_preparation.midi import read_song
from files.errors import UserError
from files.project import call_of
from reports import music_sample
from test_midi import off, on
from training.run_folder import run_path
from training.read_settings import read_settings


def load(folder, path, **changes):
    values = dict(data_set_name="OwnMusic", data_folder=str(folder / "data"), own_music=str(path),
                  steps_per_quarter=2, own_music_outside="shift", window_size=20, batch_size=4,
                  seed=1, transpose=0)
    return mm_utils.load(SimpleNamespace(**dict(values, **changes)))


def tune(number, length=6):
    """The messages of a melody of quarter notes, another for each number, and its notes."""
    notes = [40 + (number * 7 + i * (number % 5 + 1)) % 40 for i in range(length)]
    messages = []
    for note in notes:
        messages += [on(0, note), off(480, note)]
    return messages, notes


@pytest.fixture
def folder(tmp_path):
    """A folder of twelve songs in two folders."""
    for number in range(12):
        path = tmp_path / "songs" / ("old" if number % 2 else "new") / ("song%d.mid" % number)
        path.parent.mkdir(parents=True, exist_ok=True)
        test_midi.write(path, tune(number)[0])
    return tmp_path / "songs"


def songs_of(data, split):
    """The songs of a split as lists of steps of notes."""
    part = data._open(split)
    steps = [(np.flatnonzero(step) + 21).tolist() for step in np.unpackbits(part.steps, axis=1)]
    ends = np.cumsum(part.song_lengths)
    return [steps[end - length:end] for end, length in zip(ends, part.song_lengths)]


def all_songs(data):
    return [song for split in mm_utils.SPLITS for song in songs_of(data, split)]


def left_out(data):
    with open(data._path("left_out.json")) as file:
        return json.load(file)


def test_all_songs_are_read_once(folder, tmp_path):
    data = load(tmp_path, folder)
    expected = [[[note] for note in tune(number)[1] for _ in range(2)] for number in range(12)]
    assert sorted(all_songs(data)) == sorted(expected)
    few = "few songs in valid, %d: " % len(songs_of(data, "valid"))
    assert any(line.startswith(few) for line in data.remarks())
    assert (data.title, data.fraction, len(data.fingerprint)) == ("OwnMusic songs", 1, 64)
    assert left_out(data) == {"files": {}, "notes": {}}
    quarters = load(tmp_path, folder, steps_per_quarter=1)
    assert sorted(all_songs(quarters)) == sorted(song[::2] for song in expected)
    assert data.batches("train")[0]["inputs"].shape[2] == 88
    assert (data.steps_per_quarter, quarters.steps_per_quarter) == (2, 1)
    assert 0 < data.baseline("test")["window_nll"] < 88


def test_a_new_file_moves_no_other():
    names = ["song%d.mid" % i for i in range(300)]
    before = own_music.split_by_name(names)
    assert [len(before[split]) for split in mm_utils.SPLITS] == pytest.approx([240, 30, 30], abs=20)
    after = own_music.split_by_name(names + ["another.mid", "and another.mid"])
    for split in mm_utils.SPLITS:
        assert set(before[split]) <= set(after[split])
    assert sorted(sum(before.values(), [])) == sorted(names)


@pytest.mark.parametrize("count", list(range(3, 12)))
@pytest.mark.parametrize("first", [0, 20, 40])
def test_no_part_is_empty(count, first):
    parts = own_music.split_by_name(["song%d.mid" % i for i in range(first, first + count)])
    assert all(parts.values()) and sum(map(len, parts.values())) == count


def test_what_is_left_out_is_told_with_the_reason(folder, tmp_path, capsys):
    (folder / "broken.mid").write_bytes(b"RIFF and so on")
    (folder / "cut.midi").write_bytes((folder / "new" / "song0.mid").read_bytes()[:40])
    test_midi.write(folder / "silent.MID", [mido.MetaMessage("track_name", name="x", time=0)])
    test_midi.write(folder / "one note.mid", [on(0, 60), off(240, 60)])
    test_midi.write(folder / "drums.mid", [on(0, 36, channel=9), off(480, 36, channel=9)])
    shutil.copy(str(folder / "new" / "song2.mid"), str(folder / "zz copy.mid"))
    test_midi.write(folder / "wide.mid", [on(0, 5), off(480, 5), on(0, 120), off(480, 120)])
    (folder / "notes.txt").write_text("not this")
    data = load(tmp_path, folder)
    shown = capsys.readouterr().out
    files, notes = left_out(data)["files"], left_out(data)["notes"]
    reasons = {"broken.mid": "it cannot be read ", "cut.midi": "it cannot be read ",
               "silent.MID": "it has no notes", "one note.mid": "it is too short: ",
               "drums.mid": "it has no notes", "zz copy.mid": "it is a duplicate of new/song2.mid"}
    assert set(files) == set(reasons) and all(files[name].startswith(reasons[name])
                                              for name in reasons)
    assert notes == {"drums.mid": {"drums": 1}, "wide.mid": {"notes off the keyboard, shifted": 2}}
    for text in list(reasons.values()) + ["note-frequency baseline", "drums", "preparing OwnMusic"]:
        assert text in shown
    assert len(all_songs(data)) == 13
    assert [[29]] * 2 + [[108]] * 2 in all_songs(data)
    dropped = load(tmp_path, folder, own_music_outside="drop")
    assert left_out(dropped)["files"]["wide.mid"] == "it has no notes"
    assert left_out(dropped)["notes"]["wide.mid"] == {"notes off the keyboard": 2}


def test_many_files_left_out_are_named_up_to_a_number():
    files = {"a%03d.mid" % i: "it has no notes" for i in range(50)}
    lines = own_music.left_out_lines({"files": files, "notes": {}})
    assert len(lines) == 21 and lines[-1] == "and 30 more files, see left_out.json"


def test_silent_steps_are_dropped_and_counted(tmp_path):
    for number in range(3):
        messages = [on(480 * number, 60 + number), off(480, 60 + number), on(960, 72), off(480, 72)]
        test_midi.write(tmp_path / ("%d.mid" % number), messages)
    data = load(tmp_path, tmp_path, steps_per_quarter=1)
    assert sorted(all_songs(data)) == [[[60 + number], [72]] for number in range(3)]
    assert sum(data.stats(split)["silent_steps"] for split in mm_utils.SPLITS) == 0 + 1 + 2 + 3 * 2


def test_what_is_no_music_is_one_line(tmp_path):
    with pytest.raises(UserError, match="OwnMusic needs to know where .*: give --own_music"):
        load(tmp_path, "")
    with pytest.raises(UserError, match="own_music is '.*nowhere', but there is no such file"):
        load(tmp_path, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty has no file whose name ends with .mid or .midi"):
        load(tmp_path, tmp_path / "empty")
    path = test_midi.write(tmp_path / "a.mid", tune(1)[0])
    with pytest.raises(UserError, match="a.mid, but must be a folder of MIDI files"):
        load(tmp_path, path)
    (tmp_path / "b.mid").write_bytes(b"no midi")
    with pytest.raises(UserError, match="1 of 2 MIDI files can be used, but 3 are .*; b.mid: it "):
        load(tmp_path, tmp_path)
    assert not (tmp_path / "data" / "mm" / "ready").exists()


@pytest.mark.parametrize("changes, message", [
    ({"own_music_outside": "keep"}, "own_music_outside is 'keep': give one of shift, drop"),
    ({"steps_per_quarter": 0}, "steps_per_quarter is 0: give 1 or more")])
def test_wrong_options_are_one_line(folder, tmp_path, capsys, changes, message):
    with pytest.raises(UserError, match=message):
        load(tmp_path, folder, **changes)
    assert "preparing" not in capsys.readouterr().out


def test_ready_files_are_found_again_and_changes_prepare_again(folder, tmp_path, capsys):
    def prepared(**changes):
        load(tmp_path, folder, **changes)
        return "preparing" in capsys.readouterr().out

    assert prepared() and not prepared()
    assert prepared(steps_per_quarter=4) and prepared(own_music_outside="drop")
    assert not prepared(steps_per_quarter=4) and not prepared()
    os.utime(str(folder / "new" / "song0.mid"), (5, 5))
    assert not prepared()
    test_midi.write(folder / "more.mid", tune(30)[0])
    assert prepared() and not prepared()
    (folder / "more.mid").unlink()
    assert prepared() and not prepared()
    shutil.move(str(folder / "new" / "song0.mid"), str(folder / "old" / "song0.mid"))
    assert prepared()
    shutil.rmtree(str(folder))
    assert not prepared()


def test_the_fingerprint_tells_names_and_contents(folder, tmp_path):
    first = load(tmp_path, folder).fingerprint
    shutil.copytree(str(folder), str(tmp_path / "again" / "songs"))
    assert load(tmp_path, tmp_path / "again" / "songs").fingerprint == first
    (folder / "new" / "song0.mid").rename(folder / "new" / "song00.mid")
    assert load(tmp_path, folder).fingerprint != first


def test_a_sample_written_as_midi_is_read_back(tmp_path):
    keys = np.zeros((5, 88), np.uint8)
    keys[[0, 1, 1, 2, 4], [39, 39, 43, 50, 87]] = 1
    path = str(tmp_path / "sample.mid")
    for steps_per_quarter in (1, 2, 4):
        music_sample._save_midi(path, keys, steps_per_quarter)
        assert np.array_equal(read_song(path, steps_per_quarter).sounding, keys[[0, 1, 2, 4]])


@pytest.mark.tf2
def test_training_and_evaluation(folder, tmp_path):
    words = ["--data_folder", str(tmp_path / "data"), "--runs_folder", str(tmp_path / "runs")]
    mm_main.main(["--data_set_name", "OwnMusic", "--own_music", str(folder), "--epochs", "1",
                  "--cell_name", "GRU", "--number_of_parameters", "30000",
                  "--number_of_layers", "1",
                  "--name", "one"] + words)
    run = tmp_path / "runs" / "music" / "OwnMusic songs" / "GRU" / "one"
    results = json.loads((run / "results.json").read_text())
    assert (results["data_set"], results["data_fraction"]) == ("OwnMusic songs", 1)
    assert results["paper"] is None and (run / "sample.mid").exists()
    song = str(folder / "new" / "song0.mid")  # shorter than what is sampled
    mm_main.main(["--sample", str(run), "--prompt", song, "--sample_steps", "40"])
    assert len(read_song(str(run / "sample-2.mid"), 2).sounding) == 12 + 40
    mm_main.main(["--evaluate", str(run)])
    again = json.loads((run / "results.json").read_text())
    assert again["test"] == results["test"]
    assert again["peak_memory_gb"] == results["peak_memory_gb"]  # of the training
    shutil.rmtree(str(run / "checkpoints"))
    message = "one has no weights: .* train it again: " + re.escape(call_of("mm_main.py"))
    with pytest.raises(UserError, match=message):
        mm_main.main(["--evaluate", str(run)])


def test_run_folders_are_named_after_the_folder():
    words = ["--data_set_name", "OwnMusic", "--own_music", "my songs/"]
    settings = read_settings(vars(mm_main), words)
    assert os.path.join("music", "OwnMusic my songs", "RRU", "a") in run_path(settings, "a")
