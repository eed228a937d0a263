"""Which colours a grey picture had: PSNR and SSIM, and scores that really see colour."""

import keras
import numpy

from kerasdl.metrics.color import ColorScores
from kerasdl.metrics.psnr import PSNR, psnr
from kerasdl.metrics.ssim import SSIM, ssim
from kerasdl.tasks import Task
from kerasdl.tasks.scoring import MeanLoss, to_unit

LUMA = numpy.array([0.299, 0.587, 0.114], dtype="float32")  # Rec. 601, as JPEG and Pillow


def prepare(images, labels, masks):
    """x grey float32 (B, H, W, 1) and y RGB float32 (B, H, W, 3), both in [0, 1]."""
    colors = to_unit(images)
    return grey(colors), colors


def grey(colors):
    """Luma 0.299 R + 0.587 G + 0.114 B of pictures (..., 3), shape (..., 1)."""
    return (colors @ LUMA)[..., None]


class Scorer:
    """Scores of the prediction and, as the baseline, of the grey picture itself."""

    def __init__(self, dataset, loss):
        self.loss = MeanLoss(loss)
        self.predicted, self.baseline = _PictureScores(), _PictureScores()

    def update(self, colors, outputs):
        """Adds a batch: true and predicted RGB, both (B, H, W, 3)."""
        self.loss.update(colors, outputs)
        self.predicted.update(colors, numpy.clip(outputs, 0.0, 1.0))
        self.baseline.update(colors, numpy.repeat(grey(colors), 3, axis=-1))

    def result(self):
        """Scores, the grey picture's scores, no further details."""
        return {**self.predicted.result(), "loss": self.loss.result()}, self.baseline.result(), {}


class _PictureScores:
    """PSNR, SSIM and the colour scores, means over pictures."""

    def __init__(self):
        self.psnr, self.ssim, self.colors = [], [], ColorScores()

    def update(self, truth, prediction):
        prediction = numpy.asarray(prediction, dtype="float32")
        self.psnr.append(keras.ops.convert_to_numpy(psnr(truth, prediction)))
        self.ssim.append(keras.ops.convert_to_numpy(ssim(truth, prediction)))
        self.colors.update(truth, prediction)

    def result(self):
        return {
            "psnr": float(numpy.concatenate(self.psnr).mean(dtype="float64")),
            "ssim": float(numpy.concatenate(self.ssim).mean(dtype="float64")),
            **self.colors.result(),
        }


def sample_score(colors, outputs, dataset):
    """PSNR in dB, per picture."""
    outputs = numpy.asarray(outputs, dtype="float32")
    return keras.ops.convert_to_numpy(psnr(colors, outputs))


def captions(colors, outputs, dataset):
    """One line per picture: its PSNR."""
    return [f"{score:.1f} dB" for score in sample_score(colors, outputs, dataset)]


def pictures(x, y, outputs, dataset):
    """Grey input, true colours and predicted colours."""
    predicted = numpy.clip(outputs, 0.0, 1.0)
    return tuple(to_bytes(part) for part in (numpy.repeat(x, 3, axis=-1), y, predicted))


def to_bytes(pictures):
    """Values in [0, 1] to uint8, rounded."""
    return numpy.round(numpy.asarray(pictures, dtype="float32") * 255).astype("uint8")


TASK = Task(
    name="colorization",
    models=("unet", "unet-resnet18", "fcn8", "fcn16", "fcn32"),
    losses=("l1", "huber"),
    score="psnr",
    channels=1,
    masks=False,
    outputs=lambda dataset: 3,
    prepare=prepare,
    metrics=lambda dataset: [PSNR(), SSIM()],
    scorer=Scorer,
    sample_score=sample_score,
    captions=captions,
    pictures=pictures,
)
