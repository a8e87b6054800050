"""Preparation of data, shared by the *_utils.py: sources, prepared files, texts, batches."""
