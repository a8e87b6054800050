"""From the constants at the top of a script, its table of published values and the command line to the settings.

A constant is a line `name = value  # meaning [kind and range]` above the first function of a script, for example

    learning_rate = None  # step size of the optimizer [float > 0]

Kinds are int, float, bool, text, dict, "data set" (a key of the script's table PUBLISHED) and "cell" (a name in
the registry); int and float may be followed by conditions such as `>= 1` or `>= 0, < 1`. The command line wins
over the constant, the constant over the table; None, on the command line too, stands for the value in the table.
"""

import argparse
import ast
import difflib
import math
import operator
import os
import re
import shlex
import textwrap

import cell_registry
from training.errors import OneLineParser, UserError
from training.files import load_json

_CONSTANT = re.compile(r"^(\w+) = (.+?)\s+# (.+?) \[([^\]]+)\]$")
_GROUP = re.compile(r"^# ---- (.+)$")
_CONDITIONS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
CHANGEABLE_LATER = ("epochs", "patience", "data_folder", "runs_folder", "checkpoint_minutes", "summary_steps",
                    "gpu", "allow_growth", "evaluate_on_test", "temperature", "prompt")


class Settings(object):
    """The settings of one run, read as attributes; `script` names the script they belong to, `task` its task."""

    def __init__(self, script, task, values):
        self.__dict__.update(values, script=script, task=task, values=dict(values))

    def changed(self, **values):
        """A copy with some settings changed."""
        return Settings(self.script, self.task, dict(self.values, **values))


def command_line(script, options):
    """The command, quoted for a shell, that calls a script with `options`, pairs of name and value."""
    words = []
    for name, value in options:  # argparse takes a word such as -5e-05 for an option of its own
        words += ["--%s=%s" % (name, value)] if str(value).startswith("-") else ["--" + name, str(value)]
    return " ".join(["python", "-u", script] + [shlex.quote(word) for word in words])


class Constant(object):
    """One constant of a script: its name, the value at the top, its meaning and what it may be."""

    def __init__(self, name, value, meaning, allowed, group):
        self.name, self.value, self.meaning, self.allowed, self.group = name, value, meaning, allowed, group

    def check(self, value, choices):
        """`value` as the constant's kind. choices: {kind: the names it may be}.

        Raises UserError that names constant, value and what is allowed.
        """
        kind, _, conditions = self.allowed.partition(" ")
        names = choices.get(self.allowed)
        try:
            if names and value not in names:
                raise ValueError
            converted = value if names else _converted(kind, value)
            for condition in filter(None, conditions.split(", ") if kind in ("int", "float") else ()):
                sign, bound = condition.split()
                if not _CONDITIONS[sign](converted, float(bound)):
                    raise ValueError
        except (ValueError, SyntaxError, TypeError, OverflowError):
            expected = "one of " + ", ".join(names) if names else _EXPECTED.get(kind, self.allowed)
            raise UserError("%s is %r, but must be: %s" % (self.name, value, expected))
        return converted


def _converted(kind, value):
    """`value`, or what the text of it on the command line says, as the kind. Raises various errors."""
    if isinstance(value, str) and kind != "text":
        value = ast.literal_eval(value)
    if isinstance(value, float) and kind == "int" and value == int(value):
        value = int(value)
    if not isinstance(value, _TYPES[kind]) or isinstance(value, bool) != (kind == "bool"):
        raise ValueError
    if kind == "dict" and not all(isinstance(key, str) for key in value):
        raise ValueError
    if kind == "float" and not math.isfinite(value):
        raise ValueError
    return float(value) if kind == "float" else value


_EXPECTED = {"bool": "True or False", "dict": "a dict, such as {'relu_layers': 2}"}
_TYPES = {"int": int, "float": (int, float), "bool": bool, "text": str, "dict": dict}


def read_constants(script_globals):
    """The constants of a script in order, with the values that its globals have now."""
    constants, group = [], "Settings"
    with open(script_globals["__file__"]) as file:
        for line in file:
            if line.startswith(("def ", "class ")):
                break
            if _GROUP.match(line):
                group = _GROUP.match(line).group(1).strip()
            match = _CONSTANT.match(line.rstrip())
            if match:
                name, _, meaning, allowed = match.groups()
                constants.append(Constant(name, script_globals[name], meaning, allowed, group))
    return constants


def _cell_constants():
    return [Constant(name, None, hyperparameter.meaning, hyperparameter.allowed, "Cell " + cell_name)
            for cell_name, cell in cell_registry.CELLS.items()
            for name, hyperparameter in cell.hyperparameters.items()]


def _published_values(table):
    """The table as text: data sets with the same values share a paragraph."""
    alike = {}
    for name, values in table.items():
        alike.setdefault(", ".join("%s=%s" % item for item in values.items()), []).append(name)
    lines = ["Data sets, and their values of what is None (those of the cells are in cell_registry.py):"]
    for values, names in alike.items():
        lines += ["", "  " + ", ".join(names)]
        lines += textwrap.wrap(values, 100, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines + ["", "Cells: " + ", ".join(cell_registry.CELLS)])


