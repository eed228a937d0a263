"""Predictions of colors: the predicted chroma with the lightness of the image itself."""

import numpy
import PIL.Image

from kerasdl.metrics.colors.lab import fit_gamut, gray, lab_to_rgb, rgb_to_lab
from kerasdl.metrics.colors.targets import LAB_SCALE, chroma
from kerasdl.tasks.prediction import PNG, Decoder, File, ImagePrediction, Names, Settings, to_unit
from kerasdl.tasks.prediction.enlarging import Box, bilinear


def prepare(images: numpy.ndarray, settings: Settings) -> numpy.ndarray:
    """x float32 (B, H, W, 1): luma for the target rgb, L / 100 for ab."""
    colors = to_unit(images)
    if settings.target == "rgb":
        return gray(colors)
    return rgb_to_lab(colors)[..., :1] / numpy.float32(LAB_SCALE)


def predicted_chroma(outputs: numpy.ndarray, target: str = "rgb") -> numpy.ndarray:
    """a and b of CIELAB from the model's outputs, float32 (..., 2)."""
    outputs = numpy.asarray(outputs, dtype="float32")
    if target == "rgb":
        return rgb_to_lab(numpy.clip(outputs, 0.0, 1.0))[..., 1:]
    return numpy.asarray(chroma(outputs))


def paint(
    chroma: numpy.ndarray, box: Box, pixels: numpy.ndarray, settings: Settings
) -> numpy.ndarray:
    """RGB uint8 (H, W, 3) from ab (h, w, 2) and the lightness of the pixels.

    Colors out of the sRGB gamut are desaturated until they fit.
    """
    a, b = bilinear(chroma, box, (pixels.shape[0], pixels.shape[1]))
    lightness = rgb_to_lab(to_unit(pixels))[..., 0]
    factor = numpy.float32(settings.saturation)
    lab = fit_gamut(numpy.stack([lightness, factor * a, factor * b], axis=-1))
    return to_bytes(lab_to_rgb(lab).clip(0.0, 1.0))


def to_bytes(images: numpy.ndarray) -> numpy.ndarray:
    """Values in [0, 1] to uint8, rounded."""
    return numpy.round(numpy.asarray(images, dtype="float32") * 255).astype("uint8")


def draw(found: ImagePrediction, pixels: numpy.ndarray, names: Names) -> PIL.Image.Image:
    """The colored image."""
    return PIL.Image.fromarray(numpy.asarray(found.image))


DECODER = Decoder(
    prepare=prepare,
    summarize=lambda image, names, settings: ImagePrediction("colorized", image=image),
    blendable=lambda outputs, settings: predicted_chroma(outputs, settings.target),
    paint=paint,
    files={"image": File(".png", draw, PNG)},
    video="image",
    shown="image",
)
