"""The next point of a sweep: by TPE (Bergstra et al. 2011), at random, or the next of a grid."""

import itertools
import math
import random

from hyperopt import Domain, Trials, hp, rand, space_eval, tpe
from hyperopt.base import JOB_STATE_DONE, STATUS_FAIL, STATUS_OK

from sweeps.search_space import LISTS, MOST_POINTS, points_in, values_of

# Before TPE's first suggestion; hyperopt's own 20 would leave a short sweep to chance.
RANDOM_TRIALS = 10
_DRAWS = 20  # a point that was begun before is drawn again so often


def next_point(method, space, earlier, seed):
    """Return a point, {name: value}, that is none of the earlier ones; None if there is none left.

    The same arguments give the same one. earlier: the records of the trials that were begun before,
    dicts with `point` and `loss`, which is None if a trial failed or still runs (TPE counts these
    as bad). seed: tuple of ints.
    """
    taken = {_key(record["point"]) for record in earlier}
    if method != "grid":
        for draw in range(_DRAWS):
            point = suggest(space, earlier, seed + ((draw,) if draw else ()), method)
            if _key(point) not in taken:
                return point
        if points_in(space) > MOST_POINTS:
            return point  # chance alone cannot have filled such a space
    left = [point for point in all_points(space) if _key(point) not in taken]
    if not left:
        return None
    return left[0] if method == "grid" else random.Random(str(seed)).choice(left)


def all_points(space):
    """Yield the points of a space without intervals, in the order of a grid."""
    names = sorted(space)
    for values in itertools.product(*[values_of(space[name]) for name in names]):
        yield dict(zip(names, values))


def _key(point):
    """The same for 0 and 0.0: a point read from settings.json has the type of the constant."""
    return tuple(sorted(point.items()))


def _expression(name, dimension):
    """A dimension in hyperopt's words."""
    kind = dimension[0]
    if kind in LISTS:
        return hp.choice(name, dimension[1])
    low, high = dimension[1:]
    if kind == "log":
        return hp.loguniform(name, math.log(low), math.log(high))
    return hp.quniform(name, low, high, 1) if kind == "integer" else hp.uniform(name, low, high)


def suggest(space, earlier, seed, method="tpe"):
    """Return the next point by TPE, or at random; it may be an earlier one. See next_point."""
    expressions = {name: _expression(name, dimension) for name, dimension in space.items()}
    domain, history = Domain(None, expressions), Trials()
    new = len(earlier)
    if method == "random":
        found, = rand.suggest([new], domain, history, seed)
    else:
        _tell(history, domain, space, earlier)
        found, = tpe.suggest([new], domain, history, seed, n_startup_jobs=RANDOM_TRIALS,
                             verbose=False)
    values = {name: values[0] for name, values in found["misc"]["vals"].items()}
    point = space_eval(expressions, values)
    return {name: _plain(space[name], value) for name, value in point.items()}


def _tell(history, domain, space, earlier):
    """Put the earlier trials into hyperopt's history."""
    miscs, results = [], []
    for tid, record in enumerate(earlier):
        values = {name: [_coded(space[name], record["point"][name])] for name in space}
        miscs.append({"tid": tid, "cmd": domain.cmd, "workdir": None,
                      "idxs": {name: [tid] for name in space}, "vals": values})
        failed = record["loss"] is None
        results.append({"status": STATUS_FAIL} if failed else
                       {"status": STATUS_OK, "loss": record["loss"]})
    tids = list(range(len(earlier)))
    for doc in history.new_trial_docs(tids, [None] * len(tids), results, miscs):
        history.insert_trial_doc(dict(doc, state=JOB_STATE_DONE))
    history.refresh()


def _coded(dimension, value):
    """A value in hyperopt's coding, which has a choice as the number of its value."""
    return dimension[1].index(value) if dimension[0] in LISTS else value


def _plain(dimension, value):
    """Without numpy's types, and no longer than a command line should be."""
    if dimension[0] in LISTS:
        return value
    return int(value) if dimension[0] == "integer" else float("%.6g" % value)
