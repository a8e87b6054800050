"""Continue a prompt by a model, in all tasks that have one."""

import itertools
import os

import numpy as np

from data_preparation.batches import SAMPLES, generator

_PIECE = 1000  # steps of a prompt that are read at a time: the memory they take grows with them


def prompt_split(settings):
    """The split that a prompt is taken from: test, or validation if test is not to be read."""
    return "test" if settings.evaluate_on_test else "valid"


def sample_files(trainer, *names):
    """(number, paths of its files) of a sample; --sample counts up and replaces no earlier one."""
    for number in itertools.count(1):
        ending = "." if number == 1 else "-%d." % number
        paths = [trainer.run.file(name.replace(".", ending)) for name in names]
        if not trainer.settings.sample or not any(map(os.path.exists, paths)):
            return number, paths


def continuation(trainer, prompt, steps, choose, number=1):
    """Sample `steps` inputs after `prompt` [T, ..], one at a time; returns them [steps, ..].

    choose(logits of the next step, random generator) gives the next input. A function of
    weights, seed and the number of the sample.
    """
    model, random = trainer.model, generator(trainer.settings.seed, number - 1, SAMPLES)
    first, final = model.outputs["first_states"], model.outputs["final_states"]
    last_logits = model.outputs["logits"][-1, 0]

    def read(inputs, states):
        feed = {model.inputs["inputs"]: inputs[:, None], model.inputs["lengths"]: [len(inputs)]}
        if "reset_state" in model.inputs:
            feed[model.inputs["reset_state"]] = False
        feed.update(zip(first, states))
        return trainer.session.run([last_logits, final], feed)

    prompt, states, sampled = np.asarray(prompt), [], []
    for start in range(0, len(prompt), _PIECE):
        logits, states = read(prompt[start:start + _PIECE], states)
    while True:
        sampled.append(choose(logits.astype(np.float64) / trainer.settings.temperature, random))
        if len(sampled) == steps:
            return np.asarray(sampled)
        logits, states = read(np.asarray(sampled[-1:]), states)
