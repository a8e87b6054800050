"""What a trained model leaves to be looked at and listened to: sampled music, sampled text, a confusion matrix."""

import mido
import numpy as np

from reports import pictures
from data_preparation.batches import generator
from files.errors import UserError
from files.writing import atomic_write

SAMPLE_PURPOSE = 2  # of the random generator; 0 and 1 are those of the batches
MUSIC_PROMPT, MUSIC_STEPS = 16, 100  # steps: four bars of quarter notes as the prompt; prompt and continuation
TEXT_PROMPT = {"characters": 100, "words": 20}
TEXT_LENGTH = {"characters": 500, "words": 200}
TICKS_PER_STEP = 480  # with MIDI's own tempo half a second, as the data have none


def continuation(trainer, prompt, steps, choose):
    """Sample `steps` inputs after `prompt` [T, ..], one at a time, carrying the states; returns them [steps, ..].

    choose(logits of the next step, random generator) gives the next input. A function of weights and seed.
    """
    model, random = trainer.model, generator(trainer.settings.seed, 0, SAMPLE_PURPOSE)
    first, final = model.outputs["first_states"], model.outputs["final_states"]
    last_logits = model.outputs["logits"][-1, 0]
    read, states, sampled = np.asarray(prompt), None, []
    for _ in range(steps):
        feed = {model.inputs["inputs"]: read[:, None], model.inputs["lengths"]: [len(read)]}
        if "reset_state" in model.inputs:
            feed[model.inputs["reset_state"]] = False
        if states is not None:
            feed.update(zip(first, states))
        logits, states = trainer.session.run([last_logits, final], feed)
        sampled.append(choose(logits.astype(np.float64) / trainer.settings.temperature, random))
        read = np.asarray(sampled[-1:])
    return np.asarray(sampled)


def music(trainer):
    """Write sample.mid and pianoroll.png: what the model plays after the first steps of a test song."""
    batch = trainer.data.batches("test")[0]
    longest = batch["lengths"].argmax()
    length = batch["lengths"][longest]
    song = np.concatenate([batch["inputs"][:1, longest], batch["targets"][:length, longest]])[:MUSIC_STEPS]
    prompt = song[:min(MUSIC_PROMPT, len(song) // 2)]
    sampled = np.concatenate([prompt, continuation(trainer, prompt, len(song) - len(prompt), _choose_notes)])
    lowest = trainer.data.lowest_note
    _save_midi(trainer.run.file("sample.mid"), sampled, lowest)
    title = "%s, %s, temperature %g" % (
        trainer.settings.data_set_name, trainer.settings.cell_name, trainer.settings.temperature)
    pictures.piano_roll(trainer.run.file("pianoroll.png"), sampled, song, len(prompt), lowest, title)
    trainer.run.log("sample.mid and pianoroll.png: %d steps of a test song, then %d sampled ones" % (
        len(prompt), len(song) - len(prompt)))


def _choose_notes(logits, random):
    notes = random.random(len(logits)) < 1 / (1 + np.exp(-logits))
    if not notes.any():
        notes[logits.argmax()] = True  # the data have no silent steps
    return notes.astype(np.uint8)


def _save_midi(path, keys, lowest_note):
    """A MIDI file of keys [T, notes], lasting a step each; a note that sounds in adjacent steps is held."""
    track, waited = mido.MidiTrack(), 0
    before = np.zeros_like(keys[:1])
    for change in np.diff(np.concatenate([before, keys, before]).astype(int), axis=0):
        for note in np.flatnonzero(change):
            kind = "note_on" if change[note] > 0 else "note_off"
            track.append(mido.Message(kind, note=int(note + lowest_note), velocity=64, time=waited))
            waited = 0
        waited += TICKS_PER_STEP
    with atomic_write(path) as file:
        mido.MidiFile(tracks=[track], ticks_per_beat=TICKS_PER_STEP).save(file=file)


def check(settings, data):
    """Refuse a prompt that the data have no token of; before training. Raises UserError."""
    prompt = settings.values.get("prompt")
    if prompt and settings.task == "language" and not len(data.encode(prompt)):
        raise UserError("prompt is %r, but must have at least one word or character that %s can read" % (
            prompt, settings.data_set_name))


def text(trainer):
    """Write sample.txt: how the model goes on after settings.prompt, or after the first words of the test text."""
    data, settings = trainer.data, trainer.settings
    unit = "characters" if data.characters else "words"
    prompt = data.encode(settings.prompt) if settings.prompt else np.array(
        data.tokens("test")[:TEXT_PROMPT[unit]], np.int32)
    sampled = continuation(trainer, prompt, TEXT_LENGTH[unit], _choose_token)
    with atomic_write(trainer.run.file("sample.txt")) as file:
        file.write(("prompt:\n%s\n\nsampled (%d %s, temperature %g, seed %d):\n%s\n" % (
            data.decode(prompt), len(sampled), unit, settings.temperature, settings.seed,
            data.decode(sampled))).encode("utf-8"))
    trainer.run.log("sample.txt: %d sampled %s" % (len(sampled), unit))


def _choose_token(logits, random):
    weights = np.exp(logits - logits[2:].max())
    weights[:2] = 0  # padding and the unknown are no text
    sums = np.cumsum(weights)
    return np.int32(np.searchsorted(sums, random.random() * sums[-1], side="right"))


def confusion_matrix(trainer):
    """Write confusion_matrix.png: how often test examples of each class were taken for each class."""
    model, data = trainer.model, trainer.data
    counts = np.zeros([data.class_count] * 2, int)
    for batch in data.batches("test"):
        logits = trainer.session.run(model.outputs["logits"], model.feed(batch))
        np.add.at(counts, (batch["labels"], logits.argmax(axis=1)), 1)
    title = "%s, %s, %d test examples" % (
        trainer.settings.data_set_name, trainer.settings.cell_name, counts.sum())
    pictures.confusion_matrix(trainer.run.file("confusion_matrix.png"), counts, data.class_names, title)
    trainer.run.log("confusion_matrix.png: %d of %d test examples are right" % (counts.trace(), counts.sum()))
