"""Masks from annotations: polygons, run lengths and bitmaps become class indices.

A pixel belongs to a polygon if its center does, by the even-odd rule; pixel (row, column) covers
[column, column + 1) x [row, row + 1), as in COCO, LabelMe, CVAT and Label Studio. A rectangle from
(2, 3) to (6, 5) is four pixels wide and two high. What is drawn later covers what was drawn before.
"""

import base64
import dataclasses
import io
from typing import NamedTuple, Protocol

import numpy
import PIL.Image

from kerasdl.core.errors import DataError

_FARTHEST = 1e7  # pixels; float32 tells neighboring ones apart up to here
_ELLIPSE_CORNERS = 360  # off by less than 0.04 pixels at a radius of 1000


class Shape(Protocol):
    """A region of one image."""

    def paint(self, mask: numpy.ndarray, value: int) -> None:
        """Sets the pixels of the region in a mask (height, width)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Polygons:
    """The union of polygons.

    Attributes:
        parts: Corners of each, float32 (corners, 2), as x and y in pixels.
        relative: Whether x and y are fractions of the image's width and height instead.
    """

    parts: tuple[numpy.ndarray, ...]
    relative: bool = False

    def paint(self, mask, value):
        scale = mask.shape[::-1] if self.relative else 1
        for corners in self.parts:
            _fill(mask, corners.astype("float64") * scale, value)

    def area(self) -> float:
        """Square pixels, overlaps counted twice."""
        return sum(map(area, self.parts))


@dataclasses.dataclass(frozen=True, slots=True)
class Runs:
    """Lengths of alternating runs, the first one outside the region.

    Attributes:
        counts: Lengths, int32.
        order: "F" if they go down the columns (COCO), "C" if along the rows (CVAT).
        window: (left, top, width, height) of the part of the image that they cover.
    """

    counts: numpy.ndarray
    order: str
    window: tuple[int, int, int, int]

    def paint(self, mask, value):
        left, top, width, height = self.window
        total = int(self.counts.sum(dtype="int64"))
        if total != width * height or (self.counts < 0).any():
            raise DataError(
                f"run lengths add up to {total}, not to {width}x{height} pixels",
                fix="export the annotations again",
            )
        inside = numpy.repeat(numpy.arange(len(self.counts)) % 2 == 1, self.counts)
        _paste(mask, inside.reshape(height, width, order=self.order), left, top, value)

    def area(self) -> float:
        """Square pixels."""
        return float(self.counts[1::2].sum())


@dataclasses.dataclass(frozen=True, slots=True)
class CompressedRuns:
    """Run lengths in the compressed text form of COCO, down the columns of the whole image.

    Attributes:
        counts: The text, ASCII.
        size: (height, width) of the image.
    """

    counts: bytes
    size: tuple[int, int]

    def paint(self, mask, value):
        self._runs().paint(mask, value)

    def area(self) -> float:
        """Square pixels."""
        return self._runs().area()

    def _runs(self):
        height, width = self.size
        return Runs(decode_counts(self.counts), "F", (0, 0, width, height))


@dataclasses.dataclass(frozen=True, slots=True)
class Brush:
    """A brush stroke of Label Studio: the alpha channel of a run-length coded RGBA image.

    Attributes:
        code: The numbers of "rle" as bytes.
        size: (height, width) of the image.
    """

    code: bytes
    size: tuple[int, int]

    def paint(self, mask, value):
        height, width = self.size
        decoded = decode_brush(self.code, 4 * height * width)
        _paste(mask, decoded.reshape(height, width, 4)[:, :, 3] > 0, 0, 0, value)


@dataclasses.dataclass(frozen=True, slots=True)
class Bitmap:
    """An image file in base64, as LabelMe stores regions; what is not 0 belongs to the region.

    Attributes:
        code: The file in base64.
        corner: (left, top) of its place in the image.
    """

    code: str
    corner: tuple[int, int]

    def paint(self, mask, value):
        try:
            file = base64.b64decode(self.code, validate=True)
            with PIL.Image.open(io.BytesIO(file), formats=("PNG",)) as image:
                inside = numpy.asarray(image.convert("L")) > 0
        except Exception as error:  # parsers answer damaged input with any kind of exception
            raise DataError(f"bitmap of a region cannot be read: {error}") from error
        _paste(mask, inside, *self.corner, value)


class Region(NamedTuple):
    """A shape and the class index that its pixels have."""

    shape: Shape
    value: int


def draw(regions, size: tuple[int, int]) -> numpy.ndarray:
    """Class indices of an image, uint8 (height, width): 0 where there is no region.

    Args:
        regions: Sequence of Region, the lowest first.
        size: (height, width) of the image.
    """
    mask = numpy.zeros(size, "uint8")
    for region in regions:
        region.shape.paint(mask, region.value)
    return mask


def polygon(points) -> numpy.ndarray:
    """Corners, float32 (corners, 2), of a list [x, y, x, y, ...] or [[x, y], ...].

    Raises:
        DataError: Fewer than three corners, an odd number of values, or values that are no finite
            numbers.
    """
    try:
        corners = numpy.array(points, "float64").reshape(-1, 2)
    except (TypeError, ValueError, OverflowError):
        raise DataError("polygon is no list of x, y pairs") from None
    if len(corners) < 3:
        count = len(corners)
        raise DataError(f"polygon with {count} point{'s' * (count != 1)}, at least 3 are needed")
    if not numpy.abs(corners).max() < _FARTHEST:  # not a number is not less either
        raise DataError("polygon with a coordinate that is no number, or far outside")
    return corners.astype("float32")


def rectangle(left: float, top: float, right: float, bottom: float) -> numpy.ndarray:
    """The four corners of a rectangle."""
    return polygon([left, top, right, top, right, bottom, left, bottom])


def ellipse(x, y, radius_x, radius_y, degrees=0.0) -> numpy.ndarray:
    """Corners of a polygon that follows an ellipse, turned clockwise by some degrees."""
    angles = numpy.linspace(0, 2 * numpy.pi, _ELLIPSE_CORNERS, endpoint=False)
    across, down = radius_x * numpy.cos(angles), radius_y * numpy.sin(angles)
    return polygon(numpy.stack(rotate(across, down, degrees), axis=1) + (x, y))


def rotate(x, y, degrees):
    """Coordinates turned clockwise (y points down) around (0, 0)."""
    angle = numpy.deg2rad(degrees)
    sine, cosine = numpy.sin(angle), numpy.cos(angle)
    return x * cosine - y * sine, x * sine + y * cosine


def area(corners: numpy.ndarray) -> float:
    """Area of a polygon in square pixels (shoelace formula)."""
    x, y = corners.astype("float64").T
    return float(abs(x @ numpy.roll(y, -1) - y @ numpy.roll(x, -1)) / 2)


def decode_counts(text: bytes) -> numpy.ndarray:
    """Run lengths that COCO's compressed text stands for, int32.

    Each number is a sequence of characters from code 48 on that hold five bits each, the lowest
    first, and 32 if another one follows; the highest bit of the last one is the sign. From the
    fourth number on, it is the difference to the number two before
    (https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.c). pycocotools itself reads
    past the end of a damaged text and returns what lies in memory there.

    Raises:
        DataError: The text is cut short, or holds other characters.
    """
    counts, number, shift = [], 0, 0
    for character in text:
        bits = character - 48
        if not 0 <= bits < 64:
            raise DataError("compressed run lengths hold a character that is none of theirs")
        number |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                number -= 1 << shift
            counts.append(number + counts[-2] if len(counts) > 2 else number)
            number, shift = 0, 0
    if shift or any(not 0 <= count < 2**31 for count in counts):
        raise DataError("compressed run lengths are damaged", fix="export the annotations again")
    return numpy.array(counts, "int32")


def decode_brush(code: bytes, length: int) -> numpy.ndarray:
    """Bytes that Label Studio's run lengths stand for, uint8 (length,).

    A bit stream: 32 bits number of values, 5 bits word size - 1, four times 4 bits length size - 1;
    then runs: 1 bit (repeated or not), 2 bits which length size, length - 1, and one word, or one
    word per value (https://github.com/thi-ng/umbrella/tree/develop/packages/rle-pack).

    Raises:
        DataError: The stream ends early or holds another number of values.
    """
    bits = numpy.unpackbits(numpy.frombuffer(code, "uint8"))
    text = (bits + ord("0")).tobytes()  # int(text, 2) is the fastest reader of bits there is
    place = 0

    def read(count):
        nonlocal place
        place += count
        if place > len(text):
            raise DataError("brush run lengths end early", fix="export the annotations again")
        return int(text[place - count : place], 2)

    total, word = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    if word != 8:
        raise DataError(f"brush run lengths of {word} bits, 8 are expected")
    if total != length:
        raise DataError(
            f"brush run lengths hold {total} values, the image {length}",
            fix="the annotation belongs to an image of another size",
        )
    values = numpy.zeros(total, "uint8")
    position = 0
    while position < total:
        repeated = read(1)
        end = position + 1 + read(sizes[read(2)])
        if end > total:
            raise DataError("brush run lengths exceed the image", fix="export them again")
        if repeated:
            values[position:end] = read(word)
        else:
            values[position:end] = [read(word) for _ in range(end - position)]
        position = end
    return values


def _fill(mask, corners, value):
    """Sets the pixels whose centers lie in a polygon, scan line by scan line."""
    height, width = mask.shape
    x, y = corners.T
    next_x, next_y = numpy.roll(x, -1), numpy.roll(y, -1)
    # An edge crosses the rows whose center line y = row + 0.5 lies in [lower end, upper end).
    first = numpy.ceil(numpy.minimum(y, next_y) - 0.5).clip(0, height).astype(int)
    last = numpy.ceil(numpy.maximum(y, next_y) - 0.5).clip(0, height).astype(int)
    if not (last > first).any():
        return
    top, bottom = first.min(), last.max()
    counts = last - first
    edges = numpy.repeat(numpy.arange(len(x)), counts)
    starts = numpy.cumsum(counts) - counts
    rows = first[edges] + numpy.arange(len(edges)) - starts[edges]
    slope = (next_x - x)[edges] / (next_y - y)[edges]
    crossing = x[edges] + (rows + 0.5 - y[edges]) * slope
    columns = numpy.ceil(crossing - 0.5).clip(0, width).astype(int)
    left, right = columns.min(), columns.max()
    toggles = numpy.zeros((bottom - top, right - left + 1), "uint8")
    numpy.bitwise_xor.at(toggles, (rows - top, columns - left), 1)
    inside = numpy.bitwise_xor.accumulate(toggles, axis=1)[:, :-1].astype(bool)
    mask[top:bottom, left:right][inside] = value


def _paste(mask, inside, left, top, value):
    """Sets the pixels of a bitmap whose corner lies at (left, top), which may be outside."""
    rows = slice(max(top, 0), max(top + inside.shape[0], 0))
    columns = slice(max(left, 0), max(left + inside.shape[1], 0))
    part = mask[rows, columns]
    if not part.size:
        return
    up, across = max(-top, 0), max(-left, 0)
    part[inside[up : up + part.shape[0], across : across + part.shape[1]]] = value
