"""Heat maps of grids: a coloured field for each combination of two settings, its value in it."""

import numpy as np
from matplotlib import colors

from files.units import lower_is_better, unit
from reports.pictures import pyplot

_FAILED = "0.85"


def limits(grids, attribute="values"):
    """The smallest and the largest number of grids, which share one scale of colours."""
    numbers = []
    for grid in grids:
        numbers += filter(lambda number: number is not None, _shown(grid, attribute).values())
    low, high = min(numbers, default=0), max(numbers, default=0)
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def draw(axes, grid, bounds, attribute="values"):
    """Draw a grid into `axes`; returns what a colour bar needs.

    Failed trainings are marked; the numbers of pruned ones are in brackets.

    bounds: the ends of the scale of colours. attribute: of the grid, "values" or "epochs".
    """
    numbers = _shown(grid, attribute)
    columns, rows = (sorted(set(values)) for values in zip(*numbers))
    field = np.full((len(rows), len(columns)), np.nan)
    for (across, down), number in numbers.items():
        if number is not None:
            field[rows.index(down), columns.index(across)] = number
    reverse = attribute == "values" and not lower_is_better(grid.metric)
    colour_map = pyplot.get_cmap("viridis" if reverse else "viridis_r")
    scale = colors.Normalize(*bounds)
    axes.set_facecolor(_FAILED)
    image = axes.imshow(field, cmap=colour_map, norm=scale, origin="lower", aspect="auto")
    digits = 0 if attribute == "epochs" else _digits(bounds)
    for place, number in numbers.items():
        if number is None:
            text, size, colour = "failed", 6, "black"
        else:
            text, size = "%.*f" % (digits, number), 7
            colour = _readable(colour_map(scale(number)))
            if place in grid.pruned:
                text = "(%s)" % text
        axes.text(columns.index(place[0]), rows.index(place[1]), text,
                  ha="center", va="center", fontsize=size, color=colour)
    across, down = grid.names
    if grid.pruned:
        across += "\n(in brackets: pruned)"
    for axis, values, name in ((axes.xaxis, columns, across), (axes.yaxis, rows, down)):
        axis.set_ticks(range(len(values)))
        axis.set_ticklabels([short(value) for value in values], fontsize=8)
        axis.set_label_text(name, fontsize=8)
    axes.tick_params(axis="x", rotation=45)
    return image


def label(grid, attribute):
    """The label of the scale of colours."""
    if attribute == "epochs":
        return "epochs"  # of the authors' grids nobody wrote down whether until the end or the best
    better = "lower" if lower_is_better(grid.metric) else "higher"
    return "%s %s\n(%s is better)" % (grid.part, unit(grid.metric).label, better)


def _shown(grid, attribute):
    """The numbers as they are shown: accuracies in percent, no epochs of what failed."""
    if attribute == "epochs":
        return {place: None if grid.values[place] is None else epochs
                for place, epochs in grid.epochs.items()}
    factor = unit(grid.metric).factor
    return {place: None if value is None else factor * value
            for place, value in grid.values.items()}


def _digits(bounds):
    """Digits after the point that tell the values apart."""
    return 1 if max(map(abs, bounds)) >= 100 else 2 if max(map(abs, bounds)) >= 10 else 3


def _readable(colour):
    red, green, blue = colour[:3]
    return "black" if 0.3 * red + 0.6 * green + 0.1 * blue > 0.5 else "white"


def short(value):
    """A setting's value as a tick has it: 2600000 is 2.6 M."""
    if isinstance(value, (bool, str)):
        return str(value)
    for size, letter in ((1e6, " M"), (1e3, " K")):
        if abs(value) >= size:
            return "%.3g%s" % (value / size, letter)
    return "%.3g" % value
