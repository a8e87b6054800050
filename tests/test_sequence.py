"""Each cell's fast path against tf.nn.dynamic_rnn over the plain cell: values and all gradients."""

import importlib

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from cell_cases import CASES, flat_state, load, random_states, random_weights, state_like
from cells.fast import sequence, unroll
from cells.fast.unroll import parts_of_a_batch

pytestmark = pytest.mark.tf2

RTOL = {"float64": 1e-10, "float32": 1e-3}


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def assert_close(got, expected, rtol):
    """Equal to `rtol` of the largest value: entries near zero have no relative precision."""
    assert got.shape == expected.shape
    assert abs(got - expected).max() <= rtol * abs(expected).max()


def assert_paths_agree(names, dtype, time, batch, lengths=None, dropout=0.0, depth=3,
                       outputs_only=False, parts=None):
    cells, rng = [CASES[name][0]() for name in names], np.random.RandomState(5)
    x = rng.normal(size=(time, batch, depth)).astype(dtype)
    x = tf.placeholder_with_default(x, [None, None, depth])
    first = [[tf.placeholder_with_default(values.astype(dtype), [None, values.shape[1]])
              for values in random_states(cell, batch, rng)] for cell in cells]
    states = [state_like(cell, state) for cell, state in zip(cells, first)]
    results = []
    for path in ("dynamic_rnn", "sequence"):
        outputs, finals = unroll(cells, x, states, lengths, dropout, tf.constant([1, 2]), path,
                                 parts if path == "sequence" else None)
        values = [outputs] if outputs_only else [outputs] + tf.nest.flatten(finals)
        factors = np.random.RandomState(6)
        loss = tf.add_n([
            tf.reduce_sum(value * factors.normal(size=(time, batch, 1)[-len(value.shape):]))
            for value in values])
        weights = [weight for cell in cells for weight in cell.weights.values()]
        results.append((values, tf.gradients(loss, weights + [x] + sum(first, []))))
    with tf.Session() as session:
        for cell, below in zip(cells, [None] + cells):
            inputs = below.output_size if below else depth
            load(cell, random_weights(cell, inputs, rng), session)
        (expected, expected_gradients), (got, got_gradients) = session.run(results)
    for one, other in zip(got + got_gradients, expected + expected_gradients):
        assert_close(one, other, RTOL[dtype])


@pytest.mark.parametrize("case", ["rru", "gru", "lstm", "mogrifier"])
def test_every_cell_has_a_fast_path_and_takes_it(case, monkeypatch):
    cell, taken = CASES[case][0](), []
    module = importlib.import_module(cell.fast_path)
    all_steps = module.all_steps
    monkeypatch.setattr(module, "all_steps", lambda *words: taken.append(1) or all_steps(*words))
    unroll([cell], tf.zeros([2, 4, 3]), parts=2)
    assert taken == [1, 1]


@pytest.mark.parametrize("dtype", sorted(RTOL))
@pytest.mark.parametrize("case", sorted(CASES))
def test_values_and_gradients(case, dtype):
    assert_paths_agree([case], dtype, 7, 4, [7, 0, 3, 5], 0.4)


@pytest.mark.parametrize("case", sorted(CASES))
def test_without_dropout_and_lengths(case):
    assert_paths_agree([case], "float64", 5, 3)


@pytest.mark.parametrize("case", ["rru", "gru", "lstm", "mogrifier"])
@pytest.mark.parametrize("time, batch", [(1, 3), (4, 1), (1, 1)])
def test_one_step_and_one_example(case, time, batch):
    assert_paths_agree([case], "float64", time, batch, dropout=0.3)


@pytest.mark.parametrize("lengths", [None, [6, 2, 1]])
@pytest.mark.parametrize("stack", [
    ["rru", "rru, m 0.7, 2 layers", "rru, not normalised"], ["gru", "gru, 1 unit"],
    ["lstm", "lstm, bias -2"], ["mogrifier, 2 rounds", "mogrifier, 1 round"]], ids="+".join)
def test_stacks(stack, lengths):
    assert_paths_agree(stack, "float64", 6, 3, lengths, 0.2)


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("case", ["rru, m 1.4, 3 layers", "gru", "lstm", "mogrifier, 2 rounds"])
def test_parts_of_a_batch(case, parts):
    assert_paths_agree([case, case], "float64", 5, 4, [0, 5, 2, 3], 0.4, parts=parts)


@pytest.mark.parametrize("cores, parts", [({3}, 1), ({0, 1}, 2), (set(range(16)), 2)])
def test_a_part_for_each_of_two_cores_that_may_be_used(monkeypatch, cores, parts):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: cores, raising=False)
    monkeypatch.setattr(tf.config.experimental, "list_physical_devices", lambda kind: [])
    assert parts_of_a_batch() == parts


@pytest.mark.parametrize("case", ["rru", "gru", "lstm", "mogrifier"])
def test_loss_of_the_outputs_alone(case):
    assert_paths_agree([case], "float64", 5, 2, outputs_only=True)


