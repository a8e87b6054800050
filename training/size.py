"""Find the number of hidden units for a number of parameters."""

import functools
import operator

from files.errors import TrainingFailed


def count(shapes):
    """Number of elements in all of `shapes`, in Python's integers: NumPy's would overflow."""
    return sum(functools.reduce(operator.mul, shape, 1) for shape in shapes)


def largest_units(budget, parameters_of):
    """The largest N with parameters_of(N) <= budget, for a function that grows with N.

    Raises TrainingFailed if even one hidden unit is too much.
    """
    if parameters_of(1) > budget:
        raise TrainingFailed("number_of_parameters is %d, but a model of one hidden unit has %d" % (
            budget, parameters_of(1)), "give more parameters or fewer layers")
    low, high = 1, 2
    while parameters_of(high) <= budget:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if parameters_of(middle) <= budget else (low, middle)
    return low
