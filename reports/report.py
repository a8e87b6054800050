"""What a run leaves for people to look at: final evaluation, summary, results.json and learning curve."""

import os
import resource

from data_preparation.prepared import data_label
from reports import pictures
from files.run_files import load_results
from files.writing import save_json
from reports.paper_results import paper_value
from files.progress import duration


def final(trainer):
    """Evaluate the best checkpoint on validation and test; write results.json and learning_curve.png, print both.

    Without settings.evaluate_on_test the test split is not even read, and the results have nothing of it,
    unless this is an evaluation of a run that was tested before.

    Returns the dict that results.json holds. Raises UserError where no epoch is finished yet.
    """
    trainer.load_best()
    settings, run, network = trainer.settings, trainer.run, trainer.model.network
    progress, stopping = trainer.progress, trainer.stopping
    evaluated = ("valid", "test") if settings.evaluate_on_test else ("valid",)
    counts = {split: trainer.data.stats(split) for split in ("train",) + evaluated}
    fraction, monitor = trainer.data.fraction, trainer.model.monitor
    results = {
        "task": settings.task, "data_set": trainer.data.title, "cell": settings.cell_name,
        "seed": settings.seed, "settings": settings.values,
        "parameters": network.parameters, "hidden_units": network.hidden_units,
        "epochs": stopping.epochs_done, "best_epoch": stopping.best_epoch, "stop_reason": stopping.reason,
        "steps": progress["step"], "seconds": round(progress["seconds"], 1),
        "startup_seconds": round(progress["startup_seconds"], 1),
        "steps_per_second": round(progress["step"] / max(progress["seconds"], 1e-9), 3),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** 20, 2),  # of this process
        "monitor": monitor, "lower_is_better": trainer.model.lower_is_better,
        "counts": counts, "data": run.data, "data_fraction": fraction, "other_data": run.other_data,
        "baseline": {split: trainer.data.baseline(split) for split in evaluated},
        "paper": paper_value(settings.data_set_name, settings.cell_name, monitor)
        if fraction == 1 and not run.other_data else None,
        "environment": run.environment(),
    }
    results.update({split: trainer.evaluate(split) for split in evaluated})
    if settings.evaluate and not settings.evaluate_on_test:
        _keep_test(results, run)
    save_json(run.file("results.json"), results)
    title = "{}, {}, {:,} parameters".format(data_label(results["data_set"], results["data_fraction"]), results["cell"], results["parameters"])
    pictures.learning_curve(run.file("learning_curve.png"), run.metrics(), results, title)
    for line in summary(results, run.path):
        run.log(line)
    return results


def _keep_test(results, run):
    """Keep what an earlier evaluation on the same data found on the test part: the weights are the same."""
    if not os.path.exists(run.file("results.json")):
        return
    earlier = load_results(run.path)
    if "test" in earlier and earlier.get("data", run.data) == run.data:
        results["test"] = earlier["test"]
        for name in ("counts", "baseline"):
            results[name]["test"] = earlier[name]["test"]


def summary(results, folder):
    """The lines of the box that ends a run."""
    monitor, paper = results["monitor"], results["paper"]
    rows = [
        ("data set, cell", "%s, %s" % (results["data_set"], results["cell"])),
        ("parameters", "{:,} ({:,} hidden units)".format(results["parameters"], results["hidden_units"])),
        ("epochs", "%d, the best was %d" % (results["epochs"], results["best_epoch"])),
        ("time, memory", "%s, start-up %s, %.2f steps/s, %.1f GB" % (
            duration(results["seconds"]), duration(results["startup_seconds"]),
            results["steps_per_second"], results["peak_memory_gb"])),
    ]
    if results["data_fraction"] != 1:
        label = data_label(results["data_set"], results["data_fraction"])
        only = "" if results["data_fraction"] is None else "only "
        rows.insert(1, ("data", only + label + ", not comparable with the paper"))
    for name in sorted(results["valid"], key=lambda name: name != monitor):
        test, baseline = results.get("test"), results["baseline"].get("test", {}).get(name)
        rows.append((name, "valid %.4f, test %s%s" % (
            results["valid"][name], "%.4f" % test[name] if test else "not read",
            "" if baseline is None else " (knowing frequencies only: %.4f)" % baseline)))
    if paper is not None and "test" in results:
        rows.append(("paper (test)", "%g, ours differs by %+.4f" % (paper, results["test"][monitor] - paper)))
    rows.append(("folder", folder))
    width = max(len(label) for label, _ in rows)
    body = ["%-*s  %s" % (width, label, text) for label, text in rows]
    rule = "-" * max(len(line) for line in body)
    return [rule] + body + [rule]
