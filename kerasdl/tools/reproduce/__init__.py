"""The study and its numbers."""
