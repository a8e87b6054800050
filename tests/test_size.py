"""The number of hidden units for a number of parameters: exact, equal to that of built graphs."""

import types

import pytest
import tensorflow.compat.v1 as tf

from cells import registry
from training import size
from files.errors import UserError
from training.model import Network

# Task -> input depth, head outputs, what the head reads, embedding rows, layers, parameters, data.
TASKS = {
    "music": (88, 88, "outputs", 0, 1, 5000000, "JSB Chorales"),
    "penn": (64, 9650, "outputs", 9650, 2, 20000000, "penn"),
    "pennchar": (16, 51, "outputs", 51, 2, 24000000, "pennchar"),
    "enwik8": (32, 207, "outputs", 207, 2, 48000000, "enwik8"),
    "IMDB": (64, 2, "state", 24902, 2, 2000000, "IMDB"),
    "MNIST": (1, 10, "state", 0, 2, 70000, "SequentialMNIST"),
}


def settings_for(task, cell_name, parameters=None):
    layers, published, data_set = TASKS[task][4:]
    return types.SimpleNamespace(
        cell_name=cell_name, number_of_layers=layers, dropout=0.0,
        number_of_parameters=parameters or published,
        cell_hyperparameters=registry.published_hyperparameters(cell_name, data_set))


def built_parameters(settings, units, task):
    """Parameters of a graph that is really built, with `units` hidden units."""
    depth, head_outputs, head_reads, embedding_rows = TASKS[task][:4]
    with tf.Graph().as_default():
        shape = [embedding_rows, depth]
        features = tf.get_variable("embedding", shape) if embedding_rows else tf.zeros([3, depth])
        for layer in range(settings.number_of_layers):
            cell = registry.make_cell(settings.cell_name, units, settings.cell_hyperparameters)
            with tf.variable_scope("layer_%d" % layer):
                outputs, state = cell(features, cell.zero_state(tf.shape(features)[0], tf.float32))
            features = outputs
        read = cell.final_hidden(state) if head_reads == "state" else features
        tf.get_variable("kernel", [read.shape.as_list()[-1], head_outputs])
        tf.get_variable("bias", [head_outputs])
        return sum(variable.shape.num_elements() for variable in tf.trainable_variables())


@pytest.mark.parametrize("task", sorted(TASKS))
@pytest.mark.parametrize("cell_name", sorted(registry.CELLS))
def test_n_fits_and_one_more_does_not(task, cell_name):
    settings = settings_for(task, cell_name)
    depth, head_outputs, head_reads, embedding_rows = TASKS[task][:4]
    with tf.Graph().as_default():
        network = Network(settings, depth, head_outputs, head_reads, embedding_rows)
    assert built_parameters(settings, network.hidden_units, task) == network.parameters
    assert network.parameters <= settings.number_of_parameters
    one_more = built_parameters(settings, network.hidden_units + 1, task)
    assert one_more > settings.number_of_parameters


def test_the_check_value_of_jsb_chorales():
    with tf.Graph().as_default():
        network = Network(settings_for("music", "RRU"), 88, 88, "outputs")
    assert (network.hidden_units, network.parameters) == (1034, 4992810)


def test_too_few_parameters_are_refused_with_the_smallest_size():
    message = "number_of_parameters is 100, .* has"
    with tf.Graph().as_default(), pytest.raises(UserError, match=message):
        Network(settings_for("music", "GRU", 100), 88, 88, "outputs")


def test_a_billion_layers_are_refused_at_once():
    settings = settings_for("music", "RRU")
    settings.number_of_layers = 10 ** 9
    with tf.Graph().as_default(), pytest.raises(UserError, match="a model of one hidden unit has"):
        Network(settings, 88, 88, "outputs")


def test_the_largest_units_are_found_in_few_steps():
    asked = []
    assert size.largest_units(10 ** 12, lambda n: asked.append(n) or 10 * n) == 10 ** 11
    assert len(asked) < 100


def test_largest_units_at_the_edges():
    assert size.largest_units(10, lambda n: 10 * n) == 1
    assert size.largest_units(29, lambda n: 10 * n) == 2
    assert size.largest_units(30, lambda n: 10 * n) == 3


def test_the_middle_layers_of_an_rru_have_a_feature_at_least():
    hyperparameters = registry.published_hyperparameters("RRU", "JSB Chorales")
    cell = registry.make_cell("RRU", 1, dict(hyperparameters, middle_layer_size_multiplier=1e-9))
    assert cell.mask_size(2) == 1
    assert all(0 not in shape for shape in cell.weight_shapes(2).values())
