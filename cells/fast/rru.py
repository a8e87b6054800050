"""The RRU over whole sequences, with its backward pass.

With X the inputs of all steps, x = X W_x + b_J is one product before the loop, and the outputs
d W_o + b_o are one after it. W_J = [W_x; W_h], W = [W_c, W_o], b = [b_c, b_o], f = sigmoid(10 s).
What is left to the loop, for each step:

    a   = x + h W_h
    j_1 = relu(a^),  a^ = a r,  r = 1 / sqrt(mean(a^2) + 1e-6)
    j_i = relu(j_(i-1) W_i + b_i)  for i = 2 .. L;    d = mask j_L
    h'  = f h + d (z W_c) + z b_c

Backwards, with dh' the gradient of the state after the step and dd that of d from the outputs:

    dj_L = mask (dh' (z W_c)^T + dd)
    da_i = dj_i where j_i > 0,  dj_(i-1) = da_i W_i^T  for i = L .. 2
    da^  = dj_1 where a^ > 0
    da   = r (da^ - a^ mean(da^ a^)),  because dr / da_k = -r^3 a_k / M
    dh   = f dh' + da W_h^T

The gradients of the weights are sums over all steps: one product each after the loop, of what the
matrix was multiplied by and dh', da or da_i.
"""

import functools

import tensorflow.compat.v1 as tf

from cells.common import masked
from cells.fast import loops
from cells.rru import inverse_rms


def all_steps(cell, inputs, h, mask, lengths):
    """Run an RRUCell over inputs [T, B, D] from the state h [B, N].

    mask: [T, B, M] or None; lengths: [B] or None. Returns (outputs [T, B, O], end state [B, N]).
    """
    w, units = cell.weights, cell.state_size
    w_x, w_h = tf.split(w["W_J"], [inputs.shape.as_list()[-1], units])
    w_c, w_o = tf.split(w["W"], [units, cell.output_size], axis=1)
    b_c, b_o = tf.split(w["b"], [units, cell.output_size])
    tensors = {"x": loops.matmul_steps(inputs, w_x, w["b_J"]), "h": h, "W_h": w_h,
               "zW_c": w_c * w["z"], "zb_c": b_c * w["z"], "f": tf.sigmoid(10.0 * w["s"])}
    for i in range(2, cell.relu_layers + 1):
        tensors["W_%d" % i] = tf.identity(w["W_%d" % i])
        tensors["b_%d" % i] = tf.identity(w["b_%d" % i])
    steps = functools.partial(_forward, cell.relu_layers, cell.normalize, mask)
    d, history = loops.with_gradient(steps, tensors)
    return loops.matmul_steps(d, w_o, b_o), loops.at_ends(history, lengths)


def _forward(layers, normalize, mask, tensors):
    """Compute [d, state history] and the function of their gradients.

    layers: L. tensors: those that have gradients, all that all_steps hands to with_gradient.
    """
    middle = tensors["W_h"].shape.as_list()[1]
    inner = ["j_%d" % i for i in range(2, layers)]  # j_1 is made from a^ again, j_L from d

    def step(now, states):
        a = now["x"] + tf.matmul(states["h"], tensors["W_h"])
        r = inverse_rms(a) if normalize else None
        kept = {"r": r} if normalize else {}
        j = tf.nn.relu(_normalized(a, r))
        for i in range(2, layers + 1):
            j = tf.nn.relu(tf.matmul(j, tensors["W_%d" % i]) + tensors["b_%d" % i])
            if i < layers:
                kept["j_%d" % i] = j
        d = masked(j, now["mask"])
        kept.update({"d": d, "a^": _normalized(a, r)})
        zc = tf.nn.bias_add(tf.matmul(d, tensors["zW_c"]), tensors["zb_c"])
        return {"h": tensors["f"] * states["h"] + zc}, kept

    sizes = dict.fromkeys(["d", "a^"] + inner, middle)
    if normalize:
        sizes["r"] = 1
    sequences = {"x": tensors["x"], "mask": mask}
    history, kept = loops.forward_loop(step, {"h": tensors["h"]}, sequences, sizes)
    gradient = functools.partial(_backward, layers, mask, tensors, history["h"], kept)
    return [kept["d"], history["h"]], gradient


def _normalized(a, r):
    return a if r is None else a * r


def _backward(layers, mask, tensors, h, kept, d_d, d_h):
    """Gradients {name: gradient} of the tensors from those of d and of the state history.

    h: the state history. kept: what each step of the forward loop has kept.
    """
    # Transposed once, before the loop: products that transpose are far slower.
    transposed = {name: tf.transpose(tensor) for name, tensor in tensors.items()
                  if name.startswith(("W_", "zW_"))}

    def step(now, gradients):
        dh, found = gradients["h"], {"dh": gradients["h"]}
        dj = masked(tf.matmul(dh, transposed["zW_c"]) + now["dd"], now["mask"])
        for i in range(layers, 1, -1):
            # d > 0 where j_L > 0, but for dropped features, whose dj is 0 already.
            j = now["d"] if i == layers else now["j_%d" % i]
            found["da_%d" % i] = loops.relu_gradient(dj, j)
            dj = tf.matmul(found["da_%d" % i], transposed["W_%d" % i])
        da = loops.relu_gradient(dj, now["a^"])
        if "r" in now:
            mean = tf.reduce_mean(da * now["a^"], axis=-1, keepdims=True)
            da = now["r"] * (da - now["a^"] * mean)
        found["da"] = da
        return {"h": tensors["f"] * dh + tf.matmul(da, transposed["W_h"])}, found

    units, middle = tensors["W_h"].shape.as_list()
    sizes = dict.fromkeys(["da"] + ["da_%d" % i for i in range(2, layers + 1)], middle)
    sizes["dh"] = units
    first, found = loops.backward_loop(step, {"h": d_h}, dict(kept, dd=d_d, mask=mask), sizes)
    before, dh = h[:-1], found["dh"]
    gradients = {"x": found["da"], "h": first["h"],
                 "W_h": loops.weight_gradient(before, found["da"]),
                 "zW_c": loops.weight_gradient(kept["d"], dh), "zb_c": loops.bias_gradient(dh),
                 "f": loops.bias_gradient(dh * before)}
    for i in range(2, layers + 1):
        j = kept["j_%d" % (i - 1)] if i > 2 else tf.nn.relu(kept["a^"])
        gradients["W_%d" % i] = loops.weight_gradient(j, found["da_%d" % i])
        gradients["b_%d" % i] = loops.bias_gradient(found["da_%d" % i])
    return gradients
