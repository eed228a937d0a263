"""Outputs of a model for a batch, optionally averaged over the images and their flips."""

from collections.abc import Callable
from typing import Any

import numpy


def outputs(model: Any, x: numpy.ndarray, flip: bool = False) -> numpy.ndarray:
    """Outputs of a model, by its `predict_on_batch`; see `averaged`."""
    return averaged(model.predict_on_batch, x, flip)


def averaged(
    apply: Callable[[numpy.ndarray], numpy.ndarray], x: numpy.ndarray, flip: bool = False
) -> numpy.ndarray:
    """Outputs of a function for a batch, averaged over the batch and its flip if asked.

    With `flip`, (f(x) + flip(f(flip(x)))) / 2: linear outputs (logits, colors) are averaged,
    and outputs per pixel are flipped back first.

    Args:
        apply: Function of x.
        x: Batch (B, H, W, C).
        flip: Whether to average.

    Returns:
        NumPy array, (B, outputs) or (B, H, W, outputs).

    Source: Simonyan and Zisserman 2015, section 3.2.
    """
    found = numpy.asarray(apply(x))
    if not flip:
        return found
    flipped = numpy.asarray(apply(numpy.ascontiguousarray(x[:, :, ::-1])))
    if flipped.ndim == 4:
        flipped = flipped[:, :, ::-1]
    return (found + flipped) / 2
