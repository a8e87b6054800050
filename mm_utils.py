"""Polyphonic music data: which of the 88 piano keys sound at each time step, and what follows.

`python -u mm_utils.py` turns data/mm/unchanged/<data set>.pickle, if it is there, and the Bach
chorales that come with the project into data/mm/ready/<data set>/{train,valid,test}.npz and prints
an analysis; --own_music does the same to a folder of MIDI files. `load(settings)` is what
mm_main.py works with.
"""

import os
from collections import namedtuple

import files.environment  # noqa: F401: before numpy
import numpy as np

from data_preparation import own_music
from data_preparation.batches import Batches, example_groups, generator
from data_preparation.identity import identity_of_content, identity_of_files
from data_preparation.midi import LOWEST_NOTE, NOTE_COUNT
from data_preparation.own import OwnData
from data_preparation.prepared import SPLITS, PreparedData
from data_preparation.songs import pack_songs
from data_preparation.task import Task
from files.arrays import load_pickle
from files.errors import UserError, run_as_script
from files.project import project_path
from files.reading import file_digest, load_bytes, load_json, reading

SAMPLE = "Bach Chorales"
SAMPLE_PATH = project_path("data/sample/%s.json.gz" % SAMPLE)
DATA_SETS = {
    "JSB Chorales": ["JSB Chorales.pickle"],
    "Nottingham": ["Nottingham.pickle"],
    "MuseData": ["MuseData.pickle"],
    "Piano-midi.de": ["Piano-midi.de.pickle"],
    SAMPLE: [SAMPLE_PATH],
}
OWN = OwnData(
    "OwnMusic", "own_music", {"steps_per_quarter": 2, "own_music_outside": "shift"}, own_music.find,
    own_music.check_options,
    {"own_music": "a folder of MIDI files of your own",
     "steps_per_quarter": "time steps in a quarter note of them",
     "own_music_outside": "their notes off the keyboard: shift (by octaves) or drop"})

# Time steps in a quarter note of the published sets, whose files do not say. The chorales have a
# step a beat. Most of Nottingham's tunes, 32 bars, have 256 steps; the other two are taken to be
# alike.
_STEPS_PER_QUARTER = {"JSB Chorales": 1, SAMPLE: 1, "Nottingham": 2, "MuseData": 2,
                      "Piano-midi.de": 2}

# A split in memory: `steps` uint8 [n, 11], the notes of a step as bits; `song_lengths` in steps;
# `silent_steps`, how many were dropped; `starts` and `lengths` of the windows' inputs, in steps.
MusicSplit = namedtuple("MusicSplit", "steps song_lengths silent_steps starts lengths")


def _make(name, sources, options):
    """The ready files, {split}.npz as of pack_songs, and the Identity of the songs, see Task."""
    if name == OWN.name:
        return own_music.make(sources, options["steps_per_quarter"],
                              options["own_music_outside"]), None
    path, = sources.values()
    splits = (load_json if name == SAMPLE else load_pickle)(path)
    if not isinstance(splits, dict) or set(splits) != set(SPLITS):
        raise UserError("%s is not a dict of train, valid and test" % path)
    files = {split + ".npz": pack_songs(splits[split], "%s, %s" % (path, split))
             for split in SPLITS}
    if name == SAMPLE:
        return files, identity_of_content(name, [file_digest(path)])
    return files, identity_of_files({os.path.basename(path): load_bytes(path)})


def cut_windows(song_lengths, window_size, step):
    """Cut songs that stand one after another into windows: (starts, lengths) of their inputs.

    In a song of n sounding steps, step i is an input and step i + 1 its target, i = 0 .. n - 2.
    Full windows of W inputs start at range(0, n - W, step), so that all W targets exist. One
    shorter window starts where the next one would, if there is an input. With step = W every target
    of every song is in exactly one window. Both results are int64, in the order of the songs.
    """
    song_lengths = song_lengths.astype(np.int64)
    full = np.maximum(song_lengths - window_size + step - 1, 0) // step  # of range(0, n - W, step)
    counts = full + 1  # with the shorter window, which may be empty
    song = np.repeat(np.arange(len(song_lengths)), counts)
    number = np.arange(len(song)) - np.repeat(np.cumsum(counts) - counts, counts)  # in its song
    begins = number * step
    lengths = np.minimum(song_lengths[song] - 1 - begins, window_size)
    starts = (np.cumsum(song_lengths) - song_lengths)[song] + begins
    return starts[lengths >= 1], lengths[lengths >= 1]


