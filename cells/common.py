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


def own_mask(rate, shape, dtype):
    """The mask that a cell draws itself when it is given none; None without dropout."""
    return None if no_dropout(rate) else dropout_mask(tf.random.uniform(shape, dtype=dtype), rate)


def masked(values, mask):
    """`values` * `mask`; a mask of None means no dropout."""
    return values if mask is None else values * mask
