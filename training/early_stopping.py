"""When to stop: the validation metric has not improved for `patience` epochs."""

import math

from files.errors import TrainingFailed, UserError
from files.progress import counted
from files.run_files import check_int, check_number, check_text

PRUNED = "pruned"  # how the stop reason of a pruned run begins


class EarlyStopping(object):
    """Follows a validation metric, the monitor. `reason`: why to stop, None if it should continue.

    longest_wait: the most epochs so far without a better value. median_at: set in a sweep that
    prunes; median_at(epochs_done) is the median of other trials' best values up to then, None if
    there is none, and a run that is worse stops.
    """

    def __init__(self, patience, epochs, lower_is_better):
        self.patience, self.epochs, self.lower_is_better = patience, epochs, lower_is_better
        self.best = self.median_at = self._pruned = None
        self.best_epoch = self.epochs_done = self.longest_wait = 0

    def update(self, value):
        """Take the monitor of one more epoch; True if it is the best so far.

        What is not finite is never the best: nan, or a perplexity that overflowed.
        """
        self.epochs_done += 1
        first = self.best is None
        better = math.isfinite(value) and (first or self._is_better(value, self.best))
        if better:
            self.best, self.best_epoch = value, self.epochs_done
        self.longest_wait = max(self.longest_wait, self.epochs_done - self.best_epoch)
        self._prune()
        return better

    def _is_better(self, value, other):
        return value < other if self.lower_is_better else value > other

    def _prune(self):
        limit = self.median_at and self.median_at(self.epochs_done)
        if limit is None or self.best is None:
            return
        if self._is_better(limit, self.best):
            self._pruned = "%s: the best value after %d epochs is %.4f, the median %.4f" % (
                PRUNED, self.epochs_done, self.best, limit)

    @property
    def reason(self):
        waited = self.epochs_done - self.best_epoch
        if waited >= self.patience:
            return "no improvement for %s (patience %d)" % (
                counted(waited, "epoch"), self.patience)
        if self.epochs_done >= self.epochs:
            return "the limit of %s is reached" % counted(self.epochs, "epoch")
        return self._pruned

    def check_limits(self, path):
        """Refuse a limit below what the run in the folder `path` has done: UserError."""
        if self.epochs < self.epochs_done:
            raise UserError("epochs is %d, but %s has done %d" % (
                self.epochs, path, self.epochs_done), "give at least as many")
        if self.patience < self.longest_wait:
            raise UserError("patience is %d, but %s has waited %d epochs for a better one" % (
                self.patience, path, self.longest_wait), "give at least as many")

    def check_best(self, monitor):
        """Raise UserError if there is no best epoch; monitor: the metric's name."""
        if not self.epochs_done:
            raise UserError("no epoch is finished yet", "continue with --resume")
        if not self.best_epoch:
            raise TrainingFailed("no epoch had a validation %s that is finite" % monitor,
                                 "start a new run with a lower learning_rate")

    def state(self):
        """The part of a checkpoint's progress that `restore` needs."""
        return {"best": self.best, "best_epoch": self.best_epoch, "epochs_done": self.epochs_done,
                "longest_wait": self.longest_wait, "pruned": self._pruned}

    def restore(self, state):
        """Continue from what `state` returned. Raises various errors for anything else."""
        self.epochs_done = check_int(state["epochs_done"])
        self.best_epoch = check_int(state["best_epoch"])
        self.longest_wait = check_int(state.get("longest_wait", 0))  # not of earlier versions' runs
        self._pruned = check_text(state["pruned"] or "") or None
        self.best = None if state["best"] is None else check_number(state["best"])
