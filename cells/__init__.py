"""The recurrent cells of "Gates Are Not What You Need in RNNs" (arXiv 2108.00527) and how they are unrolled.

A cell is what tf.nn.dynamic_rnn and MultiRNNCell accept (state_size, output_size, zero_state, call).
Symbols: B batch, T time steps, D input depth, N hidden units, O output size, M features of the RRU's middle layer.
"""
