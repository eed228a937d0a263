"""Decodes the outputs of a colorization model into images.

| target | input x | truth y | outputs |
|---|---|---|---|
| rgb | luma in [0, 1] | RGB in [0, 1] | RGB, 3 channels |
| ab | L / 100 | (L, a, b) / 100 | (a, b) / 100, 2 channels, or logits of the 313 bins |
"""

from kerasdl.core.types import Tensor
from kerasdl.metrics.colors.bins import BINS, annealed_mean
from kerasdl.metrics.colors.lab import array_ops, as_float32, lab_to_rgb

LAB_SCALE = 100.0  # CIELAB divided by this is about as large as RGB in [0, 1]
# Possible numbers of model outputs for each target.
OUTPUTS = {"rgb": (3,), "ab": (2, len(BINS))}


def chroma(outputs: Tensor) -> Tensor:
    """ab in units of CIELAB, float32 (..., 2), from outputs of target ab: 2 or 313 channels."""
    if outputs.shape[-1] == len(BINS):
        return annealed_mean(outputs)
    return as_float32(outputs) * LAB_SCALE


def truth_and_prediction(y_true: Tensor, outputs: Tensor, target: str) -> tuple[Tensor, Tensor]:
    """True and predicted images, RGB float32 (..., H, W, 3).

    Target ab takes the lightness from the truth, which is the model's input. The prediction is
    not clipped: it lies outside [0, 1] for colors out of gamut.
    """
    y_true, outputs = as_float32(y_true), as_float32(outputs)
    if target == "rgb":
        return y_true, outputs
    ops = array_ops(outputs)
    lab = y_true * LAB_SCALE
    predicted = ops.concatenate([lab[..., :1], chroma(outputs)], axis=-1)
    return ops.clip(lab_to_rgb(lab), 0.0, 1.0), lab_to_rgb(predicted)
