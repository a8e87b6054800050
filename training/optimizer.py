"""The optimizer of the paper's experiments: Rectified Adam that normalises before it averages, adaptive clipping.

Unlike in textbook RAdam (Liu et al. 2020) the running average is taken of the normalised gradient, from the first
step on, and the clip norm of a variable follows the running average of its squared gradient: clip_multiplier times the
root of that average's sum, plus CLIP_MARGIN.
"""

from training.quiet_tensorflow import tf

BETA1 = 0.9
BETA2 = 0.999
EPSILON = 1e-7
CLIP_MARGIN = 0.01  # part of every clip norm; all of it at the first step, when no squared gradient is known


class RectifiedAdam(object):
    """minimize() gives the tensor that makes one step; slots m, v and the step count t are variables."""

    def __init__(self, learning_rate, clip_gradients, clip_multiplier):
        self._learning_rate = learning_rate
        self._clip_gradients = clip_gradients
        self._clip_multiplier = clip_multiplier

    def minimize(self, loss, variables, loss_scale=None):
        """One step on `loss` (a scalar) over `variables`; sparse gradients (of embeddings) are made dense.

        loss_scale: a number by which the loss is multiplied and the gradients divided again, so that small
        gradients survive in float16; a step whose gradients are not all finite is then left out. None: neither.
        Returns a bool scalar: whether the step was made.
        """
        if loss_scale is None:
            return self.apply([tf.convert_to_tensor(g) for g in tf.gradients(loss, variables)], variables)
        gradients = [tf.convert_to_tensor(g) / loss_scale for g in tf.gradients(loss * loss_scale, variables)]
        finite = tf.reduce_all([tf.reduce_all(tf.is_finite(tensor)) for tensor in [loss] + gradients])
        slots = self._slots(variables)
        return tf.cond(finite, lambda: self._step(gradients, variables, slots), lambda: tf.constant(False))

    def apply(self, gradients, variables):
        """One step with given dense gradients, one for each variable."""
        return self._step(gradients, variables, self._slots(variables))

    def _slots(self, variables):
        def zeros(name, like_shape, dtype):
            return tf.get_variable(name, like_shape, dtype, tf.zeros_initializer(), trainable=False)
        with tf.variable_scope("optimizer"):
            return zeros("steps", [], tf.int64), [
                [zeros(w.op.name + "/" + slot, w.shape, w.dtype.base_dtype) for slot in "mv"] for w in variables]

    def _step(self, gradients, variables, slots):
        steps_done, moments = slots
        # No variable may change before every gradient, which may still have to read it, is there.
        with tf.control_dependencies(gradients):
            corrections = _corrections(steps_done + 1)
            updates = [self._update(g, w, m, v, corrections) for g, w, (m, v) in zip(gradients, variables, moments)]
        with tf.control_dependencies(updates):
            return tf.assign_add(steps_done, 1) > 0

    def _update(self, g, w, m, v, corrections):
        correction1, correction2, rectification = [tf.cast(value, w.dtype.base_dtype) for value in corrections]
        if self._clip_gradients:
            usual_norm = tf.sqrt(tf.reduce_sum(v) / correction2)
            g = tf.clip_by_norm(g, self._clip_multiplier * usual_norm + CLIP_MARGIN)
        v_new = BETA2 * v + (1 - BETA2) * tf.square(g)
        normalised = g / (tf.sqrt(v_new / correction2) + EPSILON)
        m_new = BETA1 * m + (1 - BETA1) * normalised
        step = self._learning_rate * rectification / correction1 * m_new
        return tf.group(tf.assign(v, v_new), tf.assign(m, m_new), tf.assign_sub(w, step))


def _corrections(t):
    """1 - beta1^t, 1 - beta2^t and r (1 where rho < 5), in float64, of step t = 1, 2, .."""
    t = tf.cast(t, tf.float64)
    beta2_t = tf.pow(tf.constant(BETA2, tf.float64), t)
    rho_inf = 2 / (1 - BETA2) - 1
    rho = rho_inf - 2 * t * beta2_t / (1 - beta2_t)
    # Below 5 the formula's root may be of a negative number; both branches of a where are computed, so it gets 5.
    safe = tf.maximum(rho, 5.0)
    r = tf.sqrt((safe - 4) * (safe - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * safe))
    return 1 - tf.pow(tf.constant(BETA1, tf.float64), t), 1 - beta2_t, tf.where(rho >= 5, r, tf.ones_like(r))
