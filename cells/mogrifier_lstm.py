"""The Mogrifier LSTM (Melis et al. 2020): input and state gate each other in turn before an LSTM step."""

import numpy as np
import tensorflow.compat.v1 as tf

from cells.common import Cell, LSTMState, masked
from cells.fast.loops import at_ends, backward_loop, forward_loop, sigmoid_gradient, tanh_gradient, weight_gradient

try:
    from sonnet import AddBias, Linear
except ImportError:  # Sonnet 1 needs tf.contrib, which TensorFlow 2.x lacks; Sonnet 2 has no AddBias
    AddBias = Linear = None

GATES = "jofi"  # the order of the kernel's columns


def mogrify(w, rounds, x, h):
    """x and h after all rounds: the even ones gate x by h, the odd ones h by x, with 2 sigmoid(source A B + b).

    Round `number` is Melis et al.'s i = number + 1, and A B its factored Q^i (which gates x) or R^i (h). Returns (x, h,
    each round's source A, each round's gate); with rank 0 there is no B, and A is one full matrix.
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


class MogrifierLSTMCell(Cell):
    """State LSTMState(c, h), output h, all [B, num_units]; `dropout`: a probability, number or scalar tensor.

    `feature_mask_rounds` rounds of gating through matrices of rank `feature_mask_rank` (0: full matrices).
    """

    name = "mogrifier_lstm"

    def __init__(self, num_units, feature_mask_rounds=5, feature_mask_rank=40, dropout=0.0):
        super().__init__(LSTMState(num_units, num_units), num_units, dropout)
        self.feature_mask_rounds = feature_mask_rounds
        self.feature_mask_rank = feature_mask_rank

    def weight_shapes(self, input_depth):
        """Name -> shape of every variable for inputs of depth D."""
        units, rank = self.output_size, self.feature_mask_rank
        shapes = {}
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

    def initializer(self, name, shape, input_depth):
        """How a variable starts: W, and A and B of low rank, truncated-normal (cut at 2 stddev) as in Melis et al."""
        if name == "W":
            return lambda shape, dtype, partition_info=None: tf.concat(
                [tf.random.truncated_normal([rows, shape[1]], 0.0, np.sqrt(1.3 / rows), dtype)
                 for rows in (input_depth, self.output_size)], axis=0)
        if name[0] in "AB" and self.feature_mask_rank:
            fan_in = self.output_size if int(name[2:]) % 2 == 0 else input_depth  # rows of A, for A and B alike
            return tf.truncated_normal_initializer(stddev=(1 / (fan_in * self.feature_mask_rank)) ** 0.25)
        return super().initializer(name, shape, input_depth)

    def variable(self, name, shape, dtype, initializer):
        """The variable of a new Sonnet module: a Linear's matrix or an AddBias's vector.

        A module makes its variable when first connected, so it is connected to zeros here; nothing reads the result.
        Without Sonnet 1 it is a variable of the same name, shape and initial distribution.
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

    def step(self, x, state, mask):
        """One step: (h', (c', h')) from input x [B, D] and state (c, h)."""
        x, h, _, _ = mogrify(self.weights, self.feature_mask_rounds, x, state.h)
        j, o, f, i = lstm_gates(self.weights, x, h)
        c = next_c(j, f, i, state.c, mask)
        h = o * tf.tanh(c)
        return h, LSTMState(c, h)

    def all_steps(self, x, state, mask, lengths):
        """All steps over x [T, B, D] from the state (c, h)."""
        names = list(self.weights)
        h, *end = tf.custom_gradient(
            lambda *tensors: fast_steps(mask, lengths, self.feature_mask_rounds, names, *tensors))(
                x, state.c, state.h, *[tf.identity(self.weights[name]) for name in names])
        return h, LSTMState(*end)
