"""A folder of a user's own MIDI files: its songs, what is left out of them, and their splits."""

import hashlib
import os
from collections import Counter

import numpy as np

from data_preparation.midi import read_song
from data_preparation.own import files_below, user_path
from data_preparation.prepared import SPLITS
from files.errors import UserError
from files.progress import counted

OUTSIDE = ("shift", "drop")
_MOST_LINES = 20  # of the files that were left out
_ENDS = 0.8 * 2 ** 32, 0.9 * 2 ** 32  # of the names' hashes in training and validation


def find(given):
    """{name: path} of the MIDI files in a folder; none if there is no such folder."""
    path = user_path(given)
    if os.path.isfile(path):
        raise UserError("own_music is %s, but must be a folder of MIDI files" % path)
    return files_below(path, (".mid", ".midi")) if os.path.isdir(path) else {}


def check_options(steps_per_quarter, own_music_outside):
    """Raise UserError for values that cannot be."""
    if own_music_outside not in OUTSIDE:
        raise UserError("own_music_outside is %r" % own_music_outside,
                        "give one of " + ", ".join(OUTSIDE))
    if steps_per_quarter < 1:
        raise UserError("steps_per_quarter is %d" % steps_per_quarter, "give 1 or more")


def make(paths, steps_per_quarter, outside):
    """The ready files of a folder of MIDI files, {split}.npz like any music, and left_out.json.

    left_out.json has `files`, {name: why it was left out}, and `notes`, {name: {kind of note: how
    many were left out or shifted}}. Raises UserError if fewer than three songs are left.
    """
    songs, seen, files, notes = {}, {}, {}, {}
    for name, path in paths.items():
        try:
            song = read_song(path, steps_per_quarter, outside)
        except UserError as error:
            files[name] = "it" + error.problem.replace(path, "")
            continue
        sounding = song.sounding
        digest = hashlib.sha256(sounding.tobytes()).digest()
        if song.left_out:
            notes[name] = song.left_out
        if not len(sounding):
            files[name] = "it has no notes"
        elif len(sounding) < 2:
            files[name] = "it is too short: it has one step with notes, but needs two"
        elif digest in seen:
            files[name] = "it is a duplicate of " + seen[digest]
        else:
            seen[digest] = name
            songs[name] = np.packbits(sounding, axis=1), len(song.keys) - len(sounding)
    if len(songs) < len(SPLITS):
        found = ["%d of %d MIDI files can be used, but 3 are needed" % (len(songs), len(paths))]
        raise UserError("; ".join(found + ["%s: %s" % item for item in list(files.items())[:3]]))
    ready = {split + ".npz": _pack(map(songs.get, names))
             for split, names in split_by_name(songs).items()}
    ready["left_out.json"] = {"files": files, "notes": notes}
    return ready


def split_by_name(names):
    """{split: names} by a hash of each name, 80/10/10, so that a new file moves no other.

    If a part would have none, it gets the nearest of the part beside it.
    """
    hashes = {name: int(hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8], 16)
              for name in names}
    order = sorted(names, key=lambda name: (hashes[name], name))
    first, second = np.searchsorted([hashes[name] for name in order], _ENDS)
    second = min(max(second, 2), len(order) - 1)
    first = min(max(first, 1), second - 1)
    parts = order[:first], order[first:second], order[second:]
    return {split: sorted(part) for split, part in zip(SPLITS, parts)}


def left_out_lines(left_out):
    """The lines of a table of what was left out; of files the first _MOST_LINES."""
    notes, files = Counter(), Counter()
    for kinds in left_out["notes"].values():
        notes.update(kinds)
        files.update(kinds.keys())
    lines = ["%-40s %d, in %s" % (kind, notes[kind], counted(files[kind], "file"))
             for kind in sorted(notes)]
    files = sorted(left_out["files"].items(), key=lambda item: ("duplicate" in item[1], item[0]))
    lines += ["%-40s %s" % item for item in files[:_MOST_LINES]]
    if len(files) > _MOST_LINES:
        lines.append("and %s, see left_out.json" % counted(len(files) - _MOST_LINES, "more file"))
    return lines


def _pack(songs):
    songs = list(songs)
    return {"steps": np.concatenate([steps for steps, _ in songs]),
            "song_lengths": np.array([len(steps) for steps, _ in songs], np.int32),
            "silent_steps": sum(silent for _, silent in songs)}
