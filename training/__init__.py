"""One run: settings, model, size, optimizer, trainer, early stopping, run folder, checkpoint."""