class MusicData(PreparedData):
    """A prepared data set as time-major batches of windows; note_count: keys of the keyboard."""

    note_count = NOTE_COUNT
    baseline_name = "note-frequency baseline"
    description = "notes as MIDI numbers, without silent steps"

    @property
    def steps_per_quarter(self):
        """Time steps in a quarter note."""
        return _STEPS_PER_QUARTER.get(self._settings.data_set_name,
                                      self._settings.steps_per_quarter)

    def batches(self, split, epoch=0):
        """Batches of {"inputs" and "targets": uint8 [T, B, 88], "lengths": int32 [B]}.

        T is the longest window of the batch; past the end of a window all is 0. Training windows
        begin every half window and are shuffled by (seed, epoch), and each is shifted by up to
        `transpose` semitones either way; the remainder joins the last batch. Those of valid and
        test keep the order of the file, do not overlap and are never shifted. See cut_windows.
        """
        part, settings = self._open(split), self._settings
        count = len(part.starts)
        shifts = np.zeros(count, np.int64)
        random = generator(settings.seed, epoch) if split == "train" else None
        groups = example_groups(count, settings.batch_size, random)
        if random:
            # They are drawn in the order of training.
            shifts[np.concatenate(groups)] = random.integers(
                -settings.transpose, settings.transpose, count, endpoint=True)
        return Batches(groups, lambda chosen: _transposed(_batch(part, chosen), shifts[chosen]))

    def stats(self, split):
        """Counts of a split, as plain numbers; notes are MIDI numbers.

        `sounding_steps` counts every step of the songs once, `targets` those of all windows:
        training windows overlap, so most of a long song are in two; the first of each is in none.
        """
        part = self._open(split)
        keys = np.unpackbits(part.steps, axis=1)
        notes = np.flatnonzero(keys.any(axis=0)) + LOWEST_NOTE
        quartiles = np.percentile(part.song_lengths, (0, 25, 50, 75, 100))
        return {"songs": len(part.song_lengths), "windows": len(part.starts),
                "sounding_steps": len(part.steps), "targets": int(part.lengths.sum()),
                "silent_steps": int(part.silent_steps),
                "notes_per_step": float(np.count_nonzero(keys) / len(keys)),
                "lowest_note": int(notes[0]), "highest_note": int(notes[-1]),
                "song_length_quartiles": quartiles.tolist()}

    def remarks(self):
        """Lines on a user's own music: what was left out, splits that are too small, baseline."""
        if self._settings.data_set_name != OWN.name:
            return []
        path = self._path("left_out.json")
        left_out = load_json(path)
        with reading(path):
            lines = own_music.left_out_lines(left_out)
        baseline = "%s, valid: window_nll %.4f" % (
            self.baseline_name, self.baseline("valid")["window_nll"])
        title = ["left out or shifted, see left_out.json:"] if lines else []
        sizes = {split: len(self._open(split).song_lengths) for split in SPLITS}
        few = ["few songs in %s, %d: what it says is much by chance" % item
               for item in sizes.items() if item[1] < 5]
        return title + lines + few + [baseline]

    def baseline(self, split):
        """The note-frequency baseline: it knows only how often each note sounds in training.

        Its 88 independent probabilities are (count + 1) / (steps + 2), Laplace's rule, so that a
        note never heard in training costs a finite amount. Scored on the same windows and targets
        as the networks; returns {"window_nll": mean over windows of their mean over steps,
        "frame_nll": mean over steps}, in nats a step.
        """
        train_steps = self._open("train").steps
        counts = np.unpackbits(train_steps, axis=1).sum(axis=0)
        probabilities = (counts + 1.) / (len(train_steps) + 2.)
        part = self._open(split)
        log_odds = np.log(probabilities) - np.log1p(-probabilities)
        losses = -(np.log1p(-probabilities).sum() + np.unpackbits(part.steps, axis=1).dot(log_odds))
        sums = np.append(0., np.cumsum(losses))
        window_losses = sums[part.starts + 1 + part.lengths] - sums[part.starts + 1]
        return {"window_nll": float(np.mean(window_losses / part.lengths)),
                "frame_nll": float(window_losses.sum() / part.lengths.sum())}

    def _read(self, split):
        steps, song_lengths, silent_steps = self._arrays(
            split, "steps", "song_lengths", "silent_steps")
        if steps.dtype != np.uint8 or steps.shape != (song_lengths.sum(), NOTE_COUNT // 8):
            raise UserError("%s is not what mm_utils.py writes" % self._path(split + ".npz"))
        window_size = self._settings.window_size
        step = max(window_size // 2, 1) if split == "train" else window_size
        windows = cut_windows(song_lengths, window_size, step)
        return MusicSplit(steps, song_lengths, silent_steps, *windows)


def _batch(part, chosen):
    lengths = part.lengths[chosen]
    places = np.arange(lengths.max() + 1)[:, None]
    # A short window repeats its last target instead of reaching into the next song; all of that is
    # zeroed below.
    rows = part.starts[chosen] + np.minimum(places, lengths)
    keys = np.unpackbits(part.steps[rows], axis=2)
    inside = (places[:-1] < lengths)[:, :, None]
    return {"inputs": keys[:-1] * inside, "targets": keys[1:] * inside,
            "lengths": lengths.astype(np.int32)}


def _transposed(batch, shifts):
    """Shift the notes of each window by its semitones, or as far as the keyboard reaches."""
    if not shifts.any():
        return batch
    used = (batch["inputs"] | batch["targets"]).any(axis=0)  # [B, 88]
    lowest, highest = used.argmax(axis=1), NOTE_COUNT - 1 - used[:, ::-1].argmax(axis=1)
    shifts = np.clip(shifts, -lowest, NOTE_COUNT - 1 - highest)
    sources = ((np.arange(NOTE_COUNT) - shifts[:, None]) % NOTE_COUNT)[None]
    shifted = {name: np.take_along_axis(batch[name], sources, axis=2)
               for name in ("inputs", "targets")}
    return dict(batch, **shifted)


TASK = Task("mm", DATA_SETS, _make, MusicData, window_size=200, own_data=OWN)
prepare, load, main = TASK.prepare, TASK.load, TASK.main

if __name__ == "__main__":
    run_as_script(main)
