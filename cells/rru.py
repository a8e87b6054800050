"""The Residual Recurrent Unit: a recurrent cell without gates (arXiv 2108.00527, section 3)."""

import collections

import numpy as np
import tensorflow.compat.v1 as tf

from cells.common import make_variables, masked, own_mask

EPSILON = 1e-6  # keeps the normalisation finite where all features are zero


def middle_layer(w, a, mask):
    """d [B, M] from the first layer's pre-activations a [B, M]: normalise, ReLU, more ReLU layers, dropout."""
    j = tf.nn.relu(a * tf.math.rsqrt(tf.reduce_mean(tf.square(a), axis=-1, keepdims=True) + EPSILON))
    i = 2
    while "W_%d" % i in w:
        j = tf.nn.relu(tf.matmul(j, w["W_%d" % i]) + w["b_%d" % i])
        i += 1
    return masked(j, mask)


def next_state(w, h, c):
    """h' = sigmoid(10 s) * h + z * c: the residual connection that takes the place of gates."""
    return tf.sigmoid(10.0 * w["s"]) * h + w["z"] * c


def step(w, x, h, mask):
    """One step of the RRU: (o, h') from input x [B, D] and state h [B, N]."""
    a = tf.matmul(tf.concat([x, h], axis=1), w["W_J"]) + w["b_J"]
    d = middle_layer(w, a, mask)
    units = w["s"].shape.as_list()[0]
    c, o = tf.split(tf.matmul(d, w["W"]) + w["b"], [units, w["b"].shape.as_list()[0] - units], axis=1)
    return o, next_state(w, h, c)


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
        depth = inputs.shape.as_list()[-1]
        self.build(depth, inputs.dtype, scope)
        if mask is None:
            mask = own_mask(self.dropout, [tf.shape(inputs)[0], self.mask_size(depth)], inputs.dtype)
        return step(self.weights, inputs, state, mask)
