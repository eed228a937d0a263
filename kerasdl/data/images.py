"""Reading and resizing images: any common file becomes upright uint8 RGB, or a DataError.

Rules, the same in training, evaluation and prediction:

- The content decides the format, never the suffix; only JPEG, PNG, BMP, WebP, GIF, TIFF and PPM
  are parsed at all.
- The EXIF orientation is applied.
- Transparency is laid over white (what lies hidden under it is not what a person sees).
- Values of 16 bits are divided by 256; float and 32-bit images have no known range and are refused.
- Of animations and multi-page files the first frame counts.
- Damaged files are refused, never filled up with gray.
"""

import contextlib
import io
import logging
import pathlib
import stat
import warnings
from typing import NamedTuple

import numpy
import PIL.Image

from kerasdl.core.errors import DataError
from kerasdl.data.suffixes import SUFFIXES

FORMATS = tuple(SUFFIXES)
MULTI_PICTURE = "MPO"  # what Pillow calls a JPEG that is followed by further ones (phones, 3D)
EXTRA_SAMPLES = 338  # TIFF tag: what a fourth channel is; 0 or absent: not transparency

# Above this many pixels Pillow itself warns of a decompression bomb: 89,478,485.
MAX_PIXELS = PIL.Image.MAX_IMAGE_PIXELS
# The handbook of Pillow advises to make the warning an error. The size is compared again below,
# because warning filters are the property of the whole process.
warnings.filterwarnings("error", category=PIL.Image.DecompressionBombWarning)
# Remarks on odd files name none of them. What matters of them is raised, or found by the check.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)

# First bytes of files that often carry an image's name without being one we read.
FOREIGN = (
    (b"%!PS", "EPS or PostScript"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
    (b"%PDF", "PDF"),
    (b"8BPS", "Photoshop"),
    (b"\x00\x00\x01\x00", "an icon (ICO)"),
    (b"SIMPLE  =", "FITS"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"version https://git-lfs", "a Git LFS pointer, fetch the real file"),
)

_TRANSPOSES = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}
_ORIENTATION_TAG = 0x0112


class Header(NamedTuple):
    """What the head of an image file says, read without decoding the pixels.

    Attributes:
        format: "JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF" or "PPM".
        mode: Pillow's mode, such as "RGB", "P" or "I;16".
        size: (height, width) when upright.
        orientation: EXIF orientation, 1 to 8; 1 if there is none.
        frames: Number of frames or pages.
        transparent: Whether the file can hold transparent pixels.
        deep: Whether a channel has 16 bits.
    """

    format: str
    mode: str
    size: tuple[int, int]
    orientation: int
    frames: int
    transparent: bool
    deep: bool


def read_image(path, max_pixels=MAX_PIXELS, frame=0, content=None):
    """Image file as upright RGB, by the rules at the head of this module.

    Args:
        path: The file.
        max_pixels: Images with more pixels are refused before they are decoded.
        frame: The frame or page, from 0.
        content: Bytes of the file, if they were read already; the path is then only its name.

    Returns:
        uint8 array of shape (height, width, 3), values 0-255.

    Raises:
        DataError: Missing, empty, truncated, too large, or no image of a known format.
    """
    with open_image(path, max_pixels, content) as image:
        if frame:
            image.seek(frame)
        if image.mode == "F" or image.mode == "I":
            kind = "float" if image.mode == "F" else "32-bit"
            raise DataError(
                f"{kind} image, whose range of values is not known",
                path,
                "save it as 8-bit or 16-bit, scaled to the full range",
            )
        image.load()  # Pillow turns a TIFF here, and takes its tag away
        upright = turn_upright(image, orientation_of(image))
        if upright.mode.startswith("I;16"):
            gray = (numpy.asarray(upright) >> 8).astype("uint8")
            return numpy.repeat(gray[:, :, None], 3, axis=2)
        if has_transparency(image):
            upright = upright.convert("RGBA")
            white = PIL.Image.new("RGBA", upright.size, "white")
            upright = PIL.Image.alpha_composite(white, upright)
        return numpy.array(upright if upright.mode == "RGB" else upright.convert("RGB"))


def read_header(path, max_pixels=MAX_PIXELS):
    """Header of an image file; no pixel is decoded. Raises DataError as `read_image` does."""
    with open_image(path, max_pixels) as image:
        # Pillow would decode a PNG to look for EXIF data behind the pixels.
        known = image.format != "PNG" or "exif" in image.info
        orientation = orientation_of(image) if known else 1
        width, height = image.size
        turned = orientation >= 5 and image.format != "TIFF"  # Pillow gives a TIFF's upright size
        size = (width, height) if turned else (height, width)
        frames = getattr(image, "n_frames", 1)
        transparent = has_transparency(image)
        deep = image.mode.startswith("I;16") or any(";16" in str(tile[3]) for tile in image.tile)
        return Header(format_of(image), image.mode, size, orientation, frames, transparent, deep)


def resize_image(image, size, how):
    """Image at another size, antialiased bilinear.

    Args:
        image: uint8, shape (height, width, 3) or (height, width).
        size: (height, width) of the result.
        how: "stretch" to the size, or "crop": the largest centerd part with the aspect ratio of
            the size.

    Returns:
        uint8 array of the size; it may be read-only.
    """
    height, width = size
    if image.shape[:2] == (height, width):
        return image
    top, left, bottom, right = _region(image.shape[:2], size, how)
    resized = PIL.Image.fromarray(image).resize(
        (width, height), PIL.Image.Resampling.BILINEAR, box=(left, top, right, bottom)
    )
    return numpy.asarray(resized)


