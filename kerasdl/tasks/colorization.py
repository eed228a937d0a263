"""Colorization: PSNR and SSIM, and scores that measure color.

The configuration's target is what the model outputs: "rgb", or "ab", the chroma that is combined
with the lightness of the input; see `metrics.colors.targets` and docs/colorization.md. Scores are
computed on the RGB image, so they are comparable across targets.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import keras
import numpy

from kerasdl.core.types import Tensor
from kerasdl.data.base import Dataset, Sample
from kerasdl.losses import LOSSES
from kerasdl.metrics.color import ColorScores, out_of_gamut
from kerasdl.metrics.colorization import ColorizationScores
from kerasdl.metrics.colors.lab import gray, rgb_to_lab
from kerasdl.metrics.colors.targets import LAB_SCALE, OUTPUTS, truth_and_prediction
from kerasdl.metrics.images import ImageScores
from kerasdl.metrics.psnr import psnr
from kerasdl.metrics.ssim import ssim
from kerasdl.tasks import TASKS, Choice, Task
from kerasdl.tasks.prediction import ImagePrediction, to_unit
from kerasdl.tasks.prediction.colorization import to_bytes
from kerasdl.tasks.scoring import loss_per_image


def prepare(
    images: numpy.ndarray,
    labels: numpy.ndarray | None,
    masks: numpy.ndarray | None,
    target: str = "rgb",
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """x (B, H, W, 1) and y (B, H, W, 3), float32.

    Target rgb: luma and RGB, both in [0, 1]. Target ab: L / 100 and (L, a, b) / 100.
    """
    colors = to_unit(images)
    if target == "rgb":
        return gray(colors), colors
    lab = rgb_to_lab(colors) / numpy.float32(LAB_SCALE)
    return lab[..., :1], lab


def as_images(y: Tensor, outputs: Tensor, target: str) -> tuple[numpy.ndarray, numpy.ndarray]:
    """True and predicted RGB, float32 NumPy arrays (B, H, W, 3); the prediction is not clipped."""
    truth, prediction = truth_and_prediction(
        numpy.asarray(y, dtype="float32"), numpy.asarray(outputs, dtype="float32"), target
    )
    return keras.ops.convert_to_numpy(truth), keras.ops.convert_to_numpy(prediction)


class Scorer:
    """Scores of the prediction and, as the baseline, of the gray image (luma)."""

    def __init__(self, dataset: Dataset, loss: keras.losses.Loss, target: str = "rgb"):
        self.loss = loss
        self.losses: list[float] = []
        self.target = target
        self.predicted, self.baseline = _ImageScores(), _ImageScores()

    def update(self, y: Tensor, outputs: Tensor) -> None:
        """Adds a batch: truth (B, H, W, 3) and model outputs."""
        self.losses += loss_per_image(self.loss, y, outputs)
        truth, prediction = as_images(y, outputs, self.target)
        self.predicted.update(truth, prediction)
        self.baseline.update(truth, numpy.repeat(gray(truth), 3, axis=-1))

    def result(self) -> tuple[dict[str, float], dict[str, float], dict[str, Any]]:
        """Scores, the gray image's scores, and the scores per image."""
        scores = {**self.predicted.result(), "loss": float(numpy.mean(self.losses))}
        return scores, self.baseline.result(), {"images": self.predicted.per_image()}


