"""Report a run: evaluation, results.json, learning curve, a summary on the screen."""

import contextlib
import resource

from data_preparation.prepared import data_label
from files.errors import UserError
from files.progress import duration
from files.reading import reading
from files.run_files import has_results, load_results
from files.units import shown, unit
from files.writing import save_json
from reports import pictures
from reports.paper_results import PAPER_RESULTS, comparable, paper_value
from training.provenance import environment

SAME = 0.01  # of a loss, or in accuracy: other versions and cores make less
OF_OTHER_DATA = "results-other-data.json"


def final(trainer):
    """Evaluate the best checkpoint; write results.json and learning_curve.png, print the box.

    Without settings.evaluate_on_test the test split is not even read, and the results have nothing
    of it, unless the run was tested before.

    A published run, of which only the best weights are there, keeps its files if this adds nothing
    to them: another machine's last digits are not the published ones. Results on other data than
    the run was trained on go into a file of their own, OF_OTHER_DATA.

    Returns whether the run's files were written. Raises UserError if no epoch is finished yet, a
    file cannot be written, or the weights no longer give what they gave in training.
    """
    trainer.load_best()
    run, settings = trainer.run, trainer.settings
    evaluated = ("valid", "test") if settings.evaluate_on_test else ("valid",)
    counted = evaluated if run.other_data else ("train",) + evaluated
    results = dict(_identity(trainer), **_training(trainer))
    results.update(
        counts={split: trainer.data.stats(split) for split in counted},
        baseline={split: trainer.data.baseline(split) for split in evaluated})
    for split in evaluated:
        results[split] = trainer.evaluate(split)
        if split == "valid" and not (trainer.trained or run.other_data):
            _check_weights_give(trainer.stopping.best, results)
    if not trainer.trained:
        results["evaluated_in"] = environment(settings.gpu)
    if not settings.evaluate_on_test:
        _keep_test(results, run)
    writes = not run.other_data and (not run.weights_only or _adds_to(run, results))
    if writes:
        _write(trainer, results)
    elif run.other_data:
        save_json(run.file(OF_OTHER_DATA), results)
    for line in box(results, run.path, trainer.data.baseline_name):
        run.log(line)
    return writes


def _check_weights_give(trained, results):
    """Refuse an evaluation by other code than the training's; trained: its best on validation."""
    name = results["monitor"]
    found = results["valid"][name]
    if not abs(found - trained) <= SAME * max(1, abs(trained)):
        commit = results["environment"].get("git_commit")
        raise UserError(
            "the weights give a validation %s of %s, in training it was %s: the scripts are not "
            "those of the run, or its files were mixed" % (name, shown(name, found),
                                                           shown(name, trained)),
            "take the scripts " + ("of its commit, " + commit if commit else "that trained it"))


def _write(trainer, results):
    run = trainer.run
    save_json(run.file("results.json"), results)
    pictures.learning_curve(run.file("learning_curve.png"), run.metrics(), results)
    if not trainer.settings.evaluate:
        run.hyperparameters(results["steps"], _tagged(results))


def _adds_to(run, results):
    """Whether results have metrics that results.json lacks."""
    if not has_results(run.path):
        return True
    earlier = load_results(run.path)
    return any(set(results.get(split, {})) - set(earlier.get(split, {}))
               for split in ("valid", "test"))


def _tagged(results):
    """The metrics of the best epoch as TensorBoard has them, {tag: number}."""
    tagged = {}
    for split in ("valid", "test"):
        tagged.update(("best_%s/%s" % (split, name), value)
                      for name, value in results.get(split, {}).items())
    return tagged


def _identity(trainer):
    """The entries of results.json on the model and its data."""
    settings, run, model = trainer.settings, trainer.run, trainer.model
    comparison = trainer.data.fraction == 1 and not run.other_data
    paper = paper_value(settings.data_set_name, settings.cell_name, model.monitor)
    return {
        "task": settings.task, "data_set": trainer.data.title, "cell": settings.cell_name,
        "seed": settings.seed,
        "settings": settings.record()["settings"],
        "parameters": model.network.parameters, "hidden_units": model.network.hidden_units,
        "monitor": model.monitor, "lower_is_better": model.lower_is_better,
        "data": run.data_identity, "data_fraction": trainer.data.fraction,
        "other_data": run.other_data,
        "paper": paper if comparison else None, "environment": run.environment(),
    }


