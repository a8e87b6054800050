"""Settings for all tests: the project can be imported from, TensorFlow is quiet, plots need no display, Ctrl-C works."""

import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["MPLBACKEND"] = "Agg"
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background begins with it ignored

import training.quiet_tensorflow  # noqa: E402,F401: before a test imports TensorFlow by itself
