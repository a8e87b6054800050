"""Each cell against its NumPy version, and what else a cell promises: variables, masks, scopes."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from cell_cases import (CASES, flat_state, load, random_mask, random_states, random_weights,
                        state_like)
from cells import mogrifier_lstm, registry
from cells.gru import GRUCell
from cells.lstm import LSTMCell
from cells.mogrifier_lstm import MogrifierLSTMCell
from cells.rru import RRUCell
from cells.fast import sequence, unroll
from cells.fast.unroll import sequence_masks

pytestmark = pytest.mark.tf2

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def numeric_gradient(function, array, width=1e-5):
    """Central differences of a scalar function of `array`, which is changed in place meanwhile."""
    gradient = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + width
        above = function()
        array[index] = value - width
        gradient[index] = (above - function()) / (2 * width)
        array[index] = value
    return gradient


@pytest.mark.parametrize("with_mask", [False, True])
@pytest.mark.parametrize("case", sorted(CASES))
def test_steps_and_their_gradients(case, with_mask):
    make, numpy_cell = CASES[case]
    cell, rng = make(), np.random.RandomState(3)
    time, batch, depth = 3, 2, 4
    w, first = random_weights(cell, depth, rng), random_states(cell, batch, rng)
    x = rng.normal(size=(time, batch, depth))
    mask = random_mask(cell, time, batch, depth, rng) if with_mask else None
    factors = [rng.normal(size=(time, batch, cell.output_size))] + random_states(cell, batch, rng)

    inputs, state = tf.constant(x), [tf.constant(values) for values in first]
    outputs, states = [], state_like(cell, state)
    for t in range(time):
        mask_t = None if mask is None else tf.constant(mask[t])
        output, states = cell(inputs[t], states, mask=mask_t)
        outputs.append(output)
    results = [tf.stack(outputs)] + flat_state(states)
    loss = tf.add_n([tf.reduce_sum(result * factor) for result, factor in zip(results, factors)])
    gradients = tf.gradients(loss, list(cell.weights.values()) + [inputs] + state)

    def numpy_results():
        outputs, last = numpy_cell(w, x, *first, mask=mask)
        return [outputs] + last

    def numpy_loss():
        return sum((result * factor).sum() for result, factor in zip(numpy_results(), factors))

    with tf.Session() as session:
        load(cell, w, session)
        got_results, got_gradients = session.run([results, gradients])
    for got, expected in zip(got_results, numpy_results()):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)
    for got, array in zip(got_gradients, list(w.values()) + [x] + first):
        np.testing.assert_allclose(got, numeric_gradient(numpy_loss, array), rtol=2e-5, atol=2e-7)


STACKS = [["rru", "rru, m 0.7, 2 layers"], ["gru", "gru, 1 unit", "gru"], ["lstm", "lstm, bias -2"],
          ["mogrifier", "mogrifier, 6 rounds"], ["rru, m 1.4, 3 layers", "lstm", "gru"]]


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("lengths", [None, [5, 1, 3]])
@pytest.mark.parametrize("stack", STACKS, ids="+".join)
def test_unrolled_stack_equals_numpy(stack, lengths, dropout):
    cells, rng = [CASES[name][0]() for name in stack], np.random.RandomState(4)
    x = rng.normal(size=(5, 3, 2))
    first = [random_states(cell, 3, rng) for cell in cells]
    inputs = tf.placeholder(tf.float64, [None, None, 2])
    seed = tf.constant([7, 11])
    first_states = [state_like(cell, list(map(tf.constant, state)))
                    for cell, state in zip(cells, first)]
    lengths_tensor = None if lengths is None else tf.constant(lengths)
    outputs, states = unroll(cells, inputs, first_states, lengths_tensor, dropout, seed)
    depths = [2] + [cell.output_size for cell in cells]
    masks = sequence_masks(cells, tf.zeros([5, 3, 2], tf.float64), dropout, seed)
    weights = [random_weights(cell, depth, rng) for cell, depth in zip(cells, depths)]
    with tf.Session() as session:
        for cell, values in zip(cells, weights):
            load(cell, values, session)
        got = session.run([outputs, [flat_state(state) for state in states]], {inputs: x})
        if dropout:
            masks = session.run(masks)
    expected, expected_states = x, []
    for name, w, state, mask in zip(stack, weights, first, masks):
        expected, last = CASES[name][1](w, expected, *state, mask=mask, lengths=lengths)
        expected_states.append(last)
    np.testing.assert_allclose(got[0], expected, rtol=1e-9, atol=1e-12)
    for got_state, expected_state in zip(sum(got[1], []), sum(expected_states, [])):
        np.testing.assert_allclose(got_state, expected_state, rtol=1e-9, atol=1e-12)


def test_masks_depend_on_seed_step_layer_and_place():
    cell, inputs = GRUCell(40), tf.zeros([30, 20, 2])
    masks = [sequence_masks([cell, cell], inputs, 0.7, tf.constant(seed))[layer]
             for seed, layer in [([1, 2], 0), ([1, 2], 0), ([2, 2], 0), ([1, 3], 0), ([1, 2], 1)]]
    with tf.Session() as session:
        first, again, seed, step, layer = session.run(masks)
    assert np.array_equal(first, again)
    assert set(np.unique(first)) == {np.float32(0), np.float32(1 / 0.3)}
    assert abs((first == 0).mean() - 0.7) < 0.01
    rolled = [np.roll(first, 1, axis) for axis in range(3)]
    for other in [seed, step, layer] + rolled:
        assert abs(((first == 0) == (other == 0)).mean() - (0.7 ** 2 + 0.3 ** 2)) < 0.02


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_cell_is_what_tensorflow_takes(case, graph):
    cell = stack = CASES[case][0]()
    if tf.__version__.startswith("1."):  # TensorFlow >= 2.16 has it in the package tf_keras
        stack = tf.nn.rnn_cell.MultiRNNCell([cell, CASES[case][0]()])
    outputs, states = tf.nn.dynamic_rnn(stack, tf.ones([2, 3, 4]), dtype=tf.float32)
    assert outputs.shape.as_list() == [2, 3, cell.output_size]
    assert not [op for op in graph.get_operations() if "Random" in op.type and "while" in op.name]
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert np.isfinite(session.run(outputs)).all()


@pytest.mark.parametrize("make", [
    lambda **kw: RRUCell(30, 8, **kw), lambda **kw: GRUCell(30, **kw),
    lambda **kw: LSTMCell(30, **kw), lambda **kw: MogrifierLSTMCell(30, **kw)])
def test_a_cell_given_no_mask_draws_its_own(make):
    rate = tf.placeholder_with_default(0.0, [])
    cell = make(dropout=rate)
    outputs, state = tf.nn.dynamic_rnn(cell, tf.ones([2, 9, 4]), dtype=tf.float32)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run([weight.assign(weight + 0.1) for weight in cell.weights.values()])
        assert np.array_equal(*session.run([outputs, outputs * 1]))
        first, second = session.run(outputs, {rate: 0.5}), session.run(outputs, {rate: 0.5})
    assert not np.allclose(first, second)


@pytest.mark.parametrize("case", sorted(CASES))
def test_variables_are_those_of_weight_shapes_and_made_once(case):
    cell = CASES[case][0]()
    shapes = cell.weight_shapes(7)
    with tf.variable_scope("model"):
        cell.build(7)
        cell.build(7)
    built = {name: tuple(value.shape.as_list()) for name, value in cell.weights.items()}
    assert list(built.items()) == list(shapes.items())
    assert len(tf.trainable_variables()) == len(shapes)
    scope = "model/%s/" % cell.name
    assert all(variable.name.startswith(scope) for variable in tf.trainable_variables())


def test_the_middle_layer_is_rounded_halves_to_the_even_number():
    cases = ((4, 4, 0.7, 6), (3, 4, 1.4, 10), (2, 3, 0.5, 2), (3, 4, 0.5, 4))
    for units, depth, multiplier, middle in cases:  # of 5.6, 9.8, 2.5 and 3.5
        assert RRUCell(units, 1, 1, multiplier).middle_size(depth) == middle


@pytest.mark.parametrize("cell_name", sorted(registry.CELLS))
def test_the_registry_hands_on_all_of_a_cells_hyperparameters(cell_name):
    given = {"output_size": 3, "relu_layers": 4, "middle_layer_size_multiplier": 1.5,
             "normalize": False, "forget_bias": -2.0, "feature_mask_rounds": 3,
             "feature_mask_rank": 7}
    own = {name: given[name] for name in registry.CELLS[cell_name].hyperparameters}
    cell = registry.make_cell(cell_name, 5, own)
    assert {name: getattr(cell, name) for name in own} == own


@pytest.mark.skipif(not tf.__version__.startswith("1."), reason="dm-sonnet is of TensorFlow 1.x")
def test_the_mogrifiers_weights_live_in_sonnet_modules():
    import sonnet
    assert (mogrifier_lstm.Linear, mogrifier_lstm.AddBias) == (sonnet.Linear, sonnet.AddBias)


def initial_values(cell, depth, seed=1):
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(seed)
        cell.build(depth)
        session.run(tf.global_variables_initializer())
        return session.run(cell.weights)


def assert_uniform(values, limit):
    assert 0.97 * limit < abs(values).max() <= limit * (1 + 1e-6)
    assert abs(values.std() - limit / np.sqrt(3)) < 0.05 * limit


def assert_truncated_normal(values, stddev):
    assert 1.9 * stddev < abs(values).max() <= 2 * stddev * (1 + 1e-6)
    # 0.8796: the cut makes a normal narrower
    assert abs(values.std() - 0.8796 * stddev) < 0.05 * stddev


def test_initial_values_of_the_rru():
    w = initial_values(RRUCell(400, 50, 2), 30)
    for name in ("W_J", "W_2", "W"):
        assert_uniform(w[name], np.sqrt(6 / sum(w[name].shape)))
    for name in ("b_J", "b_2", "b", "z"):
        assert not w[name].any()
    kept = 1 / (1 + np.exp(-10 * w["s"]))
    assert 0.01 <= kept.min() < 0.05 and 0.95 < kept.max() <= 0.99 and abs(kept.mean() - 0.5) < 0.06
    np.testing.assert_allclose(np.percentile(kept, (25, 50, 75)), (0.255, 0.5, 0.745), atol=0.1)


def test_initial_values_of_gru_and_lstm():
    w = initial_values(GRUCell(100), 30)
    assert_uniform(w["W_g"], np.sqrt(6 / 330))
    assert_uniform(w["W_c"], np.sqrt(6 / 230))
    assert (w["b_g"] == 1).all() and not w["b_c"].any()
    w = initial_values(LSTMCell(100), 30)
    assert_uniform(w["W"], np.sqrt(6 / 530))
    assert not w["b"].any()


def test_initial_values_of_the_mogrifier():
    w = initial_values(MogrifierLSTMCell(100, 5, 40), 60)
    assert_truncated_normal(w["W"][:60], np.sqrt(1.3 / 60))
    assert_truncated_normal(w["W"][60:], np.sqrt(1.3 / 100))
    for number, source in enumerate([100, 60, 100, 60, 100]):
        assert_truncated_normal(w["A_%d" % number], (1 / (source * 40)) ** 0.25)
        assert_truncated_normal(w["B_%d" % number], (1 / (source * 40)) ** 0.25)
    assert not any(values.any() for name, values in w.items() if name.startswith("b_"))
    w = initial_values(MogrifierLSTMCell(100, 1, 0), 60)
    assert "B_0" not in w
    assert_uniform(w["A_0"], np.sqrt(6 / 160))


@pytest.mark.parametrize("case", sorted(CASES))
def test_initial_values_come_from_the_graph_seed(case):
    values = [initial_values(CASES[case][0](), 4, seed) for seed in (1, 1, 2)]
    assert all(np.array_equal(values[0][name], values[1][name]) for name in values[0])
    assert any(not np.array_equal(values[0][name], values[2][name]) for name in values[0])


def test_first_states_and_final_hidden():
    with tf.Session() as session:
        rru = session.run(RRUCell(9, 2).zero_state(tf.constant(3), tf.float64))
        assert np.array_equal(rru, [[0.75] + [0] * 8] * 3)
        for make in (GRUCell, LSTMCell, MogrifierLSTMCell):
            cell = make(4)
            state = cell.zero_state(2, tf.float32)
            assert not session.run(cell.final_hidden(state)).any()
    state = LSTMCell(4).zero_state(2, tf.float32)
    assert LSTMCell(4).final_hidden(state) is state.h


@pytest.mark.parametrize("case", ["rru", "gru", "lstm", "mogrifier"])
def test_cells_in_one_scope_have_variables_of_their_own(case):
    first, second, third, inside = [CASES[case][0]() for _ in range(4)]
    tf.nn.dynamic_rnn(first, tf.ones([2, 3, 4]), dtype=tf.float32)
    tf.nn.dynamic_rnn(second, tf.ones([2, 3, 4]), dtype=tf.float32)
    tf.nn.dynamic_rnn(second, tf.ones([2, 3, 4]), dtype=tf.float32)
    for cell in (inside, third):
        sequence(cell, tf.ones([3, 2, 4]))
    unroll([CASES[case][0]()], tf.ones([3, 2, 4]))
    unroll([CASES[case][0]()], tf.ones([3, 2, 4]))
    name = first.name
    assert len(tf.trainable_variables()) == 6 * len(first.weights)
    for cell, scope in [(first, "rnn/%s/"), (second, "rnn/%s_1/"), (inside, "%s/"),
                        (third, "%s_1/")]:
        assert all(weight.name.startswith(scope % name) for weight in cell.weights.values())
    assert tf.trainable_variables("layer_0/%s/" % name)
    assert tf.trainable_variables("layer_0/%s_1/" % name)


@pytest.mark.parametrize("reuse", [True, tf.AUTO_REUSE])
def test_cells_share_variables_where_reuse_is_asked_for(reuse):
    def two_cells():
        for _ in range(2):
            cell = CASES["rru"][0]()
            cell(tf.ones([2, 3]), cell.zero_state(2, tf.float32))

    with tf.variable_scope("model"):
        two_cells()
    before = len(tf.trainable_variables())
    with tf.variable_scope("model", reuse=reuse):
        two_cells()
    assert len(tf.trainable_variables()) == before == 2 * len(CASES["rru"][0]().weight_shapes(3))


def test_a_cell_given_other_inputs_than_it_was_built_for_says_so():
    cell = CASES["gru"][0]()
    state = cell.zero_state(2, tf.float32)
    with pytest.raises(ValueError, match="GRUCell must have a last dimension that is known"):
        cell(tf.placeholder(tf.float32, [2, None]), state)
    cell(tf.ones([2, 3]), state)
    with pytest.raises(ValueError, match="weights for inputs of 3 features, but is given 5"):
        cell(tf.ones([2, 5]), state)


ALONE = """
import numpy as np
import tensorflow.compat.v1 as tf
from cells.rru import RRUCell
if tf.executing_eagerly():
    try:
        RRUCell(4, 2)(tf.ones([2, 3]), tf.ones([2, 4]))
        raise SystemExit("no error in eager mode")
    except RuntimeError as error:
        assert "tf.disable_v2_behavior()" in str(error), error
