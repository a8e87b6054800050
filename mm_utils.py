"""Polyphonic music data: which of the 88 piano keys sound at each time step, and what follows.

`python -u mm_utils.py` turns data/mm/unchanged/<data set>.pickle, where it is there, and the Bach chorales that
come with the project into data/mm/ready/<data set>/{train,valid,test}.npz and prints an analysis.
`load(settings)` is what mm_main.py works with.
"""

import argparse
import os
import shlex
import sys
import time
from collections import namedtuple
from itertools import chain

import numpy as np

from training.batches import Batches, evaluation_slices, generator, training_slices
from training.errors import UserError, run_as_script
from training.files import load_arrays, load_json, load_pickle, save_arrays

SAMPLE = "Bach Chorales"
DATA_SETS = ("JSB Chorales", "Nottingham", "MuseData", "Piano-midi.de", SAMPLE)
SAMPLE_PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "sample", SAMPLE + ".json.gz")
SPLITS = ("train", "valid", "test")
LOWEST_NOTE, NOTE_COUNT = 21, 88  # MIDI numbers 21..108
WINDOW_SIZE = 200  # the published one, for the analysis

# A split in memory: `steps` uint8 [n, 11], the notes of a step as bits; `song_lengths` in steps; `silent_steps`,
# how many were dropped; `starts` and `lengths` of the windows' inputs, in steps.
Part = namedtuple("Part", "steps song_lengths silent_steps starts lengths")


def prepare(name, data_folder):
    """Write the ready files of data set `name`, anew if they are there; returns their folder.

    A file holds `steps` (uint8 [n, 11], notes as bits, silent steps left out), `song_lengths` (int32 [songs]) and
    `silent_steps` (a number). Raises UserError, with no file touched, where the source is missing, damaged or not
    lists of notes; also where the folder cannot be written.
    """
    path, remedy = _source(name, data_folder)
    splits = (load_json if name == SAMPLE else load_pickle)(path, remedy)
    if not isinstance(splits, dict) or set(splits) != set(SPLITS):
        raise UserError("%s is not a dict of train, valid and test: %s" % (path, remedy))
    arrays = {split: _pack(splits[split], "%s, %s" % (path, split), remedy) for split in SPLITS}
    folder = os.path.join(data_folder, "mm", "ready", name)
    try:
        for split in SPLITS:
            save_arrays(os.path.join(folder, split + ".npz"), **arrays[split])
    except OSError as error:
        raise UserError("%s cannot be written (%s): choose another data_folder" % (folder, error)) from error
    return folder


def _source(name, data_folder):
    """The file that data set `name` is made from, and what helps where it is missing or damaged."""
    if name == SAMPLE:
        return SAMPLE_PATH, "it comes with the project, copy it from there again"
    path = os.path.join(data_folder, "mm", "unchanged", name + ".pickle")
    force = " --force" if os.path.exists(path) else ""
    return path, "run: bash get_data.sh --only %s%s" % (shlex.quote(name), force)


def _prepare_command(data_folder):
    return "run: python -u mm_utils.py" + (
        "" if data_folder == "data" else " --data_folder " + shlex.quote(data_folder))


def _pack(songs, where, remedy):
    """The arrays of a split from its songs, lists of steps that are lists of MIDI notes (tuples do as well)."""
    def check(right, problem):
        if not right:
            raise UserError("%s: %s: %s" % (where, problem, remedy))

    check(_are_lists([songs]) and _are_lists(songs), "it is not a list of songs that are lists of steps")
    steps = list(chain.from_iterable(songs))
    check(_are_lists(steps), "a time step is not a list of notes")
    flat = list(chain.from_iterable(steps))
    check(all(issubclass(kind, (int, np.integer)) for kind in set(map(type, flat))), "a note is not an integer")
    song_of_step = np.repeat(np.arange(len(songs)), _lengths(songs))
    step_of_note = np.repeat(np.arange(len(steps)), _lengths(steps))
    notes = np.array(flat) - LOWEST_NOTE
    wrong = np.flatnonzero((notes < 0) | (notes >= NOTE_COUNT))
    if wrong.size:
        check(False, "song %d has the note %s, which is not one of %d..%d" % (
            song_of_step[step_of_note[wrong[0]]] + 1, flat[wrong[0]], LOWEST_NOTE, LOWEST_NOTE + NOTE_COUNT - 1))
    sounding = _lengths(steps) > 0
    song_lengths = np.bincount(song_of_step[sounding], minlength=len(songs))
    check((song_lengths >= 2).any(), "no song has two steps with notes, so nothing can be predicted")
    keys = np.zeros((len(steps), NOTE_COUNT), np.uint8)
    keys[step_of_note, notes] = 1
    return {"steps": np.packbits(keys[sounding], axis=1), "song_lengths": song_lengths.astype(np.int32),
            "silent_steps": np.count_nonzero(~sounding)}


