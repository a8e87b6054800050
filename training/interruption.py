"""Signals that end a training, and its clock."""

import contextlib
import os
import signal
import threading
import time

from files.output import print_error

# Ctrl-C, and what schedulers and terminals send some time before they kill.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)


class Interruption(object):
    """Notes in `requested` that a signal asked for the end, so that a training can save itself.

    Use it in a `with` statement; outside of it, and in a thread other than the main one (in which
    Python allows no handlers), signals do what they always do. A second Ctrl-C ends at once.
    """

    def __init__(self):
        self.requested, self._handlers = False, {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                    self._handlers[number] = signal.signal(number, self.request)
        return self

    def __exit__(self, error, *_):
        for number, handler in self._handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if self.requested and error is None:  # it came too late to be acted upon
            self.requested = False
            os.kill(os.getpid(), signal.SIGINT)

    def request(self, number, _=None):
        """Ask for the end: the handler of the signals."""
        # A TERM may come more than once: a sweep that dies sends one for each of its threads.
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = True
        with contextlib.suppress(RuntimeError):  # the signal came within a write to standard error
            print_error("finishing this step; another Ctrl-C ends the process at once")


class Clock(object):
    """Measure a training's time and when a checkpoint is due, by the monotonic clock."""

    def __init__(self, checkpoint_minutes):
        self._between_checkpoints = 60 * checkpoint_minutes
        self._last_look = self._last_checkpoint = time.monotonic()

    def lap(self):
        """Seconds since the last call, or since the clock was made."""
        before, self._last_look = self._last_look, time.monotonic()
        return self._last_look - before

    def checkpoint_done(self):
        """Count the time to the next checkpoint from now on."""
        self._last_checkpoint = time.monotonic()

    @property
    def checkpoint_due(self):
        return time.monotonic() - self._last_checkpoint > self._between_checkpoints
