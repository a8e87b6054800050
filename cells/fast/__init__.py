"""The cells over whole sequences, 1.4 to 4 times as fast as by tf.nn.dynamic_rnn.

    from cells.fast import sequence, unroll

`sequence` runs one cell, `unroll` a stack of them; docs/cells.md shows how to use them.
"""

from cells.fast.unroll import sequence, unroll  # noqa: F401
