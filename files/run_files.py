"""The files of a run or a sweep that are read again: their names, and how they are taken apart."""

import contextlib
import json
import os
import re

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


def remove(folder, name):
    """Remove a file, if it is there, of a run or a sweep that continues."""
    with contextlib.suppress(FileNotFoundError):
        os.remove(os.path.join(folder, name))


def trial_name(number):
    """The name of the folder of a sweep's trial."""
    return "trial-%03d" % number


def begun_trials(folder):
    """The numbers of the trials that have a folder with settings.json in that of their sweep."""
    names = [name for name in os.listdir(folder) if re.match(r"trial-\d+$", name)]
    return sorted(int(name[len("trial-"):]) for name in names
                  if has_settings(os.path.join(folder, name)))


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
            check_text(content[name])
        for name in ("settings", "unpublished", "environment"):
            check_dict(content[name])
        for name in ("data_set_name", "cell_name"):
            check_text(settings[name])
        check_dict(settings["cell_hyperparameters"])
        for name in content.get("given", ()):
            check_text(name)
        for changes in content.get("changed_on_resume", ()):
            check_dict(changes)
        for known in environments(content):
            _check_environment(known)
        if "data" in content:
            check_text(content["data"]["fingerprint"])
        return content


def environments(saved):
    """Where a run was trained, oldest first, from its settings.json: each is an environment."""
    found = [saved["environment"]]
    for changes in reversed(saved.get("changed_on_resume", ())):
        found.insert(0, {name: changes[name][0] if name in changes else value
                         for name, value in found[0].items()})
    return found


def load_results(folder):
    """The results.json of a run. Raises UserError if it is not right."""
    path = os.path.join(folder, "results.json")
    with reading(path):
        results = load_json(path)
        for name in ("task", "data_set", "cell", "monitor"):
            check_text(results[name])
        for name in ("seed", "parameters", "hidden_units"):
            check_int(results[name])
        for name in ("epochs", "best_epoch"):
            check_int(results[name], 1)
        for split in {"valid"} | ({"test"} & set(results)):
            check_number(results[split][results["monitor"]])
        _check_seconds(results["seconds"])
        check_number(results["data_fraction"] or 1)
        if "data" in results:
            check_text(results["data"]["fingerprint"])
        check_text(results["stop_reason"] or "")
        _check_environment(results["environment"])
        return results


def _check_environment(known):
    check_text(known["tensorflow"])
    check_int(known["cores"])
    check_int(known.get("gpus", 0))
    for name in known.get("gpu_names") or ():
        check_text(name)


def load_sweep(folder):
    """The sweep.json of a finished sweep. Raises UserError if it is not right."""
    path = os.path.join(folder, "sweep.json")
    with reading(path):
        content = load_json(path)
        check_int(content["trials"])
        check_number(content["winner"]["loss"])
        check_int(content["winner"]["trial"])
        check_dict(content["winner"]["point"])
        for seed in content["seeds"]:
            check_int(seed)
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
                check_number(0 if value is None else value)  # None: it overflowed
        _check_seconds(line["seconds"])
        return dict(line, epoch=check_int(line["epoch"], 1))
    except Exception as error:
        reason = "%s is missing" if isinstance(error, KeyError) else "%s"
        raise ValueError("line %d: " % line_number + reason % getattr(error, "msg", error))


def check_text(value):
    """`value`, which must be a text. Raises TypeError."""
    return _of_type(str, value)


def _check_seconds(value):
    if not 0 <= check_number(value) < 1e12:
        raise ValueError("%r is not a time in seconds" % value)


def check_int(value, least=0):
    """`value`, which must be a whole number from `least` on, of 64 bits. Raises various errors."""
    if _of_type(int, value) < least:
        raise ValueError("%r is below %d" % (value, least))
    if value >= 2 ** 63:
        raise ValueError("it has a number of more than 64 bits")
    return value


def check_number(value):
    """`value`, which must be a number. Raises TypeError."""
    return _of_type((int, float), value)


def check_dict(value):
    """`value`, which must be a dict. Raises TypeError."""
    return _of_type(dict, value)


def _of_type(kind, value):
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError("%.60r is of the wrong kind" % (value,))
    return value
