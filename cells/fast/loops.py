"""The two loops over time that every cell's fast path is made of, and what belongs to them.

Neither loop can be differentiated: each cell writes out its backward step and joins the two by tf.custom_gradient.
"""

import tensorflow.compat.v1 as tf


def forward_loop(step, states, sequences, step_outputs):
    """Call `step(slices, states)` -> (new states, emitted) for t = 0 .. T-1.

    states: the first ones [B, N]. sequences: list of [T, B, ..] tensors (None stays None), of which `slices` are
    those of step t. step_outputs: the features K of each tensor [B, K] that a step step_outputs. Returns (each state at all times
    [T + 1, B, N], the first one included; what was emitted [T, B, K]).
    """
    time = tf.shape(sequences[0])[0]
    paths = _write([_buffer(state, time + 1, state.shape.as_list()[-1]) for state in states], 0, states)
    emitted = [_buffer(states[0], time, features) for features in step_outputs]

    def body(t, states, paths, emitted):
        states, values = step(_at(sequences, t), states)
        return t + 1, states, _write(paths, t + 1, states), _write(emitted, t, values)

    _, _, paths, emitted = _loop(lambda t, *_: t < time, body, (tf.constant(0), list(states), paths, emitted))
    return paths, emitted


def backward_loop(step, after, ends, lengths, sequences, step_outputs):
    """Call `step(slices, gradients)` -> (gradients of the states before the step, emitted) for t = T-1 .. 0.

    `gradients` are those of the states after the step, and come from three sides: the step after it, `after` (for
    each state [T, B, N], or None where nothing but the loop reads it) and `ends` (for each state [B, N]: its value
    at the end of each sequence, see at_ends). sequences, step_outputs: as in forward_loop. Returns (the gradients of the
    first states, what was emitted [T, B, K]).
    """
    time = tf.shape(sequences[0])[0]
    if lengths is None:
        first_share, carried = [0.0 for _ in ends], list(ends)
    else:
        spread = [tf.scatter_nd(_end_places(lengths, tf.shape(end)[0]), end, tf.concat([[time + 1], tf.shape(end)], 0))
                  for end in ends]
        after = [path[1:] if values is None else values + path[1:] for values, path in zip(after, spread)]
        first_share, carried = [path[0] for path in spread], [tf.zeros_like(end) for end in ends]

    def body(t, gradients, emitted):
        gradients = [value if share is None else value + share for value, share in zip(gradients, _at(after, t))]
        gradients, values = step(_at(sequences, t), gradients)
        return t - 1, gradients, _write(emitted, t, values)

    emitted = [_buffer(ends[0], time, features) for features in step_outputs]
    _, gradients, emitted = _loop(lambda t, *_: t >= 0, body, (time - 1, carried, emitted))
    return [value + share for value, share in zip(gradients, first_share)], emitted


def _loop(condition, body, variables):
    """A loop whose body may know less of the shape [B, ..] of a state than what it starts with."""
    shapes = tf.nest.map_structure(lambda v: tf.TensorShape([None] + v.shape.as_list()[1:] if v.shape.rank else []),
                                   variables)
    return tf.while_loop(condition, body, variables, shapes, back_prop=False)


def _buffer(like, time, features):
    """Memory for [time, B, features], which _write fills in place: nothing is copied together after a loop."""
    buffer = tf.raw_ops.Empty(shape=tf.stack([time, tf.shape(like)[0], features]), dtype=like.dtype)
    buffer.set_shape([None, None, features])
    return buffer


def _write(buffers, t, values):
    place = tf.expand_dims(t, 0)
    return [tf.raw_ops.InplaceUpdate(x=buffer, i=place, v=tf.expand_dims(value, 0))
            for buffer, value in zip(buffers, values)]


def _at(sequences, t):
    return [None if sequence is None else sequence[t] for sequence in sequences]


def _end_places(lengths, batch):
    return tf.stack([lengths, tf.range(batch, dtype=lengths.dtype)], axis=1)


def at_ends(path, lengths):
    """From a state at all times [T + 1, B, N] the one at the end of each sequence; lengths [B] or None (all T)."""
    if lengths is None:
        return path[-1]
    return tf.gather_nd(path, _end_places(lengths, tf.shape(path)[1]))


def without_padding(outputs, lengths):
    """Outputs [T, B, O] with zeros past the end of each sequence; lengths [B] or None (all T)."""
    if lengths is None:
        return outputs
    return outputs * tf.transpose(tf.sequence_mask(lengths, tf.shape(outputs)[0], outputs.dtype))[:, :, None]


def matmul_steps(values, matrix, bias):
    """values [T, B, K] times matrix [K, M], plus bias [M], as one product of T * B rows."""
    time, batch, _ = tf.unstack(tf.shape(values))
    rows = tf.reshape(values, [-1, values.shape.as_list()[-1]])
    return tf.reshape(tf.nn.bias_add(tf.matmul(rows, matrix), bias), [time, batch, matrix.shape.as_list()[-1]])


def weight_gradient(values, gradients):
    """The gradient of a matrix [K, M] by which `values` [T, B, K] were multiplied, from the products' ones."""
    return tf.matmul(tf.reshape(values, [-1, values.shape.as_list()[-1]]),
                     tf.reshape(gradients, [-1, gradients.shape.as_list()[-1]]), transpose_a=True)


# The gradient that arrives at a function's result, made into that of its argument: one operation each, where
# writing them out would take up to three.

def relu_gradient(gradients, values):
    """`gradients` where `values` (a ReLU's input or output) are positive, else 0."""
    return tf.raw_ops.ReluGrad(gradients=gradients, features=values)


def sigmoid_gradient(gradients, values):
    """`gradients` * values * (1 - values), `values` being the sigmoid's output."""
    return tf.raw_ops.SigmoidGrad(y=values, dy=gradients)


def tanh_gradient(gradients, values):
    """`gradients` * (1 - values^2), `values` being the tanh's output."""
    return tf.raw_ops.TanhGrad(y=values, dy=gradients)
