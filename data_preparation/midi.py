"""MIDI files as steps of notes on the 88 keys of a piano."""

import os
from collections import Counter, namedtuple

import mido
import numpy as np

from files.errors import UserError
from files.reading import reading

LOWEST_NOTE, NOTE_COUNT = 21, 88  # MIDI numbers 21..108
MOST_BYTES, MOST_STEPS = 1 << 25, 100000  # no piece of music needs more
_DRUMS = 9  # the channel that musicians call 10


class Song(namedtuple("Song", "keys left_out")):
    """The notes of a MIDI file.

    keys: uint8 [T, 88], which sound at each step, silent steps included. left_out: {kind of note:
    how many were left out or shifted}.
    """

    @property
    def sounding(self):
        """The steps in which a note sounds, uint8 [t, 88]."""
        return self.keys[self.keys.any(axis=1)]


def read_song(path, steps_per_quarter, outside="shift"):
    """The Song in a MIDI file of type 0, 1 or 2.

    Notes begin and end at the nearest step and last at least one; a quarter note is a beat of the
    file, whatever its tempo (which matters only if the file counts in seconds). Drums and notes
    without a length are left out. Notes off the keyboard are shifted by octaves if `outside` is
    "shift", left out if it is "drop". Raises UserError for a file that is not MIDI, is damaged,
    or is longer than MOST_STEPS.
    """
    with reading(path):
        size = os.path.getsize(path)
        if size > MOST_BYTES:
            raise UserError("%s has %d bytes, more than any piece of music" % (path, size))
        file = mido.MidiFile(path)
        # The tracks of type 2 are pieces of their own, one after another.
        tracks = file.tracks if file.type == 2 else [file.merged_track]
        notes, left_out, begin = [], Counter(), 0.0
        for track in tracks:
            begin = _play(track, _beats_per_tick(file.ticks_per_beat), begin, notes, left_out)
    notes = np.array(notes, float).reshape(-1, 3)
    starts = np.floor(notes[:, 1] * steps_per_quarter + 0.5)
    ends = np.maximum(np.floor(notes[:, 2] * steps_per_quarter + 0.5), starts + 1)
    if len(notes) and ends.max() > MOST_STEPS:
        raise UserError("%s has %.0f steps, more than any piece of music" % (path, ends.max()))
    keys = _on_keyboard(notes[:, 0].astype(int), outside, left_out)
    inside = (keys >= 0) & (keys < NOTE_COUNT)
    return Song(_sounding(keys[inside], starts[inside].astype(int), ends[inside].astype(int)),
                dict(left_out))


def _beats_per_tick(division):
    """A function from the tempo, microseconds a beat, to the beats in a tick of the file.

    division: ticks a beat; if it is negative, its bytes are frames a second and ticks a frame.
    """
    if division > 0:
        return lambda tempo: 1.0 / division
    frames, ticks = -(division >> 8), division & 0xff
    if not frames or not ticks:
        raise ValueError("its time division is %d" % division)
    frames = 30000 / 1001 if frames == 29 else frames
    return lambda tempo: 1e6 / (frames * ticks * tempo)


def _play(track, beats_per_tick, begin, notes, left_out):
    """Append (note, start, end), in beats, of all notes of a track; returns where it ends."""
    now, length, sounding = begin, beats_per_tick(500000), {}

    def end(key):
        start = sounding.pop(key)
        if start == now:
            left_out["notes without a length"] += 1
        else:
            notes.append((key[1], start, now))

    for message in track:
        now += message.time * length
        if message.type == "set_tempo":
            length = beats_per_tick(max(message.tempo, 1))
        elif message.type in ("note_on", "note_off"):
            key = message.channel, message.note
            if key in sounding:  # a note that is struck again ends there
                end(key)
            if message.type == "note_on" and message.velocity:
                if message.channel == _DRUMS:
                    left_out["drums"] += 1
                else:
                    sounding[key] = now
    for key in list(sounding):
        end(key)
    return now


def _on_keyboard(notes, outside, left_out):
    """The piano keys, from 0, of MIDI numbers; those to be left out are not one of 0..87."""
    keys = notes - LOWEST_NOTE
    below, above = np.maximum(-keys, 0), np.maximum(keys - NOTE_COUNT + 1, 0)
    off = int(np.count_nonzero(below + above))
    if off:
        left_out["notes off the keyboard" + (", shifted" if outside == "shift" else "")] += off
    octaves = (below + 11) // 12 - (above + 11) // 12  # up, or down; rounded up
    return keys + 12 * octaves if outside == "shift" else keys


def _sounding(keys, starts, ends):
    """uint8 [T, 88]: which keys sound at each step."""
    changes = np.zeros((ends.max() + 1 if len(ends) else 1, NOTE_COUNT), np.int32)
    np.add.at(changes, (starts, keys), 1)
    np.add.at(changes, (ends, keys), -1)
    return (np.cumsum(changes[:-1], axis=0) > 0).astype(np.uint8)
