"""Train the first epochs of a published run again: do the same numbers come out?"""

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from files.errors import UserError, hint
from files.output import print_line
from files.progress import counted, duration
from files.project import existing_path
from files.run_files import (environments, has_settings, is_sweep, load_metrics, load_results,
                             load_settings)
from files.units import lower_is_better, shown
from sweeps.parallel import stop, train_on
from sweeps.trial import Trial
from tools.reproduce_plan import as_published, script_of
from training.options import option_words
from training.provenance import environment
from training.read_settings import read_settings
from training.settings import run_path

# In percent: the most by which published runs of one seed at other commits or on other cores
# differed in the validation loss of one of their first epochs (music, see docs/results.md).
NORMAL = 8


def check_run(folder, count, further):
    """Train the first epochs of a published run again and print how they compare.

    Returns the exit status, 1 if something is wrong.
    """
    folder = existing_path(folder)
    with hint("give the folder of a published run"):
        if is_sweep(folder):
            raise UserError("%s is a sweep" % folder, "give the folder of a run in it")
        saved, monitor = load_settings(folder), load_results(folder)["monitor"]
        published = load_metrics(folder)[:count]
        if not published:
            raise UserError("%s has no metrics of any epoch" % folder)
    then = environments(saved)[0]  # it may have moved later
    script = script_of(saved["settings"]["data_set_name"])
    with tempfile.TemporaryDirectory() as temporary:
        settings = settings_again(script, folder, dict(further, runs_folder=temporary))
        trial = Trial("check", {}, run_path(settings, settings.name),
                      os.path.abspath(script.__file__), settings.all_options(), [])
        differing = announce(then, environment(settings.gpu), published)
        ours = first_epochs(folder, saved, trial, _cores(then), len(published))
    for line in comparison(published, ours, monitor):
        print_line(line)
    line, is_wrong = verdict(published, ours, monitor, differing)
    print_line(line)
    return int(is_wrong)


def settings_again(script, folder, further):
    """The settings to train the run in `folder` again, without the test; `further`: of this call.

    What changes the computation is the run's, whatever is edited at the top of the script.
    """
    published = as_published(script)
    run = read_settings(published, ["--evaluate=" + folder])
    values = run.applicable(lambda constant: constant.changes_numbers)
    values.update(load_settings(folder)["unpublished"])  # earlier versions left some out
    again = read_settings(published, option_words(dict(values, **further)))
    return again.changed(name="check", evaluate_on_test=False)


def announce(then, now, published):
    """Print where the first epochs were trained, how that differs from here, and how long it took.

    then, now: the environments there and here. published: the entries of these epochs in
    metrics.jsonl. Returns the names of what differs, or may differ as it was not recorded.
    """
    there, here = _surroundings(then), _surroundings(dict(now, cores=len(_cores(then))))
    unknown = [name for name in there if None in (there[name], here[name])]
    other = [name for name in there if name not in unknown and there[name] != here[name]]
    print_line("published: " + _listed(there))
    print_line("here: " + _listed(here))
    print_line("different: %s; not recorded: %s" % (
        ", ".join(other) or "nothing", ", ".join(unknown) or "nothing"))
    print_line("training %s; it took %s when it was published" % (
        counted(len(published), "epoch"), duration(published[-1]["seconds"])))
    return other + unknown


def _surroundings(known):
    """{what the last digits of a training depend on: its name, None if it was not recorded}."""
    commit, gpus = known.get("git_commit"), known.get("gpus")
    models = " (%s)" % ", ".join(known["gpu_names"]) if known.get("gpu_names") else ""
    changed = " with changed files" if known.get("git_clean") is False else ""
    return {"TensorFlow": "TensorFlow " + known["tensorflow"],
            "cores": counted(known["cores"], "core"),
            "processor": known.get("processor") or None,
            "GPUs": counted(gpus, "GPU") + models if isinstance(gpus, int) else None,
            "commit": "commit %.7s%s" % (commit, changed) if commit else None}


