"""The Mogrifier LSTM (Melis et al. 2020): input and state gate each other in turn before an LSTM step."""

import collections

import numpy as np
import tensorflow.compat.v1 as tf

from cells.common import LSTMState, masked, own_mask
from cells.loops import (at_ends, backward_loop, forward_loop, sigmoid_gradient, tanh_gradient, weight_gradient,
                         without_padding)

try:
    from sonnet import AddBias, Linear
except ImportError:  # Sonnet 1 needs tf.contrib, which TensorFlow 2.x lacks; Sonnet 2 has no AddBias
    AddBias = Linear = None

GATES = "jofi"  # the order of the kernel's columns


def mogrify(w, rounds, x, h):
    """x and h after all rounds: the even ones gate x by h, the odd ones h by x, with 2 sigmoid(source A B + b).

    Returns (x, h, each round's source A, each round's gate); with rank 0 there is no B, and A is one full matrix.
    """
    reduced, gates = [], []
    for number in range(rounds):
        reduced.append(tf.matmul(x if number % 2 else h, w["A_%d" % number]))
        product = tf.matmul(reduced[-1], w["B_%d" % number]) if "B_%d" % number in w else reduced[-1]
        gates.append(2 * tf.sigmoid(product + w["b_%d" % number]))
        x, h = (x, h * gates[-1]) if number % 2 else (x * gates[-1], h)
    return x, h, reduced, gates


def lstm_gates(w, x, h):
    """tanh(j), sigmoid(o), sigmoid(f), sigmoid(i) [B, N] from the gated x and h."""
    j, o, f, i = tf.split(tf.matmul(tf.concat([x, h], axis=1), w["W"]), 4, axis=1)
    return tf.tanh(j + w["b_j"]), tf.sigmoid(o + w["b_o"]), tf.sigmoid(f + w["b_f"]), tf.sigmoid(i + w["b_i"])


def next_c(j, f, i, c, mask):
    """c' [B, N]: at most what is forgotten can be written."""
    return f * c + tf.minimum(1 - f, i) * masked(j, mask)


def step(w, rounds, x, state, mask):
    """One step of the Mogrifier LSTM: (c', h') from input x [B, D] and state (c, h)."""
    x, h, _, _ = mogrify(w, rounds, x, state.h)
    j, o, f, i = lstm_gates(w, x, h)
    c = next_c(j, f, i, state.c, mask)
    return LSTMState(c, o * tf.tanh(c))


def inputs_of_rounds(x, h, gates):
    """For each round (its source, what it gates), and the gated (x, h), from the first x and h and all gates."""
    pairs = []
    for number, gate in enumerate(gates):
        pairs.append((x, h) if number % 2 else (h, x))
        x, h = (x, h * gate) if number % 2 else (x * gate, h)
    return pairs, (x, h)


def lstm_backward(j, o, f, i, c, tanh_c, mask, dc, dh):
    """Gradients (of the pre-activations j, o, f, i [B, 4 N], of the last c) from those of c' and h'."""
    dc += tanh_gradient(dh * o, tanh_c)
    d_written = dc * masked(j, mask)
    di = tf.where(i < 1 - f, d_written, tf.zeros_like(i))
    dj = tanh_gradient(masked(dc * tf.minimum(1 - f, i), mask), j)
    return tf.concat([dj, sigmoid_gradient(dh * tanh_c, o), sigmoid_gradient(dc * c - (d_written - di), f),
                      sigmoid_gradient(di, i)], axis=1), f * dc


