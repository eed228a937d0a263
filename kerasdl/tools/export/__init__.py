"""Exports the model of a run as one file, and proves the file against the run."""
