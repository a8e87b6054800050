"""Trainings side by side on one machine, each with its own cores or its own GPU."""

import os
import queue
import time
from concurrent import futures

from files.errors import UserError
from files.progress import BAR_FILE, counted
from sweeps import trial


def train_on(cores, one, variables=()):
    """Bind this thread, and so what it starts, to `cores`; train a trial and return its record."""
    os.sched_setaffinity(0, cores)
    return trial.train(one, variables)[0]


def train_all(trials, number, gpus, on_begin):
    """Train trials, `number` at a time; yields (trial, record) of each as it ends.

    The usable cores are shared out evenly. gpus: names of the GPUs, of which each gets one in
    turn. on_begin(trial) is called before each. If the caller stops listening, or Ctrl-C is
    pressed, the trainings under way save themselves first.
    """
    free = queue.Queue()
    for place in enumerate(shared_cores(number)):
        free.put(place)

    def train_one(one):
        slot, cores = free.get()
        variables = {BAR_FILE: ""} if number > 1 else {}  # several bars would overwrite each other
        if gpus:
            variables["CUDA_VISIBLE_DEVICES"] = gpus[slot % len(gpus)]
        try:
            on_begin(one)
            return train_on(cores, one, variables)
        finally:
            free.put((slot, cores))

    with futures.ThreadPoolExecutor(number) as pool:
        running = {pool.submit(train_one, one): one for one in trials}
        try:
            for done in futures.as_completed(running):
                yield running[done], done.result()
        finally:
            stop(running)


def stop(running):
    """Have trainings, futures of this process, save themselves and end; waits for that."""
    trial.STOPPING.set()
    try:
        while not all([future.cancel() or future.done() for future in running]):
            trial.terminate_all()
            time.sleep(0.5)
    finally:
        trial.STOPPING.clear()


def shared_cores(number):
    """The usable cores in `number` sets of nearly the same size. Raises UserError for too few."""
    cores = sorted(os.sched_getaffinity(0))
    if number > len(cores):
        usable = counted(len(cores), "core")
        raise UserError("parallel is %d, but this process may use %s" % (number, usable),
                        "give at most that many")
    bounds = [len(cores) * i // number for i in range(number + 1)]
    return [set(cores[low:high]) for low, high in zip(bounds, bounds[1:])]
