"""How long work shows itself: a bar on a terminal, a plain line now and then in a file."""

import os
import sys
import time

import tqdm

SECONDS_BETWEEN_LINES = 60
BAR_FILE = "BAR_FILE"  # a sweep sets it: the number of the open file for our bar, a row below its own


def duration(seconds):
    """A time as people say it: "43 s", "6 min 3 s", "1 h 20 min"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return "%d h %d min" % (hours, minutes)
    return "%d min %d s" % (minutes, seconds) if minutes else "%d s" % seconds


class ProgressLine(object):
    """Progress through `total` steps of which `done` are done; use it in a `with` statement."""

    def __init__(self, run, name, total, done):
        self._run, self._name, self._total, self._first = run, name, total, done
        self._started = self._last_line = time.time()
        number = os.environ.get(BAR_FILE)
        file = open(int(number), "w", closefd=False) if number else sys.stderr
        self._bar = tqdm.tqdm(total=total, initial=done, desc=name, leave=False, dynamic_ncols=True,
                              file=file, disable=not file.isatty(), position=1 if number else 0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._bar.close()

    def update(self, done, **numbers):
        """`done` steps are done; `numbers` (loss, metric) are shown beside."""
        shown = ", ".join("%s %.4f" % item for item in sorted(numbers.items()))
        self._bar.set_postfix_str(shown, refresh=False)
        self._bar.update(done - self._bar.n if not self._bar.disable else 0)
        now = time.time()
        if self._bar.disable and now - self._last_line > SECONDS_BETWEEN_LINES:
            self._last_line = now
            left = (now - self._started) / (done - self._first) * (self._total - done)
            self._run.log("%s: %d of %d batches, %s, %s left" % (
                self._name, done, self._total, shown, duration(left)))
