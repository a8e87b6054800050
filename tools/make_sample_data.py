"""Makes data/sample/Bach Chorales.json.gz, the small music data set that ships with this project.

Only this program needs music21, and that does not run in this project's environment. Give it one of its own:

    python3.9 -m venv ~/music21 && ~/music21/bin/pip install music21==7.3.3
    ~/music21/bin/python -m tools.make_sample_data          (in the project's folder; takes one or two minutes)

The scores come with music21, so nothing else is downloaded. The same version writes the same bytes each time.
data/sample/README.md describes the result.
"""

import collections
import gzip
import json
import math
import os
import random

from files.errors import OneLineParser, UserError, run_as_script
from files.writing import atomic_write

MUSIC21_VERSION = "7.3.3"
CHORALES = 371
VOICES = ("Soprano", "Alto", "Tenor", "Bass")
# The list of chorales names this one file differently from the folder of scores.
RENAMED = {"bwv18.5-l": "bwv18.5-lz"}
SEED = 0
# Where the training and the validation part end, as shares of all chorales.
TRAIN_END, VALID_END = .8, .9
# Settings of the same tune by chance share up to 0.3 of their progressions, revised or transposed versions more.
SAME_PIECE = 1. / 3


def read_chorales():
    """All chorales in Riemenschneider's order as (name of the score file, song) pairs.

    A song is a list of quarter-note steps, a step the sorted MIDI pitches that sound at its beginning. Raises
    UserError where music21 is missing or of another version.
    """
    try:
        import music21
    except ImportError:
        raise UserError("music21 is not installed: see the first lines of tools/make_sample_data.py")
    if music21.__version__ != MUSIC21_VERSION:
        raise UserError("music21 is version %s: install music21==%s" % (music21.__version__, MUSIC21_VERSION))
    # A search by name may hit another version of the piece, or a Humdrum file that reserves the rights to
    # derived formats.
    paths = {path.stem: path for path in music21.corpus.getComposer("bach", ("mxl", "xml"))}
    chorales = []
    for name in music21.corpus.chorales.Iterator(1, CHORALES, numberingSystem="riemenschneider",
                                                 returnType="filename"):
        name = os.path.basename(name)
        name = RENAMED.get(name, name)
        chorales.append((name, quarter_steps(music21.converter.parse(paths[name]))))
        print("\r%d of %d" % (len(chorales), CHORALES), end="", flush=True)
    print()
    return chorales


def quarter_steps(score):
    """The pitches of a score at every quarter note from its start, pickup included; instruments are left out.

    A note that neither begins at a quarter position nor is still held at one (most eighth notes off the beat) is
    in no step. A held note is in every step that it reaches. Repeats are not played out.
    """
    parts = list(score.parts)
    if len(parts) > len(VOICES):
        parts = [part for part in parts if part.partName.startswith(VOICES)]
    steps = collections.defaultdict(set)
    for part in parts:
        for note in part.flatten().notes:
            end = note.offset + note.duration.quarterLength
            for step in range(math.ceil(note.offset), math.ceil(end)):
                steps[step].update(pitch.midi for pitch in note.pitches)
    return [sorted(steps[step]) for step in range(max(steps) + 1)]


def group_pieces(chorales):
    """Lists of chorale indices; versions of one piece, also transposed, are in one list."""
    progressions = [_progressions(song) for _, song in chorales]
    groups = []
    for index, own in enumerate(progressions):
        related = [group for group in groups if any(_likeness(own, progressions[i]) >= SAME_PIECE for i in group)]
        groups = [group for group in groups if group not in related] + [sum(related, []) + [index]]
    return [sorted(group) for group in sorted(groups, key=min)]


def _progressions(song):
    """Counts the pairs of neighbouring chords, each as its intervals and the motion of its lowest note."""
    song = [step for step in song if step]
    return collections.Counter((tuple(note - a[0] for note in a), tuple(note - a[0] for note in b))
                               for a, b in zip(song, song[1:]))


def _likeness(a, b):
    return sum((a & b).values()) / min(sum(a.values()), sum(b.values()))


def split_groups(groups, count):
    """Shuffles the groups and deals them to train, valid and test; returns {split: sorted chorale indices}."""
    # Keys from random() stay the same in every Python version; what shuffle() does may change.
    generator = random.Random(SEED)
    shuffled = sorted(groups, key=lambda group: generator.random())
    splits = {"train": [], "valid": [], "test": []}
    dealt = 0
    for group in shuffled:
        split = "train" if dealt < TRAIN_END * count else "valid" if dealt < VALID_END * count else "test"
        splits[split] += group
        dealt += len(group)
    return {split: sorted(indices) for split, indices in splits.items()}


def main():
    parser = OneLineParser(description="Make the data set that ships from music21's Bach chorales.")
    parser.add_argument("--path", default=os.path.join("data", "sample", "Bach Chorales.json.gz"),
                        help="the file to write (default: %(default)s)")
    path = parser.parse_args().path
    chorales = read_chorales()
    groups = group_pieces(chorales)
    splits = split_groups(groups, len(chorales))
    songs = {split: [chorales[i][1] for i in indices] for split, indices in splits.items()}
    # No time stamp and no file name in the header, so that the bytes depend on the music alone.
    with atomic_write(path) as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(json.dumps(songs, separators=(",", ":"), sort_keys=True).encode("ascii"))
    print("%s: %d bytes, %d pieces" % (path, os.path.getsize(path), len(groups)))
    print("versions of one piece: %s" % "; ".join(" ".join(str(i + 1) for i in group)
                                                  for group in groups if len(group) > 1))
    for split, indices in splits.items():
        print("%s, %d chorales: %s" % (split, len(indices), " ".join(str(i + 1) for i in indices)))


if __name__ == "__main__":
    run_as_script(main)
