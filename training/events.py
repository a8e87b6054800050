"""TensorBoard's view of a run. The horizontal axis of every curve is training steps."""

import contextlib
import errno

from tensorboard.plugins.hparams import api_pb2, summary

from training.quiet_tensorflow import tf


@contextlib.contextmanager
def _as_disk_error():
    """Raise what TensorFlow raises for a full or broken disk as the OSError that it is."""
    try:
        yield
    except (RuntimeError, tf.errors.OpError) as error:
        raise OSError(errno.EIO, "TensorBoard's file: %s" % error) from error


class Events(object):
    """Writes the scalars of a run into its folder, and the default graph once; a file if needed."""

    def __init__(self, folder):
        self._folder = folder
        self._writer = None

    def _begun(self):
        self._writer = self._writer or tf.summary.FileWriter(self._folder, tf.get_default_graph())
        return self._writer

    @_as_disk_error()
    def resume(self, step):
        """Have TensorBoard drop what it has from `step` on: a killed run left later curves."""
        self._writer = tf.summary.FileWriter(self._folder)
        self._writer.add_session_log(tf.SessionLog(status=tf.SessionLog.START), step)

    @_as_disk_error()
    def scalars(self, step, values):
        """Write {tag: number} at `step`."""
        self._begun().add_summary(tf.Summary(value=[
            tf.Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]), step)

    @_as_disk_error()
    def hyperparameters(self, step, values, metrics):
        """Write what TensorBoard's HParams page compares runs by: settings and final metrics.

        values: {name: bool, number or text}. metrics: {tag: number}, of the step.
        """
        start = summary.session_start_pb(values)
        self._begun().add_summary(start.SerializeToString())
        self.scalars(step, metrics)
        end = summary.session_end_pb(api_pb2.STATUS_SUCCESS)
        self._writer.add_summary(end.SerializeToString())

    @_as_disk_error()
    def flush(self):
        """Have everything on the disk, as a kill must not take what a checkpoint says is done."""
        if self._writer:
            self._writer.flush()

    @_as_disk_error()
    def close(self):
        """Write the rest."""
        if self._writer:
            self._writer.close()
