"""The Residual Recurrent Unit: a recurrent cell without gates (arXiv 2108.00527, section 3).

This file and common.py work on their own, under tf.nn.dynamic_rnn or in a loop.
"""

import numpy as np
import tensorflow.compat.v1 as tf

from cells.common import Cell, masked

EPSILON = 1e-6  # keeps the normalisation finite if all features are zero


class RRUCell(Cell):
    """State h [B, N] with N = num_units; output o [B, O] with O = output_size.

        a   = [x, h] W_J + b_J
        j   = relu(a / sqrt(mean(a^2) + 1e-6))       mean over the features of one example
        j   = relu(j W_i + b_i)                      for i = 2 .. relu_layers
        d   = dropout(j)
        c,o = split(d W + b)
        h'  = sigmoid(10 s) * h + z * c              s, z: one number per unit

    sigmoid(10 s) is the fraction of the state that a unit keeps, drawn from U(0.01, 0.99) at first;
    z starts at 0, so that nothing is added to the state (ReZero, Bachlechner et al. 2020).

    relu_layers: the ReLU layers in the middle. middle_layer_size_multiplier: m, which gives them
    M = round(m (D + N)) features. dropout: drop probability, number or scalar tensor. normalize:
    False leaves out the normalisation before the first ReLU.
    """

    name = "rru"
    fast_path = "cells.fast.rru"

    def __init__(self, num_units, output_size, relu_layers=1, middle_layer_size_multiplier=2.0,
                 dropout=0.0, normalize=True):
        if relu_layers < 1:
            raise ValueError("relu_layers must be at least 1, not %s" % relu_layers)
        super().__init__(num_units, output_size, dropout)
        self.relu_layers = relu_layers
        self.middle_layer_size_multiplier = middle_layer_size_multiplier
        self.normalize = normalize

    def middle_size(self, input_depth):
        """M, the size of the middle layers, for inputs of depth D."""
        middle = round(self.middle_layer_size_multiplier * (input_depth + self.state_size))
        return max(int(middle), 1)

    def mask_size(self, input_depth):
        """Features K of the dropout mask: M, as the dropout sits on the last middle layer."""
        return self.middle_size(input_depth)

    def weight_shapes(self, input_depth):
        """Name -> shape of every variable for inputs of depth D."""
        units, middle = self.state_size, self.middle_size(input_depth)
        shapes = {"W_J": (input_depth + units, middle), "b_J": (middle,)}
        for i in range(2, self.relu_layers + 1):
            shapes["W_%d" % i] = (middle, middle)
            shapes["b_%d" % i] = (middle,)
        shapes["W"] = (middle, units + self.output_size)
        shapes["b"] = (units + self.output_size,)
        shapes["s"] = (units,)
        shapes["z"] = (units,)
        return shapes

    def step(self, x, h, mask):
        """Make one step: (o, h') from the input x [B, D] and the state h [B, N]."""
        w = self.weights
        a = tf.matmul(tf.concat([x, h], axis=1), w["W_J"]) + w["b_J"]
        j = tf.nn.relu(a * inverse_rms(a) if self.normalize else a)
        for i in range(2, self.relu_layers + 1):
            j = tf.nn.relu(tf.matmul(j, w["W_%d" % i]) + w["b_%d" % i])
        d = masked(j, mask)
        # the candidate for the state, and the output
        c, o = tf.split(tf.matmul(d, w["W"]) + w["b"], [self.state_size, self.output_size], axis=1)
        return o, tf.sigmoid(10.0 * w["s"]) * h + w["z"] * c

    def initializer(self, name, input_depth):
        """Initializer of a variable; of the vectors all but s start at 0."""
        return initial_s if name == "s" else super().initializer(name, input_depth)

    def zero_state(self, batch_size, dtype):
        """First state [B, N]: (sqrt(N) / 4, 0, 0, ..), as in the authors' code.

        Its root mean square is 1/4 whatever N is.
        """
        first = np.zeros([1, self.state_size])
        first[0, 0] = np.sqrt(self.state_size) / 4
        return tf.tile(tf.constant(first, dtype), [batch_size, 1])


def inverse_rms(a):
    """1 / sqrt(mean(a^2) + 1e-6) [B, 1] of a [B, M].

    a times it is RMSNorm (Zhang and Sennrich 2019) without gain.
    """
    return tf.math.rsqrt(tf.reduce_mean(tf.square(a), axis=-1, keepdims=True) + EPSILON)


def initial_s(shape, dtype=None, partition_info=None):
    """s = logit(U(0.01, 0.99)) / 10; the 10 of the equation makes s learn ten times as fast."""
    retained = tf.random.uniform(shape, 0.01, 0.99, dtype)
    return tf.log(retained / (1 - retained)) / 10
