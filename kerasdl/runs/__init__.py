"""A run: its configuration, folder, checkpoints and model files."""
