"""The cells over whole sequences, several times as fast as by tf.nn.dynamic_rnn.

    from cells.fast import sequence, unroll

`sequence` runs one cell, `unroll` a stack of them; docs/cells.md shows how to use them.
"""

from cells.fast.unroll import sequence, unroll  # noqa: F401
