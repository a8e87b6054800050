"""The Residual Recurrent Unit: a recurrent cell without gates (arXiv 2108.00527, section 3)."""

import collections

import numpy as np
import tensorflow.compat.v1 as tf

from cells.common import make_variables, masked, own_mask
from cells.loops import (at_ends, backward_loop, forward_loop, matmul_steps, relu_gradient, weight_gradient,
                         without_padding)

EPSILON = 1e-6  # keeps the normalisation finite where all features are zero


def scale(a):
    """1 / sqrt(mean(a^2) + 1e-6) [B, 1], by which the pre-activations a [B, M] are normalised."""
    return tf.math.rsqrt(tf.reduce_mean(tf.square(a), axis=-1, keepdims=True) + EPSILON)


def relu_stack(normal_a, upper):
    """j_1 .. j_L from the normalised pre-activations [B, M] and the pairs (W_i, b_i) of the layers i = 2 .. L."""
    layers = [tf.nn.relu(normal_a)]
    for w_i, b_i in upper:
        layers.append(tf.nn.relu(tf.matmul(layers[-1], w_i) + b_i))
    return layers


def upper_layers(w):
    """The pairs (W_i, b_i), i = 2 .. L."""
    return [(w["W_%d" % i], w["b_%d" % i]) for i in range(2, len(w)) if "W_%d" % i in w]


def step(w, x, h, mask):
    """One step of the RRU: (o, h') from input x [B, D] and state h [B, N]."""
    a = tf.matmul(tf.concat([x, h], axis=1), w["W_J"]) + w["b_J"]
    d = masked(relu_stack(a * scale(a), upper_layers(w))[-1], mask)
    units = w["s"].shape.as_list()[0]
    c, o = tf.split(tf.matmul(d, w["W"]) + w["b"], [units, w["b"].shape.as_list()[0] - units], axis=1)
    return o, tf.sigmoid(10.0 * w["s"]) * h + w["z"] * c


def fast_steps(mask, lengths, x, h, w_h, w_c, b_c, keep, *upper):
    """All steps of d = dropout(j(x + h W_h)), h' = keep * h + d W_c + b_c.

    x [T, B, M] is the inputs' share of a; W_c and b_c come multiplied by z, keep is sigmoid(10 s); `upper` is
    W_2, b_2, W_3, .. Returns (d [T, B, M], h at the end of each sequence [B, N]) and the function of their gradients
    (for tf.custom_gradient).
    """
    upper = list(zip(upper[::2], upper[1::2]))
    middle = w_h.shape.as_list()[1]

    def forward_step(slices, states):
        (x, mask), (h,) = slices, states
        a = x + tf.matmul(h, w_h)
        n = scale(a)
        j = relu_stack(a * n, upper)
        d = masked(j[-1], mask)
        return [keep * h + tf.nn.bias_add(tf.matmul(d, w_c), b_c)], [d, a * n, n] + j[1:-1]

    (h,), (d, normal_a, n, *inner) = forward_loop(forward_step, [h], [x, mask],
                                                  [middle, middle, 1] + [middle] * (len(upper) - 1))

    def gradient(grad_d, grad_end):
        to_h, to_d = tf.transpose(w_h), tf.transpose(w_c)  # once: transposing matmuls are far slower
        to_j = [tf.transpose(w_i) for w_i, _ in upper]

        def backward_step(slices, gradients):
            (grad_d, mask, d, normal_a, n, *inner), (dh,) = slices, gradients
            dj = masked(tf.matmul(dh, to_d) + grad_d, mask)
            da_upper = []
            for j_i, w_i in zip([d] + inner[::-1], to_j[::-1]):
                da_upper.insert(0, relu_gradient(dj, j_i))
                dj = tf.matmul(da_upper[0], w_i)
            dj = relu_gradient(dj, normal_a)
            da = n * (dj - normal_a * tf.reduce_mean(dj * normal_a, axis=-1, keepdims=True))
            return [keep * dh + tf.matmul(da, to_h)], [dh, da] + da_upper

        (first,), (dh, da, *da_upper) = backward_loop(
            backward_step, [None], [grad_end], lengths, [grad_d, mask, d, normal_a, n] + inner,
            [w_h.shape.as_list()[0]] + [middle] * (1 + len(upper)))
        before = h[:-1]
        grads = [da, first, weight_gradient(before, da), weight_gradient(d, dh), tf.reduce_sum(dh, [0, 1]),
                 tf.reduce_sum(dh * before, [0, 1])]
        for j_i, da_i in zip([tf.nn.relu(normal_a)] + inner, da_upper):
            grads += [weight_gradient(j_i, da_i), tf.reduce_sum(da_i, [0, 1])]
        return grads

    return (d, at_ends(h, lengths)), gradient