@pytest.mark.parametrize("case", ["rru", "gru", "lstm", "mogrifier"])
def test_masks_and_states_may_be_arrays_pairs_and_of_unknown_size(case):
    cell, rng = CASES[case][0](), np.random.RandomState(9)
    x = rng.normal(size=(5, 2, 3)).astype("float32")
    mask = rng.randint(0, 2, (5, 2, cell.mask_size(3))) * 2.0
    arrays = [values.astype("float32") for values in random_states(cell, 2, rng)]
    plain = state_like(cell, [tf.constant(values) for values in arrays])
    expected = tf.nest.flatten(sequence(cell, x, plain, tf.constant(mask, tf.float32)))
    unknown = [tf.placeholder_with_default(values, [None, None]) for values in arrays]
    single = len(arrays) == 1
    with tf.Session() as session:
        load(cell, random_weights(cell, 3, rng), session)
        expected = session.run(expected)
        for state in (arrays, unknown):
            state = state[0] if single else tuple(state)
            got = session.run(tf.nest.flatten(sequence(cell, x, state, mask)))
            for one, other in zip(got, expected):
                assert_close(one, other, RTOL["float32"])


@pytest.mark.parametrize("case", ["rru", "gru", "lstm", "mogrifier"])
def test_a_state_carried_from_window_to_window(case):
    cell = CASES[case][0]()
    x = tf.constant(np.random.RandomState(7).normal(size=(8, 2, 3)))
    whole, (whole_end,) = unroll([cell], x)
    first, (state,) = unroll([cell], x[:3])
    second, (end,) = unroll([cell], x[3:], [state])
    with tf.Session() as session:
        load(cell, random_weights(cell, 3, np.random.RandomState(8)), session)
        got = session.run([tf.concat([first, second], 0)] + flat_state(end))
        for one, other in zip(got, session.run([whole] + flat_state(whole_end))):
            assert_close(one, other, 1e-12)


@pytest.mark.parametrize("case", ["rru", "gru", "lstm", "mogrifier"])
def test_own_dropout(case):
    cell = CASES[case][0]()
    cell.dropout = tf.placeholder_with_default(0.0, [])
    outputs, _ = sequence(cell, tf.ones([9, 2, 3]))
    with tf.Session() as session:
        load(cell, random_weights(cell, 3, np.random.RandomState(8)), session)
        assert np.array_equal(session.run(outputs), session.run(outputs))
        first, second = [session.run(outputs, {cell.dropout: 0.5}) for _ in range(2)]
    assert not np.allclose(first, second)


def test_dropout_in_a_stack_needs_a_seed():
    with pytest.raises(ValueError, match="dropout needs a seed"):
        unroll([CASES["rru"][0]()], tf.ones([4, 2, 3]), dropout=0.5)


def test_control_flow_stays_version_one(graph):
    unroll([CASES["rru"][0]()], tf.ones([4, 2, 3]))
    types = {operation.type for operation in graph.get_operations()}
    assert "LoopCond" in types and not types & {"While", "StatelessWhile", "If", "StatelessIf"}


@pytest.mark.parametrize("path", ["sequence", "dynamic_rnn"])
@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("lengths", [[3, 5], (3, 5), np.array([3, 5]), np.array([3, 5], np.uint8),
                                     lambda: tf.constant([3, 5], tf.int64)])
def test_lengths_of_any_kind(lengths, parts, path):
    cell, x = CASES["lstm"][0](), np.random.RandomState(7).normal(size=(6, 2, 3))
    lengths = lengths() if callable(lengths) else lengths
    expected, (expected_end,) = unroll([cell], tf.constant(x), lengths=tf.constant([3, 5]), parts=1)
    outputs, (end,) = unroll([cell], x, lengths=lengths, path=path, parts=parts)
    alone, alone_end = sequence(cell, x, lengths=lengths)
    with tf.Session() as session:
        load(cell, random_weights(cell, 3, np.random.RandomState(8)), session)
        wanted = session.run([expected] + flat_state(expected_end))
        for results in ([outputs] + flat_state(end), [alone] + flat_state(alone_end)):
            for got, one in zip(session.run(results), wanted):
                assert_close(got, one, 1e-12)
    assert not wanted[0][3:, 0].any() and wanted[0][4, 1].all()


def test_lengths_that_are_no_integers_are_refused():
    with pytest.raises(ValueError, match="^lengths must be integers, not float32$"):
        sequence(CASES["gru"][0](), tf.ones([4, 2, 3]), lengths=[1.5, 2.0])


def test_a_subclass_with_other_equations_is_not_given_those_of_its_parent():
    class Doubled(type(CASES["gru"][0]())):
        def step(self, x, h, mask):
            output, h = super().step(x, h, mask)
            return 2 * output, h

    cell, plain, x = Doubled(5), CASES["gru"][0](), np.ones([4, 2, 3])
    results = [sequence(cell, x, lengths=[4, 1])[0], sequence(plain, x, lengths=[4, 1])[0]]
    values = random_weights(plain, 3, np.random.RandomState(8))
    with tf.Session() as session:
        load(cell, values, session)
        load(plain, values, session)
        doubled, once = session.run(results)
    assert_close(doubled, 2 * once, 1e-12)