class NativeScorer:
    """Scores of colored images, and of gray ones, at the size of the images as they are stored."""

    def __init__(self, dataset: Dataset):
        self.predicted, self.baseline = _ImageScores(), _ImageScores()

    def update(self, samples: Sequence[Sample], found: Sequence[ImagePrediction]) -> None:
        """Adds samples and their predictions."""
        pairs = zip(samples, found, strict=True)
        # Neighbors of one size together: most of the time goes into calls.
        for _, group in itertools.groupby(pairs, lambda pair: pair[0].image.shape):
            truth, colored = zip(*((each[0].image, each[1].image) for each in group), strict=True)
            colors = to_unit(numpy.stack(truth))
            self.predicted.update(colors, to_unit(numpy.stack(colored)))
            self.baseline.update(colors, numpy.repeat(gray(colors), 3, axis=-1))

    def result(self) -> tuple[dict[str, float], dict[str, float], ImageScores]:
        """Scores, those of the gray image, and what each image adds to the scores."""
        scores, baseline = self.predicted.result(), self.baseline.result()
        for each in (scores, baseline):
            del each["out_of_gamut"]  # 0: they are 8-bit images
        return scores, baseline, self.predicted.per_image()


class _ImageScores:
    """PSNR, SSIM and the color scores of clipped RGB, means over images."""

    def __init__(self) -> None:
        self.psnr: list[numpy.ndarray] = []
        self.ssim: list[numpy.ndarray] = []
        self.outside: list[numpy.ndarray] = []
        self.colors = ColorScores()

    def update(self, truth: numpy.ndarray, prediction: numpy.ndarray) -> None:
        self.outside.append(out_of_gamut(prediction))
        prediction = numpy.clip(prediction, 0.0, 1.0)
        self.psnr.append(keras.ops.convert_to_numpy(psnr(truth, prediction)))
        self.ssim.append(keras.ops.convert_to_numpy(ssim(truth, prediction)))
        self.colors.update(truth, prediction)

    def per_image(self) -> ImageScores:
        values = {"psnr": numpy.concatenate(self.psnr), "ssim": numpy.concatenate(self.ssim)}
        return ImageScores({**values, **self.colors.per_image()})

    def result(self) -> dict[str, float]:
        return {
            "psnr": float(numpy.concatenate(self.psnr).mean(dtype="float64")),
            "ssim": float(numpy.concatenate(self.ssim).mean(dtype="float64")),
            **self.colors.result(),
            "out_of_gamut": float(numpy.concatenate(self.outside).mean(dtype="float64")),
        }


def sample_score(
    y: numpy.ndarray, outputs: Tensor, dataset: Dataset, target: str = "rgb"
) -> numpy.ndarray:
    """PSNR in dB, per image."""
    return keras.ops.convert_to_numpy(psnr(*as_images(y, outputs, target)))


def captions(y: numpy.ndarray, outputs: Tensor, dataset: Dataset, target: str = "rgb") -> list[str]:
    """One line per image: its PSNR."""
    return [f"{score:.1f} dB" for score in sample_score(y, outputs, dataset, target)]


def render(
    x: numpy.ndarray, y: numpy.ndarray, outputs: Tensor, dataset: Dataset, target: str = "rgb"
) -> tuple[numpy.ndarray, ...]:
    """Gray input, true colors and predicted colors."""
    truth, prediction = as_images(y, outputs, target)
    if target == "ab":  # show the lightness as a gray image
        x = as_images(y, numpy.zeros((*y.shape[:-1], 2)), target)[1][..., :1]
    shown = (numpy.repeat(x, 3, axis=-1), truth, prediction)
    return tuple(to_bytes(numpy.clip(part, 0.0, 1.0)) for part in shown)


def task(config: Choice) -> Task:
    """The task for the configuration's target and loss."""
    target = config.target or TASKS["colorization"].targets[0]
    loss = LOSSES.get(config.loss)
    outputs = (loss and loss.outputs) or OUTPUTS[target][0]
    return Task(
        spec=TASKS["colorization"],
        target=target,
        channels=1,
        outputs=lambda dataset: outputs,
        prepare=functools.partial(prepare, target=target),
        metrics=lambda dataset: [ColorizationScores(target)],
        native=NativeScorer,
        scorer=functools.partial(Scorer, target=target),
        sample_score=functools.partial(sample_score, target=target),
        captions=functools.partial(captions, target=target),
        render=functools.partial(render, target=target),
        decode=lambda y, outputs: truth_and_prediction(y, outputs, target),
    )
