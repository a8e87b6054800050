"""Unrolling a stack of cells over whole sequences."""

import tensorflow.compat.v1 as tf

from cells.common import dropout_mask, mask_shape, no_dropout
from files.machine import usable_cores


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


def sequence_masks(cells, inputs, rate, seed):
    """Each layer's dropout mask [T, B, K] for whole sequences inputs [T, B, D]: a function of `seed` [2] and layer."""
    masks, depth = [], inputs.shape.as_list()[-1]
    for layer, cell in enumerate(cells):
        if no_dropout(rate):
            masks.append(None)
            continue
        layer_seed = tf.cast(seed, tf.int64) + [layer << 32, 0]
        uniform = tf.random.stateless_uniform(mask_shape(cell, inputs, depth), layer_seed, dtype=inputs.dtype)
        uniform.set_shape(inputs.shape.as_list()[:2] + [cell.mask_size(depth)])
        masks.append(dropout_mask(uniform, rate))
        depth = cell.output_size
    return masks


def _plain(cell, inputs, state, mask, lengths):
    cell_and_inputs = (cell, inputs) if mask is None else (_MaskFed(cell), (inputs, mask))
    return tf.nn.dynamic_rnn(*cell_and_inputs, sequence_length=lengths, initial_state=state, time_major=True)


def _run_stack(cells, path, inputs, states, masks, lengths):
    final_states = []
    for layer, (cell, state, mask) in enumerate(zip(cells, states, masks)):
        with tf.variable_scope("layer_%d" % layer):
            cell.build(inputs.shape.as_list()[-1], inputs.dtype)
            if path == "sequence" and hasattr(cell, "all_steps"):
                inputs, state = cell.sequence(inputs, state, mask, lengths)
            else:
                inputs, state = _plain(cell, inputs, state, mask, lengths)
        final_states.append(state)
    return inputs, final_states


def parts_of_a_batch():
    """How many parts of a batch are unrolled side by side: 2 on cores, 1 on a core or a GPU, which take one at a time.

    The operations of a step are many and small: two loops, each on a core, share a CPU better than the threads of one
    operation after the other do (tools/benchmark.py --parts 1 shows the difference).
    """
    return 1 if usable_cores() == 1 or tf.config.experimental.list_physical_devices("GPU") else 2


def _split(tensors, parts, axis):
    """A structure of tensors (None stays None) -> `parts` such structures, which share out `axis`."""
    def split(tensor):
        if tensor is None:
            return [None] * parts
        bounds = [tf.shape(tensor)[axis] * i // parts for i in range(parts + 1)]
        sizes = [stop - start for start, stop in zip(bounds, bounds[1:])]
        return tf.split(tensor, tf.stack(sizes), axis, parts)
    flat = [split(tensor) for tensor in tf.nest.flatten(tensors)]
    return [tf.nest.pack_sequence_as(tensors, part) for part in zip(*flat)]


def unroll(cells, inputs, states=None, lengths=None, dropout=0.0, seed=None, path="sequence", parts=None):
    """Run a stack of cells (bottom first) over inputs [T, B, D]; T and B may be unknown until run time.

    states: the cells' first states, None = each cell's zero_state. lengths [B]: past a sequence's end outputs are
    zero and the state is carried (None: all sequences are T long). dropout: number or scalar tensor; the Python
    number 0 leaves every dropout operation out. seed: int tensor [2] (seed, step), needed with dropout.
    path: "sequence", the cells' fast path where they have one, or "dynamic_rnn", the same values by TensorFlow's loop.
    parts: of the batch, unrolled side by side (None: parts_of_a_batch(), or 1 for dynamic_rnn); it changes values by
    rounding only.
    Returns (outputs [T, B, O] of the top cell, list of the cells' final states at the true end of each sequence).
    """
    if states is None:
        states = [cell.zero_state(tf.shape(inputs)[1], inputs.dtype) for cell in cells]
    masks = sequence_masks(cells, inputs, dropout, seed)
    parts = parts or (parts_of_a_batch() if path == "sequence" else 1)
    if parts == 1:
        return _run_stack(cells, path, inputs, states, masks, lengths)
    of_part = zip(_split(inputs, parts, 1), _split(states, parts, 0), _split(masks, parts, 1),
                  _split(lengths, parts, 0))
    outputs, final_states = zip(*[_run_stack(cells, path, *part) for part in of_part])
    return tf.concat(outputs, axis=1), tf.nest.map_structure(lambda *ends: tf.concat(ends, axis=0), *final_states)
