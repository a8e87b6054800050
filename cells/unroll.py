"""Unrolling a stack of cells over whole sequences."""

import tensorflow.compat.v1 as tf

from cells.common import dropout_mask, mask_shape, no_dropout


class _MaskFed(object):
    """A cell whose input is the pair (x, dropout mask): the way in for masks through tf.nn.dynamic_rnn."""

    def __init__(self, cell):
        self._cell = cell
        self.state_size = cell.state_size
        self.output_size = cell.output_size
        self.zero_state = cell.zero_state

    def __call__(self, inputs, state, scope=None):
        x, mask = inputs
        return self._cell(x, state, scope, mask)


def sequence_mask(cell, inputs, rate, seed, layer):
    """One layer's dropout mask [T, B, K] for a whole sequence, a function of `seed` [2] and the layer's number."""
    if no_dropout(rate):
        return None
    layer_seed = tf.cast(seed, tf.int64) + [layer << 32, 0]
    uniform = tf.random.stateless_uniform(mask_shape(cell, inputs), layer_seed, dtype=inputs.dtype)
    uniform.set_shape(inputs.shape.as_list()[:2] + [cell.mask_size(inputs.shape.as_list()[-1])])
    return dropout_mask(uniform, rate)


def _fast(cell, inputs, state, mask, lengths):
    return cell.sequence(inputs, state, mask, lengths)


def _plain(cell, inputs, state, mask, lengths):
    cell_and_inputs = (cell, inputs) if mask is None else (_MaskFed(cell), (inputs, mask))
    return tf.nn.dynamic_rnn(*cell_and_inputs, sequence_length=lengths, initial_state=state, time_major=True)


def unroll(cells, inputs, states=None, lengths=None, dropout=0.0, seed=None, path="sequence"):
    """Run a stack of cells (bottom first) over inputs [T, B, D]; T and B may be unknown until run time.

    states: the cells' first states, None = each cell's zero_state. lengths [B]: past a sequence's end outputs are
    zero and the state is carried (None: all sequences are T long). dropout: number or scalar tensor; the Python
    number 0 leaves every dropout operation out. seed: int tensor [2] (seed, step), needed with dropout.
    path: "sequence", the cells' fast path where they have one, or "dynamic_rnn", the same values by TensorFlow's loop.
    Returns (outputs [T, B, O] of the top cell, list of the cells' final states at the true end of each sequence).
    """
    if states is None:
        states = [cell.zero_state(tf.shape(inputs)[1], inputs.dtype) for cell in cells]
    final_states = []
    for layer, (cell, state) in enumerate(zip(cells, states)):
        with tf.variable_scope("layer_%d" % layer):
            cell.build(inputs.shape.as_list()[-1], inputs.dtype)
            mask = sequence_mask(cell, inputs, dropout, seed, layer)
            run = _fast if path == "sequence" and hasattr(cell, "sequence") else _plain
            inputs, state = run(cell, inputs, state, mask, lengths)
        final_states.append(state)
    return inputs, final_states
