"""Exported files that TensorFlow and torch write and read themselves."""
