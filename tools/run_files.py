"""The files of runs and sweeps that the tools read, checked for what the tools need of them."""

import os

from training.errors import UserError
from training.files import load_json

NUMBER = (int, float)
# Name -> its type, or for a dict what is needed of it in turn.
RESULTS = {"task": str, "data_set": str, "cell": str, "seed": int, "watched": str, "stop_reason": (str, type(None)),
           "epochs": int, "best_epoch": int, "seconds": NUMBER, "parameters": int, "hidden_units": int,
           "data_share": NUMBER, "environment": {"tensorflow": str, "cores": int}}
SETTINGS = {"script": str, "settings": {"epochs": int, "cell_hyperparameters": dict}}
SWEEP = {"trials": int, "winner": {"point": dict}}


def load_checked(path, needed, remedy):
    """A JSON file. Raises UserError, ending in `remedy`, where it is missing or damaged, or lacks what is `needed`."""
    content = load_json(path, remedy)
    _check(path, content, needed, remedy)
    return content


def load_results(folder, remedy):
    """The results.json of a run. Raises UserError as load_checked does."""
    path = os.path.join(folder, "results.json")
    results = load_checked(path, RESULTS, remedy)
    splits = ("valid", "test") if "test" in results else ("valid",)
    _check(path, results, {split: {results["watched"]: NUMBER} for split in splits}, remedy)
    return results


def _check(path, content, needed, remedy):
    wrong = _wrong(content, needed)
    if wrong:
        raise UserError("%s is not what a run writes (missing, or of another kind: %s): %s" % (
            path, ", ".join(wrong), remedy))


def _wrong(content, needed):
    """The names in `needed` that `content` lacks, or has of another type."""
    if not isinstance(content, dict):
        return list(needed)
    return [name for name, kind in needed.items()
            if (_wrong(content.get(name), kind) if isinstance(kind, dict)
                else not isinstance(content.get(name), kind))]
