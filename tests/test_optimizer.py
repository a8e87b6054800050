"""The optimizer against a NumPy version written from the formulas."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from training.optimizer import RectifiedAdam

pytestmark = pytest.mark.tf2

STEPS = 1000


def numpy_steps(w, gradients, learning_rate, clip_multiplier):
    """Yield w [..] after each step on the given gradients, in float64."""
    beta1, beta2, rho_inf = 0.9, 0.999, 2 / (1 - 0.999) - 1
    v, m = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(gradients, 1):
        if clip_multiplier:
            most = clip_multiplier * np.sqrt(v.sum() / (1 - beta2 ** t)) + 0.01
            norm = np.sqrt((g ** 2).sum())
            g = g * most / norm if norm > most else g
        v = beta2 * v + (1 - beta2) * g ** 2
        m = beta1 * m + (1 - beta1) * g / (np.sqrt(v / (1 - beta2 ** t)) + 1e-7)
        rho = rho_inf - 2 * t * beta2 ** t / (1 - beta2 ** t)
        r = 1.0
        if rho >= 5:
            r = np.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
        w = w - learning_rate * r * m / (1 - beta1 ** t)
        yield w


def loss_with(gradients, variables):
    """A loss that has the given gradients, one for each variable."""
    return tf.add_n([tf.reduce_sum(g * w) for g, w in zip(gradients, variables)])


@pytest.mark.parametrize("clip_multiplier", [None, 1.5])
@pytest.mark.parametrize("dtype, tolerance", [(tf.float64, 1e-9), (tf.float32, 1e-3)])
def test_equals_numpy_over_a_thousand_steps(clip_multiplier, dtype, tolerance):
    random = np.random.RandomState(0)
    # Gradients of changing size, so that clipping sometimes binds. Two variables, of which
    # one has far larger gradients: each is clipped by its own norm.
    shapes, scales = ([3, 4], [5]), (1, 100)
    starts = [random.randn(*shape) for shape in shapes]
    gradients = []
    for shape, scale in zip(shapes, scales):
        directions = random.randn(STEPS, *shape)
        gradients.append(scale * directions * np.exp(random.randn(STEPS, *np.ones_like(shape))))
    expected = [list(numpy_steps(start, given, 0.01, clip_multiplier))
                for start, given in zip(starts, gradients)]
    with tf.Graph().as_default(), tf.Session() as session:
        weights = [tf.get_variable("w%d" % len(start.shape), dtype=dtype,
                                   initializer=tf.constant(start, dtype)) for start in starts]
        fed = [tf.placeholder(dtype, shape) for shape in shapes]
        optimizer = RectifiedAdam(0.01, clip_multiplier is not None, clip_multiplier or 1.0)
        step = optimizer.minimize(loss_with(fed, weights), weights)
        session.run(tf.global_variables_initializer())
        for i in range(STEPS):
            session.run(step, {placeholder: given[i] for placeholder, given in zip(fed, gradients)})
            if i in (0, 1, 4, 5, 6, 30, STEPS - 1):
                for found, path in zip(session.run(weights), expected):
                    np.testing.assert_allclose(found, path[i], rtol=tolerance, atol=tolerance)


def test_first_clipped_gradient_has_norm_one_hundredth():
    with tf.Graph().as_default(), tf.Session() as session:
        w = tf.get_variable("w", [50], initializer=tf.zeros_initializer())
        loss = loss_with([tf.random.normal([50])], [w])
        step = RectifiedAdam(0.01, True, 1.5).minimize(loss, [w])
        session.run(tf.global_variables_initializer())
        session.run(step)
        v = [variable for variable in tf.global_variables() if variable.op.name.endswith("/v")]
        np.testing.assert_allclose(session.run(v[0]).sum() / (1 - 0.999), 1e-4, rtol=1e-3)


def test_embedding_rows_without_gradient_are_treated_alike():
    with tf.Graph().as_default(), tf.Session() as session:
        table = tf.get_variable("table", [5, 2], initializer=tf.ones_initializer())
        loss = tf.reduce_sum(tf.nn.embedding_lookup(table, [1, 1, 3]))
        step = RectifiedAdam(0.1, True, 5.0).minimize(loss, [table])
        session.run(tf.global_variables_initializer())
        session.run(step)
        dense = np.array([[0, 0], [2, 2], [0, 0], [1, 1], [0, 0]], np.float64)  # row 1 twice
        expected, = numpy_steps(np.ones([5, 2]), [dense], 0.1, 5.0)
        np.testing.assert_allclose(session.run(table), expected, rtol=1e-5)


@pytest.mark.parametrize("loss_scale", [None, 1024.0])
def test_gradient_norm_is_that_of_all_gradients_before_clipping(loss_scale):
    with tf.Graph().as_default(), tf.Session() as session:
        a, b = [tf.get_variable(name, [2], initializer=tf.ones_initializer()) for name in "ab"]
        optimizer = RectifiedAdam(0.1, True, 5.0)
        step = optimizer.minimize(tf.reduce_sum(30 * a) + tf.reduce_sum(40 * b), [a, b], loss_scale)
        session.run(tf.global_variables_initializer())
        _, norm = session.run([step, optimizer.gradient_norm])
        np.testing.assert_allclose(norm, 50 * np.sqrt(2), rtol=1e-6)


def test_scaled_step_is_left_out_where_a_gradient_is_not_finite():
    with tf.Graph().as_default(), tf.Session() as session:
        w = tf.get_variable("w", [2], initializer=tf.ones_initializer())
        factor = tf.placeholder(tf.float32, [])
        loss = tf.reduce_sum(w * factor)
        step = RectifiedAdam(0.1, True, 5.0).minimize(loss, [w], loss_scale=1024.0)
        session.run(tf.global_variables_initializer())
        before = session.run(tf.global_variables())
        session.run(step, {factor: np.inf})
        for old, new in zip(before, session.run(tf.global_variables())):
            np.testing.assert_array_equal(old, new)
        session.run(step, {factor: 1.0})
        assert (session.run(w) < 1).all()


@pytest.mark.parametrize("loss_scale", [None, 8.0])
def test_what_the_loss_does_not_depend_on_stays_as_it_is(loss_scale):
    with tf.Graph().as_default(), tf.Session() as session:
        weights = [tf.get_variable(name, initializer=tf.ones([2])) for name in ("used", "unused")]
        optimizer = RectifiedAdam(0.01, True, 1.5)
        update = optimizer.minimize(tf.reduce_sum(weights[0] ** 2), weights, loss_scale)
        session.run(tf.global_variables_initializer())
        session.run(update)
        used, unused = session.run(weights)
        assert (used < 1).all() and (unused == 1).all()
