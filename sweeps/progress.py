"""What people see of a sweep while it runs: lines, a bar, and the table and pictures so far."""

import sys
import time

import tqdm

from files import units
from files.output import is_terminal
from files.progress import counted
from sweeps import report
from sweeps.search_space import LISTS, bounds_or_values

SECONDS_BETWEEN_REPORTS = 30  # at least: to draw takes a second or two
_MOST_VALUES = 8  # of a list that is shown whole
_BAR = "{desc}: {n_fmt} of {total_fmt} trials {bar:10} {remaining} left{postfix}"


class SweepProgress(object):
    """Shows what a Sweep has recorded."""

    def __init__(self, sweep):
        self._sweep, self._last_report = sweep, time.monotonic()
        self._bar = tqdm.tqdm(total=sweep.size, initial=len(sweep.records), desc="sweep",
                              bar_format=_BAR, disable=not is_terminal(sys.stderr),
                              dynamic_ncols=True, position=0, leave=False)
        self._show_best()

    def close(self):
        """Take the bar away."""
        self._bar.close()

    def begin(self):
        """Say how many trials there are to be, what is searched and how, and where it is kept."""
        sweep = self._sweep
        done = ", %d of them done" % len(sweep.records) if sweep.records else ""
        self.log("sweep of {trials}{done}, in {folder}: {method} over {space}".format(
            trials=counted(sweep.size, "trial"), done=done, folder=sweep.run.path,
            method=sweep.settings.search_method, space=_dimensions(sweep.space)))

    def trial_ended(self, record):
        """Show the record of a trial that ended, and now and then report."""
        sweep = self._sweep
        self._bar.update(len(sweep.records) - self._bar.n)
        self._show_best()
        so_far = "; best so far %s, trial %d" % (
            _best_value(sweep), sweep.best["trial"]) if sweep.best else ""
        self.log("trial {number} of {size}: {outcome}; {point}{so_far}".format(
            number=record["trial"], size=sweep.size, outcome=report.outcome_text(record),
            point=report.point_text(record["point"]), so_far=so_far))
        if time.monotonic() - self._last_report > SECONDS_BETWEEN_REPORTS:
            self.report()

    def report(self):
        """Write the table and the pictures of the trials so far; why they cannot be, is logged."""
        sweep = self._sweep
        if sweep.records:
            try:
                report.write(sweep.run, sweep.records, sweep.space)
            except Exception as error:  # of any library that draws: no trial is lost by it
                self.log("table and pictures are not up to date (%s: %s)" % (
                    type(error).__name__, error))
        self._last_report = time.monotonic()

    def log(self, text):
        """Print a line above the bar and keep it in log.txt."""
        with tqdm.tqdm.external_write_mode():
            self._sweep.run.log(text)

    def _show_best(self):
        best = self._sweep.best
        if best:
            point = {name: float("%.3g" % value) if isinstance(value, float) else value
                     for name, value in best["point"].items()}
            self._bar.set_postfix_str("best %s: %s" % (
                _best_value(self._sweep), report.point_text(point)))


def _best_value(sweep):
    return units.shown(sweep.best["metric"], sweep.best["value"])


def _dimensions(space):
    """A search space in one line."""
    texts = []
    for name, dimension in sorted(space.items()):
        values = [str(value) for value in bounds_or_values(dimension)]
        if dimension[0] not in LISTS:
            values = [" to ".join(values)]
        elif len(values) > _MOST_VALUES:
            values = ["%d values" % len(values), values[0], "..", values[-1]]
        texts.append("%s %s %s" % (name, dimension[0], ", ".join(values)))
    return "; ".join(texts)
