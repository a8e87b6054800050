"""The parts of the models of all four scripts, and what the trainer needs to know of a model."""

from training.quiet_tensorflow import tf

from cells import registry
from cells.fast.unroll import unroll
from files.errors import TrainingFailed, UserError
from files.progress import counted
from files.units import lower_is_better
from training import size
from training.optimizer import RectifiedAdam

# The loss is multiplied by it in mixed precision, so that small gradients survive in float16.
LOSS_SCALE = 2.0 ** 10


class Network(object):
    """[embedding ->] stack of cells -> head, with as many units as number_of_parameters allows.

    input_depth: depth D of the lowest cell's input (the embedding's size if there is one).
    head_outputs: columns of the head's matrix. head_reads: "outputs" (of every step) or "state"
    (the final one). embedding_rows: ids to embed, 0 for none. Raises UserError if not even one
    hidden unit fits.
    """

    def __init__(self, settings, input_depth, head_outputs, head_reads, embedding_rows=0):
        self._settings = settings
        self._input_depth, self._embedding_rows = input_depth, embedding_rows
        self._head_outputs, self._head_reads_state = head_outputs, head_reads == "state"
        self.hidden_units = size.largest_units(settings.number_of_parameters, self._parameters_of)
        self.parameters = self._parameters_of(self.hidden_units)
        self.cells = [self._cell(self.hidden_units) for _ in range(settings.number_of_layers)]
        self.dropout = tf.placeholder_with_default(0.0, [], "dropout")
        self.mask_seed = tf.placeholder_with_default(tf.zeros([2], tf.int32), [2], "mask_seed")

    def _cell(self, units):
        settings = self._settings
        return registry.make_cell(settings.cell_name, units, settings.cell_hyperparameters)

    def _parameters_of(self, units):
        """Parameters of embedding, cells and head, with `units` hidden units in every layer."""
        cell = self._cell(units)
        lowest = size.count(cell.weight_shapes(self._input_depth).values())
        other = size.count(cell.weight_shapes(cell.output_size).values())
        cells = lowest + (self._settings.number_of_layers - 1) * other
        head_inputs = units if self._head_reads_state else cell.output_size
        head = (head_inputs + 1) * self._head_outputs
        return self._embedding_rows * self._input_depth + cells + head

    def embed(self, ids):
        """Ids [T, B] -> embeddings [T, B, D], which start U(-1, 1)."""
        table = tf.get_variable("embedding", [self._embedding_rows, self._input_depth], tf.float32,
                                tf.random_uniform_initializer(-1.0, 1.0))
        return tf.nn.embedding_lookup(table, ids)

    def unroll(self, inputs, states=None, lengths=None):
        """Inputs [T, B, D] -> (outputs [T, B, O] of the top cell, final states); with dropout."""
        dropout = self.dropout if self._settings.dropout else 0.0
        return unroll(self.cells, inputs, states, lengths, dropout, self.mask_seed)

    def initial_states(self, batch_size):
        """The cells' own first states."""
        return [cell.zero_state(batch_size, tf.float32) for cell in self.cells]

    def initial_states_to_feed(self, batch_size):
        """The cells' own first states, as placeholders that a sampler may feed others into."""
        return _fed(self.initial_states(batch_size))

    def carried_states(self, batch_size, reset):
        """First states that go from batch to batch: (placeholders, states), zeros if none are fed.

        reset: bool scalar tensor; if it is true the states are zeros, whatever is fed.
        """
        zeros = tf.nest.map_structure(tf.zeros_like, self.initial_states(batch_size))
        fed = _fed(zeros)
        return fed, tf.cond(reset, lambda: zeros, lambda: fed, strict=True)

    def head(self, features):
        """Features [.., F] -> logits [.., head_outputs]: a Glorot uniform matrix, a zero bias."""
        with tf.variable_scope("head"):
            depth = features.shape.as_list()[-1]
            kernel = tf.get_variable("kernel", [depth, self._head_outputs], tf.float32,
                                     tf.glorot_uniform_initializer())
            bias = tf.get_variable("bias", [self._head_outputs], tf.float32, tf.zeros_initializer())
        return tf.tensordot(features, kernel, 1) + bias


