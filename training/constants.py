"""The constants at the top of a script: reading them, and checking a value against one.

A constant is a line `name = value  # meaning [kind and range]` above the first function, such as

    learning_rate = None  # step size of the optimizer [float > 0]

Kinds are int, float, bool, text, path, dict, "data set" (a key of the script's table PUBLISHED)
and "cell" (a name in the registry); int and float may be followed by conditions such as `>= 1` or
`>= 0, < 1`; an int is below 2^31.

The comment above a group of constants, such as `# ---- Training`, says what may be done with them:

    Data, Model, Training   fixed once a run is begun; a sweep may vary them
    Stopping                may be changed when a run is resumed; a sweep may vary them
    Sweep                   of a sweep only
    Run, GPU                may be changed on resume and evaluation; the same in all trials
    Cell ..                 the hyperparameters of a cell (from the registry), like Model
"""

import ast
import difflib
import keyword
import operator
import os
import re
import struct
import tokenize

from cells import registry
from files.errors import UserError, did_you_mean

_MEANING = re.compile(r"# (.+) \[([^\]]+)\]\s*$")
_GROUP = re.compile(r"# ---- (.+)")
_CONDITIONS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
_EXPECTED = {"bool": "True or False", "dict": "a dict, such as {'relu_layers': 2}",
             "text": "text", "path": "the path of a file or folder"}
_TYPES = {"int": int, "float": (int, float), "bool": bool, "text": str, "path": str, "dict": dict}
LARGEST_FLOAT = 3e38  # float32, in which TensorFlow computes, holds no larger one
LONGEST_DICT = 10000  # characters; more can exhaust the stack of Python's parser
_TOO_DEEP = re.compile(r"([\[({][^\[({\])}]*){20}|([-+~]\s*){3}|(not\s+){3}")
LONGEST_PATH = 1000  # bytes; file systems allow 4096, and the names of files come after it
MOST_FOLDERS = 50  # in one path: os.makedirs calls itself for each


class Constant(object):
    """One constant of a script: name, value at the top, meaning, what it may be, and its group."""

    def __init__(self, name, value, meaning, allowed, group):
        self.name, self.value, self.meaning = name, value, meaning
        self.allowed, self.group = allowed, group

    def may_change(self, evaluate):
        """Whether a run that is resumed, or only evaluated, may have another value than before."""
        return self.group in (("Run", "GPU") if evaluate else ("Stopping", "Run", "GPU"))

    @property
    def is_of_computation(self):
        """Whether the value changes what a run computes."""
        return self.group not in ("Sweep", "Run", "GPU")

    @property
    def may_be_swept(self):
        """Whether the trials of a sweep may differ in it; the seed only in a grid of seeds."""
        return self.is_of_computation and self.allowed.split()[0] in ("int", "float", "bool")

    @property
    def only_for(self):
        """The one data set that it matters for, as the meaning `of OwnText: ..` says, or None."""
        limited = re.match(r"of (Own\w+): ", self.meaning)
        return limited and limited.group(1)

    def is_for(self, data_set_name):
        """Whether it matters for a data set."""
        return self.only_for in (None, data_set_name)

    def check_use(self, data_set_name):
        """Raise UserError if it does not matter for a data set."""
        if not self.is_for(data_set_name):
            raise UserError("%s is given, but data_set_name is %s" % (self.name, data_set_name),
                            "add --data_set_name " + self.only_for)

    def check(self, value, choices=None):
        """Convert `value`, or its text on the command line, to the constant's kind.

        choices: {kind: the names it may be}, for the kinds "data set" and "cell".
        Raises UserError that names constant, value and what is allowed.
        """
        kind, _, conditions = self.allowed.partition(" ")
        names = (choices or {}).get(self.allowed)
        if names is not None:
            if value not in names:
                raise UserError("%s is %s, but must be one of %s%s" % (
                    self.name, _shown(value), ", ".join(names), did_you_mean(value, names)))
            return value
        try:
            converted = _converted(kind, value)
            computed = _float32 if kind == "float" else int
            for condition in filter(None, conditions.split(", ")):
                sign, bound = condition.split()
                if not _CONDITIONS[sign](computed(converted), computed(bound)):
                    raise ValueError
        except (ValueError, SyntaxError, TypeError, KeyError, OverflowError, MemoryError,
                RecursionError):
            raise UserError("%s is %s, but must be: %s" % (
                self.name, _shown(value), _EXPECTED.get(kind, self.allowed)))
        if kind == "int" and converted >= 2 ** 31:
            raise UserError("%s is %s, but must be less than 2^31" % (
                self.name, _shown(converted)))
        return converted


def int_option(option, least):
    """The `type` of an argparse option that is an int >= least; it raises UserError."""
    return Constant(option, None, "", "int >= %d" % least, "").check


