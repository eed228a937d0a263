"""Type aliases for annotations."""

from typing import Any, TypeAlias

# A tensor of the backend in use, a `keras.KerasTensor` while a model is built, or a NumPy array:
# TensorFlow, JAX and torch have no type in common, and Keras itself has no type annotations.
Tensor: TypeAlias = Any