def _are_lists(items):
    return set(map(type, items)) <= {list, tuple}


def _lengths(items):
    return np.fromiter(map(len, items), np.int64, len(items))


def cut_windows(song_lengths, window_size, step):
    """The windows of songs that stand one after another: (starts, lengths) of their inputs, int64, in song order.

    A song of n sounding steps gives the n - 1 inputs 1..n-1, and the target of each is the step after it. Full
    windows of W inputs start at range(0, n - W, step), counted from the song's first step; the last of these is at
    most n - W - 1, so all W targets exist. The rest of the song begins at the last start + step (at 0 if there was
    none). It is one shorter window if it has at least 2 of the song's n steps, which is one input with its target;
    so with step = W every target of every song is in exactly one window.
    """
    song_lengths = song_lengths.astype(np.int64)
    full = np.maximum(-((window_size - song_lengths) // step), 0)
    candidates = full + 1
    song = np.repeat(np.arange(len(song_lengths)), candidates)
    number = np.arange(len(song)) - (np.cumsum(candidates) - candidates)[song]
    begins = number * step
    lengths = np.minimum(song_lengths[song] - 1 - begins, window_size)
    starts = (np.cumsum(song_lengths) - song_lengths)[song] + begins
    return starts[lengths >= 1], lengths[lengths >= 1]


class MusicData(object):
    """A prepared data set as time-major batches of windows. Each split is read when it is first asked for."""

    note_count = NOTE_COUNT

    def __init__(self, folder, settings):
        self._folder = folder
        self._settings = settings
        self._opened = {}

    def batches(self, split, epoch=0):
        """Batches of {"inputs": uint8 [T, B, 88], "targets": uint8 [T, B, 88], "lengths": int32 [B]}.

        T is the longest window of the batch; past the end of a window all is 0. Training windows begin every half
        window and are shuffled by (seed, epoch), and each is shifted by up to `transpose` semitones either way; the
        remainder joins the last batch. Those of valid and test keep the order of the file, do not overlap and are
        never shifted. See cut_windows.
        """
        part = self._open(split)
        count, batch_size = len(part.starts), self._settings.batch_size
        if split != "train":
            slices = evaluation_slices(count, batch_size)
            return Batches(slices, lambda one: _batch(part, np.arange(one.start, one.stop)))
        random = generator(self._settings.seed, epoch)
        order = random.permutation(count)
        most = self._settings.transpose
        shifts = random.integers(-most, most, count, endpoint=True)
        slices = training_slices(count, batch_size)
        return Batches(slices, lambda one: _transposed(_batch(part, order[one]), shifts[one]))

    def facts(self, split):
        """What a split holds, as plain numbers; notes are MIDI numbers.

        `steps` is the number of targets in all windows (training windows overlap, so most steps are in two),
        `sounding_steps` counts every step of the songs once.
        """
        part = self._open(split)
        keys = np.unpackbits(part.steps, axis=1)
        notes = np.flatnonzero(keys.any(axis=0)) + LOWEST_NOTE
        return {"songs": len(part.song_lengths), "windows": len(part.starts), "steps": int(part.lengths.sum()),
                "sounding_steps": len(part.steps), "silent_steps": int(part.silent_steps),
                "notes_per_step": float(np.count_nonzero(keys) / len(keys)),
                "lowest_note": int(notes[0]), "highest_note": int(notes[-1]),
                "song_length_quartiles": np.percentile(part.song_lengths, (0, 25, 50, 75, 100)).tolist()}

    def frequency_baseline(self, split="test"):
        """The NLL of a model that knows only how often each note sounds in the training part.

        Its 88 independent probabilities are (count + 1) / (steps + 2), Laplace's rule, so that a note never heard
        in training costs a finite amount. Scored on the same windows and targets as the networks; returns
        {"window_nll": mean over windows of their mean over steps, "frame_nll": mean over steps}, in nats a step.
        """
        train_steps = self._open("train").steps
        probabilities = (np.unpackbits(train_steps, axis=1).sum(axis=0) + 1.) / (len(train_steps) + 2.)
        part = self._open(split)
        losses = -(np.log1p(-probabilities).sum()
                   + np.unpackbits(part.steps, axis=1).dot(np.log(probabilities) - np.log1p(-probabilities)))
        sums = np.append(0., np.cumsum(losses))
        window_losses = sums[part.starts + 1 + part.lengths] - sums[part.starts + 1]
        return {"window_nll": float(np.mean(window_losses / part.lengths)),
                "frame_nll": float(window_losses.sum() / part.lengths.sum())}

    def _open(self, split):
        if split not in self._opened:
            path = os.path.join(self._folder, split + ".npz")
            remedy = _prepare_command(self._settings.data_folder)
            arrays = load_arrays(path, remedy, ["steps", "song_lengths", "silent_steps"])
            steps, song_lengths = arrays["steps"], arrays["song_lengths"]
            if steps.dtype != np.uint8 or steps.shape != (song_lengths.sum(), NOTE_COUNT // 8):
                raise UserError("%s is not what mm_utils.py writes: %s" % (path, remedy))
            window_size = self._settings.window_size
            step = max(window_size // 2, 1) if split == "train" else window_size
            starts, lengths = cut_windows(song_lengths, window_size, step)
            self._opened[split] = Part(steps, song_lengths, arrays["silent_steps"], starts, lengths)
        return self._opened[split]


def _batch(part, chosen):
    lengths = part.lengths[chosen]
    places = np.arange(lengths.max() + 1)[:, None]
    # A short window repeats its last target instead of reaching into the next song; all of that is zeroed below.
    rows = part.starts[chosen] + np.minimum(places, lengths)
    keys = np.unpackbits(part.steps[rows], axis=2)
    inside = (places[:-1] < lengths)[:, :, None]
    return {"inputs": keys[:-1] * inside, "targets": keys[1:] * inside, "lengths": lengths.astype(np.int32)}


def _transposed(batch, shifts):
    """Shift the notes of each window by its number of semitones, or by as many as keep them on the keyboard."""
    if not shifts.any():
        return batch
    used = (batch["inputs"] | batch["targets"]).any(axis=0)  # [B, 88]
    lowest, highest = used.argmax(axis=1), NOTE_COUNT - 1 - used[:, ::-1].argmax(axis=1)
    shifts = np.clip(shifts, -lowest, NOTE_COUNT - 1 - highest)
    sources = ((np.arange(NOTE_COUNT) - shifts[:, None]) % NOTE_COUNT)[None]
    shifted = {name: np.take_along_axis(batch[name], sources, axis=2) for name in ("inputs", "targets")}
    return dict(batch, **shifted)


def load(settings):
    """Open a prepared data set; returns MusicData. The Bach chorales are prepared first where need be.

    Uses settings.data_set_name, data_folder, window_size (time steps), transpose, batch_size and seed. Raises
    UserError for an unknown data set and for missing or damaged files, with the command that mends it.
    """
    name, data_folder = settings.data_set_name, settings.data_folder
    if name not in DATA_SETS:
        raise UserError("data_set_name is %r: choose one of %s" % (name, ", ".join(DATA_SETS)))
    folder = os.path.join(data_folder, "mm", "ready", name)
    path, remedy = _source(name, data_folder)
    ready = [os.path.join(folder, split + ".npz") for split in SPLITS]
    missing = not all(map(os.path.exists, ready))
    if name == SAMPLE:
        if missing or min(map(os.path.getmtime, ready)) < os.path.getmtime(path):
            prepare(name, data_folder)
    elif missing:
        remedy = "" if os.path.exists(path) else remedy + ", then "
        raise UserError("%s is not prepared in %s: %s%s" % (name, folder, remedy, _prepare_command(data_folder)))
    return MusicData(folder, settings)


def analyse(data):
    """Print what each split holds."""
    print("%-6s%7s%9s%8s%9s%9s%9s   %s" % ("split", "songs", "steps", "silent", "windows", "notes", "a step",
                                           "song length: shortest, quarter, half, three quarters, longest"))
    for split in SPLITS:
        facts = data.facts(split)
        print("%-6s%7d%9d%8d%9d%9s%9.2f   %s" % (
            split, facts["songs"], facts["sounding_steps"], facts["silent_steps"], facts["windows"],
            "%d..%d" % (facts["lowest_note"], facts["highest_note"]), facts["notes_per_step"],
            " ".join("%g" % length for length in facts["song_length_quartiles"])))


def main():
    # Without a usage text a wrong option is answered by one line.
    parser = argparse.ArgumentParser(description="Prepare the music that is there and print an analysis of it.",
                                     usage=argparse.SUPPRESS)
    parser.add_argument("--data_folder", default="data", help="where get_data.sh put the data (default: data)")
    parser.set_defaults(window_size=WINDOW_SIZE, transpose=0)
    settings = parser.parse_args()
    status = 0
    for name in DATA_SETS:
        path, remedy = _source(name, settings.data_folder)
        if name != SAMPLE and not os.path.exists(path):
            print("%s is not there: %s" % (name, remedy))
            continue
        try:
            start = time.time()
            folder = prepare(name, settings.data_folder)
            print("%s in %s (%.1f s); steps without silent ones, windows of %d" % (
                name, folder, time.time() - start, WINDOW_SIZE))
            analyse(MusicData(folder, settings))
        except UserError as error:
            print("error: %s" % error, file=sys.stderr)
            status = 2
    return status


if __name__ == "__main__":
    run_as_script(main)
