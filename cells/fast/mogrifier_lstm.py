"""The Mogrifier LSTM over whole sequences, with its backward pass.

Nothing of a step can be done before the loop, since the first round gates the input by the state;
what is gained is a short backward step and one product for each weight's gradient. Each step:

    in round i, with source v and gated w (h and x if i is even, x and h if odd):
        p = v A_i,  g = 2 sigmoid(p B_i + b_i),  w = w g
    j, o, f, i from [x, h] W and biases;    c' = f c + min(1 - f, i) mask j;    h' = o tanh(c')

Backwards, with dh' the gradient of h' and dc' that of c' from the step after:

    dc' = dc' + dh' o (1 - tanh(c')^2);    dc = f dc',  e = dc' mask j
    di  = e where i < 1 - f, else 0;    df = dc' c - (e - di),  do = dh' tanh(c')
    dj  = mask dc' min(1 - f, i);    each times the derivative of its sigmoid or tanh
    [dx, dh] = [dj, do, df, di] W^T
    and for the rounds, the last one first:
        dq = dw w g (1 - g / 2), because dg / dq = 2 s (1 - s) = g (1 - g / 2)
        dp = dq B_i^T,  dv = dv + dp A_i^T,  dw = dw g

The gradients of A_i, B_i and W are one product each after the loop, of v, p or [x, h] of all steps
with dp, dq or [dj, do, df, di].
"""

import functools

import tensorflow.compat.v1 as tf

from cells.common import LSTMState, masked
from cells.fast import loops


def all_steps(cell, inputs, state, mask, lengths):
    """Run a MogrifierLSTMCell over inputs [T, B, D] from the state (c, h).

    mask: [T, B, N] or None; lengths: [B] or None. Returns (outputs [T, B, N], end state (c, h)).
    """
    tensors = {"x": inputs, "c": state.c, "h": state.h}
    tensors.update((name, tf.identity(weight)) for name, weight in cell.weights.items())
    steps = functools.partial(_forward, cell.feature_mask_rounds, mask)
    c, h = loops.with_gradient(steps, tensors)
    return loops.after_first(h), LSTMState(loops.at_ends(c, lengths), loops.at_ends(h, lengths))


def _forward(rounds, mask, tensors):
    """Compute the histories [c, h] and the function of their gradients.

    tensors: those that have gradients.
    """
    units, depth = tensors["h"].shape.as_list()[-1], tensors["x"].shape.as_list()[-1]

    def step(now, states):
        x, h, kept = _mogrify(tensors, rounds, now["x"], states["h"])
        gates = tf.matmul(tf.concat([x, h], axis=1), tensors["W"])
        j, o, f, i = tf.split(gates, 4, axis=1)
        j, o = tf.tanh(j + tensors["b_j"]), tf.sigmoid(o + tensors["b_o"])
        f, i = tf.sigmoid(f + tensors["b_f"]), tf.sigmoid(i + tensors["b_i"])
        c = f * states["c"] + tf.minimum(1 - f, i) * masked(j, now["mask"])
        tanh_c = tf.tanh(c)
        kept.update({"j": j, "o": o, "f": f, "i": i, "tanh_c": tanh_c})
        return {"c": c, "h": o * tanh_c}, kept

    sizes = dict.fromkeys(["j", "o", "f", "i", "tanh_c"], units)
    for i in range(rounds):
        sizes["p_%d" % i] = tensors["A_%d" % i].shape.as_list()[1]
        sizes["g_%d" % i] = depth if i % 2 == 0 else units
    states = {"c": tensors["c"], "h": tensors["h"]}
    history, kept = loops.forward_loop(step, states, {"x": tensors["x"], "mask": mask}, sizes)
    gradient = functools.partial(_backward, rounds, mask, tensors, history, kept, sizes)
    return [history["c"], history["h"]], gradient


def _mogrify(tensors, rounds, x, h):
    """x and h after all rounds, and each round's p_i and g_i."""
    kept = {}
    for i in range(rounds):
        p = product = tf.matmul(h if i % 2 == 0 else x, tensors["A_%d" % i])
        if "B_%d" % i in tensors:
            product = tf.matmul(p, tensors["B_%d" % i])
        g = 2 * tf.sigmoid(product + tensors["b_%d" % i])
        x, h = _gate(i, g, x, h)
        kept.update({"p_%d" % i: p, "g_%d" % i: g})
    return x, h, kept


