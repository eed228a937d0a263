"""Values of an image larger than what the network sees at once, blended from overlapping tiles.

At each pixel the value is the weighted mean over the tiles that cover it; the weight of a tile
falls linearly from its center to its edge, so that no edge shows. The image passes from top to
bottom, and only the rows of the current tiles are held.
"""

import itertools
import math
from collections.abc import Callable, Iterator

import numpy

from kerasdl.engine.prediction.resampling import Band, Size, Span

# Values held at once, float32: those of the rows of tiles, and the outputs of a batch.
BAND_VALUES = 2**24
BATCH_VALUES = 2**24
BATCH_PIXELS = 8 * 256**2
MAX_BATCH = 8

Apply = Callable[[numpy.ndarray], numpy.ndarray]
Read = Callable[[Span, Span], numpy.ndarray]


def starts(length: int, tile: int, overlap: float) -> list[int]:
    """First pixels of the tiles along a side, evenly spaced, overlapping by at least `overlap`."""
    if length <= tile:
        return [0]
    step = max(1, math.floor(tile * (1 - overlap)))
    count = math.ceil((length - tile) / step) + 1
    return [round(index * (length - tile) / (count - 1)) for index in range(count)]


def weights(firsts: list[int], tile: int) -> list[numpy.ndarray]:
    """Weights of the pixels of each tile along a side, (tile,) each; at each pixel their sum is 1.

    Before that they are min(i + 1/2, tile - i - 1/2), the distance to the edge.
    """
    distance = numpy.minimum(numpy.arange(tile) + 0.5, tile - numpy.arange(tile) - 0.5)
    total = numpy.zeros(firsts[-1] + tile)
    for first in firsts:
        total[first : first + tile] += distance
    return [(distance / total[first : first + tile]).astype("float32") for first in firsts]


def batch_size(size: Size, outputs: int) -> int:
    """Number of images of a size, or of tiles, for the network at once."""
    pixels = math.prod(size)
    most = min(BATCH_PIXELS // pixels, BATCH_VALUES // (pixels * outputs))
    return max(1, min(MAX_BATCH, most))


def panels(image: Size, size: Size, tile: Size, values: int) -> list[Span]:
    """Columns of an image that are decoded together: all, if the rows of tiles fit in memory."""
    widest = max(tile[1], BAND_VALUES // (tile[0] * values))
    count = math.ceil(size[1] / widest)
    edges = [round(index * image[1] / count) for index in range(count + 1)]
    return list(itertools.pairwise(edges))


class Grid:
    """The tiles of an image, or of the columns of it that are needed.

    Args:
        size: (height, width) of the image as the network sees it.
        tile: (height, width) of a tile.
        overlap: Fraction of a tile that the next one covers as well.
        columns: The columns that are needed.
    """

    def __init__(self, size: Size, tile: Size, overlap: float, columns: Span | None = None):
        self.size, self.tile = size, tile
        first, last = columns or (0, size[1])
        self.tops = starts(size[0], tile[0], overlap)
        self.down = weights(self.tops, tile[0])
        lefts = starts(size[1], tile[1], overlap)
        chosen = [
            (left, weight)
            for left, weight in zip(lefts, weights(lefts, tile[1]), strict=True)
            if left < last and left + tile[1] > first
        ]
        self.lefts = [left for left, _ in chosen]
        self.across = [weight for _, weight in chosen]
        self.left, self.right = self.lefts[0], self.lefts[-1] + tile[1]

    def __len__(self) -> int:
        """Number of tiles."""
        return len(self.tops) * len(self.lefts)

    def blended(self, apply: Apply, read: Read, batch: int) -> Iterator[Band]:
        """The values of all rows, from top to bottom.

        Args:
            apply: Function (tiles uint8 (B, h, w, 3)) -> values float32 (B, h, w, V).
            read: Function (rows, columns) -> that part of the image as the network sees it, uint8;
                beyond the image its edge repeats.
            batch: Number of tiles to apply at once.

        Yields:
            Bands of the columns from `left` on, valid until the next one; the columns that are not
            needed are incomplete.
        """
        height, width = self.tile
        end = min(self.right, self.size[1]) - self.left
        sums = None
        for index, top in enumerate(self.tops):
            strip = read((top, top + height), (self.left, self.right))
            numbers = range(len(self.lefts))
            for some in (numbers[i : i + batch] for i in range(0, len(numbers), batch)):
                places = [self.lefts[i] - self.left for i in some]
                values = apply(numpy.stack([strip[:, at : at + width] for at in places]))
                if sums is None:
                    shape = (height, self.right - self.left, values.shape[-1])
                    sums = numpy.zeros(shape, "float32")
                for i, at, found in zip(some, places, values, strict=True):
                    weight = numpy.multiply.outer(self.down[index], self.across[i])
                    sums[:, at : at + width] += found * weight[..., None]
            following = self.tops[index + 1] if index + 1 < len(self.tops) else self.size[0]
            finished = min(following, self.size[0]) - top
            yield Band(top, sums[:finished, :end])
            if index + 1 < len(self.tops):
                sums[: height - finished] = sums[finished:].copy()
                sums[height - finished :] = 0
