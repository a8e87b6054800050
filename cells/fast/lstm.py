"""The LSTM over whole sequences, with its backward pass.

The inputs' contribution to the pre-activations, biases included, is one product before the loop,
x = X W_x + b. The columns of x and W_h are put in the order i, f, o, j: the three sigmoids are then
one operation. What is left to the loop, for each step:

    i, f, o, j = x + h W_h;    i, f, o = sigmoid(i, f, o),  j = tanh(j)
    c' = f c + i mask j
    h' = o tanh(c')

Backwards, with dh' the gradient of h', and dc' that of c' from the step after:

    dc'  = dc' + dh' o (1 - tanh(c')^2)
    di, df, do = dc' mask j,  dc' c,  dh' tanh(c');    dj = mask dc' i
    dx   = [di i (1 - i), df f (1 - f), do o (1 - o), dj (1 - j^2)]
    dc   = f dc',  dh = dx W_h^T

dW_h is one product after the loop, of h and dx of all steps.
"""

import functools

import numpy as np
import tensorflow.compat.v1 as tf

from cells.common import LSTMState, masked
from cells.fast import loops


def all_steps(cell, inputs, state, mask, lengths):
    """Run an LSTMCell over inputs [T, B, D] from the state (c, h).

    mask: [T, B, N] or None; lengths: [B] or None. Returns (outputs [T, B, N], end state (c, h)).
    """
    units = cell.output_size
    bias = cell.weights["b"] + cell.forget_bias * np.repeat([0, 0, 1, 0], units)
    w_x, w_h = tf.split(cell.weights["W"], [inputs.shape.as_list()[-1], units])
    w_x, w_h, bias = _ifoj(w_x), _ifoj(w_h), _ifoj(bias)
    tensors = {"x": loops.matmul_steps(inputs, w_x, bias), "c": state.c, "h": state.h, "W_h": w_h}
    c, h = loops.with_gradient(functools.partial(_forward, mask), tensors)
    return loops.after_first(h), LSTMState(loops.at_ends(c, lengths), loops.at_ends(h, lengths))


def _ifoj(weight):
    """Put the columns i, j, f, o of a matrix or bias in the order i, f, o, j."""
    i, j, f, o = tf.split(weight, 4, axis=-1)
    return tf.concat([i, f, o, j], axis=-1)


def _forward(mask, tensors):
    """Compute the histories [c, h] and the function of their gradients.

    tensors: those that have gradients.
    """
    units = tensors["W_h"].shape.as_list()[0]

    def step(now, states):
        gates = now["x"] + tf.matmul(states["h"], tensors["W_h"])
        ifo, j = tf.split(gates, [3 * units, units], axis=1)
        ifo, j = tf.sigmoid(ifo), tf.tanh(j)
        i, f, o = tf.split(ifo, 3, axis=1)
        c = f * states["c"] + i * masked(j, now["mask"])
        return {"c": c, "h": o * tf.tanh(c)}, {"ifo": ifo, "j": j}

    states, sizes = {"c": tensors["c"], "h": tensors["h"]}, {"ifo": 3 * units, "j": units}
    history, kept = loops.forward_loop(step, states, {"x": tensors["x"], "mask": mask}, sizes)
    gradient = functools.partial(_backward, mask, tensors, history, kept)
    return [history["c"], history["h"]], gradient


def _backward(mask, tensors, history, kept, d_c, d_h):
    """Gradients {name: gradient} of the tensors from those of the histories.

    history: all states. kept: what each step of the forward loop has kept.
    """
    w_h_t = tf.transpose(tensors["W_h"])  # once: products that transpose are far slower
    units = tensors["W_h"].shape.as_list()[0]

    def step(now, gradients):
        i, f, o = tf.split(now["ifo"], 3, axis=1)
        j, mask, dh = now["j"], now["mask"], gradients["h"]
        tanh_c = tf.tanh(now["c'"])  # cheaper than to keep it
        dc = gradients["c"] + loops.tanh_gradient(dh * o, tanh_c)
        d_ifo = tf.concat([dc * masked(j, mask), dc * now["c"], dh * tanh_c], axis=1)
        d_ifo = loops.sigmoid_gradient(d_ifo, now["ifo"])
        dx = tf.concat([d_ifo, loops.tanh_gradient(masked(dc * i, mask), j)], axis=1)
        return {"c": f * dc, "h": tf.matmul(dx, w_h_t)}, {"dx": dx}

    c, h = history["c"], history["h"]
    sequences = {"c": c[:-1], "c'": c[1:], "ifo": kept["ifo"], "j": kept["j"], "mask": mask}
    first, found = loops.backward_loop(step, {"c": d_c, "h": d_h}, sequences, {"dx": 4 * units})
    return {"x": found["dx"], "c": first["c"], "h": first["h"],
            "W_h": loops.weight_gradient(h[:-1], found["dx"])}
