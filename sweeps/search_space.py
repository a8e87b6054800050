"""The dimensions of a sweep.

A dimension is ("uniform", low, high), ("log", low, high): uniform in the logarithm,
("integer", low, high), ("choice", [values]), ("grid", low, high, n): n values at equal distances,
or ("log_grid", low, high, n): at equal distances in the logarithm. In a search space the last three
are (kind, [values]).
"""

import functools
import math
import operator

from cells.registry import CELLS
from files.errors import UserError, did_you_mean
from training.constants import is_finite

# The dimensions of all tasks; those of a cell stand in cells/registry.py.
COMMON = {"learning_rate": ("log", 1e-4, 1e-2), "dropout": ("uniform", 0.0, 0.8)}
# Range of number_of_parameters by task. In other tasks, and if the set number is below the range:
# half to twice the set number.
PARAMETERS = {"music": (1000000, 15000000), "language": (10000000, 30000000)}

METHODS = ("tpe", "random", "grid")
_INTERVALS, LISTS = ("uniform", "log", "integer"), ("choice", "grid", "log_grid")
MOST_POINTS = 100000  # of a grid; their list is made for each trial
_FORMS = ('("uniform", low, high), ("log", low, high), ("integer", low, high) of ints, '
          '("choice", [values]), ("grid", low, high, n), ("log_grid", low, high, n) or None, '
          'with low < high')


def search_space(settings):
    """Return {name: dimension} by task and cell, as settings.search changes it (None: not swept).

    A grid has the dimensions of settings.search alone. Raises UserError for an unknown name, for
    what is not a dimension, and for one that settings.search_method or the constant forbids.
    """
    if settings.search_method not in METHODS:
        raise UserError("search_method is %r, but must be: one of %s" % (
            settings.search_method, ", ".join(METHODS)))
    for name in settings.search:
        if name not in settings.constants:
            raise UserError("search: %s is not a setting of %s%s" % (
                name, settings.script, did_you_mean(name, settings.constants)))
    is_grid = settings.search_method == "grid"
    space = {} if is_grid else _usual(settings)
    space.update(settings.search)
    space = {name: _checked(settings, name, dimension)
             for name, dimension in sorted(space.items()) if dimension is not None}
    if is_grid and not space:
        raise UserError("a grid needs dimensions", 'give them in search, such as '
                        '{"learning_rate": ("log_grid", 1e-4, 1e-2, 5)}')
    if not space:
        raise UserError("search leaves no dimension to sweep: take a None out of it")
    if is_grid and points_in(space) > MOST_POINTS:
        raise UserError("search: a grid of {:,} points, but at most {:,} are possible".format(
            points_in(space), MOST_POINTS), "give fewer values, or another search_method")
    return space


def _usual(settings):
    """The dimensions that are swept if settings.search is empty."""
    size = settings.number_of_parameters
    low, high = PARAMETERS.get(settings.task, (math.inf, math.inf))
    if size < low:
        low, high = max(size // 2, 1), 2 * size
    space = dict(COMMON, number_of_parameters=("integer", low, high))
    for name, hyperparameter in CELLS[settings.cell_name].hyperparameters.items():
        space[name] = hyperparameter.search
    return space


def _checked(settings, name, dimension):
    """`dimension` as a search space has it. Raises UserError."""
    if not _is_dimension(dimension):
        raise UserError("search: %s is %r, but must be %s" % (name, dimension, _FORMS))
    constant = _constant(settings, name)
    kind = dimension[0]
    if kind in ("grid", "log_grid"):
        dimension = kind, _spaced(*dimension, whole=constant.allowed.startswith("int"))
    elif kind == "choice":
        dimension = kind, _without_repetition(dimension[1])
    if kind in _INTERVALS and settings.search_method == "grid":
        raise UserError("search: %s is %r, but a grid is of lists of values" % (name, dimension),
                        'take ("choice", [values]), ("grid", low, high, n) or '
                        '("log_grid", low, high, n)')
    if kind in ("uniform", "log") and constant.allowed.startswith("int"):
        raise UserError("search: %s is a whole number, but %r has others too" % (name, dimension),
                        'take ("integer", low, high)')
    for value in bounds_or_values(dimension):
        read = constant.check(value)
        if read != value:  # a trial's settings.json would not have the value of the point
            raise UserError("search: the value %r of %s means %r in a trial: write that instead" % (
                value, name, read))
    return dimension


def _constant(settings, name):
    """The Constant that a dimension varies. Raises UserError if a sweep may not."""
    constant = settings.constants[name]
    foreign = constant.group.startswith("Cell ") and name not in settings.cell_hyperparameters
    if foreign:
        raise UserError("search: %s is not a hyperparameter of %s" % (name, settings.cell_name))
    seeds = name == "seed" and settings.search_method != "grid"
    if seeds or not constant.may_be_swept:
        raise UserError("search: %s is the same in all trials: leave it out, and make a sweep for "
                        "each" % name)
    return constant


def _is_dimension(dimension):
    if not isinstance(dimension, (tuple, list)) or len(dimension) < 2:
        return False
    kind, bounds = dimension[0], list(dimension[1:])
    if kind == "choice":
        return len(bounds) == 1 and isinstance(bounds[0], (tuple, list)) and len(bounds[0]) > 0
    if kind in ("grid", "log_grid"):
        if len(bounds) != 3 or type(bounds[2]) is not int or not 2 <= bounds[2] <= 1000:
            return False
        bounds = bounds[:2]
    elif kind not in _INTERVALS or len(bounds) != 2:
        return False
    types = (int,) if kind == "integer" else (int, float)
    numbers = all(type(bound) in types and is_finite(bound) for bound in bounds)
    return numbers and bounds[0] < bounds[1] and (
        kind not in ("log", "log_grid") or bounds[0] > 0)


def _spaced(kind, low, high, count, whole):
    """`count` values from low to high, both among them; whole numbers if the setting is one."""
    steps = [step / (count - 1) for step in range(count)]
    if kind == "log_grid":
        values = [low * (high / low) ** step for step in steps]
    else:
        values = [low + (high - low) * step for step in steps]
    rounded = [round(value) if whole else float("%.4g" % value) for value in values]
    return _without_repetition([low] + rounded[1:-1] + [high])


def _without_repetition(values):
    return [value for number, value in enumerate(values) if value not in values[:number]]


def bounds_or_values(dimension):
    """The two bounds of an interval, or all values of a list."""
    return dimension[1] if dimension[0] in LISTS else dimension[1:]


def check_value(dimension, value):
    """Raise ValueError or TypeError if `value` is not of a dimension."""
    kind = dimension[0]
    if kind in LISTS:
        if value not in dimension[1]:
            raise ValueError("%r is none of %s" % (value, dimension[1]))
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError("%r is not a number" % (value,))
    elif not is_finite(value):
        raise ValueError("%r is not finite" % value)
    elif kind == "integer" and value != int(value):
        raise ValueError("%r is not a whole number" % value)


def values_of(dimension):
    """All values of a dimension; None if they cannot be counted."""
    if dimension[0] == "integer":
        return range(dimension[1], dimension[2] + 1)
    return dimension[1] if dimension[0] in LISTS else None


def points_in(space):
    """The number of different points of a search space; infinity if it has an interval."""
    values = list(map(values_of, space.values()))
    return math.inf if None in values else functools.reduce(operator.mul, map(len, values))
