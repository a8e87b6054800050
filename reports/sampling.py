"""Continue a prompt by a model, in all tasks that have one."""

import itertools
import os

import numpy as np

from data_preparation.batches import generator

SAMPLE_PURPOSE = 2  # of the random generator; 0 and 1 are those of the batches


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
    model, random = trainer.model, generator(trainer.settings.seed, number - 1, SAMPLE_PURPOSE)
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
        scaled = logits.astype(np.float64) / trainer.settings.temperature
        sampled.append(choose(scaled, random))
        read = np.asarray(sampled[-1:])
    return np.asarray(sampled)