def _fed(states):
    def placeholder(state):
        return tf.placeholder_with_default(state, state.shape)
    return tf.nest.map_structure(placeholder, states)


class Model(object):
    """A graph ready to be trained.

    inputs: {name: placeholder}, the names being those of the batches. loss: the scalar that
    training minimises. metrics: {name: Metric}. monitor: the metric that early stopping and the
    best checkpoint follow. outputs: further tensors by name, such as logits, for whoever wants to
    look at what the model does. by_example: {name: tensor [B], a number for each example of a
    batch}, whose published averages (see metrics.mean_of_batch_means) an evaluation gives beside
    the metrics. state: None, or for stateful models a pair of equal structures: placeholders with
    the zero state as default, and tensors of the state after the batch.
    """

    def __init__(self, settings, network, inputs, loss, metrics, monitor, outputs,
                 by_example=None, state=None):
        self.session_config = session_config(settings)
        self.network, self.inputs, self.loss = network, inputs, loss
        self.metrics, self.monitor = metrics, monitor
        self.lower_is_better = lower_is_better(monitor)
        self.by_example = by_example or {}
        self.state_in, self.state_out = state if state else ([], [])
        self.outputs = outputs
        variables = tf.trainable_variables()
        built = size.count(variable.shape.as_list() for variable in variables)
        assert built == network.parameters, "the graph has %d parameters, not %d" % (
            built, network.parameters)
        self._learning_rate = tf.placeholder(tf.float32, [], "learning_rate")
        optimizer = RectifiedAdam(self._learning_rate, settings.clip_gradients,
                                  settings.clip_multiplier)
        loss_scale = LOSS_SCALE if settings.mixed_precision else None
        self.train_op = optimizer.minimize(loss, variables, loss_scale)
        self.gradient_norm = optimizer.gradient_norm

    def feed(self, batch, state=None, dropout=0.0, mask_seed=(0, 0), learning_rate=None):
        """The feed_dict of a batch; `state` as fetched from state_out, None for the model's own.

        learning_rate: None in evaluation.
        """
        feed = {self.inputs[name]: array for name, array in batch.items()}
        feed.update({self.network.dropout: dropout, self.network.mask_seed: mask_seed})
        if learning_rate is not None:
            feed[self._learning_rate] = learning_rate
        if state is not None:
            feed.update(zip(tf.nest.flatten(self.state_in), tf.nest.flatten(state)))
        return feed


def outputs_for_sampling(logits, first_states, final_states):
    """The outputs of a Model that reports/sampling.py reads: logits [T, B, ..] and states."""
    return {"logits": logits, "first_states": tf.nest.flatten(first_states),
            "final_states": tf.nest.flatten(final_states)}


def session_config(settings):
    """The ConfigProto of a session: which GPU, how its memory is taken, mixed precision.

    Raises UserError for a GPU that is not there (TensorFlow 1.15 itself would abort the process).
    """
    present = len(tf.config.experimental.list_physical_devices("GPU")) if settings.gpu else 0
    if settings.gpu and settings.gpu not in map(str, range(present)):
        found = counted(present, "GPU")
        raise UserError("gpu is %r, but TensorFlow finds %s here" % (settings.gpu, found),
                        "give its number, from 0, or leave gpu empty: TensorFlow then chooses")
    config = tf.ConfigProto()
    config.gpu_options.visible_device_list = settings.gpu
    config.gpu_options.allow_growth = settings.allow_growth
    if settings.mixed_precision:
        config.graph_options.rewrite_options.auto_mixed_precision = 1  # RewriterConfig.ON
    return config


def out_of_memory(settings):
    """The error for a step that does not fit into memory."""
    possible = ("batch_size", "window_size", "number_of_parameters")
    names = [name for name in possible if name in settings.values]
    return TrainingFailed("out of memory: lower " + " or ".join(
        "%s (now %d)" % (name, settings.values[name]) for name in names))