def _listed(surroundings):
    return ", ".join(value or "%s not recorded" % name for name, value in surroundings.items())


def _cores(then):
    """The cores to train on: as many as a published run had, if there are."""
    return sorted(os.sched_getaffinity(0))[:then["cores"]]


def first_epochs(folder, saved, trial, cores, count):
    """Train `count` epochs of the published run in `folder` as `trial`, on `cores`.

    It is stopped there, not limited to them, as a decay of the learning rate may depend on the
    limit. saved: the run's settings.json. Returns what metrics.jsonl of the trial holds. Raises
    UserError if its data are not the run's, or the training fails.
    """
    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(train_on, cores, trial)
        try:
            while not training.done() and not has_settings(trial.folder):
                time.sleep(0.2)
            _check_data(folder, saved, trial)
            while not training.done() and len(load_metrics(trial.folder)) < count:
                time.sleep(0.2)
            reason = training.result()["reason"] if training.done() else None
        finally:
            stop([training])
    epochs = load_metrics(trial.folder)[:count]
    if reason or len(epochs) < count:
        raise UserError("the training failed: %s" % (reason or "it ended early"))
    return epochs


def _check_data(folder, saved, trial):
    """Raise UserError if the published run was trained on other data than the trial is."""
    if has_settings(trial.folder):
        own = load_settings(trial.folder)["data"]["fingerprint"]
        if saved.get("data", {}).get("fingerprint", own) != own:
            raise UserError("%s was trained on other data than there are now" % folder,
                            "put them back")


def comparison(published, ours, monitor):
    """The lines that tell, for each epoch, whether the numbers are the same or how far off."""
    lines = []
    for theirs, own in zip(published, ours):
        numbers = "epoch %d: validation %s %s, published %s" % (
            own["epoch"], monitor, shown(monitor, own["valid"][monitor]),
            shown(monitor, theirs["valid"][monitor]))
        lines.append("%s: %s" % (numbers, _difference(theirs, own, monitor)))
    return lines


def verdict(published, ours, monitor, differing):
    """The line that tells what the comparison means, and whether it is that something is wrong.

    differing: what differs by `announce`.
    """
    if all(map(_all_same, published, ours)):
        return "verdict: the same to the last digit", False
    values = [(own["valid"][monitor], theirs["valid"][monitor])
              for theirs, own in zip(published, ours)]
    if not all(own and theirs for own, theirs in values):
        return "verdict: something is wrong, as a value is not finite, or 0", True
    most = max(abs(_percent(*pair)) for pair in values)
    off = "off by up to %.2g %%" % most
    if differing:
        judgement = "which is normal, as"
        reason = "these differ or were not recorded: " + ", ".join(differing)
    else:
        judgement = "which is little, but"
        reason = ("nothing that was recorded differs; a GPU, or another processor of the same "
                  "name, rounds otherwise")
    if most <= NORMAL:
        return "verdict: not the same: %s, %s %s" % (off, judgement, reason), False
    if not lower_is_better(monitor):
        return ("verdict: unclear: %s, but a classifier leaves chance an epoch sooner or later "
                "(%s); check more epochs by --epochs_to_check" % (off, reason)), False
    return ("verdict: something is wrong: %s, but published runs of one seed differed by at most "
            "%d %% at other commits or on other cores" % (off, NORMAL)), True


def _percent(value, published):
    return 100 * (value / published - 1)


def _difference(theirs, own, monitor):
    if _all_same(theirs, own):
        return "all metrics are the same to the last digit"
    value, published = own["valid"][monitor], theirs["valid"][monitor]
    if not (value and published):
        return "differs"
    return "differs by %+.2g %%" % _percent(value, published)


def _all_same(theirs, own):
    return all(_same(theirs[part], own[part]) for part in ("train", "valid"))


def _same(theirs, own):
    """Whether the metrics that both have are the same; earlier versions had fewer."""
    return all(theirs[name] == own[name] for name in set(theirs) & set(own))
