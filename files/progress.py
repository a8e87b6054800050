"""Progress of long work: a bar on a terminal, a plain line now and then in a file."""

import os
import sys
import time

import tqdm

from files.output import is_terminal
from files.units import shown

SECONDS_BETWEEN_LINES = 60
# A sweep sets it in the environment: the number of the open file for our bar, a row below its own.
BAR_FILE = "BAR_FILE"


def counted(number, noun):
    """A number with its noun: "1 epoch", "2 epochs"."""
    return "%d %s%s" % (number, noun, "" if number == 1 else "s")


def duration(seconds):
    """A time as people say it: "43 s", "6 min 3 s", "1 h 20 min"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return "%d h %d min" % (hours, minutes)
    return "%d min %d s" % (minutes, seconds) if minutes else "%d s" % seconds


class ProgressLine(object):
    """Progress through `total` steps, `done` of them done already; use it in a `with` statement."""

    def __init__(self, run, name, total, done):
        self._run, self._name, self._total, self._first = run, name, total, done
        self._started = self._last_line = time.monotonic()
        number = os.environ.get(BAR_FILE)
        file = open(int(number), "w", closefd=False) if number else sys.stderr
        self._bar = tqdm.tqdm(total=total, initial=done, desc=name, leave=False, dynamic_ncols=True,
                              file=file, disable=not is_terminal(file), position=1 if number else 0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._bar.close()

    def update(self, done, **numbers):
        """Show that `done` steps are done, and beside it `numbers` (loss, metric)."""
        beside = ", ".join("%s %s" % (name, shown(name, numbers[name])) for name in sorted(numbers))
        if not self._bar.disable:
            self._bar.set_postfix_str(beside, refresh=False)
            self._bar.update(done - self._bar.n)
        elif done > self._first and time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            left = (self._last_line - self._started) / (done - self._first) * (self._total - done)
            steps = "%s: %d of %d batches" % (self._name, done, self._total)
            self._run.log(", ".join(filter(None, [steps, beside, duration(left) + " left"])))
