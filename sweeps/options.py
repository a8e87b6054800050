"""The command lines by which a sweep calls its script, and what makes two calls one sweep."""

import json
import shlex

from cells.registry import CELLS, published_hyperparameters
from files.errors import UserError, hint
from files.run_files import begun_trials, is_sweep, load_settings, trial_name
from sweeps.search_space import search_space
from sweeps.trial import Trial
from training.options import option_words

# The settings of the sweep that must stay as they were when it was begun.
_OF_SWEEP = ("search", "search_method", "prune_after")


def make_trial(sweep, number, point, name=None, evaluate_on_test=False, **changed):
    """The Trial of a sweep at a point; it reads the test split only if evaluate_on_test says so.

    name: of its folder, None for a trial's usual one. changed: settings that are not those of the
    other trials.
    """
    name = name or trial_name(number)
    settings = sweep.settings.changed(
        name="%s/%s" % (sweep.settings.sweep_name, name), do_hyperparameter_optimization=False,
        search={}, evaluate_on_test=evaluate_on_test, **changed)
    folder = sweep.run.file(name)
    return Trial(number, point, folder, sweep.script, _at(settings, point).all_options(),
                 settings.later_options(resume=folder))


def command_of(settings, point):
    """The command that trains a point again, whatever is edited at the top of the script."""
    return _at(settings, point).changed(do_hyperparameter_optimization=False).command()


def continuing_command(settings):
    """The command that continues a sweep here, with what was given that changes no number, too."""
    settings = settings.changed(retry_failed=False)  # those that are to be retried are marked
    words = option_words({name: settings.values[name] for name in sorted(settings.given)
                          if settings.constants[name].group in ("Run", "GPU") and name != "name"})
    return " ".join([settings.command(here=True)] + [shlex.quote(word) for word in words])


def _at(settings, point):
    """The settings at a point."""
    own = CELLS[settings.cell_name].hyperparameters
    hyperparameters = dict(settings.cell_hyperparameters)
    hyperparameters.update((name, point[name]) for name in point if name in own)
    others = {name: point[name] for name in point if name not in own}
    return settings.changed(cell_hyperparameters=hyperparameters, **others)


def point_of_folder(folder, space):
    """The point at which the run in `folder` was begun. Raises UserError if it cannot be told."""
    with hint("remove this folder"):
        values = load_settings(folder)["settings"]
    values.update(values["cell_hyperparameters"])
    missing = sorted(set(space) - set(values))
    if missing:
        raise UserError("%s/settings.json lacks %s" % (folder, ", ".join(missing)),
                        "remove this folder")
    return {name: values[name] for name in space}


def check_same(path, settings, space):
    """Raise UserError unless the sweep in the folder `path` was begun with the same settings.

    Settings that change no numbers may differ, but for _OF_SWEEP. A grid may have grown. A
    hyperparameter that the cell did not have then has its published value.
    """
    with hint("put it back from a copy, or give another --sweep_name"):
        saved = load_settings(path)["settings"]
    if not saved.get("do_hyperparameter_optimization"):
        raise UserError("%s is not a sweep" % path, "give another --sweep_name")
    if not is_sweep(path) and not begun_trials(path):
        return  # nothing has been trained with them
    saved["cell_hyperparameters"] = dict(
        published_hyperparameters(settings.cell_name, settings.data_set_name),
        **saved["cell_hyperparameters"])
    now = json.loads(json.dumps(settings.values))
    for name in sorted(now):
        constant, begun = settings.constants[name], saved.get(name, now[name])
        fixed = constant.changes_numbers and not constant.is_data_path or name in _OF_SWEEP
        if not fixed or now[name] == begun:
            continue
        if name != "search" or not _has_grown(settings, space, saved):
            raise UserError("%s was begun with %s %r, not %r" % (path, name, begun, now[name]),
                            "set it so, or give another --sweep_name")


def _has_grown(settings, space, saved):
    """Whether `space` is a grid that has all points of the sweep with the settings `saved`."""
    if not settings.search_method == saved.get("search_method") == "grid":
        return False
    before = search_space(settings.changed(search=saved["search"]))
    return set(before) == set(space) and all(
        set(before[name][1]) <= set(space[name][1]) for name in space)