def _backward(rounds, mask, tensors, history, kept, sizes, d_c, d_h):
    """Gradients {name: gradient} of the tensors from those of the histories.

    history: all states. kept: what each step of the forward loop has kept, of `sizes`.
    """
    # Transposed once, before the loop: products that transpose are far slower.
    transposed = {name: tf.transpose(tensor) for name, tensor in tensors.items()
                  if name[0] in "ABW"}
    depth, units = tensors["x"].shape.as_list()[-1], tensors["h"].shape.as_list()[-1]

    def step(now, gradients):
        d_gates, dc = _lstm_gradient(now, gradients["c"], gradients["h"])
        dx, dh = tf.split(tf.matmul(d_gates, transposed["W"]), [depth, units], axis=1)
        dx, dh, found = _mogrify_gradient(transposed, rounds, now, dx, dh)
        found.update(d_gates=d_gates, dx=dx)
        return {"c": dc, "h": dh}, found

    c, h = history["c"][:-1], history["h"][:-1]
    sequences = {name: kept[name] for name in kept if name[0] != "p"}
    sequences.update(x=tensors["x"], c=c, h=h, mask=mask)
    found_sizes = {"d_gates": 4 * units, "dx": depth}
    for i in range(rounds):
        found_sizes["dp_%d" % i] = sizes["p_%d" % i]
        found_sizes["dq_%d" % i] = sizes["g_%d" % i]
    first, found = loops.backward_loop(step, {"c": d_c, "h": d_h}, sequences, found_sizes)
    gradients = {"x": found["dx"], "c": first["c"], "h": first["h"]}
    gradients.update(_weight_gradients(tensors, rounds, kept, found, tensors["x"], h))
    return gradients


def _lstm_gradient(now, dc, dh):
    """Gradients ([dj, do, df, di] [B, 4 N], dc [B, N]) from those of c' and h'."""
    j, f, i, mask = now["j"], now["f"], now["i"], now["mask"]
    dc += loops.tanh_gradient(dh * now["o"], now["tanh_c"])
    e = dc * masked(j, mask)
    di = tf.where(i < 1 - f, e, tf.zeros_like(i))
    dj = loops.tanh_gradient(masked(dc * tf.minimum(1 - f, i), mask), j)
    do = loops.sigmoid_gradient(dh * now["tanh_c"], now["o"])
    df = loops.sigmoid_gradient(dc * now["c"] - (e - di), f)
    return tf.concat([dj, do, df, loops.sigmoid_gradient(di, i)], axis=1), f * dc


def _mogrify_gradient(transposed, rounds, now, dx, dh):
    """Gradients of x and h before the rounds from those after them, and each round's dp and dq."""
    found, gated_before, x, h = {}, [], now["x"], now["h"]
    for i in range(rounds):
        gated_before.append(x if i % 2 == 0 else h)
        x, h = _gate(i, now["g_%d" % i], x, h)
    for i in reversed(range(rounds)):
        g, d_gated = now["g_%d" % i], dx if i % 2 == 0 else dh
        dq = dp = d_gated * gated_before[i] * g * (1 - g / 2)
        if "B_%d" % i in transposed:
            dp = tf.matmul(dq, transposed["B_%d" % i])
        from_source = tf.matmul(dp, transposed["A_%d" % i])
        dx, dh = (dx * g, dh + from_source) if i % 2 == 0 else (dx + from_source, dh * g)
        found.update({"dp_%d" % i: dp, "dq_%d" % i: dq})
    return dx, dh, found


def _gate(i, g, x, h):
    """x and h after round i, whose gate is g."""
    return (x * g, h) if i % 2 == 0 else (x, h * g)


def _weight_gradients(tensors, rounds, kept, found, x, h):
    """Gradients {name: gradient} of all weights, from all steps [T, B, ..]."""
    gradients = {}
    for i in range(rounds):
        dp, dq = found["dp_%d" % i], found["dq_%d" % i]
        gradients["A_%d" % i] = loops.weight_gradient(h if i % 2 == 0 else x, dp)
        if "B_%d" % i in tensors:
            gradients["B_%d" % i] = loops.weight_gradient(kept["p_%d" % i], dq)
        gradients["b_%d" % i] = loops.bias_gradient(dq)
        x, h = _gate(i, kept["g_%d" % i], x, h)
    gradients["W"] = loops.weight_gradient(tf.concat([x, h], axis=2), found["d_gates"])
    d_biases = tf.split(loops.bias_gradient(found["d_gates"]), 4)
    gradients.update(zip(["b_j", "b_o", "b_f", "b_i"], d_biases))
    return gradients
