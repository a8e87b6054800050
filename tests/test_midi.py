"""MIDI files written by hand, note by note, and what is read from them."""

import struct

import mido
import numpy as np
import pytest

from data_preparation import midi
from files.errors import UserError


def message(kind, time, note, velocity=64, channel=0):
    return mido.Message(kind, note=note, velocity=velocity, time=time, channel=channel)


def on(time, note, **options):
    return message("note_on", time, note, **options)


def off(time, note, **options):
    return message("note_off", time, note, **options)


def write(path, *tracks, ticks=480, kind=1):
    file = mido.MidiFile(type=kind, ticks_per_beat=ticks)
    file.tracks.extend(mido.MidiTrack(track) for track in tracks)
    file.save(str(path))
    return str(path)


def raw_file(path, events, division=480, kind=0):
    """A file of one track whose events are given as bytes."""
    header = b"MThd" + struct.pack(">IHHh", 6, kind, 1, division)
    path.write_bytes(header + b"MTrk" + struct.pack(">I", len(events)) + events)
    return str(path)


def steps(path, steps_per_quarter=2, **options):
    """The notes of each step of a file."""
    keys = midi.read_song(path, steps_per_quarter, **options).keys
    return [(np.flatnonzero(step) + 21).tolist() for step in keys]


def test_notes_stand_on_the_grid_and_silence_is_kept(tmp_path):
    path = write(tmp_path / "a.mid", [on(0, 60), off(480, 60), on(480, 64), on(0, 67), off(240, 64),
                                      off(240, 67)])
    assert steps(path) == [[60], [60], [], [], [64, 67], [67]]
    assert steps(path, 1) == [[60], [], [64, 67]]
    assert steps(path, 4)[8:12] == [[64, 67], [64, 67], [67], [67]]
    keys = midi.read_song(path, 2).sounding
    assert keys.dtype == np.uint8 and keys.shape == (4, 88) and keys.any(axis=1).all()


@pytest.mark.parametrize("ticks", [24, 96, 480, 1000])
def test_ticks_of_the_file_are_honoured(tmp_path, ticks):
    path = write(tmp_path / "a.mid", [on(0, 60), off(2 * ticks, 60), on(ticks, 62), off(ticks, 62)],
                 ticks=ticks)
    assert steps(path, 1) == [[60], [60], [], [62]]


def test_beats_are_those_of_the_file_at_any_tempo(tmp_path):
    tempi = [mido.MetaMessage("set_tempo", tempo=300000, time=0),
             mido.MetaMessage("set_tempo", tempo=900000, time=480)]
    path = write(tmp_path / "a.mid", tempi, [on(0, 60), off(960, 60), on(0, 62), off(480, 62)])
    assert steps(path, 1) == [[60], [60], [62]]


def test_files_that_count_in_seconds_use_the_tempo(tmp_path):
    # 25 frames of 40 ticks a second: 1000 ticks. First 500,000 microseconds a beat, then 250,000.
    division = -25 * 256 + 40
    events = (b"\x00\x90\x3c\x40" + b"\x83\x74\x80\x3c\x40"  # 500 ticks: one beat
              + b"\x00\xff\x51\x03\x03\xd0\x90" + b"\x00\x90\x3e\x40" + b"\x83\x74\x80\x3e\x40"
              + b"\x00\xff\x2f\x00")
    path = raw_file(tmp_path / "a.mid", events, division)
    assert steps(path, 1) == [[60], [62], [62]]


def test_running_status_and_velocity_0_are_read(tmp_path):
    events = b"\x00\x90\x3c\x40" + b"\x60\x3c\x00" + b"\x00\x3e\x40" + b"\x60\x3e\x00"
    path = raw_file(tmp_path / "a.mid", events + b"\x00\xff\x2f\x00", 96)
    assert steps(path, 1) == [[60], [62]]


def test_types_0_1_and_2(tmp_path):
    first, second = [on(0, 60), off(480, 60)], [on(0, 72), off(960, 72)]
    assert steps(write(tmp_path / "0.mid", first, kind=0), 1) == [[60]]
    assert steps(write(tmp_path / "1.mid", first, second), 1) == [[60, 72], [72]]
    assert steps(write(tmp_path / "2.mid", first, second, kind=2), 1) == [[60], [72], [72]]


def test_short_notes_last_a_step_and_notes_without_a_length_are_left_out(tmp_path):
    path = write(tmp_path / "a.mid", [on(0, 60), off(10, 60), on(470, 62), off(0, 62), on(0, 64),
                                      off(480, 64)])
    song = midi.read_song(path, 1)
    assert [np.flatnonzero(step).tolist() for step in song.keys] == [[39], [43]]
    assert song.left_out == {"notes without a length": 1}


def test_notes_struck_again_or_never_ended_are_kept(tmp_path):
    path = write(tmp_path / "a.mid", [on(0, 60), on(480, 60), on(480, 65), off(480, 65)])
    assert steps(path, 1) == [[60], [60], [60, 65]]


