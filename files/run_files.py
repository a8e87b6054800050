"""The files of a run or a sweep that are read again: their names, and how they are taken apart."""

import contextlib
import json
import os

from files.reading import load_json, reading

LAST, BEST = "checkpoints/last.npz", "checkpoints/best.npz"
# What a folder may hold whose run was ended before its first checkpoint.
_BEFORE_FIRST_CHECKPOINT = {"settings.json", "log.txt", "lock", "checkpoints"}


def is_begun(folder):
    """Whether a folder holds anything of a run from its first checkpoint on; it may be missing."""
    if not os.path.isdir(folder):
        return False
    checkpoints = os.path.join(folder, "checkpoints")
    names = set(os.listdir(folder)) - _BEFORE_FIRST_CHECKPOINT
    names.update(os.listdir(checkpoints) if os.path.isdir(checkpoints) else ())
    return not all(name.endswith(".part") for name in names)


def has_only_best(folder):
    """Whether a run's folder has its best weights alone, as published ones have."""
    best, last = (os.path.exists(os.path.join(folder, name)) for name in (BEST, LAST))
    return best and not last


def is_sweep(folder):
    """Whether a folder is a sweep's of which a trial has ended."""
    return os.path.exists(os.path.join(folder, "trials.jsonl"))


def has_settings(folder):
    """Whether a folder has the settings.json of a run or a sweep."""
    return os.path.exists(os.path.join(folder, "settings.json"))


def has_results(folder):
    """Whether a run's folder has results.json."""
    return os.path.exists(os.path.join(folder, "results.json"))


def remove_results(folder):
    """Remove results.json, if it is there, of a run that continues."""
    _remove(folder, "results.json")


def remove_summary(folder):
    """Remove sweep.json, if it is there, of a sweep that continues."""
    _remove(folder, "sweep.json")


def _remove(folder, name):
    with contextlib.suppress(FileNotFoundError):
        os.remove(os.path.join(folder, name))


def trial_name(number):
    """The name of the folder of a sweep's trial."""
    return "trial-%03d" % number


def winner_name(number, seed):
    """The name of the folder of a sweep's winner, a trial, with a further seed."""
    return "winner-%03d-seed-%d" % (number, seed)


def load_settings(folder):
    """The settings.json of a run or a sweep. Raises UserError if it is not right."""
    path = os.path.join(folder, "settings.json")
    with reading(path):
        content = load_json(path)
        settings = content["settings"]
        for name in ("task", "script", "command"):
            text(content[name])
        dict(content["unpublished"])
        for name in ("data_set_name", "cell_name"):
            text(settings[name])
        dict(settings["cell_hyperparameters"])
        dict(content["environment"])
        set(content.get("given", ()))
        list(map(dict, content.get("changed_on_resume", ())))
        if "data" in content:
            text(content["data"]["fingerprint"])
        return content


def load_results(folder):
    """The results.json of a run. Raises UserError if it is not right."""
    path = os.path.join(folder, "results.json")
    with reading(path):
        results = load_json(path)
        for name in ("task", "data_set", "cell", "monitor"):
            text(results[name])
        for name in ("seed", "parameters", "hidden_units"):
            whole(results[name])
        for name in ("epochs", "best_epoch"):
            whole(results[name], 1)
        for split in {"valid"} | ({"test"} & set(results)):
            number(results[split][results["monitor"]])
        seconds(results["seconds"])
        number(results["data_fraction"] or 1)
        if "data" in results:
            text(results["data"]["fingerprint"])
        text(results["stop_reason"] or "")
        text(results["environment"]["tensorflow"])
        whole(results["environment"]["cores"])
        return results


def load_sweep(folder):
    """The sweep.json of a finished sweep. Raises UserError if it is not right."""
    path = os.path.join(folder, "sweep.json")
    with reading(path):
        content = load_json(path)
        whole(content["trials"])
        number(content["winner"]["loss"])
        whole(content["winner"]["trial"])
        for seed in content["seeds"]:
            whole(seed)
        return content


def load_metrics(folder):
    """The entries of a run's metrics.jsonl by epoch; none if it is missing. Raises UserError."""
    path = os.path.join(folder, "metrics.jsonl")
    if not os.path.exists(path):
        return []
    with reading(path), open(path, encoding="utf-8") as file:
        return [_entry(line_number, line) for line_number, line in enumerate(file, 1)]


def _entry(line_number, text_of_line):
    try:
        line = json.loads(text_of_line)
        for values in (line["train"], line["valid"]):
            for value in values.values():
                number(0 if value is None else value)  # None: it overflowed
        return dict(line, epoch=whole(line["epoch"], 1))
    except Exception as error:
        raise ValueError("line %d: %s" % (line_number, getattr(error, "msg", error)))


def text(value):
    """`value`, which must be a text. Raises TypeError."""
    return _of_type(str, value)


def whole(value, least=0):
    """`value`, which must be a whole number from `least` on, of 64 bits. Raises various errors."""
    if _of_type(int, value) < least:
        raise ValueError("%r is below %d" % (value, least))
    if value >= 2 ** 63:
        raise ValueError("it has a number of more than 64 bits")
    return value


def seconds(value):
    """`value`, which must be a time in seconds. Raises TypeError or ValueError."""
    if not 0 <= number(value) < 1e12:
        raise ValueError("%r is no time in seconds" % value)
    return value


def number(value):
    """`value`, which must be a number. Raises TypeError."""
    return _of_type((int, float), value)


def _of_type(kind, value):
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError("%.60r is of the wrong kind" % (value,))
    return value
