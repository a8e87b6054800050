"""Sampled music: sample.mid to hear, pianoroll.png to see."""

import os

import mido
import numpy as np

from data_preparation.midi import LOWEST_NOTE, read_song
from files.errors import UserError, hint
from files.progress import counted
from files.project import existing_path
from files.writing import atomic_write
from reports import pictures
from reports.sampling import continuation, prompt_split, sample_files

MUSIC_STEPS = 100  # of prompt and continuation together, at least half of them sampled
TICKS_PER_STEP = 480  # a quarter note lasts MIDI's own half a second, as the data have no tempo


def sample_music(trainer):
    """Write sample.mid and pianoroll.png: what the model plays after the first steps of a song.

    The song is the MIDI file settings.prompt, or else one of the test part (of validation, if test
    is not to be read).
    """
    settings, data, run = trainer.settings, trainer.data, trainer.run
    if settings.prompt:
        song = read_prompt(settings, data)
        prompt = song[:settings.prompt_steps]
        usual = max(MUSIC_STEPS - len(prompt), MUSIC_STEPS // 2)
    else:
        song = _song(data, prompt_split(settings))
        length = min(len(song), MUSIC_STEPS)
        prompt = song[:min(settings.prompt_steps, length // 2)]
        usual = max(length - len(prompt), 1)
    steps = settings.sample_steps or usual
    song = song[:len(prompt) + steps]
    number, (midi, picture) = sample_files(trainer, "sample.mid", "pianoroll.png")
    sampled = continuation(trainer, prompt, steps, _choose_notes, number)
    sampled = np.concatenate([prompt, sampled])
    _save_midi(midi, sampled, data.steps_per_quarter)
    title = "%s, %s, temperature %g" % (data.title, settings.cell_name, settings.temperature)
    pictures.piano_roll(picture, sampled, song, len(prompt), title)
    source = settings.prompt or "a %s song" % prompt_split(settings).replace("valid", "validation")
    names = "%s and %s" % (midi, os.path.basename(picture))
    run.log("%s: %s of %s, then %s" % (
        names, counted(len(prompt), "step"), source, counted(steps, "sampled step")))


def check_prompt(settings, data):
    """Refuse a prompt that cannot be read, before the training. Raises UserError."""
    if settings.prompt:
        read_prompt(settings, data)


def _song(data, split):
    """The steps of the longest song in the first batch of a split, uint8 [T, notes]."""
    batch = data.batches(split)[0]
    longest = batch["lengths"].argmax()
    length = batch["lengths"][longest]
    return np.concatenate([batch["inputs"][:1, longest], batch["targets"][:length, longest]])


def read_prompt(settings, data):
    """The sounding steps of the MIDI file settings.prompt, uint8 [T, 88]. Raises UserError."""
    with hint("give a MIDI file as prompt"):
        sounding = read_song(existing_path(settings.prompt), data.steps_per_quarter,
                             settings.own_music_outside).sounding
    if not len(sounding):
        raise UserError("%s has no notes" % settings.prompt, "give another MIDI file as prompt")
    return sounding


def _choose_notes(logits, random):
    notes = random.random(len(logits)) < 1 / (1 + np.exp(-logits))
    if not notes.any():
        notes[logits.argmax()] = True  # the data have no silent steps
    return notes.astype(np.uint8)


def _save_midi(path, keys, steps_per_quarter):
    """A MIDI file of keys [T, notes], lasting a step each; adjacent steps hold a note."""
    track, waited = mido.MidiTrack(), 0
    before = np.zeros_like(keys[:1])
    for change in np.diff(np.concatenate([before, keys, before]).astype(int), axis=0):
        for note in np.flatnonzero(change):
            kind = "note_on" if change[note] > 0 else "note_off"
            track.append(mido.Message(kind, note=int(note + LOWEST_NOTE), velocity=64,
                                      time=waited))
            waited = 0
        waited += TICKS_PER_STEP
    with atomic_write(path) as file:
        ticks_per_beat = min(TICKS_PER_STEP * steps_per_quarter, 2 ** 15 - 1)
        mido.MidiFile(tracks=[track], ticks_per_beat=ticks_per_beat).save(file=file)