def test_tracks_that_share_a_channel_end_their_own_notes(tmp_path):
    held, short = [on(0, 60), off(4 * 480, 60)], [on(480, 60), off(480, 60)]
    assert steps(write(tmp_path / "held.mid", held, short), 1) == [[60]] * 4
    assert steps(write(tmp_path / "doubled.mid", held, [on(0, 60), off(480, 60)]), 1) == [[60]] * 4
    first, then = [on(0, 60), off(480, 60)], [on(480, 60), off(480, 60)]
    for number, tracks in enumerate([(first, then), (then, first)]):
        song = midi.read_song(write(tmp_path / ("%d.mid" % number), *tracks), 1)
        assert np.flatnonzero(song.keys[:, 60 - 21]).tolist() == [0, 1] and song.left_out == {}


def test_the_end_of_a_note_may_stand_behind_the_next_one_of_its_key(tmp_path):
    path = write(tmp_path / "a.mid", [on(0, 60), on(480, 60), off(0, 60), off(960, 60)])
    song = midi.read_song(path, 1)
    assert np.flatnonzero(song.keys[:, 60 - 21]).tolist() == [0, 1, 2] and song.left_out == {}
    doubled = write(tmp_path / "b.mid", [on(0, 60), on(0, 60), off(480, 60), off(0, 60)])
    assert midi.read_song(doubled, 1).left_out == {} and steps(doubled, 1) == [[60]]


@pytest.mark.parametrize("ticks", [24, 192, 384, 480, 1024])
def test_events_between_notes_do_not_move_them(tmp_path, ticks):
    sixteenths = [message(kind, ticks // 4 * (kind == "note_off"), 60 + number % 12)
                  for number in range(800) for kind in ("note_on", "note_off")]
    pedal = [mido.Message("control_change", control=64, value=0, time=1 + number % 7)
             for number in range(800 * (ticks // 4) // 4)]
    tempi = [mido.MetaMessage("set_tempo", tempo=400000 + number, time=number)
             for number in range(50)]
    plain = steps(write(tmp_path / "plain.mid", sixteenths, ticks=ticks))
    assert steps(write(tmp_path / "more.mid", sixteenths, pedal, tempi, ticks=ticks)) == plain


def test_drums_are_left_out_and_channels_are_apart(tmp_path):
    path = write(tmp_path / "a.mid", [on(0, 60), on(0, 36, channel=9), on(0, 60, channel=1),
                                      off(480, 60), off(0, 36, channel=9), off(480, 60, channel=1)])
    assert steps(path, 1) == [[60], [60]]
    assert midi.read_song(path, 1).left_out == {"drums": 1}


@pytest.mark.parametrize("note, key", [(20, 32), (8, 32), (0, 24), (109, 97), (120, 108),
                                       (127, 103), (21, 21), (108, 108)])
def test_notes_off_the_keyboard_are_shifted_by_octaves_or_dropped(tmp_path, note, key):
    path = write(tmp_path / "a.mid", [on(0, note), on(0, 60), off(480, note), off(0, 60)])
    kept = note == key
    assert steps(path, 1) == [sorted([60, key])]
    assert steps(path, 1, outside="drop") == [sorted([60, note]) if kept else [60]]
    assert midi.read_song(path, 1).left_out == (
        {} if kept else {"notes off the keyboard, shifted": 1})


def test_a_file_without_notes_is_an_empty_song(tmp_path):
    path = write(tmp_path / "a.mid", [mido.MetaMessage("track_name", name="nothing", time=960)])
    song = midi.read_song(path, 2)
    assert not song.keys.any() and len(song.sounding) == 0


BROKEN = {
    "no midi": b"RIFF and so on",
    "empty": b"",
    "cut header": b"MThd\x00\x00\x00\x06\x00",
    "cut track": b"MThd" + struct.pack(">IHHh", 6, 0, 1, 96) + b"MTrk\x00\x00\x00\x20\x00\x90\x3c",
    "no division": b"MThd" + struct.pack(">IHHh", 6, 0, 1, 0)
                   + b"MTrk\x00\x00\x00\x04\x00\xff\x2f\x00",
    "running status without status": b"MThd" + struct.pack(">IHHh", 6, 0, 1, 96)
                                     + b"MTrk\x00\x00\x00\x03\x00\x3c\x40",
    "data byte over 127": b"MThd" + struct.pack(">IHHh", 6, 0, 1, 96)
                          + b"MTrk\x00\x00\x00\x04\x00\x90\x3c\xff",
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_broken_files_are_one_line(tmp_path, name):
    path = tmp_path / "broken.mid"
    path.write_bytes(BROKEN[name])
    with pytest.raises(UserError, match="broken.mid"):
        midi.read_song(str(path), 2)


def test_a_file_of_endless_time_is_refused(tmp_path):
    path = write(tmp_path / "a.mid", [on(0, 60), off(2 ** 27, 60)], ticks=1)
    with pytest.raises(UserError, match="more than any piece of music"):
        midi.read_song(path, 2)
    with pytest.raises(UserError, match="is missing"):
        midi.read_song(str(tmp_path / "none.mid"), 2)
