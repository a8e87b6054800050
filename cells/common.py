"""Base class of the cells: variables, the calls that unroll them, dropout masks."""

import collections
import itertools
import re

import tensorflow.compat.v1 as tf

LSTMState = collections.namedtuple("LSTMState", ["c", "h"])


class Cell(object):
    """A recurrent cell as tf.nn.dynamic_rnn takes it; its state is a tensor [B, N] or an LSTMState.

    A subclass has a `name`, a `fast_path` if a module in cells/fast has its all_steps,
    `weight_shapes(input_depth)` (name -> shape of every variable, found without a graph) and
    `step(x, state, mask)` -> (output [B, O], state), its equations over self.weights for an input
    x [B, D].
    """

    def __init__(self, state_size, output_size, dropout):
        """state_size: N or LSTMState(N, N). dropout: drop probability, number or scalar tensor."""
        self.state_size, self.output_size, self.dropout = state_size, output_size, dropout
        self.weights = self._input_depth = None

    def mask_size(self, input_depth):
        """Features K of the dropout mask: one for each unit."""
        return self.output_size

    def build(self, input_depth, dtype=tf.float32):
        """Create the variables, unless they exist, in a variable scope of the cell's own.

        The scope has the cell's name; another cell in the same place gets `name_1` and so on.
        Raises ValueError for an input depth that is unknown or not that of the first call, and
        RuntimeError in eager mode.
        """
        if tf.executing_eagerly():
            raise RuntimeError("%s builds graphs: on TensorFlow 2.x call tf.disable_v2_behavior() "
                               "before anything else" % type(self).__name__)
        if input_depth is None:
            raise ValueError("the inputs of %s must have a last dimension that is known when the "
                             "graph is built" % type(self).__name__)
        if self.weights is None:
            self._input_depth = input_depth
            with _own_scope(self.name):
                self.weights = {
                    name: self.variable(name, shape, dtype, self.initializer(name, input_depth))
                    for name, shape in self.weight_shapes(input_depth).items()}
        if input_depth != self._input_depth:
            raise ValueError("%s has weights for inputs of %d features, but is given %d: make "
                             "another cell" % (type(self).__name__, self._input_depth, input_depth))

    def initializer(self, name, input_depth):
        """Initializer of a variable: Glorot-uniform over the whole matrix; vectors zero."""
        is_matrix = len(self.weight_shapes(input_depth)[name]) == 2
        return tf.glorot_uniform_initializer() if is_matrix else tf.zeros_initializer()

    def variable(self, name, shape, dtype, initializer):
        """Create one variable."""
        return tf.get_variable(name, shape, dtype, initializer)

    def zero_state(self, batch_size, dtype):
        """First state: zeros."""
        return tf.nest.map_structure(lambda units: tf.zeros([batch_size, units], dtype),
                                     self.state_size)

    def final_hidden(self, state):
        """Features [B, N] of the final state that a classifier reads: the state, or its h."""
        return state.h if isinstance(state, LSTMState) else state

    def __call__(self, inputs, state, scope=None, mask=None):
        """Make one step from inputs [B, D]: (output [B, O], state).

        mask: dropout mask [B, K], scaled already (0 or 1 / (1 - rate)); None: drawn here.
        """
        mask = self.prepare(inputs, mask)
        return self.step(inputs, state, mask)

    def prepare(self, inputs, mask):
        """Build the cell for inputs [.., D]; returns `mask`, or a random one [.., K] for None."""
        depth = inputs.shape.as_list()[-1]
        self.build(depth, inputs.dtype)
        if mask is None and not no_dropout(self.dropout):
            uniform = tf.random.uniform(mask_shape(self, inputs, depth), dtype=inputs.dtype)
            mask = dropout_mask(uniform, self.dropout)
        return mask


def masked(values, mask):
    """`values` * `mask`; a mask of None means no dropout."""
    return values if mask is None else values * mask


def dropout_mask(uniform, rate):
    """Turn uniform numbers in [0, 1) into a mask of 0 (probability `rate`) and 1 / (1 - rate)."""
    rate = tf.cast(rate, uniform.dtype)
    return tf.cast(uniform >= rate, uniform.dtype) * (1 / (1 - rate))


def no_dropout(rate):
    """True if `rate` is the Python number 0: the graph then has no dropout operation at all."""
    return not tf.is_tensor(rate) and rate == 0


def mask_shape(cell, inputs, depth):
    """Shape tensor of a cell's dropout mask [.., K] for inputs [.., D] of depth D."""
    return tf.concat([tf.shape(inputs)[:-1], [cell.mask_size(depth)]], axis=0)


def _own_scope(name):
    """Open a variable scope `name`, or the first of `name_1`, .. that has no variable here yet.

    Where variables are reused, cells count as in tf.layers: the n-th one takes the variables of
    the n-th one built before.
    """
    here = tf.get_variable_scope()
    if here.reuse:
        return tf.variable_scope(None, default_name=name)
    prefix = re.escape(here.name + "/" if here.name else "")
    free = name
    for i in itertools.count(1):
        if not tf.global_variables("%s%s/" % (prefix, free)):
            return tf.variable_scope(free)
        free = "%s_%d" % (name, i)
