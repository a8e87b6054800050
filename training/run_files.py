"""The files of a run or a sweep that are read again: names, and what the JSON ones must have."""

import os

from training.errors import UserError
from training.files import load_json

LAST, BEST = "checkpoints/last.npz", "checkpoints/best.npz"
_NUMBER = (int, float)
# Name -> its type, or for an object what is needed of it in turn.
_SETTINGS = {"task": str, "script": str, "environment": dict,
             "settings": {"data_set_name": str, "cell_name": str, "cell_hyperparameters": dict}}
_RESULTS = {"task": str, "data_set": str, "cell": str, "seed": int, "watched": str, "lower_is_better": bool,
            "stop_reason": (str, type(None)), "epochs": int, "best_epoch": int, "seconds": _NUMBER, "parameters": int,
            "hidden_units": int, "data_share": _NUMBER, "environment": {"tensorflow": str, "cores": int}}
_SWEEP = {"trials": int, "winner": {"point": dict}}
_RECORD = {"trial": int, "point": dict, "loss": _NUMBER + (type(None),), "reason": (str, type(None))}
_SUCCESS = {"metric": str, "value": _NUMBER, "epochs": int, "seconds": _NUMBER}  # of a trial that did not fail, too


def load_settings(folder, remedy):
    """The settings.json of a run or a sweep. Raises UserError, ending in `remedy`, where it is not right."""
    return _load(folder, "settings.json", _SETTINGS, remedy)


def load_results(folder, remedy):
    """The results.json of a run. Raises UserError, ending in `remedy`, where it is not right."""
    results = _load(folder, "results.json", _RESULTS, remedy)
    splits = ("valid", "test") if "test" in results else ("valid",)
    _check(folder, "results.json", results, {split: {results["watched"]: _NUMBER} for split in splits}, remedy)
    return results


def load_sweep(folder, remedy):
    """The sweep.json of a finished sweep. Raises UserError, ending in `remedy`, where it is not right."""
    return _load(folder, "sweep.json", _SWEEP, remedy)


def is_record(record, dimensions):
    """Whether a value is what trials.jsonl holds of a trial, with a point that has all `dimensions`."""
    return not _wrong_names(record, _RECORD) and set(dimensions) <= set(record["point"]) and (
        record["loss"] is None or not _wrong_names(record, _SUCCESS))


def _load(folder, name, needed, remedy):
    content = load_json(os.path.join(folder, name), remedy)
    _check(folder, name, content, needed, remedy)
    return content


def _check(folder, name, content, needed, remedy):
    wrong = _wrong_names(content, needed)
    if wrong:
        raise UserError("%s lacks, or has of another kind, %s: %s" % (
            os.path.join(folder, name), ", ".join(wrong), remedy))


def _wrong_names(content, needed):
    """The names in `needed`, {name: type or what is needed in turn}, that `content` lacks or has of another type."""
    if not isinstance(content, dict):
        return list(needed)
    return [name for name, kind in needed.items()
            if (_wrong_names(content.get(name), kind) if isinstance(kind, dict)
                else name not in content or not isinstance(content[name], kind))]
