"""Settings for all tests.

The project can be imported from, TensorFlow is quiet, plots need no display, Ctrl-C works, and
tests have short names.
"""

import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["MPLBACKEND"] = "Agg"
# A shell's job in the background begins with SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest  # noqa: E402

from training.quiet_tensorflow import tf  # noqa: E402: before a test imports TensorFlow by itself


@pytest.fixture
def session():
    """A session of a graph of its own, which is the default."""
    with tf.Graph().as_default(), tf.Session() as session:
        yield session


def pytest_make_parametrize_id(config, val, argname):
    """Name a test by the argument if its value is long, as the bytes of an archive are.

    These hold the time of day, but the processes that share the tests must call them alike.
    """
    return argname if isinstance(val, (str, bytes)) and len(val) > 80 else None
