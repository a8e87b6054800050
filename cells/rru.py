"""The Residual Recurrent Unit: a recurrent cell without gates (arXiv 2108.00527, section 3)."""

import numpy as np
import tensorflow.compat.v1 as tf

from cells.common import Cell, masked
from cells.fast.loops import at_ends, backward_loop, forward_loop, matmul_steps, relu_gradient, weight_gradient

EPSILON = 1e-6  # keeps the normalisation finite where all features are zero


def inverse_rms(a):
    """1 / sqrt(mean(a^2) + 1e-6) [B, 1], which normalises a [B, M]: RMSNorm (Zhang and Sennrich 2019) without gain."""
    return tf.math.rsqrt(tf.reduce_mean(tf.square(a), axis=-1, keepdims=True) + EPSILON)


def relu_stack(a_hat, further):
    """j_1 .. j_L from the normalised pre-activations [B, M] and the pairs (W_i, b_i) of the layers i = 2 .. L."""
    layers = [tf.nn.relu(a_hat)]
    for w_i, b_i in further:
        layers.append(tf.nn.relu(tf.matmul(layers[-1], w_i) + b_i))
    return layers


def hidden_layers(w):
    """The pairs (W_i, b_i), i = 2 .. L."""
    return [(w["W_%d" % i], w["b_%d" % i]) for i in range(2, len(w)) if "W_%d" % i in w]


def fast_steps(mask, lengths, x, h, w_h, zw_c, zb_c, retain, *further):
    """All steps of d = dropout(j(a)) with a = x + h W_h, and h' = sigmoid(10 s) h + z c with c = d W_c + b_c.

    x [T, B, M] is the inputs' share of a, b_J included; zw_c and zb_c are z W_c and z b_c, retain is sigmoid(10 s);
    `further` is W_2, b_2, W_3, .. Returns (d [T, B, M], h at the end of each sequence [B, N]) and the function of
    their gradients (for tf.custom_gradient).
    """
    further = list(zip(further[::2], further[1::2]))
    middle = w_h.shape.as_list()[1]

    def forward_step(slices, states):
        (x, mask), (h,) = slices, states
        a = x + tf.matmul(h, w_h)
        inv_rms = inverse_rms(a)
        j = relu_stack(a * inv_rms, further)
        d = masked(j[-1], mask)
        return [retain * h + tf.nn.bias_add(tf.matmul(d, zw_c), zb_c)], [d, a * inv_rms, inv_rms] + j[1:-1]

    (h,), (d, a_hat, inv_rms, *inner) = forward_loop(forward_step, [h], [x, mask],
                                                        [middle, middle, 1] + [middle] * (len(further) - 1))

    def gradient(grad_d, grad_end):
        to_h, to_d = tf.transpose(w_h), tf.transpose(zw_c)  # once: transposing matmuls are far slower
        to_j = [tf.transpose(w_i) for w_i, _ in further]

        def backward_step(slices, gradients):
            (grad_d, mask, d, a_hat, inv_rms, *inner), (dh,) = slices, gradients
            dj = masked(tf.matmul(dh, to_d) + grad_d, mask)
            da_further = []
            for j_i, w_i in zip([d] + inner[::-1], to_j[::-1]):
                da_further.insert(0, relu_gradient(dj, j_i))
                dj = tf.matmul(da_further[0], w_i)
            dj = relu_gradient(dj, a_hat)
            da = inv_rms * (dj - a_hat * tf.reduce_mean(dj * a_hat, axis=-1, keepdims=True))
            return [retain * dh + tf.matmul(da, to_h)], [dh, da] + da_further

        (first,), (dh, da, *da_further) = backward_loop(
            backward_step, [None], [grad_end], lengths, [grad_d, mask, d, a_hat, inv_rms] + inner,
            [w_h.shape.as_list()[0]] + [middle] * (1 + len(further)))
        before = h[:-1]
        grads = [da, first, weight_gradient(before, da), weight_gradient(d, dh), tf.reduce_sum(dh, [0, 1]),
                 tf.reduce_sum(dh * before, [0, 1])]
        for j_i, da_i in zip([tf.nn.relu(a_hat)] + inner, da_further):
            grads += [weight_gradient(j_i, da_i), tf.reduce_sum(da_i, [0, 1])]
        return grads

    return (d, at_ends(h, lengths)), gradient


