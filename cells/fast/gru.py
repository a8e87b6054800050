"""The GRU over whole sequences, with its backward pass.

The inputs' contributions to both pre-activations, biases included, are products before the loop:
x_g = X W_gx + b_g and x_c = X W_cx + b_c. What is left to the loop, for each step:

    r, u = sigmoid(x_g + h W_gh)
    t    = tanh(x_c + (r h) W_ch);    c = mask t
    h'   = c + u (h - c)                            = u h + (1 - u) c

Backwards, with dh' the gradient of h':

    dx_c  = mask (dh' - dh' u) (1 - t^2)            of the candidate's pre-activation
    d(rh) = dx_c W_ch^T
    dr    = d(rh) h,  du = dh' (h - c)
    dx_g  = [dr r (1 - r), du u (1 - u)]            of the gates' pre-activations
    dh    = dh' u + r d(rh) + dx_g W_gh^T

dW_gh and dW_ch are one product each after the loop, of h and r h of all steps with dx_g and dx_c.
"""

import functools

import tensorflow.compat.v1 as tf

from cells.common import masked
from cells.fast import loops


def all_steps(cell, inputs, h, mask, lengths):
    """Run a GRUCell over inputs [T, B, D] from the state h [B, N].

    mask: [T, B, N] or None; lengths: [B] or None. Returns (outputs [T, B, N], end state [B, N]).
    """
    w, rows = cell.weights, [inputs.shape.as_list()[-1], cell.state_size]
    w_gx, w_gh = tf.split(w["W_g"], rows)
    w_cx, w_ch = tf.split(w["W_c"], rows)
    tensors = {"h": h, "W_gh": w_gh, "W_ch": w_ch,
               "x_g": loops.matmul_steps(inputs, w_gx, w["b_g"]),
               "x_c": loops.matmul_steps(inputs, w_cx, w["b_c"])}
    history, = loops.with_gradient(functools.partial(_forward, mask), tensors)
    return loops.after_first(history), loops.at_ends(history, lengths)


def _forward(mask, tensors):
    """Compute [state history] and the function of the gradients.

    tensors: those that have gradients.
    """
    units = tensors["W_ch"].shape.as_list()[0]

    def step(now, states):
        h = states["h"]
        gates = tf.sigmoid(now["x_g"] + tf.matmul(h, tensors["W_gh"]))
        r, u = tf.split(gates, 2, axis=1)
        rh = r * h
        t = tf.tanh(now["x_c"] + tf.matmul(rh, tensors["W_ch"]))
        c = masked(t, now["mask"])
        return {"h": c + u * (h - c)}, {"gates": gates, "rh": rh, "t": t}

    sequences = {"x_g": tensors["x_g"], "x_c": tensors["x_c"], "mask": mask}
    sizes = {"gates": 2 * units, "rh": units, "t": units}
    history, kept = loops.forward_loop(step, {"h": tensors["h"]}, sequences, sizes)
    return [history["h"]], functools.partial(_backward, mask, tensors, history["h"], kept)


def _backward(mask, tensors, h, kept, d_h):
    """Gradients {name: gradient} of the tensors from that of the state history.

    h: the state history. kept: what each step of the forward loop has kept.
    """
    # Transposed once, before the loop: products that transpose are far slower.
    w_gh_t, w_ch_t = tf.transpose(tensors["W_gh"]), tf.transpose(tensors["W_ch"])

    def step(now, gradients):
        h, t, dh = now["h"], now["t"], gradients["h"]
        r, u = tf.split(now["gates"], 2, axis=1)
        retained = dh * u
        dx_c = loops.tanh_gradient(masked(dh - retained, now["mask"]), t)
        d_rh = tf.matmul(dx_c, w_ch_t)
        d_gates = tf.concat([d_rh * h, dh * (h - masked(t, now["mask"]))], axis=1)
        dx_g = loops.sigmoid_gradient(d_gates, now["gates"])
        return ({"h": retained + r * d_rh + tf.matmul(dx_g, w_gh_t)}, {"dx_g": dx_g, "dx_c": dx_c})

    units, before = tensors["W_ch"].shape.as_list()[0], h[:-1]
    sequences = {"h": before, "gates": kept["gates"], "t": kept["t"], "mask": mask}
    first, found = loops.backward_loop(step, {"h": d_h}, sequences,
                                       {"dx_g": 2 * units, "dx_c": units})
    return {"x_g": found["dx_g"], "x_c": found["dx_c"], "h": first["h"],
            "W_gh": loops.weight_gradient(before, found["dx_g"]),
            "W_ch": loops.weight_gradient(kept["rh"], found["dx_c"])}