def fast_steps(mask, lengths, rounds, names, x, c, h, *weights):
    """All steps over x [T, B, D]; `names` are those of the weights.

    Nothing of a step can be done before the loop, since the first round already gates the input by the state; what
    is gained is a short backward step and one matmul for each weight's gradient.
    Returns (h after each step [T, B, N], c and h at the end of each sequence [B, N]) and the function of their
    gradients (for tf.custom_gradient).
    """
    w = dict(zip(names, weights))
    depth, units = x.shape.as_list()[-1], h.shape.as_list()[-1]
    gated_sizes = [units if number % 2 else depth for number in range(rounds)]
    reduced_sizes = [w["A_%d" % number].shape.as_list()[1] for number in range(rounds)]

    def forward_step(slices, states):
        (x, mask), (c, h) = slices, states
        x, h, reduced, gates = mogrify(w, rounds, x, h)
        j, o, f, i = lstm_gates(w, x, h)
        c = next_c(j, f, i, c, mask)
        tanh_c = tf.tanh(c)
        return [c, o * tanh_c], [j, o, f, i, tanh_c] + reduced + gates

    (c, h), emitted = forward_loop(forward_step, [c, h], [x, mask], [units] * 5 + reduced_sizes + gated_sizes)

    def gradient(grad_h, grad_c_end, grad_h_end):
        back = {name: tf.transpose(w[name]) for name in names if name[0] in "ABW"}

        def backward_step(slices, gradients):
            (x, c, h, mask, j, o, f, i, tanh_c, *gates), (dc, dh) = slices, gradients
            d_lstm, dc = lstm_backward(j, o, f, i, c, tanh_c, mask, dc, dh)
            dx, dh = tf.split(tf.matmul(d_lstm, back["W"]), [depth, units], axis=1)
            d_rounds = []
            pairs, _ = inputs_of_rounds(x, h, gates)
            for number, (_, gated) in reversed(list(enumerate(pairs))):
                d_gated, d_source = (dh, dx) if number % 2 else (dx, dh)
                d_product = d_gated * gated * gates[number] * (1 - gates[number] / 2)
                d_reduced = tf.matmul(d_product, back["B_%d" % number]) if "B_%d" % number in w else d_product
                d_source += tf.matmul(d_reduced, back["A_%d" % number])
                d_gated *= gates[number]
                dx, dh = (d_source, d_gated) if number % 2 else (d_gated, d_source)
                d_rounds = [d_product, d_reduced] + d_rounds
            return [dc, dh], [d_lstm, dx] + d_rounds

        reduced, gates = emitted[5:5 + rounds], emitted[5 + rounds:]
        sequences = [x, c[:-1], h[:-1], mask] + emitted[:5] + gates
        sizes = [size for pair in zip(gated_sizes, reduced_sizes) for size in pair]
        first, (d_lstm, dx, *d_rounds) = backward_loop(backward_step, [None, grad_h], [grad_c_end, grad_h_end],
                                                       lengths, sequences, [4 * units, depth] + sizes)
        pairs, gated = inputs_of_rounds(x, h[:-1], gates)
        grads = {"W": weight_gradient(tf.concat(gated, axis=2), d_lstm)}
        grads.update(zip(["b_" + gate for gate in GATES], tf.split(tf.reduce_sum(d_lstm, [0, 1]), 4)))
        for number, (source, _) in enumerate(pairs):
            d_product, d_reduced = d_rounds[2 * number:2 * number + 2]
            grads["A_%d" % number] = weight_gradient(source, d_reduced)
            grads["B_%d" % number] = weight_gradient(reduced[number], d_product)
            grads["b_%d" % number] = tf.reduce_sum(d_product, [0, 1])
        return [dx] + first + [grads[name] for name in names]

    return (h[1:], at_ends(c, lengths), at_ends(h, lengths)), gradient


def sonnet_variable(name, shape, initializer, dtype):
    """The variable of a new Sonnet module: a Linear's matrix or an AddBias's vector.

    A module makes its variable when first connected, so it is connected to zeros here; nothing reads the result.
    Without Sonnet 1 it is a variable of the same name, shape and initial distribution.
    """
    if Linear is None:
        with tf.variable_scope(name):
            return tf.get_variable("w" if len(shape) == 2 else "b", shape, dtype, initializer)
    if len(shape) == 2:
        module = Linear(shape[1], use_bias=False, initializers={"w": initializer}, name=name)
        module(tf.zeros([1, shape[0]], dtype))
        return module.w
    module = AddBias(initializers={"b": initializer}, name=name)
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
        mask = own_mask(self, inputs) if mask is None else mask
        state = step(self.weights, self.feature_mask_rounds, inputs, state, mask)
        return state.h, state

    def sequence(self, inputs, state, mask=None, lengths=None):
        """All steps over inputs [T, B, D] at once: (outputs [T, B, N], state at the end of each sequence).

        The same as calling the cell T times, but faster. mask: [T, B, N] or None; lengths: [B] or None (all T).
        """
        self.build(inputs.shape.as_list()[-1], inputs.dtype)
        mask = own_mask(self, inputs) if mask is None else mask
        names = list(self.weights)
        h, *end = tf.custom_gradient(
            lambda *tensors: fast_steps(mask, lengths, self.feature_mask_rounds, names, *tensors))(
                inputs, state.c, state.h, *[tf.identity(self.weights[name]) for name in names])
        return without_padding(h, lengths), LSTMState(*end)
