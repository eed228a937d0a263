"""Data from TensorFlow Datasets."""
