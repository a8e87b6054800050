"""The end of a sweep: its winner, chosen on validation, is tested, with several seeds if wanted."""

import os
import shutil

from files.errors import UserError, hint
from files.run_files import BEST, has_settings, load_settings, winner_name
from files.units import lower_is_better, shown
from files.writing import save_json
from reports.runs import mean_and_deviation
from sweeps import options, report
from sweeps.search_space import bounds_or_values
from sweeps.summary import summary, summary_lines
from sweeps.trial import AGAIN, DONE, call, is_finished, results, train


def check_seeds(settings, space):
    """Raise UserError if the winner could not be trained with final_seeds seeds."""
    largest = max(bounds_or_values(space["seed"])) if "seed" in space else settings.seed
    with hint("the winner is trained with final_seeds seeds, from its own on: give lower ones"):
        settings.constants["seed"].check(largest + settings.final_seeds - 1)


def finish(sweep):
    """Test the winner with `final_seeds` seeds; write sweep.json and the report, print the table.

    Raises UserError if no trial succeeded, or the winner cannot be tested.
    """
    best, first = _winner(sweep)
    records = sweep.records
    sweep.progress.report()
    finals = [_tested(sweep, folder) for folder in [first] + _other_seeds(sweep, best)]
    test, valid = _by_metric(finals, "test"), _by_metric(finals, "valid")
    command = options.command_of(sweep.settings, best["point"])
    numbers = summary([record["loss"] for record in records],
                      [record.get("epochs", 0) for record in records],
                      lower_is_better(best["metric"]))
    numbers["pruned"] = sum(record.get("pruned", False) for record in records)
    save_json(sweep.run.file("sweep.json"), {
        "trials": len(records), "failed": numbers["failed"], "winner": best, "summary": numbers,
        "seeds": [result["seed"] for result in finals], "test": test, "valid": valid,
        "command": command})
    for line in report.table(records, sweep.space) + summary_lines(numbers, best["metric"]):
        sweep.log(line)
    for name, values in sorted(test.items()):
        spread = ", standard deviation %s over %d seeds" % (
            shown(name, values["std"]), len(finals)) if values["std"] else ""
        sweep.log("test %s of the winner: %s%s" % (name, shown(name, values["mean"]), spread))
    sweep.log("the winner again: " + command)
    sweep.log("its run: %s; table (trials.csv) and pictures: %s" % (first, sweep.run.path))


def _winner(sweep):
    """The record of the winner and the folder of its run.

    If that is missing, as of a sweep that was published without it, or has neither a test nor the
    weights for it, it is trained again. What won is not chosen again by that: its record stays,
    unless it fails now; then the next best is the winner. Raises UserError if no trial succeeded.
    """
    while sweep.best is not None:
        best = sweep.best
        trial = options.make_trial(sweep, best["trial"], best["point"], prune_after=0)
        if _can_be_tested(trial.folder):
            return best, trial.folder
        sweep.log("the winner's run, %s, is missing or not whole: it is trained again" %
                  trial.folder)
        if is_finished(trial.folder):
            shutil.rmtree(trial.folder)
        record, kind = train(trial)
        if kind != DONE:
            raise UserError("the winner has no result (%s)" % record["reason"],
                            "the same command tries again")
        if not record["reason"]:
            check_data(sweep, trial.folder)
            sweep.log("trained again: %s; it won, and stays the winner, by: %s" % (
                report.outcome_text(record), report.outcome_text(best)))
            return best, trial.folder
        sweep.records.remove(best)
        sweep.add(record)
    raise UserError("no trial of %s has a result" % sweep.run.path,
                    "see the reasons in trials.jsonl; --retry_failed True tries them again")


def _can_be_tested(folder):
    """Whether a run has ended and was tested, or has its weights. Raises UserError for damage."""
    if not is_finished(folder):
        return False
    return "test" in results(folder) or os.path.exists(os.path.join(folder, BEST))


def _tested(sweep, folder):
    """The results of the winner's run in `folder`, with the test split."""
    if "test" not in results(folder):
        words = sweep.settings.later_options(evaluate=folder, evaluate_on_test=True)
        reason = call(sweep.script, words).reason
        if reason:
            raise UserError("the winner, %s, could not be tested: %s" % (folder, reason),
                            "if its files are damaged or missing, remove it; the same command "
                            "trains it again")
    return results(folder)


def _other_seeds(sweep, best):
    """Train the winner's point with further seeds; returns the runs' folders."""
    point, folders = best["point"], []
    first = point.get("seed", sweep.settings.seed)
    count = sweep.settings.final_seeds
    while _has_seed(sweep, best, first + count):  # by a call with more seeds
        count += 1
    for seed in range(first + 1, first + count):
        changed = dict(point, seed=seed) if "seed" in point else point
        trial = options.make_trial(
            sweep, best["trial"], changed, winner_name(best["trial"], seed), evaluate_on_test=True,
            seed=seed, prune_after=0)
        if not _has_seed(sweep, best, seed):
            record, kind = train(trial)
            if record["reason"]:
                raise UserError(
                    "the winner has no result with seed %d (%s)" % (seed, record["reason"]),
                    "the same command tries again" if kind == AGAIN else
                    "final_seeds %d gives the report without it" % (seed - first))
        check_data(sweep, trial.folder)
        folders.append(trial.folder)
    return folders


def _has_seed(sweep, best, seed):
    """Whether the winner was trained with a seed. Raises UserError if the results are damaged."""
    folder = sweep.run.file(winner_name(best["trial"], seed))
    if not is_finished(folder):
        return False
    results(folder)  # raises the error of damaged ones
    return True


def check_data(sweep, folder):
    """Raise UserError if the run in `folder` has other data than the sweep: someone changed them.

    A run that ended before it had its settings.json says nothing of data.
    """
    if has_settings(folder):
        data = load_settings(folder).get("data")
        if data and data["fingerprint"] != sweep.run.data_identity["fingerprint"]:
            raise UserError("%s was trained on other data than %s was begun with" % (
                folder, sweep.run.path), "put them back, remove this folder, and give the same "
                "command again")


def _by_metric(finals, split):
    """{metric: mean, standard deviation and values} of several results on a split."""
    found = {}
    for name in finals[0][split]:
        values = [result[split][name] for result in finals if name in result[split]]
        if len(values) == len(finals):  # those of earlier versions lack some
            mean, deviation = mean_and_deviation(values)
            found[name] = {"mean": mean, "values": values, "std": deviation}
    return found
