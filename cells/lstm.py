"""Long Short-Term Memory (Hochreiter and Schmidhuber 1997); dropout on the candidate (Semeniuta et al. 2016)."""

import numpy as np
import tensorflow.compat.v1 as tf

from cells.common import Cell, LSTMState, masked
from cells.fast.loops import (at_ends, backward_loop, forward_loop, matmul_steps, sigmoid_gradient, tanh_gradient,
                         weight_gradient)


def ifoj(weight):
    """A matrix or bias whose columns i, j, f, o are put in the order i, f, o, j, as fast_steps has them."""
    i, j, f, o = tf.split(weight, 4, axis=-1)
    return tf.concat([i, f, o, j], axis=-1)


def fast_steps(mask, lengths, x, c, h, w_h):
    """All steps of the LSTM, from the inputs' share x [T, B, 4 N] of its pre-activations, biases included.

    The columns of x and w_h are those of i, f, o and j, in this order: the three sigmoids are then one operation.
    Returns (h after each step [T, B, N], c and h at the end of each sequence [B, N]) and the function of their
    gradients (for tf.custom_gradient).
    """
    units = w_h.shape.as_list()[0]

    def forward_step(slices, states):
        (x, mask), (c, h) = slices, states
        ifo, j = tf.split(x + tf.matmul(h, w_h), [3 * units, units], axis=1)
        ifo, j = tf.sigmoid(ifo), tf.tanh(j)
        i, f, o = tf.split(ifo, 3, axis=1)
        c = f * c + i * masked(j, mask)
        return [c, o * tf.tanh(c)], [ifo, j]

    (c, h), (ifo, j) = forward_loop(forward_step, [c, h], [x, mask], [3 * units, units])

    def gradient(grad_h, grad_c_end, grad_h_end):
        from_x = tf.transpose(w_h)  # once: transposing matmuls are far slower

        def backward_step(slices, gradients):
            (c, c_after, ifo, j, mask), (dc, dh) = slices, gradients
            i, f, o = tf.split(ifo, 3, axis=1)
            tanh_c = tf.tanh(c_after)  # cheaper than to keep it
            dc += tanh_gradient(dh * o, tanh_c)
            d_ifo = sigmoid_gradient(tf.concat([dc * masked(j, mask), dc * c, dh * tanh_c], axis=1), ifo)
            dx = tf.concat([d_ifo, tanh_gradient(masked(dc * i, mask), j)], axis=1)
            return [f * dc, tf.matmul(dx, from_x)], [dx]

        first, (dx,) = backward_loop(backward_step, [None, grad_h], [grad_c_end, grad_h_end], lengths,
                                     [c[:-1], c[1:], ifo, j, mask], [4 * units])
        return [dx] + first + [weight_gradient(h[:-1], dx)]

    return (h[1:], at_ends(c, lengths), at_ends(h, lengths)), gradient


class LSTMCell(Cell):
    """State LSTMState(c, h), output h, all [B, num_units]; `dropout`: a probability, number or scalar tensor."""

    name = "lstm"

    def __init__(self, num_units, forget_bias=1.0, dropout=0.0):
        super().__init__(LSTMState(num_units, num_units), num_units, dropout)
        self.forget_bias = forget_bias

    def weight_shapes(self, input_depth):
        """Name -> shape of every variable for inputs of depth D."""
        units = self.output_size
        return {"W": (input_depth + units, 4 * units), "b": (4 * units,)}

    def step(self, x, state, mask):
        """One step: (h', (c', h')) from input x [B, D] and state (c, h)."""
        w = self.weights
        i, j, f, o = tf.split(tf.matmul(tf.concat([x, state.h], axis=1), w["W"]) + w["b"], 4, axis=1)
        c = tf.sigmoid(f + self.forget_bias) * state.c + tf.sigmoid(i) * masked(tf.tanh(j), mask)
        h = tf.sigmoid(o) * tf.tanh(c)
        return h, LSTMState(c, h)

    def all_steps(self, x, state, mask, lengths):
        """All steps over x [T, B, D] from the state (c, h)."""
        rows = [x.shape.as_list()[-1], self.output_size]
        bias = self.weights["b"] + self.forget_bias * np.repeat([0, 0, 1, 0], self.output_size)
        w_x, w_h, bias = [ifoj(weight) for weight in tf.split(self.weights["W"], rows) + [bias]]
        h, *end = tf.custom_gradient(lambda *tensors: fast_steps(mask, lengths, *tensors))(
            matmul_steps(x, w_x, bias), state.c, state.h, w_h)
        return h, LSTMState(*end)
