"""Read the settings of a run from the constants at the top of a script and the command line.

The command line wins over the constant, the constant over the script's table of published values;
None, on the command line too, stands for the value in the table.
"""

import os

from cells import registry
from data_preparation.own import absolute
from files.errors import UserError, did_you_mean, hint
from files.project import existing_path
from files.reading import reading
from files.run_files import is_begun, load_settings
from training.options import parse
from training.settings import FOLDERS, NEW_RUN, Settings, run_path
from training.script_constants import cell_constants, read_constants


def read_settings(script_globals, arguments=None):
    """The settings of this call of a script.

    script_globals: the script's globals() with TASK and PUBLISHED ({data set: {name: value}}).
    arguments: the command line, sys.argv[1:] if None. With --resume or --evaluate the settings are
    those of the run, and the group of a constant says if it can be given again. Raises UserError.
    """
    reader = _Reader(script_globals)
    given = {}
    for name, value in parse(script_globals, list(reader.constants.values()), arguments).items():
        published = value == "None" and name in reader.published_names
        given[name] = None if published else reader.check(name, value)
    by_program = reader.is_by_program(given)
    if not by_program:
        _refuse_empty(given, reader.defaults)
    values = given if set(given).intersection(FOLDERS) else reader.defaults  # one replaces all
    folders = {name: values[name] for name in FOLDERS if values.get(name)}
    if len(folders) > 1:
        raise UserError("%s and %s are both given" % tuple(folders)[:2], "leave one of them out")
    resume, evaluate = folders.get("resume"), folders.get("evaluate") or folders.get("sample")
    if given.get("other_data") and not (evaluate or by_program):
        raise UserError("other_data is given, but no run is evaluated", "add --evaluate RUN")
    if resume == "auto":
        return reader.resume_or_begin(given)
    if resume or evaluate:
        found = reader.of_run(existing_path(resume or evaluate), given, bool(evaluate))
        return found.changed(sample=folders["sample"]) if "sample" in folders else found
    return reader.new(given)


def _refuse_empty(given, defaults):
    """Refuse an option of a user's that is empty, as from a shell's variable that is not set."""
    for name, value in given.items():
        if value == "" and (name in FOLDERS or defaults.get(name)):
            raise UserError("%s is given, but empty" % name, "give a value, or leave it out")


