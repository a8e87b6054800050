"""Long Short-Term Memory (Hochreiter and Schmidhuber 1997); dropout on the candidate (Semeniuta et al. 2016)."""

import collections

import tensorflow.compat.v1 as tf

from cells.common import LSTMState, make_variables, masked, own_mask
from cells.loops import at_ends, backward_loop, forward_loop, matmul_steps, weight_gradient, without_padding


def gates(pre_activations, forget_bias):
    """sigmoid(i), tanh(j), sigmoid(f + forget_bias), sigmoid(o) [B, N] from the pre-activations [B, 4 N]."""
    i, j, f, o = tf.split(pre_activations, 4, axis=1)
    return tf.sigmoid(i), tf.tanh(j), tf.sigmoid(f + forget_bias), tf.sigmoid(o)


def step(w, forget_bias, x, state, mask):
    """One step of the LSTM: (c', h') from input x [B, D] and state (c, h)."""
    i, j, f, o = gates(tf.matmul(tf.concat([x, state.h], axis=1), w["W"]) + w["b"], forget_bias)
    c = f * state.c + i * masked(j, mask)
    return LSTMState(c, o * tf.tanh(c))


def fast_steps(mask, forget_bias, x, c, h, w_h):
    """All steps of the LSTM, from the inputs' share of its pre-activations x [T, B, 4 N].

    Returns (c, h) at all times [T + 1, B, N] and the function of their gradients (for tf.custom_gradient).
    """
    def forward_step(slices, states):
        (x, mask), (c, h) = slices, states
        i, j, f, o = gates(x + tf.matmul(h, w_h), forget_bias)
        c = f * c + i * masked(j, mask)
        tanh_c = tf.tanh(c)
        return [c, o * tanh_c], [i, j, f, o, tanh_c]

    (c, h), activations = forward_loop(forward_step, [c, h], [x, mask], 5)

    def gradient(grad_c, grad_h):
        from_x = tf.transpose(w_h)

        def backward_step(slices, gradients):
            (c, i, j, f, o, tanh_c, mask, grad_c, grad_h), (dc, dh) = slices, gradients
            dc += dh * o * (1 - tanh_c * tanh_c)
            dj = masked(dc * i, mask)
            dx = tf.concat([dc * masked(j, mask) * i * (1 - i), dj * (1 - j * j), dc * c * f * (1 - f),
                            dh * tanh_c * o * (1 - o)], axis=1)
            return [f * dc + grad_c, tf.matmul(dx, from_x) + grad_h], [dx]

        sequences = [c[:-1]] + activations + [mask, grad_c, grad_h]
        first, (dx,) = backward_loop(backward_step, [grad_c[-1], grad_h[-1]], sequences, 1)
        return [dx] + first + [weight_gradient(h[:-1], dx)]

    return (c, h), gradient


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
        w_x, w_h = tf.split(self.weights["W"], [depth, self.output_size])
        c, h = tf.custom_gradient(lambda *tensors: fast_steps(mask, self.forget_bias, *tensors))(
            matmul_steps(inputs, w_x) + self.weights["b"], state.c, state.h, w_h)
        return without_padding(h[1:], lengths), LSTMState(at_ends(c, lengths), at_ends(h, lengths))
