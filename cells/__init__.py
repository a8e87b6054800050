"""The recurrent cells of "Gates Are Not What You Need in RNNs" (arXiv 2108.00527) and how they are unrolled.

A cell is what tf.nn.dynamic_rnn and MultiRNNCell accept (state_size, output_size, zero_state, call).
Symbols: B batch, T time steps, D input depth, N hidden units, O output size, M features of the RRU's middle layer.
"""

import tensorflow.compat.v1 as tf

tf.logging.set_verbosity(tf.logging.ERROR)  # deprecation warnings of TensorFlow are of no use to users
tf.disable_v2_behavior()  # graphs and sessions on TensorFlow 2.x too; on 1.15 it changes nothing