class _Reader(object):
    """A script's constants and table, and how they become the values of all settings."""

    def __init__(self, script_globals):
        constants = read_constants(script_globals)
        self._script = os.path.basename(script_globals["__file__"])
        self._task, self._table = script_globals["TASK"], script_globals["PUBLISHED"]
        self._choices = {"data set": list(self._table), "cell": list(registry.CELLS)}
        self.defaults = {constant.name: absolute(constant.value) if constant.is_data_path
                         else constant.value for constant in constants}
        of_cells = cell_constants()
        self.constants = {constant.name: constant for constant in constants + of_cells}
        self.published_names = {constant.name for constant in of_cells}.union(
            *self._table.values())

    def check(self, name, value):
        """Convert `value` to the kind of the constant `name`. Raises UserError."""
        with hint("other data sets are those of the other scripts"
                  if name == "data_set_name" else None):
            value = self.constants[name].check(value, self._choices)
        return absolute(value) if self.constants[name].is_data_path else value

    def is_by_program(self, given):
        """Whether a sweep or reproduce.py makes the call: they give all that may ever change.

        So the trainings under way stay the same, whatever is edited at the top meanwhile.
        """
        return all(name in given for name, constant in self.constants.items()
                   if constant.may_change(evaluate=True) and not constant.is_data_path
                   and name not in NEW_RUN)

    def settings(self, values, given, **more):
        """The Settings that have these values."""
        return Settings(self._script, self._task, values, self.constants, self._table, given,
                        **more)

    def complete(self, values, given):
        """All values: `values`, what is `given` on the command line, and the table's for None."""
        values = dict(values, **given)
        data_set_name = self.check("data_set_name", values["data_set_name"])
        for name, value in given.items():
            if value != self.defaults.get(name):
                self.constants[name].check_applies_to(data_set_name)
        for name in self.defaults:
            if values[name] is None:
                values[name] = self._published_value(name, data_set_name)
            values[name] = self.check(name, values[name])
        own = {name: given[name] for name in given if name not in self.defaults}
        values["cell_hyperparameters"] = self._hyperparameters(values, own)
        return {name: values[name] for name in self.defaults}

    def new(self, given):
        """The settings of a new run or of a sweep."""
        values = self.complete(self.defaults, given)
        for name, top in self.defaults.items():
            # A data set that the command line names may not need a place that is given at the top.
            if top and self.constants[name].is_data_path and "data_set_name" not in given:
                self.constants[name].check_applies_to(values["data_set_name"])
        self._check_sweep(values, given)
        return self.settings(values, given)

    def _check_sweep(self, values, given):
        """Raise UserError for an option of a sweep in a call that makes none, or the other way."""
        switch = "do_hyperparameter_optimization"
        if values.get(switch):
            if given.get("name"):
                raise UserError("name is given, but the folder of a sweep is its sweep_name",
                                "give --sweep_name")
            return
        if self.is_by_program(given):
            return
        for name in sorted(set(given) - {switch}):
            if self.constants[name].group == "Sweep" and given[name] != self.defaults[name]:
                raise UserError("%s is given, but no sweep is made" % name,
                                "add --%s True" % switch)

    def _published_value(self, name, data_set_name):
        if name not in self._table[data_set_name]:
            raise UserError("%s has no published value for %s" % (name, data_set_name),
                            "set it at the top of %s or give --%s (%s)" % (
                                self._script, name, self.constants[name].allowed))
        return self._table[data_set_name][name]

    def _hyperparameters(self, values, given):
        """The cell's own settings: those `given`, or in the dict at the top, or as published."""
        cell_name = values["cell_name"]
        found = registry.published_hyperparameters(cell_name, values["data_set_name"])
        for name, value in dict(values["cell_hyperparameters"], **given).items():
            if name not in found:
                raise UserError("%s is not a hyperparameter of %s; it has: %s%s" % (
                    name, cell_name, ", ".join(sorted(found)) or "none of its own",
                    did_you_mean(name, found)))
            if value is not None:
                found[name] = self.check(name, value)
        return found

    def resume_or_begin(self, given):
        """The settings of --resume auto: those of the run `name` if it is begun, or new ones."""
        given = {name: value for name, value in given.items() if name != "resume"}
        settings = self.new(given).changed(resume="")
        if settings.values.get("do_hyperparameter_optimization"):
            return settings  # a sweep continues by its name
        if not settings.name:
            raise UserError("resume is auto, but the run has no name", "give it one by --name")
        folder = run_path(settings, settings.name)
        if not is_begun(folder):
            return settings
        return self.of_run(folder, {name: given[name] for name in set(given) - set(NEW_RUN)})

    def of_run(self, folder, given, evaluate=False):
        """The settings of the run to resume or to evaluate, with what is `given` again."""
        with hint("give the folder of a run that this script made"):
            content = load_settings(folder)
        saved = self._saved(folder, content)
        changes = self._changes(saved, given, evaluate)
        # Earlier versions do not tell what was given.
        given_then = set(content.get("given", self.defaults)).union(changes)
        values = dict(saved, resume="" if evaluate else folder, evaluate=folder if evaluate else "")
        values.update((name, new) for name, (_, new) in changes.items())
        of_computation = {name: change for name, change in changes.items()
                          if self.constants[name].changes_numbers}
        return self.settings(values, given_then, changes=of_computation,
                             changed_before=content.get("changed_on_resume", ()),
                             notes=self._kept(given_then, saved, evaluate))

    def _changes(self, saved, given, evaluate):
        """{name: [old, new]} of what is `given` again with another value. Raises UserError."""
        own, given = saved["cell_hyperparameters"], dict(given)
        if given.get("cell_hyperparameters"):  # those that are not in it stay as they are
            given["cell_hyperparameters"] = dict(own, **given["cell_hyperparameters"])
        published = self.settings(saved, ()).published()
        before, changes = dict(saved, **own), {}
        for name, other in (("prompt", "prompt_file"), ("prompt_file", "prompt")):
            if given.get(name) and before.get(other):
                given.setdefault(other, "")  # the new one replaces it
        for name in given:
            value = published.get(name) if given[name] is None else given[name]
            if name not in FOLDERS and before.get(name) != value:
                self._check_change(name, before, evaluate)
                changes[name] = [before[name], value]
        return changes

    def _may_change(self, name, evaluate, data_set_name):
        constant = self.constants[name]
        if name in FOLDERS + NEW_RUN or (name == "other_data" and not evaluate):
            return False
        return constant.may_change(evaluate) and constant.applies_to(data_set_name)

    def _check_change(self, name, before, evaluate):
        """Refuse to change a setting of a run, unless its group allows it."""
        of_run = evaluate, before["data_set_name"]
        if not self._may_change(name, *of_run):
            able = [other for other in self.constants if self._may_change(other, *of_run)]
            raise UserError("%s cannot be changed in a run that %s; only %s can" % (
                name, "is only evaluated" if evaluate else "exists", ", ".join(able)))
        if name == "epochs" and before.get("linear_decay"):
            raise UserError("epochs cannot be changed in a run with linear_decay, whose learning "
                            "rates follow from it (%s)" % before[name], "start a new run")

    def _kept(self, given, saved, evaluate):
        """Yield lines that name the constants whose value at the top the run does not have."""
        data_set_name, left_out = saved["data_set_name"], given.union(FOLDERS, NEW_RUN)
        for name, top in self.defaults.items():
            now = self._table[data_set_name].get(name) if top is None else top
            kept, constant = saved[name], self.constants[name]
            if name in left_out or constant.group == "Sweep" or (
                    not constant.applies_to(data_set_name)):
                continue
            if isinstance(now, dict):
                kept = {key: value for key, value in kept.items() if key in now}
            if now != kept:
                line = "%s is %s in %s, but the run keeps %s" % (name, now, self._script, kept)
                may_change = self._may_change(name, evaluate, data_set_name)
                yield line + "; give --%s to change it" % name if may_change else line

    def _saved(self, folder, content):
        """The values in settings.json of a run, checked; what an earlier version lacks is added."""
        saved = content["settings"]
        if content["task"] != self._task:
            raise UserError("%s is a run of the task %s, not %s" % (
                folder, content["task"], self._task), "use the script that made it")
        table = self._table.get(saved["data_set_name"], {})
        values = {name: saved.get(name, None if name in table else top)
                  for name, top in self.defaults.items()}
        path = os.path.join(folder, "settings.json")
        if saved.get("do_hyperparameter_optimization"):
            raise UserError("%s is a sweep" % folder, "give the folder of one of its trials; the "
                            "command that began the sweep continues it")
        try:
            with reading(path):
                return self.complete(values, {})
        except UserError as error:
            raise UserError("%s: %s" % (path, error))
