"""What predicts: a trained model or an exported file, and the facts about its training."""

import dataclasses
import os
from collections.abc import Mapping
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
    network = Padded(runtime) if runtime.size is None else runtime
    return network, facts(runtime.metadata)


class KerasNetwork:
    """A Keras model, built again for other sizes with the same weights.

    Args:
        model: The model.
        name: Its name in `kerasdl.models.MODELS`.
        options: Its options.
    """

    size: Size | None = None

    def __init__(self, model, name, options):
        import keras

        self._name, self._options = name, options
        self._models = {tuple(model.input_shape[1:3]): model}
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
            model = models.build(
                self._name,
                (*size, self._model.input_shape[-1]),
                self._model.output_shape[-1],
                **self._options,
            )
            model.set_weights(self._model.get_weights())
            self._models[size] = model
        return self._models[size]


class Padded:
    """An exported network that takes multiples of its stride, for any size.

    Pads with zeros, half on each side, as `kerasdl.models` do, and crops the outputs.

    Args:
        network: Has `outputs` and `stride`.
    """

    size: Size | None = None

    def __init__(self, network):
        self._network = network

    def outputs(self, x):
        """Outputs for a batch; see `Network`."""
        height, width = x.shape[1:3]
        missing = [-side % self._network.stride for side in (height, width)]
        top, left = (side // 2 for side in missing)
        below, beside = missing[0] - top, missing[1] - left
        x = numpy.pad(x, ((0, 0), (top, below), (left, beside), (0, 0)))
        found = self._network.outputs(x)
        if found.ndim == 2:
            return found
        return found[:, top : top + height, left : left + width]
