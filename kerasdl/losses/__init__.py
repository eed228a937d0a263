"""Losses by name. `LOSSES` is the list of them; each entry builds one from what the data need."""

import keras

from kerasdl.core.errors import ConfigError, suggest
from kerasdl.losses.color import ABError, BinsCrossentropy
from kerasdl.losses.crossentropy import SparseCrossentropy
from kerasdl.losses.dice import SparseDice, Sum
from kerasdl.losses.focal import SparseFocal


def _crossentropy_and_dice(ignore_labels=(), class_weights=None, label_smoothing=0.0):
    parts = [
        SparseCrossentropy(ignore_labels, class_weights, label_smoothing),
        SparseDice(ignore_labels, class_weights),
    ]
    return Sum(parts, name="crossentropy_dice")


# For class labels: builder(ignore_labels, class_weights).
LABEL_LOSSES = {
    "crossentropy": SparseCrossentropy,
    "focal": SparseFocal,
    "dice": SparseDice,
    "crossentropy+dice": _crossentropy_and_dice,
}
# For images, where Keras' own losses fit: builder().
IMAGE_LOSSES = {
    "l1": lambda: keras.losses.MeanAbsoluteError(name="l1"),
    # Quadratic below an error of 0.1; Keras' default of 1 would be the squared error everywhere.
    "huber": lambda: keras.losses.Huber(delta=0.1, name="huber"),
}
# For a and b of CIELAB, the target "ab" of colorization: builder().
AB_LOSSES = {
    "l1": lambda: ABError("l1", name="l1"),
    "huber": lambda: ABError("huber", name="huber"),
    "chroma": lambda: ABError("l1", chroma_weighted=True, name="chroma"),
    "bins": BinsCrossentropy,
}
LOSSES = {**LABEL_LOSSES, **IMAGE_LOSSES}


def build(name, ignore_labels=(), class_weights=None, label_smoothing=0.0, target=""):
    """Keras loss for a name of `LOSSES`.

    Args:
        name: Such as "crossentropy" (labels) or "l1" (images).
        ignore_labels: Label values that do not count.
        class_weights: One weight per class (for "bins": per color bin), or None.
        label_smoothing: Share of the target spread over all classes; cross-entropy only.
        target: Colorization: "rgb" or "ab", what the network puts out.

    Raises:
        ConfigError: Unknown name, or class weights for a loss that has no classes.
    """
    images = AB_LOSSES if target == "ab" else IMAGE_LOSSES
    known = {**LABEL_LOSSES, **images}
    if name not in known:
        raise suggest("loss", name, known)
    if name in LABEL_LOSSES:
        options = {"label_smoothing": label_smoothing} if label_smoothing else {}
        return LABEL_LOSSES[name](
            ignore_labels=ignore_labels, class_weights=class_weights, **options
        )
    if name == "bins":
        return BinsCrossentropy(class_weights)
    if class_weights is not None:
        raise ConfigError(f"loss '{name}' has no classes, so no class weights", fix="unset them")
    return images[name]()
