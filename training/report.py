"""What a run leaves for people to look at: final evaluation, summary, results.json and learning curve."""

import resource

from training import pictures
from training.files import save_json
from training.paper_results import paper_value
from training.progress import duration


def final(trainer):
    """Evaluate the best checkpoint on validation and test; write results.json and learning_curve.png, print both.

    Without settings.evaluate_on_test the test split is not even read, and the results have nothing of it.

    Returns the dict that results.json holds. Raises UserError where no epoch is finished yet.
    """
    trainer.load_best()
    settings, run, network = trainer.settings, trainer.run, trainer.model.network
    progress, stopping = trainer.progress, trainer.stopping
    evaluated = ("valid", "test") if settings.evaluate_on_test else ("valid",)
    counts = {split: trainer.data.facts(split) for split in ("train",) + evaluated}
    share, watched = counts["train"].get("share", 1), trainer.model.watched
    results = {
        "task": settings.task, "data_set": settings.data_set_name, "cell": settings.cell_name,
        "seed": settings.seed, "settings": settings.values,
        "parameters": network.parameters, "hidden_units": network.hidden_units,
        "epochs": stopping.epochs_done, "best_epoch": stopping.best_epoch, "stop_reason": stopping.reason,
        "steps": progress["step"], "seconds": round(progress["seconds"], 1),
        "steps_per_second": round(progress["step"] / max(progress["seconds"], 1e-9), 3),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** 20, 2),  # of this process
        "watched": watched, "lower_is_better": trainer.model.lower_is_better,
        "counts": counts, "data_share": share,
        "frequency_baseline": {split: trainer.data.frequency_baseline(split) for split in evaluated},
        "paper": paper_value(settings.data_set_name, settings.cell_name, watched) if share == 1 else None,
        "environment": run.environment(),
    }
    results.update({split: trainer.evaluate(split) for split in evaluated})
    save_json(run.file("results.json"), results)
    title = "{}, {}, {:,} parameters".format(data_label(results), results["cell"], results["parameters"])
    pictures.learning_curve(run.file("learning_curve.png"), run.metrics(), results, title)
    for line in summary(results, run.path):
        run.say(line)
    return results


def summary(results, folder):
    """The lines of the box that ends a run."""
    watched, paper = results["watched"], results["paper"]
    rows = [
        ("data set, cell", "%s, %s" % (results["data_set"], results["cell"])),
        ("parameters", "{:,} ({:,} hidden units)".format(results["parameters"], results["hidden_units"])),
        ("epochs", "%d, the best was %d" % (results["epochs"], results["best_epoch"])),
        ("time, memory", "%s, %.2f steps/s, %.1f GB" % (
            duration(results["seconds"]), results["steps_per_second"], results["peak_memory_gb"])),
    ]
    if results["data_share"] != 1:
        rows.insert(1, ("data", "only %s, not comparable with the paper" % data_label(results)))
    for name in sorted(results["valid"], key=lambda name: name != watched):
        test, baseline = results.get("test"), results["frequency_baseline"].get("test", {}).get(name)
        rows.append((name, "valid %.4f, test %s%s" % (
            results["valid"][name], "%.4f" % test[name] if test else "not read",
            "" if baseline is None else " (knowing frequencies only: %.4f)" % baseline)))
    if paper is not None and "test" in results:
        rows.append(("paper (test)", "%g, ours differs by %+.4f" % (paper, results["test"][watched] - paper)))
    rows.append(("folder", folder))
    width = max(len(label) for label, _ in rows)
    body = ["%-*s  %s" % (width, label, text) for label, text in rows]
    rule = "-" * max(len(line) for line in body)
    return [rule] + body + [rule]


def data_label(results):
    """The data set's name, with its share where only part of the published data was there."""
    share = results["data_share"]
    return results["data_set"] if share == 1 else "%.3g %% of the full %s" % (100 * share, results["data_set"])
