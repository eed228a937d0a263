"""Predictions of classes for whole images."""

import numpy

from kerasdl.tasks.prediction import Decoder, ImagePrediction, Names, Settings, to_unit


def probabilities(logits: numpy.ndarray) -> numpy.ndarray:
    """Softmax over the last axis: exp(z) / sum exp(z), float32."""
    logits = numpy.asarray(logits, dtype="float32")
    powers = numpy.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def summarize(logits: numpy.ndarray, names: Names, settings: Settings) -> ImagePrediction:
    """The most probable classes with their probabilities, from logits (C,)."""
    found = probabilities(logits)
    best = numpy.argsort(-found, kind="stable")[: settings.top]
    classes = tuple((names.classes[i], float(found[i])) for i in best)
    return ImagePrediction(
        ", ".join(f"{name} {value:.1%}" for name, value in classes), classes=classes
    )


DECODER = Decoder(prepare=lambda images, settings: to_unit(images), summarize=summarize)
