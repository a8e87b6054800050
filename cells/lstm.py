"""Long Short-Term Memory (Hochreiter and Schmidhuber 1997).

The dropout sits on the candidate (Semeniuta et al. 2016).
"""

import tensorflow.compat.v1 as tf

from cells.common import Cell, LSTMState, masked


class LSTMCell(Cell):
    """State LSTMState(c, h), output h, all [B, num_units].

    forget_bias: added to the forget gate before the sigmoid. dropout: drop probability, number or
    scalar tensor.
    """

    name = "lstm"
    fast_path = "cells.fast.lstm"

    def __init__(self, num_units, forget_bias=1.0, dropout=0.0):
        super().__init__(LSTMState(num_units, num_units), num_units, dropout)
        self.forget_bias = forget_bias

    def weight_shapes(self, input_depth):
        """Name -> shape of every variable for inputs of depth D."""
        units = self.output_size
        return {"W": (input_depth + units, 4 * units), "b": (4 * units,)}

    def step(self, x, state, mask):
        """Make one step: (h', (c', h')) from the input x [B, D] and the state (c, h)."""
        w, (c, h) = self.weights, state
        gates = tf.matmul(tf.concat([x, h], axis=1), w["W"]) + w["b"]
        i, j, f, o = tf.split(gates, 4, axis=1)  # input gate, candidate, forget gate, output gate
        c = tf.sigmoid(f + self.forget_bias) * c + tf.sigmoid(i) * masked(tf.tanh(j), mask)
        h = tf.sigmoid(o) * tf.tanh(c)
        return h, LSTMState(c, h)