tf.disable_v2_behavior()
inputs = tf.constant(np.random.RandomState(1).normal(size=(5, 2, 3)))
cell = RRUCell(4, 2, relu_layers=2)
outputs, end = tf.nn.dynamic_rnn(cell, inputs, dtype=tf.float64, time_major=True)
state, by_loop = cell.zero_state(2, tf.float64), []
for t in range(5):
    output, state = cell(inputs[t], state)
    by_loop.append(output)
gradients = tf.gradients(outputs, list(cell.weights.values()))
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    one, other, ends, gradients = session.run(
        [outputs, tf.stack(by_loop), (end, state), gradients])
np.testing.assert_allclose(one, other, rtol=1e-12)
np.testing.assert_allclose(*ends, rtol=1e-12)
assert all(np.isfinite(gradient).all() for gradient in gradients)
import sys
ours = sorted(name for name in sys.modules if name.split(".")[0] in ("cells", "files", "training"))
assert ours == ["cells", "cells.common", "cells.rru"], ours
"""


def test_the_rru_works_alone_with_two_files(tmp_path):
    (tmp_path / "cells").mkdir()
    for name in ("rru.py", "common.py"):
        shutil.copy(os.path.join(ROOT, "cells", name), str(tmp_path / "cells" / name))
    (tmp_path / "model.py").write_text(ALONE)
    result = subprocess.run([sys.executable, "model.py"], cwd=str(tmp_path),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            universal_newlines=True)
    assert result.returncode == 0, result.stderr[-2000:]


def test_the_normalisation_is_published_and_in_no_sweep():
    hyperparameter = registry.CELLS["RRU"].hyperparameters["normalize"]
    assert hyperparameter.published == {None: True} and hyperparameter.search is None
    own = registry.published_hyperparameters("RRU", "enwik8")
    assert registry.make_cell("RRU", 5, own).normalize is RRUCell(5, 3).normalize is True
    assert registry.make_cell("RRU", 5, dict(own, normalize=False)).normalize is False
