"""Log a training: lines, metrics.jsonl, curves in TensorBoard."""

import shlex

from data_preparation.prepared import data_label
from files.progress import counted, duration
from files.project import call_of
from files.units import shown

LEARNT = 0.1  # an accuracy so far above the baseline's is more than chance
DIVERGED = 2  # a validation loss of this many times the baseline's is said to diverge


class Journal(object):
    """Writes what happens in the training of a model.Model into its RunFolder."""

    def __init__(self, settings, model, data, run):
        self._settings, self._model, self._data, self._run = settings, model, data, run
        self._warned = False

    def model(self, session):
        """Log which model is trained, and on how many GPUs if there are any."""
        settings, network = self._settings, self._model.network
        text = ("{cell} on {data}: {parameters:,} parameters, layers: {layers}, hidden units: "
                "{units}, seed {seed}, on {device}; folder {folder}")
        self._run.log(text.format(
            cell=settings.cell_name, data=data_label(self._data.title, self._data.fraction),
            parameters=network.parameters, layers=settings.number_of_layers,
            units=network.hidden_units, seed=settings.seed, device=_device(session),
            folder=self._run.path))

    def resumed(self, progress):
        """Log at which step a training continues, and have TensorBoard drop what is later."""
        text = "continuing with epoch {epoch}, after {batch} of its batches (step {step})"
        self._run.log(text.format(**progress))
        # A kill after an epoch's metrics and before the next checkpoint: they stand at this step
        # already and come again. Its loss goes with them, as TensorBoard drops whole steps.
        metrics_come_again = any(
            (line["epoch"], line.get("step")) == (progress["epoch"], progress["step"])
            for line in self._run.metrics())
        self._run.events.resume(progress["step"] + (0 if metrics_come_again else 1))

    def interrupted(self, step):
        """Log how to continue a training that was ended after a step."""
        self._run.log("interrupted at step %d; continue with: %s --resume %s" % (
            step, call_of(self._settings.script), shlex.quote(self._run.path)))

    def lost_epochs(self, epochs_done):
        """Log that metrics.jsonl does not have all epochs that were done, if so."""
        found = len([line for line in self._run.metrics() if line["epoch"] <= epochs_done])
        if found < epochs_done:
            self._run.log("metrics.jsonl has only %d of the %d epochs that are done" % (
                found, epochs_done))

    def step(self, progress, loss, learning_rate, gradient_norm):
        """Show one step in TensorBoard, now and then."""
        if progress["step"] % self._settings.summary_steps == 0:
            self._run.events.scalars(progress["step"], {
                "step/loss": loss, "step/learning_rate": learning_rate,
                "step/gradient_norm": gradient_norm})

    def epoch(self, progress, train, valid, improved, best):
        """Record the metrics of an epoch.

        improved: whether it is the best so far. best: the monitor of the best so far.
        """
        self._run.append_metrics(progress["epoch"], {
            "step": progress["step"], "seconds": round(progress["seconds"], 2),
            "train": train, "valid": valid})
        scalars = {"train/" + name: value for name, value in train.items()}
        scalars.update(("valid/" + name, value) for name, value in valid.items())
        scalars["epoch/number"] = progress["epoch"]
        self._run.events.scalars(progress["step"], scalars)
        name = self._model.monitor
        text = "epoch {epoch}: {name} train {train}, valid {valid}{best}  ({time} in all)"
        self._run.log(text.format(
            epoch=progress["epoch"], name=name, train=shown(name, train[name]),
            valid=shown(name, valid[name]), best=", the best so far" if improved else "",
            time=duration(progress["seconds"])))
        if not improved:  # an untrained model may be as bad, but gets better
            self._warn_if_diverged(valid[name], best)

    def _warn_if_diverged(self, value, best):
        """Log once that a validation value is as if the model had forgotten all it learnt."""
        if self._warned:
            return
        name = self._model.monitor
        baseline = self._data.baseline("valid")[name]
        if self._model.lower_is_better:
            compared = "far beyond"
            self._warned = not value < DIVERGED * baseline  # nan, too
        else:
            compared, learnt = "back near", best - baseline
            self._warned = learnt > LEARNT and value < baseline + 0.1 * learnt
        if self._warned:
            text = ("the run diverges: its validation {name} of {value} is {compared} the "
                    "{baseline} of the {of}; start a new one with a lower learning_rate")
            self._run.log(text.format(name=name, value=shown(name, value), compared=compared,
                                      baseline=shown(name, baseline), of=self._data.baseline_name))


def _device(session):
    gpus = sum(device.device_type == "GPU" for device in session.list_devices())
    return counted(gpus, "GPU") if gpus else "the CPU"
