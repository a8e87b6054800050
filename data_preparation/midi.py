"""MIDI files as steps of notes on the 88 keys of a piano."""

import itertools
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
        pieces = [[track] for track in file.tracks] if file.type == 2 else [file.tracks]
        notes, left_out, begin = [], Counter(), 0.0
        for tracks in pieces:
            begin = _play(tracks, _ticks_per_beat(file.ticks_per_beat), begin, notes, left_out)
    notes = np.array(notes, float).reshape(-1, 3)
    starts = np.floor(notes[:, 1] * steps_per_quarter + 0.5)
    ends = np.maximum(np.floor(notes[:, 2] * steps_per_quarter + 0.5), starts + 1)
    if len(notes) and ends.max() > MOST_STEPS:
        raise UserError("%s has %.0f steps, more than any piece of music" % (path, ends.max()))
    keys = _on_keyboard(notes[:, 0].astype(int), outside, left_out)
    inside = (keys >= 0) & (keys < NOTE_COUNT)
    return Song(_sounding(keys[inside], starts[inside].astype(int), ends[inside].astype(int)),
                dict(left_out))


def _ticks_per_beat(division):
    """A function from the tempo, microseconds a beat, to the ticks of the file in a beat.

    division: ticks a beat; if it is negative, its bytes are frames a second and ticks a frame.
    """
    if division > 0:
        return lambda tempo: division
    frames, ticks = -(division >> 8), division & 0xff
    if not frames or not ticks:
        raise ValueError("its time division is %d" % division)
    frames = 30000 / 1001 if frames == 29 else frames
    return lambda tempo: frames * ticks * tempo / 1e6


def _play(tracks, ticks_per_beat, begin, notes, left_out):
    """Append (note, start, end), in beats, of all notes of simultaneous tracks.

    Returns where they end. A track's note is ended by its own track alone, as two hands may share
    a channel.
    """
    now, rate, sounding, struck_again = begin, ticks_per_beat(500000), {}, {}
    since = begin, 0  # the beat and the tick from which the rate holds: so no error adds up

    def end(key):
        start = sounding.pop(key)
        if start == now:
            left_out["notes without a length"] += 1
        else:
            notes.append((key[-1], start, now))

    for tick, track, message in _events(tracks):
        now = since[0] + (tick - since[1]) / rate
        if message.type == "set_tempo":
            before, rate = rate, ticks_per_beat(max(message.tempo, 1))
            since = since if rate == before else (now, tick)
        elif message.type in ("note_on", "note_off"):
            key = track, message.channel, message.note
            strikes = message.type == "note_on" and message.velocity > 0
            if strikes and message.channel == _DRUMS:
                left_out["drums"] += 1
            elif strikes:
                if sounding.get(key, now) < now:  # a note that is struck again ends there
                    end(key)
                    struck_again[key] = now
                sounding[key] = now
            elif key in sounding and struck_again.pop(key, None) != now:  # else it ended there
                end(key)
    for key in list(sounding):
        end(key)
    return now


def _events(tracks):
    """(tick, number of the track, message) of all that is in tracks, in the order of time."""
    found = []
    for number, track in enumerate(tracks):
        ticks = itertools.accumulate(message.time for message in track)
        found += [(tick, number, message) for tick, message in zip(ticks, track)]
    return sorted(found, key=lambda event: event[0])


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
