"""The optimizer of the paper: Rectified Adam that normalises before it averages, adaptive clipping.

Unlike in textbook RAdam (Liu et al. 2020) the running average is taken of the normalised gradient,
from the first step on, and the clip norm of a variable follows the running average of its squared
gradient: clip_multiplier times the root of that average's sum, plus CLIP_MARGIN.
"""

from training.quiet_tensorflow import tf

BETA1 = 0.9
BETA2 = 0.999
EPSILON = 1e-7
CLIP_MARGIN = 0.01  # part of every clip norm; all of it at the first step, when v is 0


class RectifiedAdam(object):
    """minimize() gives the tensor that makes one step; slots m, v and the step count are variables.

    gradient_norm: after minimize(), the norm of all gradients together, before clipping; a scalar.
    """

    def __init__(self, learning_rate, clip_gradients, clip_multiplier):
        self._learning_rate = learning_rate
        self._clip_gradients, self._clip_multiplier = clip_gradients, clip_multiplier
        self.gradient_norm = None

    def minimize(self, loss, variables, loss_scale=None):
        """One step on `loss` (a scalar) over `variables`; sparse gradients are made dense.

        loss_scale: a number by which the loss is multiplied and the gradients divided again, so
        that small gradients survive in float16; a step whose gradients are not all finite is then
        left out. None: neither. Returns a bool scalar: whether the step was made.
        """
        gradients = _gradients(loss, variables, loss_scale)
        self.gradient_norm = _norm(gradients)
        steps_done, slots = _variables_of_optimizer(variables)  # none can be made inside tf.cond

        def step():
            return self._step(gradients, variables, steps_done, slots)

        if loss_scale is None:
            return step()
        finite = [tf.reduce_all(tf.is_finite(tensor)) for tensor in [loss] + gradients]
        return tf.cond(tf.reduce_all(finite), step, lambda: tf.constant(False))

    def _step(self, gradients, variables, steps_done, slots):
        # No variable may change before every gradient, which may still have to read it, is there.
        with tf.control_dependencies(gradients):
            corrections = _corrections(steps_done + 1)
            updates = [self._update(g, w, slot, corrections)
                       for g, w, slot in zip(gradients, variables, slots)]
        with tf.control_dependencies(updates):
            step_counted = tf.assign_add(steps_done, 1)
        with tf.control_dependencies([step_counted]):
            return tf.constant(True)

    def _update(self, g, w, slots, corrections):
        m, v = slots
        correction1, correction2, rectification = [
            tf.cast(value, w.dtype.base_dtype) for value in corrections]
        if self._clip_gradients:
            usual_norm = tf.sqrt(tf.reduce_sum(v) / correction2)
            g = tf.clip_by_norm(g, self._clip_multiplier * usual_norm + CLIP_MARGIN)
        v_new = BETA2 * v + (1 - BETA2) * tf.square(g)
        normalised = g / (tf.sqrt(v_new / correction2) + EPSILON)
        m_new = BETA1 * m + (1 - BETA1) * normalised
        step = self._learning_rate * rectification / correction1 * m_new
        return tf.group(tf.assign(v, v_new), tf.assign(m, m_new), tf.assign_sub(w, step))


def _variables_of_optimizer(variables):
    """The number of steps done, int64 [], and running averages of each variable, zeros at first.

    These are (m, v): m of its normalised gradient, v of its squared gradient.
    """
    def zeros(name, shape, dtype):
        return tf.get_variable(name, shape, dtype, tf.zeros_initializer(), trainable=False)

    with tf.variable_scope("optimizer"):
        steps_done = zeros("steps", [], tf.int64)
        slots = []
        for w in variables:
            m = zeros(w.op.name + "/m", w.shape, w.dtype.base_dtype)
            v = zeros(w.op.name + "/v", w.shape, w.dtype.base_dtype)
            slots.append((m, v))
    return steps_done, slots


def _gradients(loss, variables, loss_scale):
    scaled = loss if loss_scale is None else loss * loss_scale
    # Zero where the loss does not depend on a variable: a classifier reads no outputs of a cell.
    found = tf.gradients(scaled, variables, unconnected_gradients="zero")
    dense = [tf.convert_to_tensor(gradient) for gradient in found]
    return dense if loss_scale is None else [gradient / loss_scale for gradient in dense]


def _norm(gradients):
    # Summed as tf.clip_by_norm does it, so that TensorFlow finds the same sums and makes them once.
    sums = [tf.reduce_sum(g * g, keepdims=True) for g in gradients]
    return tf.sqrt(tf.add_n([tf.reshape(tf.cast(total, tf.float32), []) for total in sums]))


def _corrections(t):
    """1 - beta1^t, 1 - beta2^t and r (1 if rho < 5), in float64, of step t = 1, 2, .."""
    t = tf.cast(t, tf.float64)
    beta2_t = tf.pow(tf.constant(BETA2, tf.float64), t)
    rho_inf = 2 / (1 - BETA2) - 1
    rho = rho_inf - 2 * t * beta2_t / (1 - beta2_t)
    # Below 5 the root may be of a negative number; tf.where computes both branches, so it gets 5.
    safe = tf.maximum(rho, 5.0)
    r = tf.sqrt((safe - 4) * (safe - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * safe))
    beta1_t = tf.pow(tf.constant(BETA1, tf.float64), t)
    return 1 - beta1_t, 1 - beta2_t, tf.where(rho >= 5, r, tf.ones_like(r))
