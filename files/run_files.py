"""The files of a run or a sweep that are read again: names, and what the JSON ones must have."""

import os

from files.errors import UserError
from files.reading import load_json

# Names in the files of runs by earlier versions -> today's, wherever they stand in settings.json and results.json.
NEW_NAMES = {"watched": "monitor", "data_share": "data_fraction", "frequency_baseline": "baseline",
             "zero_state_chance": "state_reset_probability", "learning_rate_decay": "linear_decay"}

LAST, BEST = "checkpoints/last.npz", "checkpoints/best.npz"
_NUMBER = (int, float)
# Name -> its type, or for an object what is needed of it in turn.
_SETTINGS = {"task": str, "script": str, "environment": dict,
             "settings": {"data_set_name": str, "cell_name": str, "cell_hyperparameters": dict}}
_RESULTS = {"task": str, "data_set": str, "cell": str, "seed": int, "monitor": str, "lower_is_better": bool,
            "stop_reason": (str, type(None)), "epochs": int, "best_epoch": int, "seconds": _NUMBER, "parameters": int,
            "hidden_units": int, "data_fraction": _NUMBER + (type(None),), "environment": {"tensorflow": str, "cores": int}}
_SWEEP = {"trials": int, "winner": {"point": dict}}
_RECORD = {"trial": int, "point": dict, "loss": _NUMBER + (type(None),), "reason": (str, type(None))}
_SUCCESS = {"metric": str, "value": _NUMBER, "epochs": int, "seconds": _NUMBER}  # of a trial that did not fail, too


def load_settings(folder):
    """The settings.json of a run or a sweep. Raises UserError if it is not right."""
    return _load(folder, "settings.json", _SETTINGS)


def load_results(folder):
    """The results.json of a run. Raises UserError if it is not right."""
    results = _load(folder, "results.json", _RESULTS)
    splits = ("valid", "test") if "test" in results else ("valid",)
    _check(folder, "results.json", results, {split: {results["monitor"]: _NUMBER} for split in splits})
    return results


def load_sweep(folder):
    """The sweep.json of a finished sweep. Raises UserError if it is not right."""
    return _load(folder, "sweep.json", _SWEEP)


def is_record(record, dimensions):
    """Whether a value is what trials.jsonl holds of a trial, with a point that has all `dimensions`."""
    return not _wrong_names(record, _RECORD) and set(dimensions) <= set(record["point"]) and (
        record["loss"] is None or not _wrong_names(record, _SUCCESS))


def _load(folder, name, needed):
    content = with_new_names(load_json(os.path.join(folder, name)))
    _check(folder, name, content, needed)
    return content


def _check(folder, name, content, needed):
    wrong = _wrong_names(content, needed)
    if wrong:
        raise UserError("%s lacks, or has of another kind, %s" % (
            os.path.join(folder, name), ", ".join(wrong)))


def _wrong_names(content, needed):
    """The names in `needed`, {name: type or what is needed in turn}, that `content` lacks or has of another type."""
    if not isinstance(content, dict):
        return list(needed)
    return [name for name, kind in needed.items()
            if (_wrong_names(content.get(name), kind) if isinstance(kind, dict)
                else name not in content or not isinstance(content[name], kind))]


def with_new_names(value):
    """A JSON value with the names of earlier versions replaced by today's."""
    if not isinstance(value, dict):
        return value
    return {NEW_NAMES.get(name, name): with_new_names(content) for name, content in value.items()}
