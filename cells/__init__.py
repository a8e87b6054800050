"""The recurrent cells of "Gates Are Not What You Need in RNNs" (arXiv 2108.00527).

Each cell has what tf.nn.dynamic_rnn calls: state_size, output_size, zero_state and __call__.
cells/fast runs them over whole sequences 1.4 to 4 times as fast. docs/cells.md shows both.

Symbols: B batch, T time steps, D input depth, N hidden units, O output size, M features of the
RRU's middle layer; [T, B, D] is the shape of a tensor. A dash marks the next step: h' follows h.
The cells build graphs: on TensorFlow 2.x call tf.disable_v2_behavior() first.
"""