def resize_mask(mask, size, how):
    """Mask at another size: the nearest stored value, so that no new value can appear.

    Args:
        mask: uint8 class indices, shape (height, width).
        size: (height, width) of the result.
        how: As in `resize_image`; image and mask stay aligned.

    Returns:
        uint8 array of the size.
    """
    height, width = size
    if mask.shape == (height, width):
        return mask
    top, left, bottom, right = _region(mask.shape, size, how)
    rows = (top + (numpy.arange(height) + 0.5) * (bottom - top) / height).astype(int)
    columns = (left + (numpy.arange(width) + 0.5) * (right - left) / width).astype(int)
    # Whole rows first: three times as fast as one gather of all pixels.
    return mask.take(rows, 0).take(columns, 1)


def _region(shape, size, how):
    """Part of an image that is resized: (top, left, bottom, right) in pixels, as floats."""
    height, width = shape
    if how == "stretch":
        return 0.0, 0.0, float(height), float(width)
    if how != "crop":
        raise ValueError(f"how must be 'crop' or 'stretch', received {how!r}")
    scale = min(height / size[0], width / size[1])
    part_height, part_width = size[0] * scale, size[1] * scale
    top, left = (height - part_height) / 2, (width - part_width) / 2
    return top, left, min(top + part_height, height), min(left + part_width, width)


@contextlib.contextmanager
def open_image(path, max_pixels=MAX_PIXELS, content=None):
    """A file as a Pillow image, not yet decoded; what goes wrong inside becomes a DataError.

    Args:
        path: The file.
        max_pixels: The limit on height x width.
        content: Bytes of the file; read from the path if None.
    """
    content = _read_bytes(path) if content is None else content
    try:
        with PIL.Image.open(io.BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise _too_large(path, f"{width}x{height} pixels", max_pixels)
            yield image
    except DataError:
        raise
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning):
        raise _too_large(path, "too many pixels", max_pixels) from None
    except PIL.UnidentifiedImageError:
        raise _not_a_image(path, content) from None
    except Exception as error:
        # Parsers answer damaged input with any kind of exception: struct.error, SyntaxError,
        # EOFError, IndexError and more have been seen. The file is at fault in every case.
        raise DataError(
            f"damaged image, cannot be decoded: {str(error) or type(error).__name__}",
            path,
            "often cut short by a copy or a download; replace or remove the file, or leave bad "
            "files out: --set skip_invalid=true",
        ) from error


def orientation_of(image):
    """EXIF orientation of a Pillow image, 1 to 8; a damaged EXIF block counts as none."""
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # the pixels are good whatever the camera wrote beside them
        return 1
    return orientation if orientation in _TRANSPOSES else 1


def turn_upright(image, orientation):
    """Pillow image turned or flipped as its EXIF orientation says; no pixel value changes."""
    return image.transpose(_TRANSPOSES[orientation]) if orientation in _TRANSPOSES else image


def format_of(image):
    """The format of a Pillow image: one of `FORMATS`."""
    return "JPEG" if image.format == MULTI_PICTURE else image.format


def is_lossy(image):
    """Whether the values of an opened Pillow image may differ from those that were saved."""
    if image.format == "WEBP":
        image.fp.seek(0)
        return b"VP8 " in image.fp.read(4096)  # a lossless one has the chunk "VP8L"
    return format_of(image) == "JPEG" or image.info.get("compression") == "jpeg"


def require_single(image, path):
    """Raises DataError if a mask file holds several images: one per class, or per object."""
    count = getattr(image, "n_frames", 1)
    if count > 1 and image.format != MULTI_PICTURE:
        raise DataError(f"mask file with {count} images", path, "save one mask per file")


def has_transparency(image):
    """Whether a Pillow image has an alpha channel or a transparent color.

    The fourth channel of a TIFF is one only where the file says so: it may be infrared.
    """
    if image.mode.startswith("I;16"):
        return False
    if image.format == "TIFF" and image.mode == "RGBA":
        samples = image.tag_v2.get(EXTRA_SAMPLES) or (0,)
        return bool(samples[0])
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _read_bytes(path):
    """Content of a regular file; a pipe or device is never opened."""
    path = pathlib.Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DataError("not a regular file", path, "remove it from the data folder")
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(
            "no such file", path, "was it removed or renamed since the data were listed?"
        ) from None
    except OSError as error:
        raise DataError(f"file cannot be read: {error.strerror or error}", path) from error
    if not content:
        raise DataError("file is empty", path, "replace or remove it")
    return content


def _too_large(path, size, max_pixels):
    return DataError(
        f"image is too large: {size}, the limit is {max_pixels}", path, "scale it down first"
    )


def _not_a_image(path, content):
    """DataError for content that no allowed parser knows, with what it seems to be."""
    head = content[:512].lstrip().lower()
    seems = next((name for start, name in FOREIGN if content.startswith(start)), "")
    if content[4:8] == b"ftyp":
        seems = "HEIC, AVIF or video"
    elif head.startswith((b"<!doctype html", b"<html")):
        seems = "an HTML page, perhaps of a failed download"
    elif b"<svg" in head:
        seems = "SVG, which has no pixels"
    elif not seems and all(byte >= 32 or byte in b"\t\r\n" for byte in content[:512]):
        seems = "text"
    known = "JPEG, PNG, BMP, WebP, GIF, TIFF"
    what = f"not an image of a known format ({known})" + (f"; it is {seems}" if seems else "")
    return DataError(what, path, "convert, replace or remove the file")
