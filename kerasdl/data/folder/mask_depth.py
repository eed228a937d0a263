"""Masks whose colors have 16 bits per channel, of which Pillow gives the upper 8 bits only."""

import sys

import numpy
import PIL.Image

from kerasdl.core.errors import DataError
from kerasdl.data import images

BITS_PER_SAMPLE = 258  # TIFF tag
# Raw modes of Pillow: the other order of the bytes gives the lower 8 bits.
_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


def is_deep(image, path):
    """Whether an opened Pillow image, not yet loaded, has more than 8 bits per color channel.

    Raises DataError for a PPM or PGM that names another range: Pillow scales its values.
    """
    args = image.tile[0].args if image.format == "PPM" else ()
    if isinstance(args, tuple) and len(args) > 1 and args[1] != 255:
        what = f"mask with values up to {args[1]} by its header, whose indices would be scaled"
        raise DataError(what, path, "save the class indices as 8-bit PNG")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return False
    bits = image.tag_v2.get(BITS_PER_SAMPLE, ()) if image.format == "TIFF" else ()
    return max(bits, default=0) > 8 or any(";16" in _raw_mode(tile) for tile in image.tile)


def whole(upright, path, gray=True):
    """A deep mask without loss: as loaded if the lower bits repeat the upper ones, or 16-bit gray.

    Args:
        upright: The mask as Pillow loaded it, upright: the upper 8 bits.
        path: Its file.
        gray: Whether equal channels may become gray.

    Raises:
        DataError: Colors that do not fit into 8 bits.
    """
    fix = "save the mask with 8 bits per channel"
    with images.open_image(path) as image:
        other = [_other_order(_raw_mode(tile)) for tile in image.tile]
        if not all(other):
            raise DataError("mask with 16 bits per channel in an unusual form", path, fix)
        image.tile = [
            tile._replace(args=raw if isinstance(tile.args, str) else (raw, *tile.args[1:]))
            for tile, raw in zip(image.tile, other, strict=True)
        ]
        image.load()
        turned = images.turn_upright(image, images.orientation_of(image))
    upper, lower = numpy.asarray(upright), numpy.asarray(turned)
    if (upper == lower).all():
        return upright
    values = upper[..., :3].astype("uint16") << 8 | lower[..., :3]
    if not gray or (values != values[..., :1]).any():
        raise DataError("mask whose colors need 16 bits per channel", path, fix)
    return PIL.Image.fromarray(numpy.ascontiguousarray(values[..., 0]))


def _raw_mode(tile):
    return tile.args if isinstance(tile.args, str) else str(tile.args[0])


def _other_order(raw):
    """The raw mode of the other 8 bits; empty if there is none."""
    mode, _, order = raw.partition(";16")
    return f"{mode};16{_OTHER_ORDER[order]}" if mode in ("RGB", "RGBA") and order else ""
