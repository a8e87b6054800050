"""Tables, pictures and samples, and the paper's values beside them."""
