"""Grids: what a metric is at each combination of two settings, ours and the authors' own."""

import collections
import csv

from data_preparation.prepared import data_label
from files.errors import UserError, hint
from files.reading import reading
from files.run_files import load_settings
from files.units import lower_is_better
from reports.runs import title_of
from sweeps.records import load_records
from sweeps.summary import summary


Grid = collections.namedtuple(
    "Grid", "data_set cell names metric part values epochs pruned trained",
    defaults=[frozenset(), None])
Grid.__doc__ = """The values of a metric at each combination of two settings.

data_set: its name, see data_label. cell: its name, or NOT_NORMALISED. names: of the two settings,
the first going across. part: of the data that the metric is of, "validation" or "test". values,
epochs: {(across, down): number}; a value is None if the training failed, with any of its seeds.
pruned: the places where one was pruned. trained: the epochs of all trainings, if epochs are the
means over seeds.
"""
NOT_NORMALISED = "RRU-nonorm"  # the cell of the RRU's grids with normalize False
_PAPER_NAMES = "learning_rate", "number_of_parameters"
_PAPER_METRICS = {"Nottingham": "window_nll", "penn": "perplexity"}
_PAPER_FAILED = {"Nottingham": 9, "penn": 200}  # what is above counts as failed
_SAME = 0.05  # two points are the same if their settings differ by no more than this part


def two_settings(points):
    """The names of the two settings that vary in points, besides seed; None if not two do.

    If a sweep is over two settings, one may have a single value.
    """
    names = sorted(set().union(*points) - {"seed"})
    if len(names) > 2:
        names = [name for name in names if _varies(name, points)]
    return tuple(names) if len(names) == 2 else None


def _varies(name, points):
    return len({point[name] for point in points}) > 1


def grid_of_records(records, data_set, cell):
    """The Grid of a sweep on validation; the mean over seeds, if they vary.

    None if it is not over two settings, or has no value: each of its points failed with some seed.
    """
    names = two_settings([record["point"] for record in records])
    by_place, values, epochs, pruned = {}, {}, {}, set()
    for record in records if names else ():
        by_place.setdefault(tuple(record["point"][name] for name in names), []).append(record)
    for place, alike in by_place.items():
        failed = any(record["loss"] is None for record in alike)
        values[place] = None if failed else sum(record["value"] for record in alike) / len(alike)
        epochs[place] = round(sum(record.get("epochs", 0) for record in alike) / len(alike))
        if any(record.get("pruned") for record in alike):
            pruned.add(place)
    if not set(values.values()) - {None}:
        return None
    metric = next(record["metric"] for record in records if record["loss"] is not None)
    trained = sum(record.get("epochs", 0) for record in records)
    return Grid(data_set, cell, names, metric, "validation", values, epochs, pruned, trained)


def load_grid(folder):
    """The Grid of a sweep's folder.

    Raises UserError if it is no sweep over two settings, or is damaged.
    """
    with hint("give the folder of a sweep over two settings"):
        saved = load_settings(folder)
        settings = saved["settings"]
        records = load_records(folder)
        plain = settings["cell_hyperparameters"].get("normalize", True)
        cell = settings["cell_name"] if plain else NOT_NORMALISED
        data = data_label(title_of(saved), saved.get("data", {}).get("fraction", 1))
        grid = grid_of_records(records, data, cell)
        if grid is None:
            raise UserError("%s is not a sweep over two settings that has results" % folder)
    return grid


def load_paper_grids(path):
    """The authors' Grids, in the order of the file. Raises UserError."""
    grids = {}
    with reading(path), open(path, encoding="utf-8", newline="") as file:
        numbered = [(number, line) for number, line in enumerate(file, 1) if line[:1] != "#"]
        reader = csv.DictReader(line for _, line in numbered)
        for row in reader:
            try:
                _add_paper_row(grids, row)
            except Exception as error:  # a damaged line can raise nearly anything
                raise ValueError("line %d: %s" % (numbered[reader.line_num - 1][0], error))
    return list(grids.values())


def _add_paper_row(grids, row):
    """Add a line of the authors' values to `grids`. Raises various errors if it is not right."""
    data_set, key = row["data_set"], (row["data_set"], row["cell"])
    if data_set not in _PAPER_METRICS:
        raise ValueError("the data set is %r, but must be: one of %s" % (
            data_set, ", ".join(_PAPER_METRICS)))
    if key not in grids:
        grids[key] = Grid(*key, _PAPER_NAMES, _PAPER_METRICS[data_set], "test", {}, {})
    place = float(row["learning_rate"]), round(1e6 * float(row["millions_of_parameters"]))
    value = float(row["test_metric"])
    grids[key].values[place] = None if value > _PAPER_FAILED[data_set] else value
    grids[key].epochs[place] = int(row["epochs"])


def grid_summary(grid):
    """The summary of a grid's values, see sweeps/summary.py."""
    sign = 1 if lower_is_better(grid.metric) else -1
    losses = [None if value is None else sign * value for value in grid.values.values()]
    epochs = list(grid.epochs.values()) if grid.trained is None else [grid.trained]
    return summary(losses, epochs, sign == 1)


def differences(own, others):
    """[(across, down, value, the other's)] of the points that `own` shares with other grids."""
    found = []
    alike = [other for other in others if (other.data_set, other.cell, other.names) == (
        own.data_set, own.cell, own.names)]
    for other in alike:
        for place, value in own.values.items():
            found += [place + (value, theirs) for there, theirs in other.values.items()
                      if _same(place, there)]
    return sorted(found, key=lambda row: row[:2])


def _same(one, other):
    return all(abs(a - b) <= _SAME * abs(b) for a, b in zip(one, other))
