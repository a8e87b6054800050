"""The Gated Recurrent Unit (Cho et al. 2014), with dropout on the candidate (Semeniuta et al. 2016)."""

import collections

import tensorflow.compat.v1 as tf

from cells.common import make_variables, masked, own_mask


def candidate(pre_activation, mask):
    """c = dropout(tanh(..))."""
    return masked(tf.tanh(pre_activation), mask)


def next_state(h, u, c):
    """h' = u * h + (1 - u) * c, from the update gate u and the candidate c."""
    return u * h + (1 - u) * c


def step(w, x, h, mask):
    """One step of the GRU: h' from input x [B, D] and state h [B, N]."""
    r, u = tf.split(tf.sigmoid(tf.matmul(tf.concat([x, h], axis=1), w["W_g"]) + w["b_g"]), 2, axis=1)
    c = candidate(tf.matmul(tf.concat([x, r * h], axis=1), w["W_c"]) + w["b_c"], mask)
    return next_state(h, u, c)


class GRUCell(object):
    """State and output [B, num_units]; `dropout`: a probability, number or scalar tensor."""

    def __init__(self, num_units, dropout=0.0, name="gru"):
        self.state_size = num_units
        self.output_size = num_units
        self.dropout = dropout
        self.name = name
        self.weights = None

    def mask_size(self, input_depth):
        """Features of the dropout mask: one for each unit."""
        return self.state_size

    def weight_shapes(self, input_depth):
        """Name -> shape of every variable for inputs of depth D; needs no TensorFlow graph."""
        units = self.state_size
        return collections.OrderedDict([
            ("W_g", (input_depth + units, 2 * units)), ("b_g", (2 * units,)),
            ("W_c", (input_depth + units, units)), ("b_c", (units,))])

    def build(self, input_depth, dtype=tf.float32, scope=None):
        """Create the variables under `scope` or the cell's name, the first time it is called; b_g starts at 1."""
        if self.weights is None:
            self.weights = make_variables(scope or self.name, self.weight_shapes(input_depth), dtype,
                                          {"b_g": tf.ones_initializer()})

    def zero_state(self, batch_size, dtype):
        """The first state [B, N]: zeros."""
        return tf.zeros([batch_size, self.state_size], dtype)

    def final_hidden(self, state):
        """What a classifier's head reads: the state itself [B, N]."""
        return state

    def __call__(self, inputs, state, scope=None, mask=None):
        """One step. `mask` [B, N] is already scaled (0 or 1 / keep); None: drawn from `self.dropout`."""
        self.build(inputs.shape.as_list()[-1], inputs.dtype, scope)
        if mask is None:
            mask = own_mask(self.dropout, tf.shape(state), inputs.dtype)
        h = step(self.weights, inputs, state, mask)
        return h, h
