"""The one training loop, for all tasks: epochs, evaluation, early stopping, checkpoints, resume."""

import math
import os
import sys
import time

import numpy as np
from training.quiet_tensorflow import tf

from files.errors import TrainingFailed, UserError, hint
from files.progress import ProgressLine
from files.reading import reading
from files.run_files import BEST, LAST, check_int, remove
from training import metrics
from training.checkpoint import Checkpoint, check_whole
from training.early_stopping import EarlyStopping
from training.interruption import Clock, Interruption
from training.journal import Journal

MAX_SKIPPED_STEPS = 20  # steps in a row that mixed precision may leave out
_LOST_BEST_HINT = "put it back from a copy, or start a new run"


class Trainer(object):
    """Trains a model.Model on data in a RunFolder; use it in a `with` statement.

    All that decides a step is in the variables, `progress` (numbers) and the carried state, and all
    of it is in every checkpoint; dropout masks and shuffles are functions of (seed, step) and
    (seed, epoch). So a run that was resumed, in mid-epoch too, computes what one never interrupted
    would have. Only the count of skipped steps starts from 0 again.

    started: when the experiment began (time.monotonic()). trained: whether this process trained.
    """

    def __init__(self, settings, model, data, run, started=None):
        self.settings, self.model, self.data, self.run = settings, model, data, run
        self.stopping = EarlyStopping(settings.patience, settings.epochs, model.lower_is_better)
        self.progress = {"epoch": 1, "batch": 0, "step": 0, "seconds": 0.0, "startup_seconds": 0.0,
                         "sums": metrics.zero_sums(model.metrics)}
        self.journal = Journal(settings, model, data, run)
        self.interruption = Interruption()
        self._started = time.monotonic() if started is None else started
        self._carried, self._skipped_steps, self.trained = None, 0, False
        self._last = Checkpoint(tf.global_variables())
        self._best = Checkpoint(tf.trainable_variables())
        self.session = tf.Session(config=model.session_config)
        try:
            self.session.run(tf.global_variables_initializer())
            self.clock = Clock(settings.checkpoint_minutes)
            self._check_weights()
            if run.begun and not run.weights_only:
                self._restore()
            elif not run.begun:
                self._save()
        except BaseException:
            self.session.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.session.close()

    def _check_weights(self):
        """Raise UserError if a run that should have weights has none."""
        run = self.run
        if any(os.path.exists(run.file(name)) for name in (BEST, LAST)):
            return
        if run.begun:
            why = "not every published run has them, and of a sweep's trials only the best"
            raise UserError("%s has no weights" % run.path, "%s; train it again: %s" % (
                why, self.settings.command(here=True)))
        if self.settings.evaluate:
            raise UserError("%s has no weights" % run.path, "--resume it")

    def fit(self):
        """Train until early stopping or the limit of epochs; does nothing for a finished run.

        Raises UserError if the loss is not finite. Ctrl-C, or a signal that announces the end of a
        job, writes a checkpoint, says how to resume and ends the process with status 130.
        """
        progress, stopping = self.progress, self.stopping
        self._begin()
        with self.interruption:
            while stopping.reason is None:
                batches = self.data.batches("train", progress["epoch"])
                name = "epoch %d" % progress["epoch"]
                with ProgressLine(self.run, name, len(batches), progress["batch"]) as line:
                    while progress["batch"] < len(batches):
                        loss = self._train_step(batches[progress["batch"]])
                        line.update(progress["batch"], loss=loss, **self._monitor_so_far())
                        if self.clock.checkpoint_due:
                            self._save()
                        self._exit_if_interrupted()
                valid = self.evaluate("valid")
                self._check_valid(valid)
                improved = stopping.update(valid[self.model.monitor])
                progress["seconds"] += self.clock.lap()
                self.journal.epoch(progress, self._train_metrics(), valid, improved, stopping.best)
                if improved:
                    self._best.save(self.session, self.run.file(BEST), self._progress_to_save())
                self._next_epoch()
                self._save()
            self._exit_if_interrupted()  # while the weights are still the last ones, not the best
        self.run.log("stopped after epoch %d: %s" % (stopping.epochs_done, stopping.reason))

    def load_best(self):
        """Set the weights to the best epoch's, progress too if that is newer. Raises UserError."""
        path = self.run.file(BEST)
        # An evaluation needs best.npz alone, which knows its epoch. A kill can leave it newer than
        # last.npz, and a published run has no other.
        evaluated_alone = self.settings.evaluate and os.path.exists(path)
        if not evaluated_alone:
            self.stopping.check_best(self.model.monitor)
        with hint("%s: %s" % (_LOST_BEST_HINT, self.settings.command(here=True))):
            progress, _ = self._best.load(self.session, path)
            with reading(path):
                self.run.check_data(progress.get("data"), path)
                newer = check_int(progress["stopping"]["epochs_done"]) > self.stopping.epochs_done
                if evaluated_alone and newer:
                    self._set_progress(progress)

    def evaluate(self, split):
        """The metrics on a split, {name: value}: every example or token counts once.

        Also the published average of each entry of model.by_example, see mean_of_batch_means.
        """
        model, batches = self.model, self.data.batches(split)
        sums, by_example = metrics.zero_sums(model.metrics), {name: [] for name in model.by_example}
        wanted = metrics.tensors(model.metrics), model.by_example
        with ProgressLine(self.run, split, len(batches), 0) as line:
            for i in range(len(batches)):
                fetched, values = self.session.run(wanted, model.feed(batches[i]))
                metrics.add(sums, fetched)
                for name in by_example:
                    by_example[name].append(values[name])
                line.update(i + 1)
                self._exit_if_interrupted()
        found = metrics.values(model.metrics, sums)
        for name, values in by_example.items():
            found[name] = metrics.mean_of_batch_means(
                np.concatenate(values), self.data.file_order(split), self.settings.batch_size)
        return found

    def _begin(self):
        self.journal.model(self.session)
        progress, self.trained = self.progress, self.stopping.reason is None
        if self.run.existing:
            trained_in = None if self.trained else self.run.environment()
            self.run.save_settings(trained_in, progress["step"])
        if self.trained:
            if self.run.begun:
                remove(self.run.path, "results.json")  # they are true no longer
                self.journal.resumed(progress)
            progress["startup_seconds"] += time.monotonic() - self._started
        self.clock = Clock(self.settings.checkpoint_minutes)

    def _train_step(self, batch):
        """Make one step and return its loss. Raises UserError if it is not finite."""
        progress, settings, model = self.progress, self.settings, self.model
        decay = 1 - (progress["epoch"] - 1) / settings.epochs if settings.linear_decay else 1
        learning_rate = decay * settings.learning_rate
        feed = model.feed(batch, self._carried, settings.dropout, (settings.seed, progress["step"]),
                          learning_rate)
        loss, stepped, norm, sums, state = self.session.run(
            [model.loss, model.train_op, model.gradient_norm, metrics.tensors(model.metrics),
             model.state_out], feed)
        finite = math.isfinite(loss)
        self._check_step(loss, finite and stepped)
        if finite:
            metrics.add(progress["sums"], sums)
        # After a loss that is not finite the state may not be either: the next starts from zeros.
        self._carried = state if model.state_in and finite else None
        progress["batch"] += 1
        progress["step"] += 1
        self.journal.step(progress, float(loss), learning_rate, float(norm))
        return float(loss)

    def _check_step(self, loss, good):
        """End the run if a step went wrong; in mixed precision if many in a row did."""
        self._skipped_steps = 0 if good else self._skipped_steps + 1
        if self._skipped_steps > (MAX_SKIPPED_STEPS if self.settings.mixed_precision else 0):
            wrong = "the loss became %s" % loss
            if self.settings.mixed_precision:
                wrong = "mixed_precision left out %d steps in a row, as they were not finite," % (
                    self._skipped_steps)
            self._raise_diverged(wrong, self.progress["step"] + 1)

    def _check_valid(self, valid):
        for name, value in valid.items():
            if math.isnan(value):  # before anything is saved: the last update spoilt the weights
                self._raise_diverged("the validation %s became nan" % name, self.progress["step"])

    def _raise_diverged(self, wrong, step):
        problem = "%s at step %d (epoch %d) with learning_rate %g" % (
            wrong, step, self.progress["epoch"], self.settings.learning_rate)
        raise TrainingFailed(problem, "start a new run with a lower learning_rate")

    def _train_metrics(self):
        return metrics.values(self.model.metrics, self.progress["sums"])

    def _monitor_so_far(self):
        return {self.model.monitor: self._train_metrics()[self.model.monitor]}

    def _next_epoch(self):
        self.progress.update(epoch=self.progress["epoch"] + 1, batch=0,
                             sums=metrics.zero_sums(self.model.metrics))
        self._carried = None

    def _progress_to_save(self):
        return dict(self.progress, stopping=self.stopping.state(), data=self.run.data_identity)

    def _set_progress(self, saved):
        self.stopping.restore(saved["stopping"])
        self.progress = {name: saved[name] for name in self.progress}
        self.progress["sums"] = {name: saved["sums"][name] for name in self.model.metrics}

    def _save(self):
        self.progress["seconds"] += self.clock.lap()
        self.run.events.flush()
        carried = tf.nest.flatten(self._carried) if self._carried is not None else []
        self._last.save(self.session, self.run.file(LAST), self._progress_to_save(), carried)
        self.clock.checkpoint_done()

    def _restore(self):
        """Set everything as the last checkpoint has it. Raises UserError."""
        path = self.run.file(LAST)
        with hint("remove it: --evaluate then takes best.npz alone" if self.settings.evaluate else
                  "start a new run, or --evaluate its best weights"):
            progress, carried = self._last.load(self.session, path)
            with reading(path):
                self.run.check_data(progress.get("data"), path)
                self._set_progress(progress)
                if carried:
                    self._carried = tf.nest.pack_sequence_as(self.model.state_in, carried)
        if not self.settings.evaluate:
            self.stopping.check_limits(self.run.path)
            if self.stopping.best_epoch:  # it is needed at the end, which may be days away
                with hint(_LOST_BEST_HINT):
                    check_whole(self.run.file(BEST))
        self.journal.lost_epochs(self.stopping.epochs_done)

    def _exit_if_interrupted(self):
        if self.interruption.requested:
            self._save()
            self.journal.interrupted(self.progress["step"])
            sys.exit(130)