def is_finite(number):
    """Whether a number is neither infinite nor NaN, also in float32; an int may have any length."""
    return abs(number) <= LARGEST_FLOAT


def _float32(number):
    """A number, or its text, as TensorFlow computes with it: 0.99999999999 is 1."""
    return struct.unpack("f", struct.pack("f", float(number)))[0]


def _shown(value):
    shown = repr(value)
    return shown if len(shown) <= 100 else shown[:80] + ".. (%d characters)" % len(shown)


def _converted(kind, value):
    """Convert `value`, or its text on the command line, to the kind. Raises various errors."""
    if isinstance(value, str):
        value = _read(kind, value)
    if isinstance(value, float) and kind == "int" and value == int(value):
        value = int(value)
    if not isinstance(value, _TYPES[kind]) or isinstance(value, bool) != (kind == "bool"):
        raise ValueError
    if kind == "dict" and not all(isinstance(key, str) for key in value):
        raise ValueError
    if kind in ("text", "path"):
        value.encode("utf-8")  # a ValueError for what no file of a run could hold
        if "\0" in value:
            raise ValueError
    if kind == "path" and (len(value.encode("utf-8")) > LONGEST_PATH
                           or value.count(os.sep) > MOST_FOLDERS):
        raise ValueError
    if kind == "float" and not is_finite(value):
        raise ValueError
    return float(value) if kind == "float" else value


def _read(kind, text):
    """The value that a text on the command line says. Raises various errors."""
    if kind in ("text", "path"):
        return text
    if kind == "float":
        return float(text)
    if kind == "int":
        try:
            return int(text, 0)
        except ValueError:
            return float(text)  # 1e6
    if kind == "bool":
        return {"True": True, "False": False}[text]
    if len(text) > LONGEST_DICT or _TOO_DEEP.search(text):
        raise ValueError
    return ast.literal_eval(text)


def read_constants(script_globals):
    """The constants of a script in order, with the values that its globals have now.

    Raises UserError for a constant without its comment, for one that is there twice, for an
    assignment that is none but has nearly the name of one, and for a value in the table PUBLISHED
    that is of none.
    """
    constants, others = {}, []
    script = os.path.basename(script_globals["__file__"])
    for name, line, comments, group in _assignments(script_globals["__file__"]):
        found = next(filter(None, map(_MEANING.match, comments)), None)
        if found and _may_be_constant(name):
            if name in constants:
                raise UserError("line %d of %s sets the constant %s again" % (line, script, name),
                                "leave one of the two")
            constants[name] = Constant(name, script_globals[name], *found.groups(), group)
        else:
            others.append((name, line))
    for name, line in others:
        _check_other(name, "line %d of %s" % (line, script), constants)
    for data_set_name, values in script_globals["PUBLISHED"].items():
        for name in set(values) - set(constants):
            raise UserError("the table PUBLISHED of %s has %s for %s, which is none of its "
                            "constants%s" % (script, name, data_set_name,
                                             did_you_mean(name, constants)))
    return list(constants.values())


def _may_be_constant(name):
    return name[0].islower()


def _check_other(name, place, constants):
    """Refuse an assignment at the top that was meant to be a constant."""
    if name.startswith("_") or name in ("TASK", "PUBLISHED"):
        return
    meant = name if name in constants else next(iter(difflib.get_close_matches(
        name.lower(), constants, 1, 0.8)), None)
    if meant == name:
        raise UserError("%s sets the constant %s again" % (place, name), "leave one of the two")
    if meant:
        raise UserError("%s sets %s, which is not a constant, did you mean %s?" % (
            place, name, meant), "correct it, or begin the name with _ if it is none")
    if _may_be_constant(name):
        raise UserError("%s: the constant %s has lost its comment `# meaning [kind and range]`" % (
            place, name), "put it back as it was (or begin the name with _ if it is none)")


def _assignments(path):
    """Yield (name, line, comments, group) of each assignment above the first function."""
    group, words, comments = "Settings", [], []
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type == tokenize.COMMENT and words:
                comments.append(token.string)
            elif token.type == tokenize.COMMENT and _GROUP.match(token.string):
                group = _GROUP.match(token.string).group(1).strip()
            elif token.type == tokenize.NEWLINE:
                if words[0] in ("def", "class"):
                    return
                if words[1:2] in (["="], [":"]) and not keyword.iskeyword(words[0]):
                    yield words[0], token.start[0], comments, group
                words, comments = [], []
            elif token.type in (tokenize.NAME, tokenize.OP, tokenize.STRING, tokenize.NUMBER):
                words.append(token.string)


def cell_constants():
    """The hyperparameters of all cells as Constants, in groups such as "Cell RRU"."""
    found = []
    for cell_name, cell in registry.CELLS.items():
        for name, own in cell.hyperparameters.items():
            found.append(Constant(name, None, own.meaning, own.allowed, "Cell " + cell_name))
    return found
