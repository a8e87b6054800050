"""The Mogrifier LSTM (Melis et al. 2020): input and state gate each other in turn before an LSTM step."""

import collections

import numpy as np
import sonnet as snt
import tensorflow.compat.v1 as tf

from cells.common import LSTMState, masked, own_mask

GATES = "jofi"  # the order of the kernel's columns


def gating(w, number, source):
    """2 sigmoid(source A B + b) of one round [B, size of what is gated]; without B, A is one full matrix."""
    product = tf.matmul(source, w["A_%d" % number])
    if "B_%d" % number in w:
        product = tf.matmul(product, w["B_%d" % number])
    return 2 * tf.sigmoid(product + w["b_%d" % number])


def mogrify(w, rounds, x, h):
    """x and h after all rounds: the even ones gate x by h, the odd ones h by x."""
    for number in range(rounds):
        if number % 2 == 0:
            x = x * gating(w, number, h)
        else:
            h = h * gating(w, number, x)
    return x, h


def next_state(w, pre_activations, c, mask):
    """(c', h') [B, N] from the pre-activations j, o, f, i [B, 4 N] (without their biases)."""
    j, o, f, i = [values + w["b_" + gate] for values, gate in zip(tf.split(pre_activations, 4, axis=1), GATES)]
    forget = tf.sigmoid(f)
    c = forget * c + tf.minimum(1 - forget, tf.sigmoid(i)) * masked(tf.tanh(j), mask)
    return LSTMState(c, tf.sigmoid(o) * tf.tanh(c))


def step(w, rounds, x, state, mask):
    """One step of the Mogrifier LSTM: (c', h') from input x [B, D] and state (c, h)."""
    x, h = mogrify(w, rounds, x, state.h)
    return next_state(w, tf.matmul(tf.concat([x, h], axis=1), w["W"]), state.c, mask)


def sonnet_variable(name, shape, initializer, dtype):
    """The variable of a new Sonnet module: a Linear's matrix or an AddBias's vector.

    A module makes its variable when first connected, so it is connected to zeros here; nothing reads the result.
    """
    if len(shape) == 2:
        module = snt.Linear(shape[1], use_bias=False, initializers={"w": initializer}, name=name)
        module(tf.zeros([1, shape[0]], dtype))
        return module.w
    module = snt.AddBias(initializers={"b": initializer}, name=name)
    module(tf.zeros((1,) + shape, dtype))
    return module.b


class MogrifierLSTMCell(object):
    """State LSTMState(c, h), output h, all [B, num_units]; `dropout`: a probability, number or scalar tensor.

    `feature_mask_rounds` rounds of gating through matrices of rank `feature_mask_rank` (0: full matrices).
    """

    def __init__(self, num_units, feature_mask_rounds=5, feature_mask_rank=40, dropout=0.0, name="mogrifier_lstm"):
        self.state_size = LSTMState(num_units, num_units)
        self.output_size = num_units
        self.feature_mask_rounds = feature_mask_rounds
        self.feature_mask_rank = feature_mask_rank
        self.dropout = dropout
        self.name = name
        self.weights = None

    def mask_size(self, input_depth):
        """Features of the dropout mask: one for each unit."""
        return self.output_size

    def weight_shapes(self, input_depth):
        """Name -> shape of every variable for inputs of depth D; needs no TensorFlow graph."""
        units, rank = self.output_size, self.feature_mask_rank
        shapes = collections.OrderedDict()
        for number in range(self.feature_mask_rounds):
            source, gated = (units, input_depth) if number % 2 == 0 else (input_depth, units)
            shapes["A_%d" % number] = (source, rank or gated)
            if rank:
                shapes["B_%d" % number] = (rank, gated)
            shapes["b_%d" % number] = (gated,)
        shapes["W"] = (input_depth + units, 4 * units)
        for gate in GATES:
            shapes["b_" + gate] = (units,)
        return shapes

    def build(self, input_depth, dtype=tf.float32, scope=None):
        """Create the variables under `scope` or the cell's name, the first time it is called."""
        if self.weights is None:
            with tf.variable_scope(scope or self.name):
                self.weights = collections.OrderedDict(
                    (name, sonnet_variable(name, shape, self._initializer(name, shape, input_depth), dtype))
                    for name, shape in self.weight_shapes(input_depth).items())

    def _initializer(self, name, shape, input_depth):
        """How Melis et al. start each weight: truncated-normal matrices (cut at 2 stddev), zero biases."""
        if len(shape) == 1:
            return tf.zeros_initializer()
        if name == "W":
            return lambda shape, dtype, partition_info=None: tf.concat(
                [tf.random.truncated_normal([rows, shape[1]], 0.0, np.sqrt(1.3 / rows), dtype)
                 for rows in (input_depth, self.output_size)], axis=0)
        if self.feature_mask_rank == 0:
            return tf.glorot_uniform_initializer()
        round_input = self.output_size if int(name[2:]) % 2 == 0 else input_depth
        return tf.truncated_normal_initializer(stddev=(1 / (round_input * self.feature_mask_rank)) ** 0.25)

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
        state = step(self.weights, self.feature_mask_rounds, inputs, state, mask)
        return state.h, state
