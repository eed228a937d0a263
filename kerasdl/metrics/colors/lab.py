"""sRGB and CIELAB: NumPy arrays with NumPy, tensors with `keras.ops` on any backend.

Keras is imported for tensors only, so that predictions do not need it.

White point D65, 2 degree observer; constants and the handling of impossible colors match
scikit-image, so that scores can be checked against it. Source: IEC 61966-2-1 (sRGB), CIE 15:2004
(CIELAB).
"""

from typing import Any

import numpy

from kerasdl.core.types import Tensor

WHITE = (0.95047, 1.0, 1.08883)
XYZ_OF_RGB = numpy.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
RGB_OF_XYZ = numpy.linalg.inv(XYZ_OF_RGB)
LUMA = numpy.array([0.299, 0.587, 0.114], dtype="float32")  # Rec. 601, as JPEG and Pillow
BISECTIONS = 10  # bisection steps of the chroma in `fit_gamut`: to 1/1024 of it


def array_ops(values: Tensor) -> Any:
    """NumPy for its arrays, else `keras.ops`; both have the functions used on colors."""
    if isinstance(values, numpy.ndarray):
        return numpy
    import keras

    return keras.ops


def as_float32(values: Tensor) -> Tensor:
    """An array or a tensor in float32, whatever the precision policy."""
    if isinstance(values, numpy.ndarray):
        return values.astype("float32", copy=False)
    return array_ops(values).cast(values, "float32")


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """sRGB in [0, 1] to CIELAB: L in [0, 100], a and b about -110 to 100.

    Shape (..., 3), float32 whatever the precision policy.
    """
    rgb = as_float32(rgb)
    ops = array_ops(rgb)
    linear = ops.where(rgb > 0.04045, _power((rgb + 0.055) / 1.055, 2.4), rgb / 12.92)
    xyz = _mixed(linear, XYZ_OF_RGB / numpy.array(WHITE)[:, None])
    x, y, z = (
        ops.where(t > 0.008856, _power(t, 1 / 3), 7.787 * t + 16 / 116) for t in _channels(xyz)
    )
    return ops.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """CIELAB to sRGB, shape (..., 3), float32; outside [0, 1] where sRGB has no such color."""
    lab = as_float32(lab)
    ops = array_ops(lab)
    lightness, a, b = _channels(lab)
    y = (lightness + 16.0) / 116.0
    # A negative Z does not exist; scikit-image sets it to 0 too.
    f = ops.stack([y + a / 500.0, y, ops.maximum(y - b / 200.0, 0.0)], axis=-1)
    # The threshold x > 0.008856 expressed in f.
    xyz = ops.where(f > 0.2068966, f * f * f, (f - 16 / 116) / 7.787)
    linear = _mixed(xyz, RGB_OF_XYZ * numpy.array(WHITE))
    return ops.where(linear > 0.0031308, 1.055 * _power(linear, 1 / 2.4) - 0.055, 12.92 * linear)


def gray(colors: numpy.ndarray) -> numpy.ndarray:
    """Luma 0.299 R + 0.587 G + 0.114 B of images (..., 3), shape (..., 1)."""
    return (colors @ LUMA)[..., None]


def fit_gamut(lab: numpy.ndarray) -> numpy.ndarray:
    """Maps CIELAB colors into the sRGB gamut: same lightness and hue, largest possible chroma.

    Colors in the gamut are unchanged; for the others, a and b are scaled down until red, green and
    blue lie in [0, 1]. Clipping RGB instead would change the lightness.

    Args:
        lab: NumPy array (..., 3), L in [0, 100].

    Returns:
        float32 array of the same shape.
    """
    fitted = numpy.array(lab, dtype="float32")
    outside = ~_shown(fitted)
    colors = fitted[outside]
    if len(colors):
        low, high = numpy.zeros(len(colors), "float32"), numpy.ones(len(colors), "float32")
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            inside = _shown(_scaled(colors, middle))
            low, high = numpy.where(inside, middle, low), numpy.where(inside, high, middle)
        fitted[outside] = _scaled(colors, low)
    return fitted


def _shown(lab: numpy.ndarray) -> numpy.ndarray:
    """Which colors lie in the sRGB gamut, up to half an 8-bit step."""
    rgb = lab_to_rgb(lab)
    return ((rgb >= -0.5 / 255) & (rgb <= 1 + 0.5 / 255)).all(axis=-1)


def _scaled(lab: numpy.ndarray, factor: numpy.ndarray) -> numpy.ndarray:
    return numpy.concatenate([lab[:, :1], lab[:, 1:] * factor[:, None]], axis=-1)


def _channels(colors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return colors[..., 0], colors[..., 1], colors[..., 2]


def _mixed(colors: Tensor, matrix: numpy.ndarray) -> Tensor:
    """Matrix times color, as sums: a matrix product has only 10 bits on some GPUs."""
    first, second, third = _channels(colors)
    rows = [float(p) * first + float(q) * second + float(r) * third for p, q, r in matrix]
    return array_ops(first).stack(rows, axis=-1)


def _power(base: Tensor, exponent: float) -> Tensor:
    # A negative base belongs to the other branch of a `where`; it must not produce NaN here.
    ops = array_ops(base)
    return ops.power(ops.maximum(base, 0.0), exponent)
