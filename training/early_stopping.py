"""When to stop: the validation metric has not improved for `patience` epochs."""

import math

from files.run_files import number, whole


class EarlyStopping(object):
    """Follows a validation metric, the monitor. `reason`: why to stop, None if it should go on."""

    def __init__(self, patience, epochs, lower_is_better):
        self.patience = patience
        self.epochs = epochs
        self.lower_is_better = lower_is_better
        self.best = None
        self.best_epoch = 0
        self.epochs_done = 0

    def update(self, value):
        """Take the monitor of one more epoch; True if it is the best so far.

        What is not finite is never the best: nan, or a perplexity that overflowed.
        """
        self.epochs_done += 1
        better = math.isfinite(value) and (self.best is None or (
            value < self.best if self.lower_is_better else value > self.best))
        if better:
            self.best, self.best_epoch = value, self.epochs_done
        return better

    @property
    def reason(self):
        waited = self.epochs_done - self.best_epoch
        if waited >= self.patience:
            return "no improvement for %d epochs (patience %d)" % (waited, self.patience)
        if self.epochs_done >= self.epochs:
            return "the limit of %d epochs is reached" % self.epochs
        return None

    def state(self):
        """The part of a checkpoint's progress that `restore` needs."""
        return {"best": self.best, "best_epoch": self.best_epoch, "epochs_done": self.epochs_done}

    def restore(self, state):
        """Go on from what `state` gave. Raises various errors for anything else."""
        self.epochs_done = whole(state["epochs_done"])
        self.best_epoch = whole(state["best_epoch"])
        best = state["best"]
        # Earlier versions took a value that overflowed for the best.
        self.best = best if best is not None and math.isfinite(number(best)) else None
