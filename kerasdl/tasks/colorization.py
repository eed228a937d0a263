"""Which colors a gray image had: PSNR and SSIM, and scores that really see color.

What the network puts out is the target of the configuration: "rgb", colors and lightness at once,
or "ab", the chroma that is put under the lightness of the input; see `metrics.colors.targets` and
docs/colorization.md. The scores are those of the RGB image, so they compare across targets.
"""

import dataclasses
import functools

import keras
import numpy
import skimage.color

from kerasdl.core.errors import ConfigError
from kerasdl.losses import AB_LOSSES
from kerasdl.metrics.color import ColorScores, out_of_gamut
from kerasdl.metrics.colorization import ColorizationScores
from kerasdl.metrics.colors import bins
from kerasdl.metrics.colors.targets import LAB_SCALE, chroma, truth_and_prediction
from kerasdl.metrics.psnr import psnr
from kerasdl.metrics.ssim import ssim
from kerasdl.tasks import Task
from kerasdl.tasks.scoring import MeanLoss, to_unit

LUMA = numpy.array([0.299, 0.587, 0.114], dtype="float32")  # Rec. 601, as JPEG and Pillow
COUNTED_AT_ONCE = 64  # images whose colors are counted in one piece


def prepare(images, labels, masks, target="rgb"):
    """x (B, H, W, 1) and y (B, H, W, 3), float32.

    Target rgb: luma and RGB, both in [0, 1]. Target ab: L / 100 and (L, a, b) / 100.
    """
    colors = to_unit(images)
    if target == "rgb":
        return gray(colors), colors
    lab = to_lab(colors) / numpy.float32(LAB_SCALE)
    return lab[..., :1], lab


def gray(colors):
    """Luma 0.299 R + 0.587 G + 0.114 B of images (..., 3), shape (..., 1)."""
    return (colors @ LUMA)[..., None]


def to_lab(colors):
    """CIELAB (D65) float32 of RGB float32 in [0, 1], shape (..., 3)."""
    return skimage.color.rgb2lab(colors).astype("float32", copy=False)


def predicted_chroma(outputs, target="rgb"):
    """a and b of CIELAB that the network's outputs say, float32 (..., 2), a NumPy array."""
    outputs = numpy.asarray(outputs, dtype="float32")
    if target == "rgb":
        return to_lab(numpy.clip(outputs, 0.0, 1.0))[..., 1:]
    return keras.ops.convert_to_numpy(chroma(outputs))


def bin_weights(source):
    """Weights of the 313 color bins from the training images; see `bins.rebalancing_weights`."""
    counts = numpy.zeros(len(bins.BINS), dtype="int64")
    for start in range(0, len(source), COUNTED_AT_ONCE):
        images, _, _ = source.take(numpy.arange(start, min(start + COUNTED_AT_ONCE, len(source))))
        found = bins.nearest(to_lab(to_unit(images))[..., 1:])
        counts += numpy.bincount(found.ravel(), minlength=len(counts))
    return bins.rebalancing_weights(counts)


def as_images(y, outputs, target):
    """True and predicted RGB, float32 NumPy arrays (B, H, W, 3); the prediction is not clipped."""
    pair = truth_and_prediction(
        numpy.asarray(y, dtype="float32"), numpy.asarray(outputs, dtype="float32"), target
    )
    return tuple(keras.ops.convert_to_numpy(part) for part in pair)


class Scorer:
    """Scores of the prediction and, as the baseline, of the gray image (luma)."""

    def __init__(self, dataset, loss, target="rgb"):
        self.loss = MeanLoss(loss)
        self.target = target
        self.predicted, self.baseline = _ImageScores(), _ImageScores()

    def update(self, y, outputs):
        """Adds a batch: truth (B, H, W, 3) and outputs of the network."""
        self.loss.update(y, outputs)
        truth, prediction = as_images(y, outputs, self.target)
        self.predicted.update(truth, prediction)
        self.baseline.update(truth, numpy.repeat(gray(truth), 3, axis=-1))

    def result(self):
        """Scores, the gray image's scores, no further details."""
        return {**self.predicted.result(), "loss": self.loss.result()}, self.baseline.result(), {}


class _ImageScores:
    """PSNR, SSIM and the color scores of clipped RGB, means over images."""

    def __init__(self):
        self.psnr, self.ssim, self.outside, self.colors = [], [], [], ColorScores()

    def update(self, truth, prediction):
        self.outside.append(out_of_gamut(prediction))
        prediction = numpy.clip(prediction, 0.0, 1.0)
        self.psnr.append(keras.ops.convert_to_numpy(psnr(truth, prediction)))
        self.ssim.append(keras.ops.convert_to_numpy(ssim(truth, prediction)))
        self.colors.update(truth, prediction)

    def result(self):
        return {
            "psnr": float(numpy.concatenate(self.psnr).mean(dtype="float64")),
            "ssim": float(numpy.concatenate(self.ssim).mean(dtype="float64")),
            **self.colors.result(),
            "out_of_gamut": float(numpy.concatenate(self.outside).mean(dtype="float64")),
        }


def sample_score(y, outputs, dataset, target="rgb"):
    """PSNR in dB, per image."""
    return keras.ops.convert_to_numpy(psnr(*as_images(y, outputs, target)))


def captions(y, outputs, dataset, target="rgb"):
    """One line per image: its PSNR."""
    return [f"{score:.1f} dB" for score in sample_score(y, outputs, dataset, target)]


def render(x, y, outputs, dataset, target="rgb"):
    """Gray input, true colors and predicted colors."""
    truth, prediction = as_images(y, outputs, target)
    if target == "ab":  # lightness as an image: the gray that has it
        x = as_images(y, numpy.zeros((*y.shape[:-1], 2)), target)[1][..., :1]
    shown = (numpy.repeat(x, 3, axis=-1), truth, prediction)
    return tuple(to_bytes(numpy.clip(part, 0.0, 1.0)) for part in shown)


def to_bytes(images):
    """Values in [0, 1] to uint8, rounded."""
    return numpy.round(numpy.asarray(images, dtype="float32") * 255).astype("uint8")


def variant(config):
    """The task for the configuration's target and loss.

    Raises:
        ConfigError: The loss needs the other target, or the network cannot have 313 outputs.
    """
    if config.target != "ab":
        if config.loss in AB_LOSSES and config.loss not in TASK.losses:
            raise ConfigError(f"loss '{config.loss}' is for the target ab", fix="--target ab")
        return TASK
    if config.loss != "bins":
        return _task("ab", outputs=2)
    if config.model.startswith("fcn"):
        raise ConfigError(
            f"loss 'bins' has {len(bins.BINS)} outputs, for which {config.model} would "
            "need tens of millions of weights or more",
            fix="--model unet, or another loss",
        )
    return dataclasses.replace(_task("ab", outputs=len(bins.BINS)), loss_weights=bin_weights)


def _task(target, outputs):
    return Task(
        name="colorization",
        models=("unet", "unet-resnet18", "fcn8", "fcn16", "fcn32"),
        losses=tuple(AB_LOSSES) if target == "ab" else ("l1", "huber"),
        score="psnr",
        channels=1,
        masks=False,
        outputs=lambda dataset: outputs,
        prepare=functools.partial(prepare, target=target),
        metrics=lambda dataset: [ColorizationScores(target)],
        scorer=functools.partial(Scorer, target=target),
        sample_score=functools.partial(sample_score, target=target),
        captions=functools.partial(captions, target=target),
        render=functools.partial(render, target=target),
        variant=variant,
    )


TASK = _task("rgb", outputs=3)
