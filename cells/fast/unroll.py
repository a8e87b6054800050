"""Running one cell, or a stack of cells, over whole sequences."""

import importlib
import os

import tensorflow.compat.v1 as tf

from cells.common import dropout_mask, mask_shape, no_dropout
from cells.fast.loops import without_padding


def sequence(cell, inputs, state=None, mask=None, lengths=None):
    """Run one cell over inputs [T, B, D]: the same as tf.nn.dynamic_rnn, but faster.

    state: the first one, None = the cell's zero_state. mask: dropout mask [T, B, K], scaled
    already; None = drawn here with the cell's own dropout. lengths: integers [B], at most T; past a
    sequence's end outputs are zero and the state is carried (None: all sequences are T long).
    Returns (outputs [T, B, O], state at the end of each sequence). Raises ValueError.
    """
    inputs, lengths = tf.convert_to_tensor(inputs), _integers(lengths)
    if state is None:
        state = cell.zero_state(tf.shape(inputs)[1], inputs.dtype)
    state = _as_of(cell, state, inputs.dtype)
    if mask is not None:
        mask = tf.convert_to_tensor(mask, inputs.dtype)
    mask = cell.prepare(inputs, mask)
    # Of the class itself: a subclass with other equations must not be given those of its parent.
    module = vars(type(cell)).get("fast_path")
    if module is None:
        return _dynamic_rnn(cell, inputs, state, mask, lengths)
    all_steps = importlib.import_module(module).all_steps
    outputs, end = all_steps(cell, inputs, state, mask, lengths)
    return without_padding(outputs, lengths), end


def unroll(cells, inputs, states=None, lengths=None, dropout=0.0, seed=None, path="sequence",
           parts=None):
    """Run a stack of cells (bottom first) over inputs [T, B, D]; T and B may be unknown yet.

    states: the cells' first states, None = each cell's zero_state. lengths: as in `sequence`.
    dropout: drop probability, number or scalar tensor; the Python number 0 leaves every dropout
    operation out. seed: int tensor [2] (seed, step), needed with dropout; the masks are a function
    of it. path: "sequence", the cells' fast path if they have one, or "dynamic_rnn", the same
    values by TensorFlow's loop. parts: parts of the batch, unrolled side by side (None:
    parts_of_a_batch(), or 1 for dynamic_rnn); they change values by rounding only. On TensorFlow
    1.15 the initial values that tf.set_random_seed gives depend on them, and on whether there is
    dropout, as it derives an operation's seed from the number of those before.
    Returns (outputs [T, B, O] of the top cell, list of the cells' states at the end of each
    sequence).
    """
    inputs, lengths = tf.convert_to_tensor(inputs), _integers(lengths)
    if states is None:
        states = [cell.zero_state(tf.shape(inputs)[1], inputs.dtype) for cell in cells]
    masks = sequence_masks(cells, inputs, dropout, seed)
    parts = parts or (parts_of_a_batch() if path == "sequence" else 1)
    if parts == 1:
        return _run_stack(cells, path, inputs, states, masks, lengths)
    inputs, masks = _split(inputs, parts, 1), _split(masks, parts, 1)
    states, lengths = _split(states, parts, 0), _split(lengths, parts, 0)
    outputs, ends = [], []
    for part in range(parts):
        of_part, end = _run_stack(cells, path, inputs[part], states[part], masks[part],
                                  lengths[part])
        outputs.append(of_part)
        ends.append(end)
    ends = tf.nest.map_structure(lambda *of_parts: tf.concat(of_parts, axis=0), *ends)
    return tf.concat(outputs, axis=1), ends


def parts_of_a_batch():
    """Parts of a batch that are unrolled side by side: 2 on cores, 1 on a core or a GPU.

    The operations of a step are many and small: two loops, each on a core, share a CPU better than
    the threads of one operation after the other do.
    """
    can_tell = hasattr(os, "sched_getaffinity")  # taskset and batch systems may give fewer cores
    cores = len(os.sched_getaffinity(0)) if can_tell else os.cpu_count()
    return 1 if cores == 1 or tf.config.experimental.list_physical_devices("GPU") else 2


def sequence_masks(cells, inputs, rate, seed):
    """Each layer's dropout mask [T, B, K] for inputs [T, B, D], by seed [2] and layer."""
    masks, depth = [], inputs.shape.as_list()[-1]
    for layer, cell in enumerate(cells):
        if no_dropout(rate):
            masks.append(None)
            continue
        if seed is None:
            raise ValueError("dropout needs a seed: integers [2], the seed and the step")
        layer_seed = tf.cast(seed, tf.int64) + [layer << 32, 0]
        uniform = tf.random.stateless_uniform(mask_shape(cell, inputs, depth), layer_seed,
                                              dtype=inputs.dtype)
        uniform.set_shape(inputs.shape.as_list()[:2] + [cell.mask_size(depth)])
        masks.append(dropout_mask(uniform, rate))
        depth = cell.output_size
    return masks


def _run_stack(cells, path, inputs, states, masks, lengths):
    run = {"sequence": sequence, "dynamic_rnn": _dynamic_rnn}[path]
    ends = []
    for layer, (cell, state, mask) in enumerate(zip(cells, states, masks)):
        with tf.variable_scope("layer_%d" % layer):
            # Here, as dynamic_rnn would put the variables under rnn/.
            cell.build(inputs.shape.as_list()[-1], inputs.dtype)
            inputs, end = run(cell, inputs, state, mask, lengths)
        ends.append(end)
    return inputs, ends


class _MaskFed(object):
    """A cell whose input is (x, dropout mask): it passes masks through tf.nn.dynamic_rnn."""

    def __init__(self, cell):
        self._cell = cell
        self.state_size = cell.state_size
        self.output_size = cell.output_size
        self.zero_state = cell.zero_state

    def __call__(self, inputs, state, scope=None):
        x, mask = inputs
        return self._cell(x, state, scope, mask)


def _dynamic_rnn(cell, inputs, state, mask, lengths):
    if mask is not None:
        cell, inputs = _MaskFed(cell), (inputs, mask)
    return tf.nn.dynamic_rnn(cell, inputs, sequence_length=lengths, initial_state=state,
                             time_major=True)


def _as_of(cell, state, dtype):
    """The structure of a cell's state, of whatever it is given as, with tensors of known sizes."""
    parts = [tf.convert_to_tensor(part, dtype) for part in tf.nest.flatten(state)]
    for part, units in zip(parts, tf.nest.flatten(cell.state_size)):
        part.set_shape([None, units])
    return tf.nest.pack_sequence_as(cell.state_size, parts)


def _integers(lengths):
    """Make lengths an int32 tensor [B]; None stays None. Raises ValueError for other numbers."""
    if lengths is None:
        return None
    lengths = tf.convert_to_tensor(lengths)
    if not lengths.dtype.is_integer:
        raise ValueError("lengths must be integers, not %s" % lengths.dtype.name)
    return tf.cast(lengths, tf.int32)


def _split(tensors, parts, axis):
    """Divide `axis` of a structure of tensors (None stays None) among `parts` such structures."""
    flat = [_split_tensor(tensor, parts, axis) for tensor in tf.nest.flatten(tensors)]
    return [tf.nest.pack_sequence_as(tensors, list(of_part)) for of_part in zip(*flat)]


def _split_tensor(tensor, parts, axis):
    if tensor is None:
        return [None] * parts
    bounds = [tf.shape(tensor)[axis] * i // parts for i in range(parts + 1)]
    sizes = [stop - start for start, stop in zip(bounds, bounds[1:])]
    return tf.split(tensor, tf.stack(sizes), axis, parts)
