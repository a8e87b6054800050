"""The cells that several tests go through, with NumPy counterparts and random values for them."""

import functools

import tensorflow.compat.v1 as tf

import numpy_cells
from cells.gru import GRUCell
from cells.lstm import LSTMCell
from cells.mogrifier_lstm import MogrifierLSTMCell
from cells.rru import RRUCell

NOT_NORMALISED = functools.partial(numpy_cells.rru, normalize=False)

# name -> (a function that makes the cell, its NumPy counterpart)
CASES = {
    "rru": (lambda: RRUCell(5, 3), numpy_cells.rru),
    "rru, m 0.7, 2 layers": (lambda: RRUCell(4, 1, 2, 0.7), numpy_cells.rru),
    "rru, m 1.4, 3 layers": (lambda: RRUCell(3, 6, 3, 1.4), numpy_cells.rru),
    "rru, not normalised": (lambda: RRUCell(4, 2, normalize=False), NOT_NORMALISED),
    "rru, not normalised, 3 layers": (lambda: RRUCell(3, 2, 3, normalize=False), NOT_NORMALISED),
    "gru": (lambda: GRUCell(5), numpy_cells.gru),
    "gru, 1 unit": (lambda: GRUCell(1), numpy_cells.gru),
    "lstm": (lambda: LSTMCell(5), numpy_cells.lstm),
    "lstm, bias -2": (lambda: LSTMCell(3, -2.0),
                      functools.partial(numpy_cells.lstm, forget_bias=-2.0)),
    "mogrifier": (lambda: MogrifierLSTMCell(5, 5, 2), numpy_cells.mogrifier_lstm),
    "mogrifier, 1 round": (lambda: MogrifierLSTMCell(3, 1, 2), numpy_cells.mogrifier_lstm),
    "mogrifier, 2 rounds": (lambda: MogrifierLSTMCell(5, 2, 2), numpy_cells.mogrifier_lstm),
    "mogrifier, 6 rounds": (lambda: MogrifierLSTMCell(3, 6, 4), numpy_cells.mogrifier_lstm),
    "mogrifier, rank 0": (lambda: MogrifierLSTMCell(4, 5, 0), numpy_cells.mogrifier_lstm),
    "mogrifier, no rounds": (lambda: MogrifierLSTMCell(4, 0, 2), numpy_cells.mogrifier_lstm),
}


def flat_state(state):
    """A cell's state as a list of tensors."""
    return tf.nest.flatten(state)


def state_like(cell, tensors):
    """The reverse of flat_state."""
    return tf.nest.pack_sequence_as(cell.state_size, tensors)


def random_weights(cell, depth, rng, scale=0.6):
    """Values for all of a cell's weights, none of them special."""
    return {name: rng.normal(0.0, scale, shape)
            for name, shape in cell.weight_shapes(depth).items()}


def random_states(cell, batch, rng):
    """Values for a cell's first state, as a list."""
    return [rng.normal(size=(batch, units)) for units in tf.nest.flatten(cell.state_size)]


def random_mask(cell, time, batch, depth, rng, rate=0.4):
    """A dropout mask [T, B, K]."""
    return (rng.uniform(size=(time, batch, cell.mask_size(depth))) >= rate) / (1 - rate)


def load(cell, values, session):
    """Put `values` into the variables of a built cell."""
    for name, variable in cell.weights.items():
        variable.load(values[name], session)
