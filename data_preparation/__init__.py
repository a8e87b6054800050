"""What the *_utils.py share: where data come from, prepared files, texts, batches."""