def initial_s(shape, dtype=None, partition_info=None):
    """s = logit(U(0.01, 0.99)) / 10: each unit keeps its own share of the state (the 10 makes s learn faster)."""
    retain = tf.random.uniform(shape, 0.01, 0.99, dtype)
    return tf.log(retain / (1 - retain)) / 10


class RRUCell(Cell):
    """State [B, num_units], output [B, output_size]; `dropout`: a probability, number or scalar tensor."""

    name = "rru"
    initializers = {"s": initial_s}  # z starts at 0 (ReZero, Bachlechner et al. 2020), as all vectors do

    def __init__(self, num_units, output_size, relu_layers=1, middle_layer_size_multiplier=2.0, dropout=0.0):
        if relu_layers < 1:
            raise ValueError("relu_layers must be at least 1, not %s" % relu_layers)
        super().__init__(num_units, output_size, dropout)
        self.relu_layers = relu_layers
        self.middle_layer_size_multiplier = middle_layer_size_multiplier

    def mask_size(self, input_depth):
        """M = round(m (D + N)), the size of the middle layer, on which the dropout sits."""
        return int(round(self.middle_layer_size_multiplier * (input_depth + self.state_size)))

    def weight_shapes(self, input_depth):
        """Name -> shape of every variable for inputs of depth D."""
        units, middle = self.state_size, self.mask_size(input_depth)
        shapes = {"W_J": (input_depth + units, middle), "b_J": (middle,)}
        for i in range(2, self.relu_layers + 1):
            shapes["W_%d" % i] = (middle, middle)
            shapes["b_%d" % i] = (middle,)
        shapes["W"] = (middle, units + self.output_size)
        shapes["b"] = (units + self.output_size,)
        shapes["s"] = shapes["z"] = (units,)
        return shapes

    def zero_state(self, batch_size, dtype):
        """The first state [B, N]: (sqrt(N) / 4, 0, 0, ..)."""
        first = np.zeros([1, self.state_size])
        first[0, 0] = np.sqrt(self.state_size) / 4
        return tf.tile(tf.constant(first, dtype), [batch_size, 1])

    def step(self, x, h, mask):
        """One step: (o, h') from input x [B, D] and state h [B, N]."""
        w = self.weights
        a = tf.matmul(tf.concat([x, h], axis=1), w["W_J"]) + w["b_J"]
        d = masked(relu_stack(a * inverse_rms(a), hidden_layers(w))[-1], mask)
        c, o = tf.split(tf.matmul(d, w["W"]) + w["b"], [self.state_size, self.output_size], axis=1)
        return o, tf.sigmoid(10.0 * w["s"]) * h + w["z"] * c

    def all_steps(self, x, h, mask, lengths):
        """All steps over x [T, B, D] from the state h [B, N]."""
        w, sizes = self.weights, [self.state_size, self.output_size]
        w_x, w_h = tf.split(w["W_J"], [x.shape.as_list()[-1], self.state_size])
        (w_c, w_o), (b_c, b_o) = tf.split(w["W"], sizes, axis=1), tf.split(w["b"], sizes)
        d, end = tf.custom_gradient(lambda *tensors: fast_steps(mask, lengths, *tensors))(
            matmul_steps(x, w_x, w["b_J"]), h, w_h, w_c * w["z"], b_c * w["z"], tf.sigmoid(10.0 * w["s"]),
            *[tf.identity(v) for pair in hidden_layers(w) for v in pair])
        return matmul_steps(d, w_o, b_o), end