def _parse(script_globals, constants, arguments):
    script = os.path.basename(script_globals["__file__"])
    parser = OneLineParser(prog=script, description=script_globals["__doc__"], allow_abbrev=False,
                           epilog=_published_values(script_globals["PUBLISHED"]),
                           formatter_class=argparse.RawDescriptionHelpFormatter)
    groups = {name: parser.add_argument_group(name) for name in dict.fromkeys(c.group for c in constants)}
    for constant in constants:
        default = "" if constant.value is None else ", now %r" % (constant.value,)
        about = "%s [%s%s]" % (constant.meaning, constant.allowed, default)
        groups[constant.group].add_argument("--" + constant.name, metavar="X", default=argparse.SUPPRESS,
                                            help=about.replace("%", "%%"))
    given, unknown = parser.parse_known_args(arguments)
    if unknown:
        near = difflib.get_close_matches(unknown[0].lstrip("-"), [constant.name for constant in constants], 1)
        hint = ", did you mean --%s?" % near[0] if near else ""
        parser.error("%s is not a setting of %s%s" % (unknown[0], script, hint))
    return vars(given)


def read_settings(script_globals, arguments=None):
    """The settings of this call of a script.

    script_globals: the script's globals(); it has the constants, TASK and the table PUBLISHED ({data set: {name:
    value}}). arguments: the command line, sys.argv[1:] where None. With --resume or --evaluate the settings are
    those of the named run, and only what CHANGEABLE_LATER names can be given. Raises UserError.
    """
    constants = read_constants(script_globals)
    cell_constants = _cell_constants()
    given = _parse(script_globals, constants + cell_constants, arguments)
    table = script_globals["PUBLISHED"]
    choices = {"data set": list(table), "cell": list(cell_registry.CELLS)}
    by_name = {constant.name: constant for constant in constants + cell_constants}
    published = set().union([constant.name for constant in cell_constants], *table.values())
    given = {name: None if value == "None" and name in published else by_name[name].check(value, choices)
             for name, value in given.items()}

    script, task = os.path.basename(script_globals["__file__"]), script_globals["TASK"]
    tops = {constant.name: constant.value for constant in constants}
    actions = {action: given.get(action, tops[action]) for action in ("resume", "evaluate")}
    if all(actions.values()):
        raise UserError("resume and evaluate are both given: a run is either trained further or only evaluated")
    if any(actions.values()):
        return Settings(script, task, _settings_of_run(actions, task, given, tops, table))

    values = dict(tops, **given)
    data_set_name = by_name["data_set_name"].check(values["data_set_name"], choices)
    for constant in constants:
        if values[constant.name] is None:
            if constant.name not in table[data_set_name]:
                raise UserError("%s has no published value for %s: set it at the top of %s or give --%s (%s)" % (
                    constant.name, data_set_name, script, constant.name, constant.allowed))
            values[constant.name] = table[data_set_name][constant.name]
        values[constant.name] = constant.check(values[constant.name], choices)
    values["cell_hyperparameters"] = _hyperparameters(values, given, by_name, choices)
    return Settings(script, task, {name: value for name, value in values.items() if name in tops})


def _hyperparameters(values, given, by_name, choices):
    cell_name = values["cell_name"]
    own = cell_registry.published_hyperparameters(cell_name, values["data_set_name"])
    wanted = dict(values["cell_hyperparameters"])
    wanted.update({name: value for name, value in given.items() if by_name[name].group.startswith("Cell ")})
    for name, value in wanted.items():
        if name not in own:
            raise UserError("%s is not a hyperparameter of %s; it has: %s" % (
                name, cell_name, ", ".join(sorted(own)) or "none of its own"))
        own[name] = own[name] if value is None else by_name[name].check(value, choices)
    return own


def _settings_of_run(actions, task, given, tops, table):
    folder, remedy = actions["resume"] or actions["evaluate"], "give the folder of a run that this script made"
    saved = load_json(os.path.join(folder, "settings.json"), remedy)
    if saved.get("task") != task:
        raise UserError("%s is a run of the task %s, not %s: use the script that made it" % (
            folder, saved.get("task"), task))
    if saved["settings"].get("do_hyperparameter_optimization"):
        raise UserError("%s is a sweep: give the folder of one of its trials; the command that began the sweep goes "
                        "on with it" % folder)
    kept = dict(saved["settings"], **saved["settings"]["cell_hyperparameters"])
    published = dict(table.get(kept["data_set_name"], {}),
                     **cell_registry.published_hyperparameters(kept["cell_name"], kept["data_set_name"]))
    given = {name: published.get(name) if value is None else value for name, value in given.items()}
    fixed = [name for name, value in given.items()
             if name not in CHANGEABLE_LATER + tuple(actions) and kept.get(name) != value]
    if fixed:
        raise UserError("%s cannot be changed in a run that exists; only %s can" % (
            fixed[0], ", ".join(CHANGEABLE_LATER)))
    changed = {name: value for name, value in given.items() if name in CHANGEABLE_LATER}
    # Runs of earlier versions lack some settings.
    return dict(dict(tops, do_hyperparameter_optimization=False), **dict(saved["settings"], **changed, **actions))
