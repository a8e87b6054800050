"""The two loops over time that every cell's fast path is made of, and what belongs to them.

Neither loop can be differentiated: each cell writes out its backward step, and with_gradient joins
the two. Tensors go by name, in dicts.
"""

import tensorflow.compat.v1 as tf


def with_gradient(function, tensors):
    """Call `function(tensors)`, which returns (list of results, gradient), by tf.custom_gradient.

    tensors: {name: tensor}. gradient: a function of the results' gradients, in their order, that
    returns {name: gradient} for all of `tensors`. Returns the results.
    """
    names = list(tensors)

    def of_values(*values):
        results, gradient = function(dict(zip(names, values)))

        def gradients_in_order(*of_results):
            found = gradient(*of_results)
            return [found[name] for name in names]

        return results, gradients_in_order

    return tf.custom_gradient(of_values)(*[tensors[name] for name in names])


def forward_loop(step, states, sequences, sizes):
    """Call `step(now, states)` -> (new states, step outputs) for t = 0 .. T-1.

    states: {name: the first state [B, N]}. sequences: {name: [T, B, ..] or None}; `now` are these
    at step t. sizes: {name: K} of the step outputs [B, K] that are kept. Returns (state history
    {name: [T + 1, B, N]}, which begins with the first states; step outputs {name: [T, B, K]}).
    """
    time = _time(sequences)
    history = {name: _buffer(state, time + 1, state.shape.as_list()[-1])
               for name, state in states.items()}
    history = _write(history, 0, states)
    like = next(iter(states.values()))
    step_outputs = {name: _buffer(like, time, size) for name, size in sizes.items()}

    def body(t, states, history, step_outputs):
        states, values = step(_at(sequences, t), states)
        return t + 1, states, _write(history, t + 1, states), _write(step_outputs, t, values)

    start = (tf.constant(0), states, history, step_outputs)
    _, _, history, step_outputs = _loop(lambda t, *_: t < time, body, start)
    return history, step_outputs


def backward_loop(step, d_history, sequences, sizes):
    """Call `step(now, gradients)` -> (gradients of the states before the step, step outputs).

    It runs for t = T-1 .. 0; `gradients` are those of the states after step t. d_history: {name:
    [T + 1, B, N]}, the gradient of the state history from all that reads it. sequences, sizes: as
    in forward_loop. Returns (gradients of the first states {name: [B, N]}, step outputs {name:
    [T, B, K]}).
    """
    time = _time(sequences)
    gradients = _at(d_history, time)
    like = next(iter(gradients.values()))
    step_outputs = {name: _buffer(like, time, size) for name, size in sizes.items()}

    def body(t, gradients, step_outputs):
        gradients, values = step(_at(sequences, t), gradients)
        from_readers = _at(d_history, t)
        gradients = {name: value + from_readers[name] for name, value in gradients.items()}
        return t - 1, gradients, _write(step_outputs, t, values)

    start = (time - 1, gradients, step_outputs)
    _, gradients, step_outputs = _loop(lambda t, *_: t >= 0, body, start)
    return gradients, step_outputs


def _loop(condition, body, variables):
    """Run a loop whose body may know less of the shape [B, ..] of a state than it starts with."""
    def shape(variable):
        return tf.TensorShape([None] + variable.shape.as_list()[1:] if variable.shape.rank else [])

    shapes = tf.nest.map_structure(shape, variables)
    return tf.while_loop(condition, body, variables, shapes, back_prop=False)


def _time(sequences):
    return tf.shape(next(iter(sequences.values())))[0]


def _buffer(like, time, features):
    """Memory [time, B, features] that _write fills in place, so that nothing is copied later."""
    shape = tf.stack([time, tf.shape(like)[0], features])
    buffer = tf.raw_ops.Empty(shape=shape, dtype=like.dtype)
    buffer.set_shape([None, None, features])
    return buffer


def _write(buffers, t, values):
    """Write `values` {name: [B, K]} into step t of `buffers` {name: [T, B, K]}."""
    place = tf.expand_dims(t, 0)
    return {name: tf.raw_ops.InplaceUpdate(x=buffer, i=place, v=tf.expand_dims(values[name], 0))
            for name, buffer in buffers.items()}


def _at(sequences, t):
    return {name: None if values is None else values[t] for name, values in sequences.items()}


def at_ends(history, lengths):
    """State at the end of each sequence [B, N] from the state history [T + 1, B, N].

    lengths: [B], or None if all sequences are T long.
    """
    if lengths is None:
        return history[-1]
    batch = tf.range(tf.shape(history)[1], dtype=lengths.dtype)
    return tf.gather_nd(history, tf.stack([lengths, batch], axis=1))


def after_first(history):
    """All states but the first [T, B, N]; the gradient of this is faster than history[1:]'s."""
    return tf.split(history, [1, -1], axis=0)[1]


def without_padding(outputs, lengths):
    """Outputs [T, B, O] with zeros past the end of each sequence; lengths [B] or None (all T)."""
    if lengths is None:
        return outputs
    mask = tf.sequence_mask(lengths, tf.shape(outputs)[0], outputs.dtype)
    return outputs * tf.transpose(mask)[:, :, None]


def matmul_steps(values, matrix, bias):
    """values [T, B, K] times matrix [K, M], plus bias [M], as one product of T * B rows."""
    time, batch, _ = tf.unstack(tf.shape(values))
    rows = tf.reshape(values, [-1, values.shape.as_list()[-1]])
    products = tf.nn.bias_add(tf.matmul(rows, matrix), bias)
    return tf.reshape(products, [time, batch, matrix.shape.as_list()[-1]])


def weight_gradient(values, gradients):
    """Gradient [K, M] of a matrix from that of its products [T, B, M] with `values` [T, B, K]."""
    return tf.matmul(tf.reshape(values, [-1, values.shape.as_list()[-1]]),
                     tf.reshape(gradients, [-1, gradients.shape.as_list()[-1]]), transpose_a=True)


def bias_gradient(gradients):
    """Gradient [M] of a bias from that of the sums [T, B, M] it went into."""
    return tf.reduce_sum(gradients, [0, 1])


# Gradient of a function's argument from that of its result: one operation each, where writing them
# out would take up to three.

def relu_gradient(gradients, values):
    """`gradients` where `values` (a ReLU's input or output) are positive, else 0."""
    return tf.raw_ops.ReluGrad(gradients=gradients, features=values)


def sigmoid_gradient(gradients, values):
    """`gradients` * values * (1 - values), `values` being the sigmoid's output."""
    return tf.raw_ops.SigmoidGrad(y=values, dy=gradients)


def tanh_gradient(gradients, values):
    """`gradients` * (1 - values^2), `values` being the tanh's output."""
    return tf.raw_ops.TanhGrad(y=values, dy=gradients)
