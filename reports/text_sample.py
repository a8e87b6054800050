"""Sampled text: sample.txt."""

import itertools
import textwrap

import numpy as np

from data_preparation import own_text
from data_preparation.texts import UNKNOWN
from files.errors import UserError, hint
from files.output import printable
from files.project import existing_path
from files.writing import atomic_write
from reports.sampling import continuation, prompt_split, sample_files

TEXT_PROMPT = {"characters": 100, "words": 20}
TEXT_LENGTH = {"characters": 500, "words": 200}
SHOWN_LINES = 3  # of a sample, on the screen


def sample_text(trainer):
    """Write sample.txt: how the model continues settings.prompt, or the beginning of a split."""
    data, settings = trainer.data, trainer.settings
    unit = "characters" if data.characters else "words"
    prompt = given_prompt(settings)
    if prompt:
        ids = data.encode(prompt)
        pieces = dict.fromkeys(prompt if data.characters else prompt.split())
        unknown = [repr(piece) for piece in pieces if UNKNOWN in data.encode(piece)]
        if unknown:
            trainer.run.log("unknown in the prompt: " + ", ".join(unknown))
    else:
        ids = np.array(data.tokens(prompt_split(settings))[:TEXT_PROMPT[unit]], np.int32)
    steps = settings.sample_steps or TEXT_LENGTH[unit]
    number, (path,) = sample_files(trainer, "sample.txt")
    sampled = continuation(trainer, ids, steps, _choose_token, number)
    written = data.decode(sampled)
    with atomic_write(path) as file:
        made = "sampled (%d %s, temperature %g, seed %d):" % (
            len(sampled), unit, settings.temperature, settings.seed)
        lines = ["prompt:", data.decode(ids), "", made, written, ""]
        file.write("\n".join(lines).encode("utf-8"))
    trainer.run.log("%s: %d sampled %s" % (path, len(sampled), unit))
    for line in first_lines(written):
        trainer.run.log("  " + line)


def first_lines(written):
    """The beginning of a text as a screen can show it, in lines of at most 98 characters."""
    wrapped = (textwrap.wrap(printable(line), 98) for line in written.split("\n"))
    return list(itertools.islice(itertools.chain.from_iterable(wrapped), SHOWN_LINES))


def given_prompt(settings):
    """The text of settings.prompt or settings.prompt_file; "" for none. Raises UserError."""
    if not settings.prompt_file:
        return settings.prompt
    if settings.prompt:
        raise UserError("prompt and prompt_file are both given", "give one of them")
    with hint("give another prompt_file, or none"):
        return "".join(own_text.pieces([existing_path(settings.prompt_file)])).rstrip("\n")


def check_prompt(settings, data):
    """Refuse a prompt without anything that the data have; before training. Raises UserError."""
    prompt = given_prompt(settings)
    name = "prompt_file" if settings.prompt_file else "prompt"
    if settings.prompt_file and not prompt:
        raise UserError("%s is empty" % settings.prompt_file, "give another prompt_file")
    if prompt and not (data.encode(prompt) > UNKNOWN).any():
        raise UserError("%s is %.40r, but must have at least one word or character that %s can "
                        "read" % (name, prompt, data.title))


def _choose_token(logits, random):
    weights = np.exp(logits - logits[2:].max())
    weights[:2] = 0  # padding and the unknown are no text
    sums = np.cumsum(weights)
    return np.int32(np.searchsorted(sums, random.random() * sums[-1], side="right"))
