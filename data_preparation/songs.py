"""Songs as lists of steps of MIDI notes, the form of the published files, into arrays."""

from itertools import chain

import numpy as np

from data_preparation.midi import LOWEST_NOTE, NOTE_COUNT
from files.errors import UserError


def pack_songs(songs, where):
    """The arrays of a split from its songs, lists of steps that are lists of MIDI notes.

    Returns `steps` (uint8 [n, 11], the notes of the sounding steps as bits), `song_lengths` (int32
    [songs]) and `silent_steps`. Raises UserError, with `where` in it.
    """
    def check(right, problem):
        if not right:
            raise UserError("%s: %s" % (where, problem))

    check(_are_lists([songs]) and _are_lists(songs),
          "it is not a list of songs that are lists of steps")
    steps = list(chain.from_iterable(songs))
    check(_are_lists(steps), "a time step is not a list of notes")
    flat = list(chain.from_iterable(steps))
    kinds = set(map(type, flat))
    check(all(issubclass(kind, (int, np.integer)) for kind in kinds), "a note is not an integer")
    song_of_step = np.repeat(np.arange(len(songs)), _lengths(songs))
    step_of_note = np.repeat(np.arange(len(steps)), _lengths(steps))
    notes = np.array(flat) - LOWEST_NOTE
    wrong = np.flatnonzero((notes < 0) | (notes >= NOTE_COUNT))
    if wrong.size:
        song, highest = song_of_step[step_of_note[wrong[0]]] + 1, LOWEST_NOTE + NOTE_COUNT - 1
        check(False, "song %d has the note %s, which is not one of %d..%d" % (
            song, flat[wrong[0]], LOWEST_NOTE, highest))
    sounding = _lengths(steps) > 0
    song_lengths = np.bincount(song_of_step[sounding], minlength=len(songs))
    check((song_lengths >= 2).any(),
          "no song has two steps with notes, so nothing can be predicted")
    keys = np.zeros((len(steps), NOTE_COUNT), np.uint8)
    keys[step_of_note, notes] = 1
    return {"steps": np.packbits(keys[sounding], axis=1),
            "song_lengths": song_lengths.astype(np.int32),
            "silent_steps": int(np.count_nonzero(~sounding))}


def _are_lists(items):
    return set(map(type, items)) <= {list, tuple}


def _lengths(items):
    return np.fromiter(map(len, items), np.int64, len(items))
