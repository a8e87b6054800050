"""What all cells share: variables, the calls that unroll them, dropout masks, the LSTMs' state."""

import collections

import tensorflow.compat.v1 as tf

from cells.fast.loops import without_padding

LSTMState = collections.namedtuple("LSTMState", ["c", "h"])


def dropout_mask(uniform, rate):
    """Turn uniform numbers in [0, 1) into a dropout mask: 0 with probability `rate`, else 1 / (1 - rate)."""
    rate = tf.cast(rate, uniform.dtype)
    return tf.cast(uniform >= rate, uniform.dtype) * (1 / (1 - rate))


def no_dropout(rate):
    """True where `rate` is the Python number 0: then no dropout operation is put into the graph at all."""
    return not tf.is_tensor(rate) and rate == 0


def mask_shape(cell, inputs, depth):
    """Shape tensor of the dropout mask [.., K] that a cell with an input depth takes beside inputs [.., D]."""
    return tf.concat([tf.shape(inputs)[:-1], [cell.mask_size(depth)]], axis=0)


def masked(values, mask):
    """`values` * `mask`; a mask of None means no dropout."""
    return values if mask is None else values * mask


class Cell(object):
    """A cell whose state is a tensor [B, N], or LSTMState of such. What tf.nn.dynamic_rnn calls is here.

    Each cell has a `name`, `weight_shapes(input_depth)` (name -> shape of every variable, found without a graph) and
    `step(x, state, mask)` -> (output, state), the equations over self.weights for an input [B, D]. It is fast with
    `all_steps(x, state, mask, lengths)` -> (outputs [T, B, O], state at the end of each sequence) for x [T, B, D].
    """

    initializers = {}  # name -> how a variable starts, where not as the others

    def __init__(self, state_size, output_size, dropout):
        """state_size: N or LSTMState(N, N). output_size: O. dropout: a probability, number or scalar tensor."""
        self.state_size = state_size
        self.output_size = output_size
        self.dropout = dropout
        self.weights = None

    def mask_size(self, input_depth):
        """Features K of the dropout mask: one for each unit."""
        return self.output_size

    def build(self, input_depth, dtype=tf.float32):
        """Create the variables under the cell's name, the first time it is called."""
        if self.weights is None:
            with tf.variable_scope(self.name):
                self.weights = {
                    name: self.variable(name, shape, dtype, self.initializer(name, shape, input_depth))
                    for name, shape in self.weight_shapes(input_depth).items()}

    def initializer(self, name, shape, input_depth):
        """How a variable starts: a whole matrix Glorot-uniform, vectors zero, or as `initializers` says."""
        usual = {1: tf.zeros_initializer(), 2: tf.glorot_uniform_initializer()}[len(shape)]
        return self.initializers.get(name, usual)

    def variable(self, name, shape, dtype, initializer):
        """A new variable."""
        return tf.get_variable(name, shape, dtype, initializer)

    def zero_state(self, batch_size, dtype):
        """The first state: zeros."""
        return tf.nest.map_structure(lambda units: tf.zeros([batch_size, units], dtype), self.state_size)

    def final_hidden(self, state):
        """What a classifier's head reads [B, N]: the state, or its h."""
        return state.h if isinstance(state, LSTMState) else state

    def __call__(self, inputs, state, scope=None, mask=None):
        """One step, (output [B, O], state). `mask` [B, K] is already scaled (0 or 1 / (1 - rate)); None: drawn here."""
        return self.step(*self._prepared(inputs, state, mask))

    def sequence(self, inputs, state, mask=None, lengths=None):
        """All steps over inputs [T, B, D] at once: (outputs [T, B, O], state at the end of each sequence).

        The same as calling the cell T times, but faster. mask: [T, B, K] or None; lengths: [B] or None (all T).
        """
        outputs, end = self.all_steps(*self._prepared(inputs, state, mask), lengths)
        return without_padding(outputs, lengths), end

    def _prepared(self, inputs, state, mask):
        depth = inputs.shape.as_list()[-1]
        self.build(depth, inputs.dtype)
        if mask is None and not no_dropout(self.dropout):
            mask = dropout_mask(tf.random.uniform(mask_shape(self, inputs, depth), dtype=inputs.dtype), self.dropout)
        return inputs, state, mask