def _training(trainer):
    """The entries of results.json on the training; of a published run they are all there is."""
    progress, stopping = trainer.progress, trainer.stopping
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** 20  # of this process
    found = {
        "epochs": stopping.epochs_done, "best_epoch": stopping.best_epoch,
        "stop_reason": stopping.reason, "steps": progress["step"],
        "seconds": round(progress["seconds"], 1),
        "startup_seconds": round(progress["startup_seconds"], 1),
        "steps_per_second": round(progress["step"] / max(progress["seconds"], 1e-9), 3),
        "peak_memory_gb": round(memory, 2),
    }
    if trainer.run.weights_only and has_results(trainer.run.path):
        earlier = load_results(trainer.run.path)
        found.update((name, earlier[name]) for name in found if name in earlier)
    elif not trainer.trained:
        with contextlib.suppress(UserError):  # no results yet, or damaged ones
            earlier = load_results(trainer.run.path)
            found["peak_memory_gb"] = earlier.get("peak_memory_gb", found["peak_memory_gb"])
    return found


def _keep_test(results, run):
    """Keep what an earlier evaluation on the same data found on the test part."""
    if not has_results(run.path):
        return
    earlier = load_results(run.path)
    then, now = earlier.get("data", run.data_identity), run.data_identity
    if "test" in earlier and then["fingerprint"] == now["fingerprint"]:
        results["test"] = earlier["test"]
        with reading(run.file("results.json")):
            for name in ("counts", "baseline"):
                results[name]["test"] = earlier[name]["test"]
        results["evaluated_in"] = earlier.get("evaluated_in", results["environment"])


def box(results, folder, baseline_name):
    """The lines of the box that ends a run; baseline_name: that of the results' baseline."""
    sizes = "{:,} ({:,} hidden units)".format(results["parameters"], results["hidden_units"])
    rows = [("data set, cell", "%s, %s" % (results["data_set"], results["cell"]))]
    rows += _data_row(results)
    rows += [("parameters", sizes),
             ("epochs", "%d, the best was %d" % (results["epochs"], results["best_epoch"])),
             ("time, memory", "%s, start-up %s, %.2f steps/s, %.1f GB" % (
                 duration(results["seconds"]), duration(results["startup_seconds"]),
                 results["steps_per_second"], results["peak_memory_gb"]))]
    for name in sorted(results["valid"], key=lambda name: name != results["monitor"]):
        rows.append((name, _metric_text(results, name, baseline_name)))
    rows += _paper_row(results) + [("folder", folder)]
    width = max(len(label) for label, _ in rows)
    body = ["%-*s  %s" % (width, label, text) for label, text in rows]
    rule = "-" * max(len(line) for line in body)
    return [rule] + body + [rule]


def _data_row(results):
    if results["other_data"]:
        return [("data", "others than those trained on, so this is in " + OF_OTHER_DATA)]
    if results["data_fraction"] == 1:
        return []
    only = "" if results["data_fraction"] is None else "only "
    label = data_label(results["data_set"], results["data_fraction"])
    return [("data", only + label + ", not comparable with the paper")]


def _metric_text(results, name, baseline_name):
    test = shown(name, results["test"][name]) if name in results.get("test", {}) else "not read"
    text = "valid %s, test %s" % (shown(name, results["valid"][name]), test)
    baseline = results["baseline"].get("test", {}).get(name)
    if baseline is not None:
        text += " (%s, test: %s)" % (baseline_name, shown(name, baseline))
    return text


def _paper_row(results):
    if results["paper"] is None or "test" not in results:
        return []
    metric = comparable(results["monitor"], results["test"])
    factor = unit(metric).factor
    off = factor * (results["test"][metric] - results["paper"])
    tuned = ", tuned" if PAPER_RESULTS[results["data_set"]].tuned else ""
    return [("paper (test%s)" % tuned, "%g, our %s differs by %+.4g" % (
        factor * results["paper"], unit(metric).label, off))]