def initial_s(shape, dtype=None, partition_info=None):
    """s = logit(U(0.01, 0.99)) / 10: each unit keeps its own share of the state (the 10 makes s learn faster)."""
    keep = tf.random.uniform(shape, 0.01, 0.99, dtype)
    return tf.log(keep / (1 - keep)) / 10


class RRUCell(object):
    """State [B, num_units], output [B, output_size]; `dropout`: a probability, number or scalar tensor."""

    def __init__(self, num_units, output_size, relu_layers=1, middle_layer_size_multiplier=2.0, dropout=0.0,
                 name="rru"):
        if relu_layers < 1:
            raise ValueError("relu_layers must be at least 1, not %s" % relu_layers)
        self.state_size = num_units
        self.output_size = output_size
        self.relu_layers = relu_layers
        self.middle_layer_size_multiplier = middle_layer_size_multiplier
        self.dropout = dropout
        self.name = name
        self.weights = None

    def mask_size(self, input_depth):
        """M = round(m (D + N)), the size of the middle layer, on which the dropout sits."""
        return int(round(self.middle_layer_size_multiplier * (input_depth + self.state_size)))

    def weight_shapes(self, input_depth):
        """Name -> shape of every variable for inputs of depth D; needs no TensorFlow graph."""
        units, middle = self.state_size, self.mask_size(input_depth)
        shapes = collections.OrderedDict([("W_J", (input_depth + units, middle)), ("b_J", (middle,))])
        for i in range(2, self.relu_layers + 1):
            shapes["W_%d" % i] = (middle, middle)
            shapes["b_%d" % i] = (middle,)
        shapes["W"] = (middle, units + self.output_size)
        shapes["b"] = (units + self.output_size,)
        shapes["s"] = shapes["z"] = (units,)
        return shapes

    def build(self, input_depth, dtype=tf.float32, scope=None):
        """Create the variables under `scope` or the cell's name, when first called; z starts at 0 (ReZero)."""
        if self.weights is None:
            self.weights = make_variables(scope or self.name, self.weight_shapes(input_depth), dtype,
                                          {"s": initial_s})

    def zero_state(self, batch_size, dtype):
        """The first state [B, N]: (sqrt(N) / 4, 0, 0, ..)."""
        first = np.zeros([1, self.state_size])
        first[0, 0] = np.sqrt(self.state_size) / 4
        return tf.tile(tf.constant(first, dtype), [batch_size, 1])

    def final_hidden(self, state):
        """What a classifier's head reads: the state itself [B, N]."""
        return state

    def __call__(self, inputs, state, scope=None, mask=None):
        """One step. `mask` [B, M] is already scaled (0 or 1 / keep); None: drawn from `self.dropout`."""
        self.build(inputs.shape.as_list()[-1], inputs.dtype, scope)
        mask = own_mask(self, inputs) if mask is None else mask
        return step(self.weights, inputs, state, mask)

    def sequence(self, inputs, state, mask=None, lengths=None):
        """All steps over inputs [T, B, D] at once: (outputs [T, B, O], state [B, N] at the end of each sequence).

        The same as calling the cell T times, but faster. mask: [T, B, M] or None; lengths: [B] or None (all T).
        """
        depth = inputs.shape.as_list()[-1]
        self.build(depth, inputs.dtype)
        mask = own_mask(self, inputs) if mask is None else mask
        w, sizes = self.weights, [self.state_size, self.output_size]
        w_x, w_h = tf.split(w["W_J"], [depth, self.state_size])
        (w_c, w_o), (b_c, b_o) = tf.split(w["W"], sizes, axis=1), tf.split(w["b"], sizes)
        d, end = tf.custom_gradient(lambda *tensors: fast_steps(mask, lengths, *tensors))(
            matmul_steps(inputs, w_x, w["b_J"]), state, w_h, w_c * w["z"], b_c * w["z"], tf.sigmoid(10.0 * w["s"]),
            *[tf.identity(v) for pair in upper_layers(w) for v in pair])
        return without_padding(matmul_steps(d, w_o, b_o), lengths), end
