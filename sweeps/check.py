"""Training the first epochs of a published run again, to see whether the same numbers come out."""

import time
from concurrent.futures import ThreadPoolExecutor

from files.errors import UserError
from files.run_files import load_metrics, load_results, load_settings
from files.units import shown
from sweeps.parallel import shared_cores, stop, train_on


def first_epochs(folder, trial, count):
    """Train the first `count` epochs of the published run in `folder` as `trial`.

    It is stopped there, not limited to them, as a decay of the learning rate may depend on the
    limit. Returns (the published epochs, ours), lists of what metrics.jsonl holds. Raises UserError
    if the training fails.
    """
    published = load_metrics(folder)[:count]
    if not published:
        raise UserError("%s has no metrics of any epoch" % folder, "give a published run")
    saved = load_settings(folder)
    cores = sorted(shared_cores(1)[0])[:load_results(folder)["environment"]["cores"]]
    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(train_on, cores, trial)
        try:
            while not training.done() and len(load_metrics(trial.folder)) < len(published):
                time.sleep(0.2)
            reason = training.result()["reason"] if training.done() else None
        finally:
            stop([training])
    ours = load_metrics(trial.folder)[:len(published)]
    if reason or len(ours) < len(published):
        raise UserError("the training failed: %s" % (reason or "it ended early"))
    own = load_settings(trial.folder)["data"]["fingerprint"]
    if saved.get("data", {}).get("fingerprint", own) != own:
        raise UserError("%s was trained on other data than there are now" % folder,
                        "put them back")
    return published, ours


def comparison(published, ours, monitor):
    """The lines that tell, for each epoch, whether the numbers are the same or how far off."""
    lines = []
    for theirs, own in zip(published, ours):
        numbers = "epoch %d: validation %s %s, published %s" % (
            own["epoch"], monitor, shown(monitor, own["valid"][monitor]),
            shown(monitor, theirs["valid"][monitor]))
        lines.append("%s: %s" % (numbers, _difference(theirs, own, monitor)))
    return lines


def _difference(theirs, own, monitor):
    if all(_same(theirs[part], own[part]) for part in ("train", "valid")):
        return "all metrics are the same to the last digit"
    value, published = own["valid"][monitor], theirs["valid"][monitor]
    if None in (value, published):
        return "differs"
    return "differs by %+.2g %%" % (100 * (value / published - 1))


def _same(theirs, own):
    """Whether the metrics that both have are the same; earlier versions had fewer."""
    return all(theirs[name] == own[name] for name in set(theirs) & set(own))
