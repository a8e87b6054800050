"""Makes data/sample/Bach Chorales.json.gz, the small music data set that ships with this project.

Only this program needs music21, which does not run in this project's environment. Give it one of
its own, and call it in the project's folder (it takes one or two minutes):

    python3.9 -m venv ~/music21 && ~/music21/bin/pip install music21==7.3.3
    ~/music21/bin/python tools/make_sample_data.py

The scores come with music21, so nothing else is downloaded. The same version writes the same bytes
each time.
data/sample/README.md describes the result.
"""

import collections
import gzip
import json
import math
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from files.errors import OneLineParser, UserError, run_as_script
from files.writing import atomic_write

MUSIC21_VERSION = "7.3.3"
CHORALES = 371
VOICES = ("Soprano", "Alto", "Tenor", "Bass")
# The list of chorales names this one file differently from the folder of scores.
RENAMED = {"bwv18.5-l": "bwv18.5-lz"}
SEED = 0
# The ends of the training and the validation part, as fractions of all chorales.
TRAIN_END, VALID_END = 0.8, 0.9
# Settings of the same tune by chance share up to 0.3 of their progressions, revised or transposed
# versions more.
SAME_PIECE = 1. / 3


def read_chorales():
    """All chorales in Riemenschneider's order as (name of the score file, song) pairs.

    A song is a list of quarter-note steps, a step the sorted MIDI pitches that sound at its
    beginning. Raises UserError if music21 is missing or of another version.
    """
    try:
        import music21
    except ImportError:
        raise UserError("music21 is not installed", "see the top of tools/make_sample_data.py")
    if music21.__version__ != MUSIC21_VERSION:
        raise UserError("music21 is version %s" % music21.__version__,
                        "install music21==" + MUSIC21_VERSION)
    # A search by name may hit another version of the piece, or a Humdrum file that reserves the
    # rights to derived formats.
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
    """The pitches of a score's voices at every quarter note from its start, pickup included.

    A note that neither begins at a quarter position nor is still held at one (most eighth notes
    off the beat) is in no step. A held note is in every step that it reaches. There are no repeats.
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
        alike = {i for i in range(index) if _likeness(own, progressions[i]) >= SAME_PIECE}
        related = [group for group in groups if not alike.isdisjoint(group)]
        groups = [group for group in groups if group not in related] + [sum(related, []) + [index]]
    return [sorted(group) for group in sorted(groups, key=min)]


def _progressions(song):
    """Count the pairs of neighbouring chords, both as notes above the first one's lowest."""
    counts = collections.Counter()
    song = [step for step in song if step]
    for first, second in zip(song, song[1:]):
        pair = (tuple(note - first[0] for note in first), tuple(note - first[0] for note in second))
        counts[pair] += 1
    return counts


def _likeness(a, b):
    return sum((a & b).values()) / min(sum(a.values()), sum(b.values()))


def split_groups(groups, count):
    """Shuffle the groups and deal them out: {split: sorted chorale indices}."""
    # Keys from random() stay the same in every Python version; what shuffle() does may change.
    generator = random.Random(SEED)
    shuffled = sorted(groups, key=lambda group: generator.random())
    splits = {"train": [], "valid": [], "test": []}
    dealt = 0
    for group in shuffled:
        if dealt < TRAIN_END * count:
            split = "train"
        else:
            split = "valid" if dealt < VALID_END * count else "test"
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
    songs = [song for _, song in chorales]
    songs = {split: list(map(songs.__getitem__, indices)) for split, indices in splits.items()}
    # No time stamp and no file name in the header, so that the bytes depend on the music alone.
    with atomic_write(path) as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write(json.dumps(songs, separators=(",", ":"), sort_keys=True).encode("ascii"))
    print("%s: %d bytes, %d pieces" % (path, os.path.getsize(path), len(groups)))
    versions = [_numbers(group) for group in groups if len(group) > 1]
    print("versions of one piece: %s" % "; ".join(versions))
    for split, indices in splits.items():
        print("%s, %d chorales: %s" % (split, len(indices), _numbers(indices)))


def _numbers(indices):
    return " ".join(str(index + 1) for index in indices)


if __name__ == "__main__":
    run_as_script(main)
