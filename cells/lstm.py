"""Long Short-Term Memory (Hochreiter and Schmidhuber 1997); dropout on the candidate (Semeniuta et al. 2016)."""

import collections

import tensorflow.compat.v1 as tf

from cells.common import LSTMState, make_variables, masked, own_mask


def next_state(pre_activations, forget_bias, c, mask):
    """(c', h') [B, N] from the pre-activations i, j, f, o [B, 4 N]."""
    i, j, f, o = tf.split(pre_activations, 4, axis=1)
    c = tf.sigmoid(f + forget_bias) * c + tf.sigmoid(i) * masked(tf.tanh(j), mask)
    return LSTMState(c, tf.sigmoid(o) * tf.tanh(c))


def step(w, forget_bias, x, state, mask):
    """One step of the LSTM: (c', h') from input x [B, D] and state (c, h)."""
    pre_activations = tf.matmul(tf.concat([x, state.h], axis=1), w["W"]) + w["b"]
    return next_state(pre_activations, forget_bias, state.c, mask)


class LSTMCell(object):
    """State LSTMState(c, h), output h, all [B, num_units]; `dropout`: a probability, number or scalar tensor."""

    def __init__(self, num_units, forget_bias=1.0, dropout=0.0, name="lstm"):
        self.state_size = LSTMState(num_units, num_units)
        self.output_size = num_units
        self.forget_bias = forget_bias
        self.dropout = dropout
        self.name = name
        self.weights = None

    def mask_size(self, input_depth):
        """Features of the dropout mask: one for each unit."""
        return self.output_size

    def weight_shapes(self, input_depth):
        """Name -> shape of every variable for inputs of depth D; needs no TensorFlow graph."""
        units = self.output_size
        return collections.OrderedDict([("W", (input_depth + units, 4 * units)), ("b", (4 * units,))])

    def build(self, input_depth, dtype=tf.float32, scope=None):
        """Create the variables under `scope` or the cell's name, the first time it is called."""
        if self.weights is None:
            self.weights = make_variables(scope or self.name, self.weight_shapes(input_depth), dtype)

    def zero_state(self, batch_size, dtype):
        """The first state: zeros."""
        zeros = tf.zeros([batch_size, self.output_size], dtype)
        return LSTMState(zeros, zeros)

    def final_hidden(self, state):
        """What a classifier's head reads: h [B, N]."""
        return state.h

    def __call__(self, inputs, state, scope=None, mask=None):
        """One step. `mask` [B, N] is already scaled (0 or 1 / keep); None: drawn from `self.dropout`."""
        self.build(inputs.shape.as_list()[-1], inputs.dtype, scope)
        if mask is None:
            mask = own_mask(self.dropout, tf.shape(state.h), inputs.dtype)
        state = step(self.weights, self.forget_bias, inputs, state, mask)
        return state.h, state
