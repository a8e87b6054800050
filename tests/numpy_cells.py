"""The four cells in plain NumPy, float64, written apart from cells/ as what they are compared with.

Every function runs one layer over x [T, B, D] and returns (outputs [T, B, O], list of final states
[B, N]). w: dict name -> array, the names of the cells' weight_shapes. mask: [T, B, K] or None.
lengths: [B] or None.
"""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rru(w, x, h, mask=None, lengths=None, normalize=True):
    relu_layers = 1 + sum(name.startswith("W_") and name[2:].isdigit() for name in w)

    def one_step(x_t, state, mask_t):
        h = state[0]
        j = np.hstack([x_t, h]).dot(w["W_J"]) + w["b_J"]
        if normalize:
            j = j / np.sqrt((j ** 2).mean(1)[:, None] + 1e-6)
        j = np.maximum(j, 0)
        for number in range(2, relu_layers + 1):
            j = np.maximum(j.dot(w["W_%d" % number]) + w["b_%d" % number], 0)
        last = (j * mask_t).dot(w["W"]) + w["b"]
        units = h.shape[1]
        return last[:, units:], [sigmoid(10 * w["s"]) * h + w["z"] * last[:, :units]]

    return _run(one_step, x, [h], mask, lengths)


def gru(w, x, h, mask=None, lengths=None):
    def one_step(x_t, state, mask_t):
        h = state[0]
        gates = sigmoid(np.hstack([x_t, h]).dot(w["W_g"]) + w["b_g"])
        reset, update = gates[:, :h.shape[1]], gates[:, h.shape[1]:]
        new = np.tanh(np.hstack([x_t, reset * h]).dot(w["W_c"]) + w["b_c"]) * mask_t
        h = update * h + (1 - update) * new
        return h, [h]

    return _run(one_step, x, [h], mask, lengths)


def lstm(w, x, c, h, mask=None, lengths=None, forget_bias=1.0):
    def one_step(x_t, state, mask_t):
        c, h = state
        i, j, f, o = np.split(np.hstack([x_t, h]).dot(w["W"]) + w["b"], 4, axis=1)
        c = c * sigmoid(f + forget_bias) + sigmoid(i) * np.tanh(j) * mask_t
        h = np.tanh(c) * sigmoid(o)
        return h, [c, h]

    return _run(one_step, x, [c, h], mask, lengths)


def mogrifier_lstm(w, x, c, h, mask=None, lengths=None):
    def gate(source, number):
        matrix = w["A_%d" % number]
        if "B_%d" % number in w:
            matrix = matrix.dot(w["B_%d" % number])
        return 2 * sigmoid(source.dot(matrix) + w["b_%d" % number])

    def one_step(x_t, state, mask_t):
        c, h = state
        number = 0
        while "A_%d" % number in w:
            if number % 2:
                h = gate(x_t, number) * h
            else:
                x_t = gate(h, number) * x_t
            number += 1
        j, o, f, i = np.split(np.hstack([x_t, h]).dot(w["W"]), 4, axis=1)
        f = sigmoid(f + w["b_f"])
        i = np.minimum(sigmoid(i + w["b_i"]), 1 - f)
        c = f * c + i * np.tanh(j + w["b_j"]) * mask_t
        h = sigmoid(o + w["b_o"]) * np.tanh(c)
        return h, [c, h]

    return _run(one_step, x, [c, h], mask, lengths)


def _run(one_step, x, state, mask, lengths):
    outputs = []
    lengths = np.full(x.shape[1], len(x)) if lengths is None else np.asarray(lengths)
    for t in range(len(x)):
        live = (t < lengths)[:, None]
        output, new_state = one_step(x[t], state, 1.0 if mask is None else mask[t])
        outputs.append(np.where(live, output, 0))
        state = [np.where(live, new, old) for new, old in zip(new_state, state)]
    return np.stack(outputs), state
