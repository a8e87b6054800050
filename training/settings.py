"""From the constants at the top of a script, its table of published values and the command line to the settings.

A constant is a line `name = value  # meaning [kind and range]` above the first function of a script, for example

    learning_rate = None  # step size of the optimizer [float > 0]

Kinds are int, float, bool, text, dict, "data set" (a key of the script's table PUBLISHED) and "cell" (a name in
the registry); int and float may be followed by conditions such as `>= 1` or `>= 0, < 1`; an int is below 2^31. The
command line wins over the constant, the constant over the table; None, on the command line too, stands for the value in
the table.
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
import tokenize

from cells import registry
from files.errors import OneLineParser, UserError, hint
from files.run_files import load_settings

_MEANING = re.compile(r"# (.+) \[([^\]]+)\]$")
_GROUP = re.compile(r"# ---- (.+)")
_CONDITIONS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
# What may be given anew for a run that exists: by an evaluation, which leaves as it was when the run ended, and also
# by a resumed training.
NOT_OF_TRAINING = ("data_folder", "runs_folder", "checkpoint_minutes", "summary_steps", "gpu", "allow_growth",
                   "evaluate_on_test", "other_data", "temperature", "prompt")
CHANGEABLE_LATER = ("epochs", "patience") + NOT_OF_TRAINING


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
        if kind == "int" and converted >= 2 ** 31:
            raise UserError("%s is %d, but must be less than 2^31" % (self.name, converted))
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
    if kind == "text":
        value.encode("utf-8")  # a ValueError for bytes of another encoding, which no file of a run could hold
    if kind == "float" and not math.isfinite(value):
        raise ValueError
    return float(value) if kind == "float" else value


_EXPECTED = {"bool": "True or False", "dict": "a dict, such as {'relu_layers': 2}"}
_TYPES = {"int": int, "float": (int, float), "bool": bool, "text": str, "dict": dict}


def read_constants(script_globals):
    """The constants of a script in order, with the values that its globals have now; one may take several lines.

    Raises UserError for a constant without its comment.
    """
    constants, group, words, comments = [], "Settings", [], []
    with tokenize.open(script_globals["__file__"]) as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type == tokenize.COMMENT and words:
                comments.append(token.string)
            elif token.type == tokenize.COMMENT and _GROUP.match(token.string):
                group = _GROUP.match(token.string).group(1).strip()
            elif token.type == tokenize.NEWLINE:
                if words[:1] in (["def"], ["class"]):
                    break
                if words[1:2] == ["="] and words[0].islower() and not words[0].startswith("_"):
                    constants.append(_constant(script_globals, words[0], comments, token.start[0], group))
                words, comments = [], []
            elif token.type in (tokenize.NAME, tokenize.OP, tokenize.STRING, tokenize.NUMBER):
                words.append(token.string)
    return constants


def _constant(script_globals, name, comments, line, group):
    for comment in comments:
        if _MEANING.match(comment):
            return Constant(name, script_globals[name], *_MEANING.match(comment).groups(), group)
    raise UserError("line %d of %s: the constant %s has lost its comment `# meaning [kind and range]`: put it back as "
                    "it was (or begin the name with _ if it is none)" % (
                        line, os.path.basename(script_globals["__file__"]), name))


def _cell_constants():
    return [Constant(name, None, hyperparameter.meaning, hyperparameter.allowed, "Cell " + cell_name)
            for cell_name, cell in registry.CELLS.items()
            for name, hyperparameter in cell.hyperparameters.items()]


def _published_values(table):
    """The table as text: data sets with the same values share a paragraph."""
    alike = {}
    for name, values in table.items():
        alike.setdefault(", ".join("%s=%s" % item for item in values.items()), []).append(name)
    lines = ["Data sets, and their values of what is None (those of the cells are in cells/registry.py):"]
    for values, names in alike.items():
        lines += ["", "  " + ", ".join(names)]
        lines += textwrap.wrap(values, 100, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines + ["", "Cells: " + ", ".join(registry.CELLS)])


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
        hint = _hint(unknown[0].lstrip("-"), [constant.name for constant in constants], "--")
        parser.error("%s is not a setting of %s%s" % (unknown[0], script, hint))
    return vars(given)


def _hint(name, names, prefix):
    near = difflib.get_close_matches(name, list(names), 1)
    return ", did you mean %s%s?" % (prefix, near[0]) if near else ""


def read_settings(script_globals, arguments=None):
    """The settings of this call of a script.

    script_globals: the script's globals(); it has the constants, TASK and the table PUBLISHED ({data set: {name:
    value}}). arguments: the command line, sys.argv[1:] where None. With --resume or --evaluate the settings are
    those of the named run, and only what CHANGEABLE_LATER names can be given. Raises UserError.
    """
    reader = _Reader(script_globals)
    given = {name: None if value == "None" and name in reader.published else reader.check(name, value)
             for name, value in _parse(script_globals, list(reader.by_name.values()), arguments).items()}
    actions = {action: given.get(action, reader.tops[action]) for action in ("resume", "evaluate")}
    if all(actions.values()):
        raise UserError("resume and evaluate are both given: a run is either trained further or only evaluated")
    values = reader.of_run(actions, given) if any(actions.values()) else reader.complete(reader.tops, given)
    return Settings(reader.script, script_globals["TASK"], values)


class _Reader(object):
    """A script's constants and table, and how they become the values of all settings."""

    def __init__(self, script_globals):
        constants, cell_constants = read_constants(script_globals), _cell_constants()
        self.script, self._task = os.path.basename(script_globals["__file__"]), script_globals["TASK"]
        self._table = script_globals["PUBLISHED"]
        self._choices = {"data set": list(self._table), "cell": list(registry.CELLS)}
        self.by_name = {constant.name: constant for constant in constants + cell_constants}
        self.tops = {constant.name: constant.value for constant in constants}
        for data_set_name, values in self._table.items():
            for name in set(values) - set(self.tops):
                raise UserError("the table PUBLISHED of %s has %s for %s, which is none of its constants%s" % (
                    self.script, name, data_set_name, _hint(name, self.tops, "")))
        self.published = set().union([constant.name for constant in cell_constants], *self._table.values())

    def check(self, name, value):
        """`value` as the kind of the constant `name`. Raises UserError."""
        return self.by_name[name].check(value, self._choices)

    def complete(self, values, given):
        """All settings: `values` with what is `given` on the command line, and the table's where a value is None."""
        values = dict(values, **given)
        data_set_name = self.check("data_set_name", values["data_set_name"])
        for name in self.tops:
            if values[name] is None:
                if name not in self._table[data_set_name]:
                    raise UserError("%s has no published value for %s: set it at the top of %s or give --%s (%s)" % (
                        name, data_set_name, self.script, name, self.by_name[name].allowed))
                values[name] = self._table[data_set_name][name]
            values[name] = self.check(name, values[name])
        values["cell_hyperparameters"] = self._hyperparameters(values, given)
        return {name: values[name] for name in self.tops}

    def _hyperparameters(self, values, given):
        cell_name = values["cell_name"]
        own = registry.published_hyperparameters(cell_name, values["data_set_name"])
        wanted = dict(values["cell_hyperparameters"])
        wanted.update({name: value for name, value in given.items() if self.by_name[name].group.startswith("Cell ")})
        for name, value in wanted.items():
            if name not in own:
                raise UserError("%s is not a hyperparameter of %s; it has: %s" % (
                    name, cell_name, ", ".join(sorted(own)) or "none of its own"))
            own[name] = own[name] if value is None else self.check(name, value)
        return own

    def of_run(self, actions, given):
        """All settings of the run to resume or to evaluate, changed as is `given`."""
        folder = actions["resume"] or actions["evaluate"]
        saved = self._saved(folder)
        kept = dict(saved, **saved["cell_hyperparameters"])
        published = dict(self._table[kept["data_set_name"]],
                         **registry.published_hyperparameters(kept["cell_name"], kept["data_set_name"]))
        given = {name: published.get(name) if value is None else value for name, value in given.items()}
        changeable = CHANGEABLE_LATER if actions["resume"] else NOT_OF_TRAINING
        for name, value in given.items():
            if name not in changeable + tuple(actions) and kept.get(name) != value:
                raise UserError("%s cannot be changed in a run that %s; only %s can" % (
                    name, "exists" if actions["resume"] else "is only evaluated", ", ".join(changeable)))
        return dict(saved, **{name: given[name] for name in changeable if name in given}, **actions)

    def _saved(self, folder):
        """What settings.json of a run holds, checked."""
        with hint("give the folder of a run that this script made"):
            content = load_settings(folder)
        task, saved = content["task"], content["settings"]
        if task != self._task:
            raise UserError("%s is a run of the task %s, not %s: use the script that made it" % (
                folder, task, self._task))
        if saved.get("do_hyperparameter_optimization"):
            raise UserError("%s is a sweep: give the folder of one of its trials; the command that began the sweep "
                            "goes on with it" % folder)
        try:
            # Runs of earlier versions lack some settings.
            values = dict(self.tops, do_hyperparameter_optimization=False)
            values.update((name, value) for name, value in saved.items() if name in self.tops)
            return self.complete(values, {})
        except UserError as error:
            raise UserError("%s/settings.json: %s" % (folder, error))
