"""The Gated Recurrent Unit (Cho et al. 2014), with dropout on the candidate (Semeniuta et al. 2016)."""

import tensorflow.compat.v1 as tf

from cells.common import Cell, masked
from cells.fast.loops import (at_ends, backward_loop, forward_loop, matmul_steps, sigmoid_gradient, tanh_gradient,
                         weight_gradient)


def fast_steps(mask, lengths, x_g, x_c, h, w_g, w_c):
    """All steps of the GRU.

    x_g [T, B, 2 N] and x_c [T, B, N] are the inputs' shares of its pre-activations, biases included.
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


class GRUCell(Cell):
    """State and output [B, num_units]; `dropout`: a probability, number or scalar tensor."""

    name = "gru"
    initializers = {"b_g": tf.ones_initializer()}

    def __init__(self, num_units, dropout=0.0):
        super().__init__(num_units, num_units, dropout)

    def weight_shapes(self, input_depth):
        """Name -> shape of every variable for inputs of depth D."""
        units = self.state_size
        return {"W_g": (input_depth + units, 2 * units), "b_g": (2 * units,),
                "W_c": (input_depth + units, units), "b_c": (units,)}

    def step(self, x, h, mask):
        """One step: (h', h') from input x [B, D] and state h [B, N]."""
        w = self.weights
        r, u = tf.split(tf.sigmoid(tf.matmul(tf.concat([x, h], axis=1), w["W_g"]) + w["b_g"]), 2, axis=1)
        c = masked(tf.tanh(tf.matmul(tf.concat([x, r * h], axis=1), w["W_c"]) + w["b_c"]), mask)
        h = u * h + (1 - u) * c
        return h, h

    def all_steps(self, x, h, mask, lengths):
        """All steps over x [T, B, D] from the state h [B, N]."""
        w, rows = self.weights, [x.shape.as_list()[-1], self.state_size]
        (w_gx, w_gh), (w_cx, w_ch) = tf.split(w["W_g"], rows), tf.split(w["W_c"], rows)
        return tf.custom_gradient(lambda *tensors: fast_steps(mask, lengths, *tensors))(
            matmul_steps(x, w_gx, w["b_g"]), matmul_steps(x, w_cx, w["b_c"]), h, w_gh, w_ch)
