"""How many hidden units a model of a given number of parameters has."""

from cells import registry
from files.errors import TrainingFailed


def stack(settings, units, input_depth):
    """The cells of a model, bottom first; the lowest one reads inputs of depth `input_depth`.

    Raises UserError if a weight of theirs would have no elements.
    """
    cells = []
    for _ in range(settings.number_of_layers):
        cell = registry.make_cell(settings.cell_name, units, settings.cell_hyperparameters)
        for name, shape in cell.weight_shapes(input_depth).items():
            if 0 in shape:
                raise TrainingFailed("%s of the cell %s would be empty: %s, %d hidden units" % (
                    name, settings.cell_name, settings.cell_hyperparameters, units),
                    "give the cell larger values")
        cells.append(cell)
        input_depth = cell.output_size
    return cells


def count(shapes):
    """Number of elements in all of `shapes` (tuples of ints)."""
    total = 0
    for shape in shapes:
        elements = 1
        for size in shape:  # in Python's integers: NumPy's would overflow
            elements *= int(size)
        total += elements
    return total


def model_parameters(settings, units, input_depth, head_outputs, head_reads_state, embedding_rows):
    """Parameters of embedding, cells and head, with `units` hidden units in every layer."""
    cell = registry.make_cell(settings.cell_name, units, settings.cell_hyperparameters)
    lowest = count(cell.weight_shapes(input_depth).values())
    other = count(cell.weight_shapes(cell.output_size).values())
    cells = lowest + (settings.number_of_layers - 1) * other
    head_inputs = units if head_reads_state else cell.output_size
    return embedding_rows * input_depth + cells + (head_inputs + 1) * head_outputs


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
