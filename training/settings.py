"""The settings of one run: which are not the published ones, the command that makes it again."""

import os

from cells import registry
from data_preparation.own import data_set_title
from files.errors import UserError
from files.project import call_of, project_path, shown_path
from training.options import command_line, option_words

FOLDERS = ("resume", "evaluate", "sample")  # of a run that exists; for one call only
NEW_RUN = ("name", "runs_folder")  # tell where the folder of a new run will be
# Without a published value: which of the paper's runs it is, and the cell's own, each for itself.
_WHICH_RUN = ("data_set_name", "cell_name", "seed", "cell_hyperparameters")


class Settings(object):
    """The settings of one run, read as attributes.

    values: {name: value} of all. constants: {name: Constant} of the script and of all cells.
    given: the names that the command line set. changes: {name: [old, new]} of a resumed run;
    changed_before: earlier ones, in settings.json. notes: lines to tell the user.
    """

    def __init__(self, script, task, values, constants, table, given=(), changes=None,
                 changed_before=(), notes=()):
        self.__dict__.update(values, script=script, task=task, values=dict(values))
        self.constants, self._table, self.given, self.notes = constants, table, given, list(notes)
        self.changes, self.changed_before = changes or {}, list(changed_before)
        for name in values:
            if hasattr(Settings, name) or getattr(self, name) is not values[name]:
                raise UserError("a constant cannot be called %s" % name, "rename it")

    def changed(self, **values):
        """A copy with some settings changed."""
        return Settings(self.script, self.task, dict(self.values, **values), self.constants,
                        self._table, self.given, self.changes, self.changed_before, self.notes)

    def published(self):
        """{name: published value} for this data set, the cell's own among them."""
        own = registry.published_hyperparameters(self.cell_name, self.data_set_name)
        return dict(self._table[self.data_set_name], **own)

    def unpublished(self):
        """{name: value} of the settings that are not the published ones and change the numbers.

        One that the table lacks is among them: nobody knows its published value.
        """
        values, published = dict(self.values, **self.cell_hyperparameters), self.published()
        found = {name: values[name] for name, value in published.items()
                 if values[name] != value and self.constants[name].changes_numbers}
        found.update((name, value) for name, value in values.items()
                     if name not in published and name not in _WHICH_RUN
                     and self.constants[name].changes_numbers
                     and not self.constants[name].own_data_set)
        return found

    def command(self, here=False):
        """The command line that makes this run, or sweep, again; `here`: for a shell as it is now.

        Otherwise it is for one in the project's folder in which the environment is activated.
        """
        call = call_of(self.script) if here else "python -u " + self.script
        chosen = {"data_set_name": self.data_set_name, "cell_name": self.cell_name}
        in_table = self.published()
        chosen.update((name, value) for name, value in self.values.items()
                      if value not in ("", {}) and name not in in_table
                      and self._is_in_command(name))
        return command_line(call, dict(chosen, **self.unpublished()))

    def _is_in_command(self, name):
        """Whether the command has a setting without a published value; others: unpublished()."""
        constant = self.constants[name]
        if name == "cell_hyperparameters":
            return False
        if constant.group == "Sweep":
            return self.values.get("do_hyperparameter_optimization")
        return constant.changes_numbers and constant.applies_to(self.data_set_name)

    def applicable(self, condition=lambda constant: True):
        """{name: value} of what matters for the data set and whose Constant meets `condition`."""
        return {name: value for name, value in self.values.items()
                if self.constants[name].applies_to(self.data_set_name)
                and condition(self.constants[name])}

    def all_options(self):
        """The options of a call for a new run, whatever is edited at the script's top by then."""
        return option_words(self.applicable())

    def later_options(self, **more):
        """The options of a call for a run that exists: those that may change, and `more`."""
        may_change = self.applicable(lambda constant: constant.may_change(evaluate=True)
                                     and constant.name not in NEW_RUN)
        return option_words(dict(may_change, **more))

    def record(self, step=None):
        """The settings' part of settings.json; `step`: at which a resumed run has `changes`."""
        of_one_call = {name: "" for name in FOLDERS if name in self.values}
        changes = self.changed_before + ([dict(self.changes, step=step)] if self.changes else [])
        of_resumed = {"changed_on_resume": changes} if changes else {}
        return dict(of_resumed, task=self.task, script=self.script, command=self.command(),
                    given=sorted(self.given), unpublished=self.unpublished(),
                    settings=dict(self.values, other_data=False, **of_one_call))


def run_path(settings, name):
    """The folder of the run `name`, such as "sweep/trial-001". Raises UserError."""
    if os.path.isabs(name) or os.path.normpath(name).split(os.sep)[0] in (".", ".."):
        raise UserError("%r cannot be a run's name: give a folder's, without .. in it" % name)
    return shown_path(os.path.join(project_path(settings.runs_folder), settings.task,
                                   data_set_title(settings), settings.cell_name, name))
