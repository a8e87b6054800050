"""The Gated Recurrent Unit (Cho et al. 2014), with dropout on the candidate (Semeniuta et al. 2016)."""

import collections

import tensorflow.compat.v1 as tf

from cells.common import make_variables, masked, own_mask
from cells.loops import (at_ends, backward_loop, forward_loop, matmul_steps, sigmoid_gradient, tanh_gradient,
                         weight_gradient, without_padding)


def step(w, x, h, mask):
    """One step of the GRU: h' from input x [B, D] and state h [B, N]."""
    r, u = tf.split(tf.sigmoid(tf.matmul(tf.concat([x, h], axis=1), w["W_g"]) + w["b_g"]), 2, axis=1)
    c = masked(tf.tanh(tf.matmul(tf.concat([x, r * h], axis=1), w["W_c"]) + w["b_c"]), mask)
    return u * h + (1 - u) * c


def fast_steps(mask, lengths, x_g, x_c, h, w_g, w_c):
    """All steps of the GRU, from the inputs' shares x_g [T, B, 2 N], x_c [T, B, N] of its pre-activations.

    Returns (h after each step [T, B, N], h at the end of each sequence [B, N]) and the function of their gradients
    (for tf.custom_gradient).
    """
    units = w_c.shape.as_list()[0]

    def forward_step(slices, states):
        (x_g, x_c, mask), (h,) = slices, states
        gates = tf.sigmoid(x_g + tf.matmul(h, w_g))
        r, u = tf.split(gates, 2, axis=1)
        rh = r * h
        tanh = tf.tanh(x_c + tf.matmul(rh, w_c))
        c = masked(tanh, mask)
        return [c + u * (h - c)], [gates, rh, tanh]  # = u h + (1 - u) c

    (h,), (gates, rh, tanh) = forward_loop(forward_step, [h], [x_g, x_c, mask], [2 * units, units, units])

    def gradient(grad_h, grad_end):
        from_g, from_c = tf.transpose(w_g), tf.transpose(w_c)  # once: transposing matmuls are far slower

        def backward_step(slices, gradients):
            (h, gates, tanh, mask), (dh,) = slices, gradients
            r, u = tf.split(gates, 2, axis=1)
            kept = dh * u
            dx_c = tanh_gradient(masked(dh - kept, mask), tanh)
            drh = tf.matmul(dx_c, from_c)
            dx_g = sigmoid_gradient(tf.concat([drh * h, dh * (h - masked(tanh, mask))], axis=1), gates)
            return [kept + r * drh + tf.matmul(dx_g, from_g)], [dx_g, dx_c]

        before = h[:-1]
        (first,), (dx_g, dx_c) = backward_loop(backward_step, [grad_h], [grad_end], lengths,
                                               [before, gates, tanh, mask], [2 * units, units])
        return dx_g, dx_c, first, weight_gradient(before, dx_g), weight_gradient(rh, dx_c)

    return (h[1:], at_ends(h, lengths)), gradient


class GRUCell(object):
    """State and output [B, num_units]; `dropout`: a probability, number or scalar tensor."""

    def __init__(self, num_units, dropout=0.0, name="gru"):
        self.state_size = num_units
        self.output_size = num_units
        self.dropout = dropout
        self.name = name
        self.weights = None

    def mask_size(self, input_depth):
        """Features of the dropout mask: one for each unit."""
        return self.state_size

    def weight_shapes(self, input_depth):
        """Name -> shape of every variable for inputs of depth D; needs no TensorFlow graph."""
        units = self.state_size
        return collections.OrderedDict([
            ("W_g", (input_depth + units, 2 * units)), ("b_g", (2 * units,)),
            ("W_c", (input_depth + units, units)), ("b_c", (units,))])

    def build(self, input_depth, dtype=tf.float32, scope=None):
        """Create the variables under `scope` or the cell's name, the first time it is called; b_g starts at 1."""
        if self.weights is None:
            self.weights = make_variables(scope or self.name, self.weight_shapes(input_depth), dtype,
                                          {"b_g": tf.ones_initializer()})

    def zero_state(self, batch_size, dtype):
        """The first state [B, N]: zeros."""
        return tf.zeros([batch_size, self.state_size], dtype)

    def final_hidden(self, state):
        """What a classifier's head reads: the state itself [B, N]."""
        return state

    def __call__(self, inputs, state, scope=None, mask=None):
        """One step. `mask` [B, N] is already scaled (0 or 1 / keep); None: drawn from `self.dropout`."""
        self.build(inputs.shape.as_list()[-1], inputs.dtype, scope)
        mask = own_mask(self, inputs) if mask is None else mask
        h = step(self.weights, inputs, state, mask)
        return h, h

    def sequence(self, inputs, state, mask=None, lengths=None):
        """All steps over inputs [T, B, D] at once: (outputs [T, B, N], state at the end of each sequence).

        The same as calling the cell T times, but faster. mask: [T, B, N] or None; lengths: [B] or None (all T).
        """
        depth = inputs.shape.as_list()[-1]
        self.build(depth, inputs.dtype)
        mask = own_mask(self, inputs) if mask is None else mask
        w, rows = self.weights, [depth, self.state_size]
        (w_gx, w_gh), (w_cx, w_ch) = tf.split(w["W_g"], rows), tf.split(w["W_c"], rows)
        h, end = tf.custom_gradient(lambda *tensors: fast_steps(mask, lengths, *tensors))(
            matmul_steps(inputs, w_gx, w["b_g"]), matmul_steps(inputs, w_cx, w["b_c"]), state, w_gh, w_ch)
        return without_padding(h, lengths), end
