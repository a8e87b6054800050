"""Mogrifier LSTM (Melis et al. 2020): input and state gate each other before an LSTM step."""

import numpy as np
import tensorflow.compat.v1 as tf

from cells.common import Cell, LSTMState, masked

try:
    from sonnet import AddBias, Linear
except ImportError:  # Sonnet 1 needs tf.contrib of TensorFlow 1; Sonnet 2 has no AddBias
    AddBias = Linear = None


class MogrifierLSTMCell(Cell):
    """State LSTMState(c, h), output h, all [B, num_units].

    feature_mask_rounds: rounds of gating; round `i` here is Melis et al.'s i + 1. A_i B_i is their
    factored Q (even i, which gates x) or R (odd i, which gates h). feature_mask_rank: the columns
    of A_i; 0 leaves B_i out and makes A_i a full matrix. dropout: drop probability, number or
    scalar tensor.
    """

    name = "mogrifier_lstm"
    fast_path = "cells.fast.mogrifier_lstm"

    def __init__(self, num_units, feature_mask_rounds=5, feature_mask_rank=40, dropout=0.0):
        super().__init__(LSTMState(num_units, num_units), num_units, dropout)
        self.feature_mask_rounds = feature_mask_rounds
        self.feature_mask_rank = feature_mask_rank

    def weight_shapes(self, input_depth):
        """Name -> shape of every variable for inputs of depth D."""
        units, rank = self.output_size, self.feature_mask_rank
        shapes = {}
        for i in range(self.feature_mask_rounds):
            source, gated = (units, input_depth) if i % 2 == 0 else (input_depth, units)
            shapes["A_%d" % i] = (source, rank or gated)
            if rank:
                shapes["B_%d" % i] = (rank, gated)
            shapes["b_%d" % i] = (gated,)
        shapes["W"] = (input_depth + units, 4 * units)
        for gate in "jofi":  # the order of W's columns
            shapes["b_" + gate] = (units,)
        return shapes

    def step(self, x, state, mask):
        """Make one step: (h', (c', h')) from the input x [B, D] and the state (c, h)."""
        w, (c, h) = self.weights, state
        for i in range(self.feature_mask_rounds):
            if i % 2 == 0:
                x = x * round_gate(w, i, h)
            else:
                h = h * round_gate(w, i, x)
        gates = tf.matmul(tf.concat([x, h], axis=1), w["W"])
        j, o, f, i = tf.split(gates, 4, axis=1)  # candidate, output gate, forget gate, input gate
        j, o = tf.tanh(j + w["b_j"]), tf.sigmoid(o + w["b_o"])
        f, i = tf.sigmoid(f + w["b_f"]), tf.sigmoid(i + w["b_i"])
        c = f * c + tf.minimum(1 - f, i) * masked(j, mask)  # the input gate is capped at 1 - f
        h = o * tf.tanh(c)
        return h, LSTMState(c, h)

    def initializer(self, name, input_depth):
        """Initializer of a variable: as in Melis et al. for W, and for A and B of low rank.

        These are truncated-normal, cut at 2 standard deviations.
        """
        if name == "W":
            return lambda shape, dtype, partition_info=None: tf.concat(
                [tf.random.truncated_normal([rows, shape[1]], 0.0, np.sqrt(1.3 / rows), dtype)
                 for rows in (input_depth, self.output_size)], axis=0)
        if name[0] in "AB" and self.feature_mask_rank:
            fan_in = self.output_size if int(name[2:]) % 2 == 0 else input_depth  # rows of A
            stddev = (1 / (fan_in * self.feature_mask_rank)) ** 0.25
            return tf.truncated_normal_initializer(stddev=stddev)
        return super().initializer(name, input_depth)

    def variable(self, name, shape, dtype, initializer):
        """Create the variable of a new Sonnet module: a Linear's matrix or an AddBias's vector.

        A module makes its variable when it is first connected, so it is connected to zeros here;
        nothing reads the result. Without Sonnet 1 it is a variable of the same name, shape and
        initial distribution.
        """
        if Linear is None:
            with tf.variable_scope(name):
                return super().variable("w" if len(shape) == 2 else "b", shape, dtype, initializer)
        if len(shape) == 2:
            module = Linear(shape[1], use_bias=False, initializers={"w": initializer}, name=name)
            module(tf.zeros([1, shape[0]], dtype))
            return module.w
        module = AddBias(initializers={"b": initializer}, name=name)
        module(tf.zeros((1,) + shape, dtype))
        return module.b


def round_gate(w, i, source):
    """Gate of round i: 2 sigmoid(source A B + b)."""
    product = tf.matmul(source, w["A_%d" % i])
    if "B_%d" % i in w:
        product = tf.matmul(product, w["B_%d" % i])
    return 2 * tf.sigmoid(product + w["b_%d" % i])
