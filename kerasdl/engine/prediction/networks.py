"""What predicts: a trained model or an exported file, and the facts about its training."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy

from kerasdl import models
from kerasdl.core.registry import load
from kerasdl.engine.prediction.geometry import Size, Training
from kerasdl.runs import runtimes
from kerasdl.tasks import TASKS
from kerasdl.tasks.prediction import Decoder, Names


class Network(Protocol):
    """Computes outputs.

    Attributes:
        size: The only (height, width) it takes; None: any.
    """

    size: Size | None

    @property
    def single(self) -> "Callable[[], Network | None] | None":
        """Opens the network again for several threads that each compute alone; None: cannot.

        The function gives None if that is no longer possible.
        """

    def outputs(self, x: numpy.ndarray) -> numpy.ndarray:
        """Outputs (B, C) or (B, H, W, C), float32, for a batch x float32 (B, H, W, channels)."""


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a prediction needs to know about the training of a network.

    Attributes:
        task: Name of the task.
        names: Class names and colors.
        target: What the network outputs, see `kerasdl.metrics.colors.targets`.
        outputs: Number of its outputs.
        training: Sizes in training.
        test_time_flip: Whether outputs are averaged over an image and its flip.
    """

    task: str
    names: Names
    target: str
    outputs: int
    training: Training
    test_time_flip: bool

    @property
    def decoder(self) -> Decoder:
        """Turns the outputs into predictions."""
        found: Decoder = load(TASKS.require(self.task).decoder)
        return found


def facts(metadata: Mapping[str, Any]) -> Facts:
    """Facts from metadata with the keys of an exported file, see `kerasdl.runs.runtimes`."""
    median = metadata.get("median_size")
    task = TASKS.require(metadata["task"])
    return Facts(
        task=task.name,
        names=Names(
            tuple(metadata.get("class_names") or ()),
            numpy.array(metadata.get("palette") or [[0, 0, 0]], dtype="uint8"),
        ),
        target=metadata.get("target") or (task.targets or ("",))[0],
        outputs=metadata["outputs"],
        training=Training(
            tuple(metadata["image_size"]),
            metadata["resize"],
            tuple(median) if median else None,
            whole=load(task.decoder).paint is None,
        ),
        test_time_flip=metadata["test_time_flip"],
    )


def exported(path: str | os.PathLike[str]) -> tuple[Network, Facts]:
    """An exported file as a network, and the facts in its metadata.

    Raises:
        ModelFileError: The file is missing, damaged or foreign.
        ConfigError: Its runtime is not installed.
    """
    runtime = runtimes.open(path)
    return runtime, facts(runtime.metadata)


class KerasNetwork:
    """A Keras model, built again for other sizes with the same weights.

    Args:
        model: The model.
        name: Its name in `kerasdl.models.MODELS`.
        options: Its options.
    """

    size: Size | None = None
    single = None  # its backend computes with all cores

    def __init__(self, model, name, options):
        import keras

        from kerasdl.backend import tuning

        self._tuned = tuning.tune_for_inference
        self._name, self._options = name, options
        self._models = {tuple(model.input_shape[1:3]): self._tuned(model)}
        self._model = model
        # The other backends compile for each size of a batch, which takes seconds.
        self._compiles = keras.config.backend() != "torch"
        self._largest = {}

    def outputs(self, x):
        """Outputs for a batch; see `Network`."""
        size, count = x.shape[1:3], len(x)
        self._largest[size] = max(count, self._largest.get(size, 0))
        missing = self._largest[size] - count if self._compiles else 0
        if missing:
            x = numpy.concatenate([x, numpy.zeros((missing, *x.shape[1:]), x.dtype)])
        return numpy.asarray(self._sized(size).predict_on_batch(x))[:count]

    def _sized(self, size):
        if size not in self._models:
            resized = models.resized(self._model, self._name, size, self._options)
            self._models[size] = self._tuned(resized)
        return self._models[size]


def of_run(model, config, known, median_size):
    """A run's model as a network, and the facts of its training.

    Args:
        model: The Keras model.
        config: Configuration of the run.
        known: Mapping with `task`, `class_names`, `palette`, `outputs` and `image_size`.
        median_size: Median (height, width) of the images before they were resized, or None.
    """
    options = models.resolved(config.model, config.image_size, config.model_args)
    settings = {key: getattr(config, key) for key in ("target", "resize", "test_time_flip")}
    return (
        KerasNetwork(model, config.model, options),
        facts({**known, **settings, "median_size": median_size}),
    )
