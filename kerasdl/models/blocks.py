"""Building blocks shared by several models."""

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import keras

from kerasdl.core.errors import ConfigError
from kerasdl.core.types import Tensor

# ((top, bottom), (left, right)) in pixels.
Padding: TypeAlias = tuple[tuple[int, int], ...]

# As published and as in PyTorch: statistics move by 0.1 per batch.
BATCH_NORM = {"momentum": 0.9, "epsilon": 1e-5}


def convolution_norm(
    x: keras.KerasTensor,
    filters: int,
    kernel_size: int,
    strides: int = 1,
    *,
    name: str,
    relu: bool = True,
) -> keras.KerasTensor:
    """Convolution, batch norm and, optionally, ReLU.

    Borders are padded explicitly by `kernel_size // 2` where the convolution has a stride, because
    "same" then pads one side only, unlike the published model and PyTorch.
    """
    padding = "same"
    if strides > 1 and kernel_size > 1:
        x = keras.layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_padding")(x)
        padding = "valid"
    x = keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding=padding,
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_convolution",
    )(x)
    x = keras.layers.BatchNormalization(**BATCH_NORM, name=f"{name}_norm")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x) if relu else x


def pad_to_multiple(x: keras.KerasTensor, multiple: int) -> tuple[keras.KerasTensor, Padding]:
    """Zero-pads height and width, half on each side, up to a multiple.

    A size that is not known yet (None) is not padded: the caller's images must be multiples.

    Returns:
        The padded tensor and the cropping ((top, bottom), (left, right)) that undoes it.
    """
    padding = tuple(
        (math.floor(missing / 2), math.ceil(missing / 2))
        for missing in (0 if size is None else -size % multiple for size in x.shape[1:3])
    )
    if any(any(sides) for sides in padding):
        x = keras.layers.ZeroPadding2D(padding, name="pad_to_stride")(x)
    return x, padding


def crop_back(x: keras.KerasTensor, padding: Padding) -> keras.KerasTensor:
    """Undoes `pad_to_multiple`; float32, as outputs are at every precision."""
    if any(any(sides) for sides in padding):
        x = keras.layers.Cropping2D(padding, dtype="float32", name="crop_to_input")(x)
    return x


class Bilinear(keras.initializers.Initializer):
    """Kernel of a transposed convolution that upsamples each channel bilinearly.

    Only used while building; a saved model holds the finished weights.
    Source: Long, Shelhamer and Darrell 2015, section 3.3.
    """

    def __call__(self, shape: Sequence[int], dtype: str = "float32") -> Tensor:
        height, width, outputs, inputs = shape
        rows = keras.ops.cast(_triangle(height), dtype)
        columns = keras.ops.cast(_triangle(width), dtype)
        window = keras.ops.outer(rows, columns)
        channels = keras.ops.eye(outputs, inputs, dtype=dtype)
        return window[:, :, None, None] * channels[None, None]


def _triangle(size: int) -> list[float]:
    """Weights of linear interpolation for a kernel of twice the stride, largest in the middle."""
    factor = (size + 1) // 2
    center = factor - 1 if size % 2 else factor - 0.5
    return [1 - abs(position - center) / factor for position in range(size)]


def require_count(option: str, value: object) -> None:
    """Raises ConfigError unless the value of an option is an integer of 1 or more."""
    if type(value) is not int or value < 1:
        raise ConfigError(f"option '{option}' must be an integer of 1 or more, not {value!r}")


_ADDING = threading.RLock()  # one block of `adding` at a time, or a patch could outlive it


@contextlib.contextmanager
def adding(change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Within the block `change` gets the options of each `Layer.add_weight` of this thread."""
    thread = threading.get_ident()
    with _ADDING:
        original = keras.layers.Layer.add_weight

        def add_weight(layer: keras.layers.Layer, *arguments: Any, **options: Any) -> Any:
            if threading.get_ident() == thread:
                change(options)
            return original(layer, *arguments, **options)

        keras.layers.Layer.add_weight = add_weight
        try:
            yield
        finally:
            keras.layers.Layer.add_weight = original


def undrawn() -> contextlib.AbstractContextManager[None]:
    """Weights of layers built within the block are 0, for models that get others at once.

    Drawing them takes time: JAX compiles a program for each shape, for seconds.
    """

    def zeros(options: dict[str, Any]) -> None:
        if "initializer" in options:
            options["initializer"] = "zeros"

    return adding(zeros)
