"""The one training loop of all four scripts, and what it needs: settings, size, optimizer, run folder."""
