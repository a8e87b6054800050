"""The two loops over time that every cell's fast path is made of, and what belongs to them.

Neither loop can be differentiated: each cell writes out its backward step and joins the two by tf.custom_gradient.
"""

import tensorflow.compat.v1 as tf


def forward_loop(step, states, sequences, emits):
    """Call `step(slices, states)` -> (new states, emitted) for t = 0 .. T-1.

    sequences: list of [T, ..] tensors (None stays None), of which `slices` are those of step t. emits: how many
    tensors a step emits. Returns (each state at all times [T + 1, ..], the first one included; what was emitted
    [T, ..]).
    """
    time = tf.shape(sequences[0])[0]
    paths = [_array(state, time + 1).write(0, state) for state in states]
    arrays = [_array(states[0], time) for _ in range(emits)]

    def body(t, states, paths, arrays):
        states, emitted = step(_at(sequences, t), states)
        return t + 1, states, _write(paths, t + 1, states), _write(arrays, t, emitted)

    _, _, paths, arrays = tf.while_loop(lambda t, *_: t < time, body, (0, list(states), paths, arrays),
                                        back_prop=False)
    return [path.stack() for path in paths], [array.stack() for array in arrays]


def backward_loop(step, gradients, sequences, emits):
    """Call `step(slices, gradients)` -> (new gradients, emitted) for t = T-1 .. 0; else as forward_loop.

    Returns (the gradients after step 0, what was emitted [T, ..]).
    """
    arrays = [_array(gradients[0], tf.shape(sequences[0])[0]) for _ in range(emits)]

    def body(t, gradients, arrays):
        gradients, emitted = step(_at(sequences, t), gradients)
        return t - 1, gradients, _write(arrays, t, emitted)

    _, gradients, arrays = tf.while_loop(lambda t, *_: t >= 0, body,
                                         (tf.shape(sequences[0])[0] - 1, list(gradients), arrays), back_prop=False)
    return gradients, [array.stack() for array in arrays]


def _array(like, size):
    return tf.TensorArray(like.dtype, size)


def _at(sequences, t):
    return [None if sequence is None else sequence[t] for sequence in sequences]


def _write(arrays, t, values):
    return [array.write(t, value) for array, value in zip(arrays, values)]


def at_ends(path, lengths):
    """From a state at all times [T + 1, B, N] the one at the end of each sequence; lengths [B] or None (all T)."""
    if lengths is None:
        return path[-1]
    return tf.gather_nd(path, tf.stack([lengths, tf.range(tf.shape(path)[1], dtype=lengths.dtype)], axis=1))


def without_padding(outputs, lengths):
    """Outputs [T, B, O] with zeros past the end of each sequence; lengths [B] or None (all T)."""
    if lengths is None:
        return outputs
    return outputs * tf.transpose(tf.sequence_mask(lengths, tf.shape(outputs)[0], outputs.dtype))[:, :, None]


def matmul_steps(values, matrix):
    """values [T, B, K] times matrix [K, M] as one product of T * B rows."""
    time, batch, _ = tf.unstack(tf.shape(values))
    rows = tf.reshape(values, [-1, values.shape.as_list()[-1]])
    return tf.reshape(tf.matmul(rows, matrix), [time, batch, matrix.shape.as_list()[-1]])


def relu_gradient(gradients, values):
    """`gradients` where `values` (a ReLU's input or output) are positive, else 0."""
    return tf.raw_ops.ReluGrad(gradients=gradients, features=values)


def weight_gradient(values, gradients):
    """The gradient of a matrix [K, M] by which `values` [T, B, K] were multiplied, from the products' ones."""
    return tf.matmul(tf.reshape(values, [-1, values.shape.as_list()[-1]]),
                     tf.reshape(gradients, [-1, gradients.shape.as_list()[-1]]), transpose_a=True)
