"""What all cells share: their variables, their dropout masks, the LSTMs' state."""

import collections

import tensorflow.compat.v1 as tf

LSTMState = collections.namedtuple("LSTMState", ["c", "h"])


def make_variables(scope, shapes, dtype, initializers=None):
    """Create a variable for each entry of `shapes` (name -> tuple) under `scope`; returns an OrderedDict.

    Matrices start Glorot-uniform over the whole matrix, vectors zero, unless `initializers` names something else.
    """
    initializers = initializers or {}
    usual = {1: tf.zeros_initializer(), 2: tf.glorot_uniform_initializer()}
    with tf.variable_scope(scope):
        return collections.OrderedDict(
            (name, tf.get_variable(name, shape, dtype, initializers.get(name, usual[len(shape)])))
            for name, shape in shapes.items())


def dropout_mask(uniform, rate):
    """Turn uniform numbers in [0, 1) into a dropout mask: 0 with probability `rate`, else 1 / (1 - rate)."""
    rate = tf.cast(rate, uniform.dtype)
    return tf.cast(uniform >= rate, uniform.dtype) * (1 / (1 - rate))


def no_dropout(rate):
    """True where `rate` is the Python number 0: then no dropout operation is put into the graph at all."""
    return not tf.is_tensor(rate) and rate == 0


def mask_shape(cell, inputs, depth):
    """Shape tensor of the dropout mask [.., K] that a cell with an input depth takes beside inputs [.., D]."""
    return tf.concat([tf.shape(inputs)[:-1], [cell.mask_size(depth)]], axis=0)


def own_mask(cell, inputs):
    """The mask that a cell draws itself, from cell.dropout, when it is given none; None without dropout."""
    if no_dropout(cell.dropout):
        return None
    shape = mask_shape(cell, inputs, inputs.shape.as_list()[-1])
    return dropout_mask(tf.random.uniform(shape, dtype=inputs.dtype), cell.dropout)


def masked(values, mask):
    """`values` * `mask`; a mask of None means no dropout."""
    return values if mask is None else values * mask
