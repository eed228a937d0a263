"""Predictions of a class for each pixel."""

import numpy
import PIL.Image

from kerasdl.tasks.prediction import PNG, Decoder, File, ImagePrediction, Names, Settings, to_unit
from kerasdl.tasks.prediction.enlarging import Box, largest

OVERLAY = 0.5  # weight of the class colors over the image
# An overlay is for looking at. A PNG takes fifteen times as long and is several times as large.
JPEG = {"format": "JPEG", "quality": 90, "subsampling": 0}
MAX_SIDE = 65500  # of a JPEG
BAND_PIXELS = 2**20  # of an overlay, drawn at once


def paint(
    logits: numpy.ndarray, box: Box, pixels: numpy.ndarray, settings: Settings
) -> numpy.ndarray:
    """Class of the largest logit at each pixel, uint8 (H, W)."""
    # Logits, not classes, are interpolated: edges stay smooth and no spurious class appears.
    return largest(logits, box, (pixels.shape[0], pixels.shape[1]))


def summarize(mask: numpy.ndarray, names: Names, settings: Settings) -> ImagePrediction:
    """The mask and the fraction of each class in it."""
    counts = numpy.array(PIL.Image.fromarray(mask).histogram()) / mask.size
    order = [i for i in numpy.argsort(-counts, kind="stable") if counts[i] > 0]
    fractions = {names.classes[i]: float(counts[i]) for i in order}
    text = ", ".join(f"{name} {value:.1%}" for name, value in list(fractions.items())[:5])
    return ImagePrediction(text, mask=mask, fractions=fractions)


def draw_mask(found: ImagePrediction, pixels: numpy.ndarray, names: Names) -> PIL.Image.Image:
    """The mask with the palette of the classes."""
    return _colored(numpy.asarray(found.mask), names)


def _colored(mask: numpy.ndarray, names: Names) -> PIL.Image.Image:
    stored = PIL.Image.fromarray(mask).convert("P")
    stored.putpalette(names.palette.tobytes())
    return stored


def draw_overlay(found: ImagePrediction, pixels: numpy.ndarray, names: Names) -> PIL.Image.Image:
    """The image under the colors of the classes, in equal parts; smaller if it is too long."""
    height, width = pixels.shape[:2]
    mask = numpy.asarray(found.mask)
    overlay = PIL.Image.new("RGB", (width, height))
    rows = max(1, BAND_PIXELS // width)
    for top in range(0, height, rows):
        band = slice(top, top + rows)
        colors = _colored(mask[band], names).convert("RGB")
        image = PIL.Image.fromarray(pixels[band])
        overlay.paste(PIL.Image.blend(image, colors, OVERLAY), (0, top))
    overlay.thumbnail((MAX_SIDE, MAX_SIDE))
    return overlay


DECODER = Decoder(
    prepare=lambda images, settings: to_unit(images),
    summarize=summarize,
    paint=paint,
    files={
        "mask": File("_mask.png", draw_mask, PNG),
        "overlay": File("_overlay.jpg", draw_overlay, JPEG),
    },
    video="overlay",
    shown="mask",
)
