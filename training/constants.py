"""A constant of a script: what it may be, what it may be used for, checking a value against it.

A constant is a line `name = value  # meaning [kind and range]` above the first function, such as

    learning_rate = None  # step size of the optimizer [float > 0]

Kinds are int, float, bool, text, path, paths (of a user's own data), dict, "data set" (a key of the
script's table PUBLISHED) and "cell" (a name in the registry); int and float may be followed by
conditions such as `>= 1` or `>= 0, < 1`; an int is below 2^31.

The comment above a group of constants, such as `# ---- Training`, says what may be done with them:

    Data, Model, Training   fixed once a run is begun; a sweep may vary them, but not how data of
                            one's own are prepared
    Stopping                may be changed when a run is resumed; a sweep may vary them
    Sweep                   of a sweep only
    Run, GPU                may be changed on resume and evaluation (not `name` and `runs_folder`,
                            of a new run); the same in all trials
    Cell ..                 the hyperparameters of a cell (from the registry), like Model

One whose meaning begins with `of OwnText: ` or the like matters for that data set only.
"""

import ast
import operator
import os
import re
import struct

from files.errors import UserError, did_you_mean

_CONDITIONS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
_EXPECTED = {"bool": "True or False", "dict": "a dict, such as {'relu_layers': 2}",
             "text": "text", "path": "the path of a file or folder",
             "paths": "the path of a file or folder"}
LONGEST_DICT = 10000  # characters; more can exhaust the stack of Python's parser
_TOO_DEEP = re.compile(r"([\[({][^\[({\])}]*){20}|([-+~]\s*){3}|(not\s+){3}")
LONGEST_PATH = 1000  # bytes; file systems allow 4096, and the names of files come after it
MOST_FOLDERS = 50  # in one path: os.makedirs calls itself for each
_TEXTS = ("text", "path", "paths")
_BOUNDS = r"( (>=|<=|>|<) {0}(, (>=|<=|>|<) {0})*)?"
_ALLOWED = re.compile("int%s|float%s|bool|dict|text|paths?|data set|cell" % (
    _BOUNDS.format(r"-?\d+"), _BOUNDS.format(r"-?\d+(\.\d+)?(e-?\d+)?")))
_TYPES = {"int": int, "float": (int, float), "bool": bool, "dict": dict,
          **dict.fromkeys(_TEXTS, str)}
LARGEST_FLOAT = 3e38  # float32, in which TensorFlow computes, holds no larger one


class Constant(object):
    """One constant of a script: name, value at the top, meaning, what it may be, and its group."""

    def __init__(self, name, value, meaning, allowed, group):
        self.name, self.value, self.meaning = name, value, meaning
        self.allowed, self.group = allowed, group
        if not _ALLOWED.fullmatch(allowed):
            raise UserError("the constant %s has the kind and range [%s]" % (name, allowed),
                            "give one that training/constants.py explains")

    def may_change(self, evaluate):
        """Whether a run that is resumed, or only evaluated, may have another value than before.

        The place of a user's own data may: it is their content that must be the same.
        """
        groups = ("Run", "GPU") if evaluate else ("Stopping", "Run", "GPU")
        return self.group in groups or self.is_data_path

    @property
    def changes_numbers(self):
        """Whether the value changes what a run computes."""
        return self.group not in ("Sweep", "Run", "GPU")

    @property
    def may_be_swept(self):
        """Whether the trials of a sweep may differ in it; the seed only in a grid of seeds.

        Data are prepared once for all of them.
        """
        of_trial = self.changes_numbers and not self.own_data_set
        return of_trial and self.allowed.split()[0] in ("int", "float", "bool")

    @property
    def is_data_path(self):
        """Whether it names where a user's own data are."""
        return self.allowed == "paths"

    @property
    def own_data_set(self):
        """The one data set that it matters for, as the meaning `of OwnText: ..` says, or None."""
        limited = re.match(r"of (Own\w+): ", self.meaning)
        return limited and limited.group(1)

    def applies_to(self, data_set_name):
        """Whether it matters for a data set."""
        return self.own_data_set in (None, data_set_name)

    def check_applies_to(self, data_set_name):
        """Raise UserError if it does not matter for a data set."""
        if not self.applies_to(data_set_name):
            raise UserError("%s is given, but data_set_name is %s" % (self.name, data_set_name),
                            "add --data_set_name " + self.own_data_set)

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


def is_finite(number):
    """Whether a number is neither infinite nor NaN, also in float32; an int may have any length."""
    return abs(number) <= LARGEST_FLOAT


def _float32(number):
    """A number, or its text, as TensorFlow computes with it: 0.99999999999 is 1."""
    return struct.unpack("f", struct.pack("f", float(number)))[0]


def _shown(value):
    try:
        shown = repr(value)
    except ValueError:
        return "an integer of more digits than Python prints"
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
    if kind in _TEXTS:
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
    if kind in _TEXTS:
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
