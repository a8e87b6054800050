"""The dimensions of a sweep, and the next point of them by TPE (Bergstra et al. 2011, hyperopt's implementation).

A dimension is ("uniform", low, high), ("log", low, high): uniform in the logarithm, ("integer", low, high) or
("choice", [values]).
"""

import math

from hyperopt import Domain, Trials, hp, space_eval, tpe
from hyperopt.base import JOB_STATE_DONE, STATUS_FAIL, STATUS_OK

from cells.registry import CELLS
from files.errors import UserError

RANDOM_TRIALS = 10  # before TPE's first suggestion; hyperopt's own 20 would leave a short sweep to chance

# The dimensions of all tasks; those of a cell stand in cells/registry.py.
COMMON = {"learning_rate": ("log", 1e-4, 1e-2), "dropout": ("uniform", 0.0, 0.8)}
# Of number_of_parameters by task; half to twice the set number in other tasks, or where it is below this range.
PARAMETERS = {"music": (1000000, 15000000), "language": (10000000, 30000000)}


def search_space(settings):
    """{name: dimension} by task and cell, as settings.search changes it (None: not swept). Raises UserError."""
    size = settings.number_of_parameters
    low, high = PARAMETERS.get(settings.task, (math.inf, math.inf))
    if size < low:
        low, high = max(size // 2, 1), 2 * size
    space = dict(COMMON, number_of_parameters=("integer", low, high))
    space.update({name: hyperparameter.search
                  for name, hyperparameter in CELLS[settings.cell_name].hyperparameters.items()})
    space.update(settings.search)
    space = {name: dimension for name, dimension in sorted(space.items()) if dimension is not None}
    for name, dimension in space.items():
        if not _is_dimension(dimension):
            raise UserError('search: %s is %r, but must be ("uniform", low, high), ("log", low, high), '
                            '("integer", low, high), ("choice", [values]) or None' % (name, dimension))
    if not space:
        raise UserError("search leaves no dimension to sweep: take a None out of it")
    return space


def _is_dimension(dimension):
    if not isinstance(dimension, (tuple, list)) or len(dimension) < 2:
        return False
    kind, bounds = dimension[0], list(dimension[1:])
    if kind == "choice":
        return len(bounds) == 1 and isinstance(bounds[0], (tuple, list)) and len(bounds[0]) > 0
    numbers = len(bounds) == 2 and all(type(bound) in ((int,) if kind == "integer" else (int, float))
                                       and math.isfinite(bound) for bound in bounds)
    return kind in ("uniform", "log", "integer") and numbers and bounds[0] < bounds[1] and (
        kind != "log" or bounds[0] > 0)


def extremes(dimension):
    """The values of a dimension that have to be allowed for all of it to be: its bounds, or all its choices."""
    return dimension[1] if dimension[0] == "choice" else dimension[1:]


_EXPRESSIONS = {
    "uniform": hp.uniform,
    "log": lambda label, low, high: hp.loguniform(label, math.log(low), math.log(high)),
    "integer": lambda label, low, high: hp.quniform(label, low, high, 1),
    "choice": hp.choice,
}


def suggest(space, earlier, seed):
    """The next point, {name: value}; the same arguments give the same one.

    earlier: the records of the trials that were begun before, dicts with `point` and `loss`, which is None where a
    trial failed or still runs (TPE counts these as bad). seed: int or tuple of ints.
    """
    expressions = {name: _EXPRESSIONS[dimension[0]](name, *dimension[1:]) for name, dimension in space.items()}
    domain, history = Domain(None, expressions), Trials()
    miscs = [{"tid": tid, "cmd": domain.cmd, "workdir": None, "idxs": {name: [tid] for name in space},
              "vals": {name: [_as_hyperopt_has_it(space[name], record["point"][name])] for name in space}}
             for tid, record in enumerate(earlier)]
    results = [{"status": STATUS_FAIL} if record["loss"] is None else {"status": STATUS_OK, "loss": record["loss"]}
               for record in earlier]
    tids = list(range(len(earlier)))
    for doc in history.new_trial_docs(tids, [None] * len(tids), results, miscs):
        history.insert_trial_doc(dict(doc, state=JOB_STATE_DONE))
    history.refresh()
    found, = tpe.suggest([len(tids)], domain, history, seed, n_startup_jobs=RANDOM_TRIALS, verbose=False)
    point = space_eval(expressions, {name: values[0] for name, values in found["misc"]["vals"].items()})
    return {name: _plain(space[name], value) for name, value in point.items()}


def _as_hyperopt_has_it(dimension, value):
    return list(dimension[1]).index(value) if dimension[0] == "choice" else value


def _plain(dimension, value):
    """Without numpy's types, and no longer than a command line should be."""
    if dimension[0] == "choice":
        return value
    return int(value) if dimension[0] == "integer" else float("%.6g" % value)
