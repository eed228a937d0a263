"""From an image to what a network says about it, at the size of the image."""

import collections
import concurrent.futures
import functools
import logging
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy

from kerasdl.data.images import resize_image
from kerasdl.engine import inference
from kerasdl.engine.prediction import geometry, resampling, tiles
from kerasdl.engine.prediction.geometry import Plan, Tiling
from kerasdl.engine.prediction.networks import Facts, Network
from kerasdl.tasks.prediction import ImagePrediction, Settings

MAX_PAINTING = 4  # parts of a tiled image that are painted while its network runs

logger = logging.getLogger("kerasdl")

Progress = Callable[[int, int], None]


class Shown(NamedTuple):
    """An image as it is shown to the network.

    Attributes:
        pixels: The image, uint8 (H, W, 3).
        plan: Its size for the network.
        x: Input of the network, float32 (h, w, channels); None if it is shown in tiles.
    """

    pixels: numpy.ndarray
    plan: Plan
    x: numpy.ndarray | None


class Computing:
    """Computes predictions with a network.

    Args:
        network: The network.
        facts: What is known of its training.
        tiling: What the user wants of tiles.
        settings: Settings of predictions.
    """

    def __init__(self, network: Network, facts: Facts, tiling: Tiling, settings: Settings):
        self.facts, self.settings = facts, settings
        self.decoder = facts.decoder
        self._network, self._tiling = network, tiling
        self._single: Network | None = None
        self._opening, self._opened = threading.Lock(), False
        self._said = False

    def shown(self, pixels: numpy.ndarray) -> Shown:
        """An image as it is shown to the network."""
        training = self.facts.training
        size = (pixels.shape[0], pixels.shape[1])
        plan = geometry.plan(size, training, self._network.size, self._tiling)
        if plan.tile is not None:
            return Shown(pixels, plan, None)
        # Only an image that is always resized to one size is cropped.
        resize = training.resize if training.whole else "stretch"
        x = self._prepared(resize_image(pixels, plan.size, resize)[None])[0]
        return Shown(pixels, plan, x)

    def batch_size(self, shown: Shown) -> int:
        """Number of such images to compute at once."""
        return tiles.batch_size(shown.plan.size, self.facts.outputs)

    def outputs(self, x: numpy.ndarray) -> numpy.ndarray:
        """Outputs of the network for a batch, float32."""
        return inference.averaged(self._network.outputs, x, self.facts.test_time_flip)

    @property
    def can_compute_alone(self) -> bool:
        """Whether `outputs_alone` is worth a try."""
        return self._network.single is not None

    def outputs_alone(self, x: numpy.ndarray) -> numpy.ndarray | None:
        """As `outputs`, by the calling thread alone; several may call it at once.

        Opens the network for it at the first call; None if it cannot be opened.
        """
        with self._opening:
            if not self._opened and self._network.single is not None:
                self._single = self._network.single()
            self._opened = True
        if self._single is None:
            return None
        return inference.averaged(self._single.outputs, x, self.facts.test_time_flip)

    def finish(self, shown: Shown, outputs: numpy.ndarray) -> ImagePrediction:
        """The prediction for an image from its outputs, (C,) or (h, w, C)."""
        if self.decoder.paint is None:
            decoded = outputs
        else:
            image = (shown.pixels.shape[0], shown.pixels.shape[1])
            band = resampling.Band(0, self._blendable(outputs))
            parts = resampling.enlarged([band], shown.plan.size, image, (0, image[1]))
            decoded = self._painted(
                shown.pixels, ((rows, (0, image[1]), *part) for rows, *part in parts)
            )
        return self.decoder.summarize(decoded, self.facts.names, self.settings)

    def in_tiles(
        self, shown: Shown, pool: concurrent.futures.Executor, progress: Progress | None = None
    ) -> ImagePrediction:
        """The prediction for an image that is shown in tiles.

        Args:
            shown: The image.
            pool: Paints while the network runs.
            progress: Called with the number of tiles computed, and of all.
        """
        self._say(shown)
        decoded = self._painted(shown.pixels, self._tiled(shown, progress), pool)
        return self.decoder.summarize(decoded, self.facts.names, self.settings)

    def _tiled(self, shown, progress):
        """(rows, columns, values, box) of the image, part by part."""
        size, tile = shown.plan
        image = shown.pixels.shape[:2]
        depth = self._blendable(numpy.zeros((1, 1, self.facts.outputs), "float32")).shape[-1]
        panels = [
            (columns, tiles.Grid(size, tile, self._tiling.overlap,
                                 resampling.needed(columns, image[1], size[1])))
            for columns in tiles.panels(image, size, tile, depth)
        ]  # fmt: skip
        done, total = 0, sum(len(grid) for _, grid in panels)

        def apply(batch):
            nonlocal done
            outputs = self.outputs(self._prepared(batch))
            done += len(batch)
            if progress is not None:
                progress(done, total)
            return self._blendable(outputs)

        read = functools.partial(resampling.region, shown.pixels, size)
        batch = tiles.batch_size(tile, self.facts.outputs)
        for columns, grid in panels:
            bands = grid.blended(apply, read, batch)
            for rows, *part in resampling.enlarged(bands, size, image, columns, grid.left):
                yield rows, columns, *part

    def _painted(self, pixels, parts: Iterator, pool=None) -> numpy.ndarray:
        """The whole image, painted part by part: uint8 (H, W) or (H, W, 3)."""
        canvas: numpy.ndarray | None = None

        def paint(rows, columns, values, box):
            nonlocal canvas
            place = (slice(*rows), slice(*columns))
            painted = self.decoder.paint(values, box, pixels[place], self.settings)
            if canvas is None:
                canvas = numpy.empty((*pixels.shape[:2], *painted.shape[2:]), "uint8")
            canvas[place] = painted

        painting: collections.deque[concurrent.futures.Future] = collections.deque()
        for part in parts:
            if pool is None or canvas is None:
                paint(*part)
                continue
            # The rows of tiles are used again for the next: what is painted later is a copy.
            painting.append(pool.submit(paint, *part[:2], numpy.array(part[2]), part[3]))
            if len(painting) >= MAX_PAINTING:
                painting.popleft().result()
        for each in painting:
            each.result()
        return canvas

    def _prepared(self, images):
        return self.decoder.prepare(images, self.settings)

    def _blendable(self, outputs):
        """Values that may be averaged, decoded in parts: 313 logits per pixel need much memory."""
        if outputs.ndim < 4:
            return self.decoder.blendable(outputs, self.settings)
        return numpy.stack([self.decoder.blendable(each, self.settings) for each in outputs])

    def _say(self, shown):
        if self._said:
            return
        self._said = True
        size, tile = shown.plan
        logger.info(
            "%simages are predicted in tiles of %s, overlapping by %.0f %%: the image of %s is "
            "shown at %s, %s; --tile none shows whole images at the training size",
            "large " if self._tiling.tile == "auto" else "", geometry.text(tile),
            100 * self._tiling.overlap, geometry.text(shown.pixels.shape[:2]), geometry.text(size),
            self._scale_text(),
        )  # fmt: skip

    def _scale_text(self):
        training = self.facts.training
        if self._tiling.scale is not None:
            return f"{self._tiling.scale:g} of its size"
        if training.median is None:
            return "its own size, as the size of the training images is not known (--scale)"
        how = "were stretched" if training.resize == "stretch" else "were scaled"
        median, trained = geometry.text(training.median), geometry.text(training.size)
        return f"as the training images of about {median} {how} to {trained} (--scale)"
