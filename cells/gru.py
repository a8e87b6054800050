"""Gated Recurrent Unit (Cho et al. 2014); dropout on the candidate (Semeniuta et al. 2016)."""

import tensorflow.compat.v1 as tf

from cells.common import Cell, masked


class GRUCell(Cell):
    """State and output h [B, num_units]. dropout: drop probability, number or scalar tensor."""

    name = "gru"
    fast_path = "cells.fast.gru"

    def __init__(self, num_units, dropout=0.0):
        super().__init__(num_units, num_units, dropout)

    def weight_shapes(self, input_depth):
        """Name -> shape of every variable for inputs of depth D."""
        units = self.state_size
        return {"W_g": (input_depth + units, 2 * units), "b_g": (2 * units,),
                "W_c": (input_depth + units, units), "b_c": (units,)}

    def initializer(self, name, input_depth):
        """Initializer of a variable; the gates' biases start at 1."""
        return tf.ones_initializer() if name == "b_g" else super().initializer(name, input_depth)

    def step(self, x, h, mask):
        """Make one step: (h', h') from the input x [B, D] and the state h [B, N]."""
        w = self.weights
        gates = tf.sigmoid(tf.matmul(tf.concat([x, h], axis=1), w["W_g"]) + w["b_g"])
        r, u = tf.split(gates, 2, axis=1)  # the reset gate and the update gate
        c = tf.tanh(tf.matmul(tf.concat([x, r * h], axis=1), w["W_c"]) + w["b_c"])
        h = u * h + (1 - u) * masked(c, mask)
        return h, h
