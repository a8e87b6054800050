"""Long Short-Term Memory (Hochreiter and Schmidhuber 1997); dropout on the candidate (Semeniuta et al. 2016)."""

import collections

import numpy as np
import tensorflow.compat.v1 as tf

from cells.common import LSTMState, make_variables, masked, own_mask
from cells.loops import (at_ends, backward_loop, forward_loop, matmul_steps, sigmoid_gradient, tanh_gradient,
                         weight_gradient, without_padding)


def step(w, forget_bias, x, state, mask):
    """One step of the LSTM: (c', h') from input x [B, D] and state (c, h)."""
    i, j, f, o = tf.split(tf.matmul(tf.concat([x, state.h], axis=1), w["W"]) + w["b"], 4, axis=1)
    c = tf.sigmoid(f + forget_bias) * state.c + tf.sigmoid(i) * masked(tf.tanh(j), mask)
    return LSTMState(c, tf.sigmoid(o) * tf.tanh(c))


def ifoj(weight):
    """The columns of a matrix or bias, which are in the order i, j, f, o, in that of fast_steps."""
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
        mask = own_mask(self, inputs) if mask is None else mask
        state = step(self.weights, self.forget_bias, inputs, state, mask)
        return state.h, state

    def sequence(self, inputs, state, mask=None, lengths=None):
        """All steps over inputs [T, B, D] at once: (outputs [T, B, N], state at the end of each sequence).

        The same as calling the cell T times, but faster. mask: [T, B, N] or None; lengths: [B] or None (all T).
        """
        depth = inputs.shape.as_list()[-1]
        self.build(depth, inputs.dtype)
        mask = own_mask(self, inputs) if mask is None else mask
        bias = self.weights["b"] + self.forget_bias * np.repeat([0, 0, 1, 0], self.output_size)
        w_x, w_h, bias = [ifoj(weight) for weight in tf.split(self.weights["W"], [depth, self.output_size]) + [bias]]
        h, *end = tf.custom_gradient(lambda *tensors: fast_steps(mask, lengths, *tensors))(
            matmul_steps(inputs, w_x, bias), state.c, state.h, w_h)
        return without_padding(h, lengths), LSTMState(*end)
