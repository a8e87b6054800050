"""What people look at: tables, pictures, samples, the paper's values."""
