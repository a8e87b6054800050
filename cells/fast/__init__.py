"""How sequences are unrolled fast: loops over time, and one backward pass for each cell."""
