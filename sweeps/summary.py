"""A sweep in a few numbers: how good its points are, and how much they differ."""

import math
import statistics

from files.units import shown

CLOSE = 0.05  # "within 5 % of the best"


def summary(losses, epochs, lower_is_better):
    """Return best, median, worst, within_5_percent, failed, trials and epochs of a sweep.

    losses: what each trial minimised, the metric or its negative; None or infinity if it failed.
    epochs: of each trial. A failed trial is worse than all others, so worst is None if one failed,
    and median is if half of them did. within_5_percent: the fraction of all trials.
    """
    ordered = sorted(math.inf if loss is None else loss for loss in losses)
    best, sign = ordered[0], 1 if lower_is_better else -1
    close = sum(loss <= best + CLOSE * abs(best) for loss in ordered if loss < math.inf)
    return {"trials": len(ordered), "failed": ordered.count(math.inf), "epochs": sum(epochs),
            "best": _value(best, sign), "median": _value(statistics.median(ordered), sign),
            "worst": _value(ordered[-1], sign), "within_5_percent": close / len(ordered)}


def _value(loss, sign):
    return sign * loss if math.isfinite(loss) else None


def summary_lines(numbers, metric):
    """The lines of a summary for the log."""
    values = {name: "failed" if numbers[name] is None else shown(metric, numbers[name])
              for name in ("best", "median", "worst")}
    lines = ["validation {metric}: best {best}, median {median}, worst {worst}".format(
        metric=metric, **values)]
    text = ("{close:.0f} % of {trials} trials are within 5 % of the best, {failed} failed, "
            "{pruned} were pruned; {epochs} epochs in all")
    lines.append(text.format(close=100 * numbers["within_5_percent"], **numbers))
    return lines
