"""When to stop: the validation metric has not improved for `patience` epochs."""


class EarlyStopping(object):
    """Watches one validation metric. Improvement is strict. `reason` says why to stop; None: go on."""

    def __init__(self, patience, epochs, lower_is_better):
        self.patience = patience
        self.epochs = epochs
        self.lower_is_better = lower_is_better
        self.best = None
        self.best_epoch = 0
        self.epochs_done = 0

    def update(self, value):
        """Take the metric of one more epoch; True where it is the best so far."""
        self.epochs_done += 1
        better = self.best is None or (value < self.best if self.lower_is_better else value > self.best)
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
        """What a checkpoint keeps."""
        return {"best": self.best, "best_epoch": self.best_epoch, "epochs_done": self.epochs_done}

    def restore(self, state):
        """Go on from what `state()` gave."""
        self.__dict__.update(state)
