"""The one training loop, for all tasks: epochs, exact evaluation, early stopping, checkpoints, resume."""

import contextlib
import math
import os
import shlex
import signal
import sys
import time

import numpy as np
from training.quiet_tensorflow import tf

from training.early_stopping import EarlyStopping
from files.errors import UserError, hint
from files.progress import ProgressLine, duration
from data_preparation.prepared import data_label
from files.run_files import BEST, LAST
from training.run_folder import Checkpoint

MAX_SKIPPED_STEPS = 20  # steps in a row that mixed precision may leave out


class Trainer(object):
    """Trains a model.Model on data with batches(split, epoch) in a RunFolder; use it in a `with` statement.

    All that changes while training is in the variables, `progress` (numbers) and the carried state, and all of it
    is in every checkpoint; dropout masks and shuffles are functions of (seed, step) and (seed, epoch). So a run
    that was resumed, in mid-epoch too, computes what one never interrupted would have.
    """

    def __init__(self, settings, model, data, run):
        self.settings, self.model, self.data, self.run = settings, model, data, run
        self.stopping = EarlyStopping(settings.patience, settings.epochs, model.lower_is_better)
        self.progress = {"epoch": 1, "batch": 0, "step": 0, "seconds": 0.0, "sums": _no_sums(model)}
        self._carried = None
        self._skipped_steps = 0
        self._interrupted = False
        self._last_checkpoint = self._last_tick = time.time()
        self._all = Checkpoint(tf.global_variables())
        self._weights = Checkpoint(tf.trainable_variables())
        self.session = tf.Session(config=model.session_config)
        try:
            self.session.run(tf.global_variables_initializer())
            if run.existing:
                self._restore()
            else:
                self._save()
        except BaseException:
            self.session.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.session.close()

    def fit(self):
        """Train until early stopping or the limit of epochs; nothing is left to do for a finished run.

        Raises UserError where the loss is not finite. Ctrl-C (or a TERM signal) writes a checkpoint, says how to
        resume and ends the process with status 130.
        """
        self._describe()
        if self.stopping.reason is None and self.run.existing:
            self.run.save_settings()
            with contextlib.suppress(FileNotFoundError):  # of a finished run that goes on: they are true no longer
                os.remove(self.run.file("results.json"))
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        self._last_checkpoint = self._last_tick = time.time()
        try:
            while self.stopping.reason is None:
                self._train_epoch()
                self._finish_epoch()
            self._pause_if_asked()  # while the weights are still the last ones, not the best
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        self.run.log("stopped after epoch %d: %s" % (self.stopping.epochs_done, self.stopping.reason))

    def load_best(self):
        """Set the weights to those of the best validation epoch. Raises UserError where no epoch is finished."""
        with hint("no epoch is finished yet, go on with --resume"):
            self._weights.load(self.session, self.run.file(BEST))

    def evaluate(self, split):
        """The metrics on a split, {name: value}: every example or token counts once, sums over true counts."""
        sums = _no_sums(self.model)
        batches = self.data.batches(split)
        with ProgressLine(self.run, split, len(batches), 0) as line:
            for i in range(len(batches)):
                fetched = self.session.run(_fetches(self.model), self.model.feed(batches[i]))
                _add(sums, fetched)
                line.update(i + 1)
                self._pause_if_asked()
        return _finished(self.model, sums)

    def _describe(self):
        network, settings = self.model.network, self.settings
        label = data_label(self.data.title, self.data.fraction)
        self.run.log("%s on %s: %s parameters, layers: %d, hidden units: %d, seed %d, on %s; folder %s" % (
            settings.cell_name, label, "{:,}".format(network.parameters),
            settings.number_of_layers, network.hidden_units, settings.seed, _device(self.session), self.run.path))

    def _train_epoch(self):
        progress = self.progress
        batches = self.data.batches("train", progress["epoch"])
        name = "epoch %d" % progress["epoch"]
        with ProgressLine(self.run, name, len(batches), progress["batch"]) as line:
            while progress["batch"] < len(batches):
                loss = self._train_step(batches[progress["batch"]])
                metrics = _finished(self.model, progress["sums"])
                line.update(progress["batch"], loss=loss, **{self.model.monitor: metrics[self.model.monitor]})
                if progress["step"] % self.settings.summary_steps == 0:
                    self.run.scalars(progress["step"], {"step/loss": loss})
                if time.time() - self._last_checkpoint > 60 * self.settings.checkpoint_minutes:
                    self._save()
                self._pause_if_asked()

    def _train_step(self, batch):
        progress, settings = self.progress, self.settings
        left = 1 - (progress["epoch"] - 1) / settings.epochs if settings.linear_decay else 1
        feed = self.model.feed(batch, self._carried, settings.dropout, (settings.seed, progress["step"]),
                               left * settings.learning_rate)
        fetched = self.session.run([_fetches(self.model), self.model.loss, self.model.state_out,
                                    self.model.train_op], feed)
        sums, loss, state, stepped = fetched
        good = math.isfinite(loss)
        self._check_step(loss, good and stepped)
        if good:
            _add(progress["sums"], sums)
        progress["batch"] += 1
        progress["step"] += 1
        self._carried = state if self.model.state_in and good else None
        return float(loss)

    def _check_step(self, loss, good):
        """End the run where a step went wrong; in mixed precision, which leaves it out, only where many did."""
        progress, settings = self.progress, self.settings
        self._skipped_steps = 0 if good else self._skipped_steps + 1
        if self._skipped_steps > (MAX_SKIPPED_STEPS if settings.mixed_precision else 0):
            wrong = "the loss became %s" % loss
            if settings.mixed_precision:
                wrong = "mixed_precision left out %d steps in a row, as loss or gradients were not finite," % (
                    self._skipped_steps)
            self._diverged(wrong, progress["step"] + 1)

    def _diverged(self, wrong, step):
        raise UserError("%s at step %d (epoch %d) with learning_rate %g: start a new run with a lower learning_rate; "
                        "%s keeps the last good state" % (
                            wrong, step, self.progress["epoch"], self.settings.learning_rate, self.run.path))

    def _finish_epoch(self):
        progress, monitor = self.progress, self.model.monitor
        train, valid = _finished(self.model, progress["sums"]), self.evaluate("valid")
        for name, value in valid.items():
            if math.isnan(value):  # before anything is saved: the last update spoilt the weights
                self._diverged("the validation %s became nan" % name, progress["step"])
        better = self.stopping.update(valid[monitor])
        self._tick()
        epoch = progress["epoch"]
        self.run.append_metrics(epoch, {"step": progress["step"], "seconds": round(progress["seconds"], 2),
                                        "train": train, "valid": valid})
        self.run.scalars(epoch, {"%s/%s" % (part, name): value for part, values in
                                 (("train", train), ("valid", valid)) for name, value in values.items()})
        self.run.log("epoch %d: %s train %.4f, valid %.4f%s  (%s in all)" % (
            epoch, monitor, train[monitor], valid[monitor], ", the best so far" if better else "",
            duration(progress["seconds"])))
        if better:
            self._weights.save(self.session, self.run.file(BEST), progress)
        progress.update(epoch=epoch + 1, batch=0, sums=_no_sums(self.model))
        self._carried = None
        self._save()

    def _tick(self):
        now = time.time()
        self.progress["seconds"] += now - self._last_tick
        self._last_tick = now

    def _save(self):
        self._tick()
        carried = tf.nest.flatten(self._carried) if self._carried is not None else []
        progress = dict(self.progress, stopping=self.stopping.state())
        self._all.save(self.session, self.run.file(LAST), progress, carried)
        self._last_checkpoint = time.time()

    def _restore(self):
        self.run.metrics()  # a damaged line is named now, not after an epoch
        with hint("start a new run"):
            progress, carried = self._all.load(self.session, self.run.file(LAST))
        if set(progress) != set(self.progress) | {"stopping"}:
            raise UserError("%s has a progress of %s: start a new run" % (
                self.run.file(LAST), ", ".join(sorted(progress)) or "nothing"))
        self.stopping.restore(progress.pop("stopping"))
        self.progress = progress
        self._carried = tf.nest.pack_sequence_as(self.model.state_in, carried) if carried else None

    def _on_signal(self, number, _):
        # A TERM may come more than once: a sweep that dies sends one for each of its threads.
        if self._interrupted and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._interrupted = True
        with contextlib.suppress(OSError):  # whoever read our output may be what was killed
            print("finishing this step; another Ctrl-C ends the process at once", file=sys.stderr)

    def _pause_if_asked(self):
        if self._interrupted:
            self._save()
            self.run.log("interrupted at step %d; go on with: python -u %s --resume %s" % (
                self.progress["step"], self.settings.script, shlex.quote(self.run.path)))
            sys.exit(130)


def _device(session):
    gpus = sum(device.device_type == "GPU" for device in session.list_devices())
    return "%d GPU" % gpus if gpus else "the CPU"


def _no_sums(model):
    return {name: [0.0, 0.0] for name in model.metrics}


def _fetches(model):
    return {name: (metric.total, metric.count) for name, metric in model.metrics.items()}


def _add(sums, fetched):
    for name, (total, count) in fetched.items():
        sums[name][0] += float(total)
        sums[name][1] += float(count)


def _finished(model, sums):
    with np.errstate(over="ignore", invalid="ignore"):
        return {name: float(metric.finish(np.float64(sums[name][0]) / sums[name][1]))
                for name, metric in model.metrics.items()}
