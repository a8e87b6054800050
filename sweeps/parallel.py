"""Trainings side by side on one machine, each in a process with its own cores or its own GPU."""

import multiprocessing
import os
import signal
import sys
from multiprocessing.connection import wait

from files import machine
from files.errors import UserError
from sweeps.trial import end_with_parent, train


class Worker(object):
    """A process that trains one trial and ends with us.

    trial: what it trains. cores: the numbers of the cores that it may use. gpu: the number of its
    GPU, None for whatever is there. quiet: it shows no progress bar.
    """

    def __init__(self, trial, cores, gpu=None, quiet=False):
        self.trial, self._cores, self._gpu, self._quiet = trial, cores, gpu, quiet
        context = multiprocessing.get_context("fork")
        self.answer, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=self._run, args=(sender,))
        self._process.start()
        sender.close()

    def record(self):
        """The trial's record, see sweeps/trial.py; waits for it."""
        try:
            return self.answer.recv()
        except EOFError:
            return {"reason": "its process was killed"}
        finally:
            self._process.join()
            self.answer.close()

    def stop(self):
        """Have the training save itself and end; waits for that."""
        self._process.terminate()
        self._process.join()

    @property
    def is_running(self):
        """Whether the trial has not ended."""
        return self._process.is_alive()

    def _run(self, sender):
        end_with_parent()
        signal.signal(signal.SIGINT, lambda *_: None)  # whoever started us tells us to end, by TERM
        signal.signal(signal.SIGTERM, _interrupt)
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, self._cores)
        if self._quiet:
            sys.stderr = open(os.devnull, "w")
        variables = {} if self._gpu is None else {"CUDA_VISIBLE_DEVICES": self._gpu}
        try:
            record, _ = train(self.trial, variables)
            sender.send(record)
        except KeyboardInterrupt:
            pass
        except UserError as error:
            sender.send({"reason": str(error)})


def _interrupt(*_):
    signal.signal(signal.SIGTERM, lambda *_: None)
    raise KeyboardInterrupt


def train_all(trials, number, gpus, on_begin):
    """Train trials, `number` at a time; yields (trial, record) of each as it ends.

    The usable cores are shared out evenly. gpus: names of the GPUs, of which each gets one in
    turn. on_begin(trial) is called before each. If the caller stops listening, or Ctrl-C is
    pressed, the trainings under way save themselves first.
    """
    shares = shared_cores(number)
    waiting, workers = list(trials), {}
    free = list(range(number))
    try:
        while waiting or workers:
            while waiting and free:
                slot, trial = free.pop(0), waiting.pop(0)
                on_begin(trial)
                gpu = gpus[slot % len(gpus)] if gpus and number > 1 else None
                workers[slot] = Worker(trial, shares[slot], gpu, quiet=number > 1)
            answered = wait([worker.answer for worker in workers.values()])
            for slot, worker in list(workers.items()):
                if worker.answer in answered:
                    del workers[slot]
                    free.append(slot)
                    yield worker.trial, worker.record()
    finally:
        for worker in workers.values():
            worker.stop()


def shared_cores(number):
    """The usable cores in `number` sets of nearly the same size. Raises UserError for too few."""
    cores = machine.cores()
    if number > len(cores):
        raise UserError("parallel is %d, but this process may use %d cores" % (number, len(cores)),
                        "give at most so many")
    bounds = [len(cores) * i // number for i in range(number + 1)]
    return [set(cores[low:high]) for low, high in zip(bounds, bounds[1:])]
