"""`--batch-size auto`: the largest power of two that fits the memory of the GPU."""

import gc
import logging
import math
import os
import pathlib
from collections.abc import Callable

from kerasdl.backend import precision
from kerasdl.core.errors import ConfigError, TrainingFailed
from kerasdl.engine import failures
from kerasdl.runs import names
from kerasdl.runs.config import Config, as_dict
from kerasdl.runs.run import Run

logger = logging.getLogger("kerasdl")


def decided(
    config: Config, images: int, engine: str, folder: str | os.PathLike[str] | None,
    measure: Callable[[Config], object],
) -> Config:  # fmt: skip
    """The configuration with a batch size in place of "auto", for the recipe to complete.

    A run that has begun in the folder keeps its own.

    Args:
        config: Configuration with `batch_size` 0.
        images: Number of training images; no batch is larger.
        engine: The backend in use.
        folder: The run folder, or None.
        measure: Function Config -> anything; trains and validates some steps, and raises the
            backend's error if memory does not suffice.

    Raises:
        ConfigError: The backend computes on a CPU.
        TrainingFailed: Not even one image fits.
    """
    values = {key: value for key, value in as_dict(config).items() if key in config.given}
    if folder is not None and (pathlib.Path(folder) / names.CONFIG).exists():
        return Config(**{**values, "batch_size": Run(folder).config.batch_size})
    if precision.gpu_capability(engine) is None:
        raise ConfigError(
            f"batch size 'auto' fills the memory of a GPU, {engine} runs on the CPU here",
            fix="--batch-size NUMBER",
        )
    size = largest(lambda size: measure(Config(**{**values, "batch_size": size})), images)
    logger.info("batches of %d (the largest power of two that fits the GPU and the data)", size)
    return Config(**{**values, "batch_size": size})


def largest(attempt: Callable[[int], object], most: int) -> int:
    """The largest power of two, at most `most`, whose attempt does not run out of memory.

    Doubled from 8 on, or halved where 8 is too large.

    Raises:
        TrainingFailed: 1 is too large.
    """

    def fits(size: int) -> bool:
        try:
            attempt(size)
        except Exception as error:
            if not failures.out_of_memory(error):
                raise
            logger.debug("batches of %d do not fit", size)
            return False
        finally:
            gc.collect()  # models have reference cycles, and hold their memory until then
        return True

    limit = 2 ** int(math.log2(max(1, most)))
    size = min(8, limit)
    while not fits(size):
        if size == 1:
            raise TrainingFailed("out of memory with a single image", fix="smaller --image-size")
        size, limit = size // 2, size // 2
    while size < limit and fits(2 * size):
        size *= 2
    return size
