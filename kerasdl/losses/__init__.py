"""Losses by name. `LOSSES` describes each of them without importing Keras.

The classes are attributes of this package, for use from plain Keras code:
`model.compile(loss=kerasdl.losses.SparseCrossentropy(ignore_labels=(255,)))`.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kerasdl.core.errors import ConfigError, suggest
from kerasdl.core.registry import Reference, Registry, attributes, load

if TYPE_CHECKING:
    import keras

    from kerasdl.losses.color import ABError as ABError
    from kerasdl.losses.color import BinsCrossentropy as BinsCrossentropy
    from kerasdl.losses.color import Huber as Huber
    from kerasdl.losses.crossentropy import SparseCrossentropy as SparseCrossentropy
    from kerasdl.losses.dice import SparseDice as SparseDice
    from kerasdl.losses.dice import Sum as Sum
    from kerasdl.losses.focal import SparseFocal as SparseFocal

CLASSES = ("label", "mask")  # targets that are class indices


@dataclasses.dataclass(frozen=True)
class LossSpec:
    """A loss: what it compares, and how it is built.

    Attributes:
        name: Value of the key `loss`.
        label: Display name.
        targets: What it compares: "label", "mask" (class indices against logits), "rgb" or "ab"
            (images against images).
        builder: Function (**arguments) -> `keras.losses.Loss`.
        takes: Names of the builder's arguments, out of `ignore_labels`, `class_weights`,
            `label_smoothing`, `target`.
        outputs: Number of model outputs, if the loss and not the data determines it.
        vivid: Whether it gives saturated colors a larger weight.
        weights: Function (source) -> weights computed from the training data, or None.
    """

    name: str
    label: str
    targets: tuple[str, ...]
    builder: Reference
    takes: tuple[str, ...] = ()
    outputs: int | None = None
    weights: Reference | None = None
    vivid: bool = False


LOSSES: Registry[LossSpec] = Registry(
    "loss",
    (
        LossSpec(
            name="crossentropy",
            label="cross-entropy",
            targets=CLASSES,
            builder="kerasdl.losses.crossentropy:SparseCrossentropy",
            takes=("ignore_labels", "class_weights", "label_smoothing"),
        ),
        LossSpec(
            name="focal",
            label="focal loss",
            targets=CLASSES,
            builder="kerasdl.losses.focal:SparseFocal",
            takes=("ignore_labels", "class_weights"),
        ),
        LossSpec(
            name="dice",
            label="Dice loss",
            targets=("mask",),
            builder="kerasdl.losses.dice:SparseDice",
            takes=("ignore_labels", "class_weights"),
        ),
        LossSpec(
            name="crossentropy+dice",
            label="cross-entropy + Dice loss",
            targets=("mask",),
            builder="kerasdl.losses.dice:crossentropy_and_dice",
            takes=("ignore_labels", "class_weights", "label_smoothing"),
        ),
        LossSpec(
            name="l1",
            label="mean absolute error",
            targets=("rgb", "ab"),
            builder="kerasdl.losses.color:l1",
            takes=("target",),
        ),
        LossSpec(
            name="huber",
            label="Huber loss",
            targets=("rgb", "ab"),
            builder="kerasdl.losses.color:huber",
            takes=("target",),
        ),
        LossSpec(
            name="chroma",
            label="chroma-weighted absolute error",
            targets=("ab",),
            builder="kerasdl.losses.color:chroma",
            vivid=True,
        ),
        LossSpec(
            name="bins",
            label="cross-entropy of 313 color bins",
            targets=("ab",),
            builder="kerasdl.losses.color:BinsCrossentropy",
            takes=("class_weights",),
            outputs=313,
            weights="kerasdl.metrics.colors.bins:training_weights",
            vivid=True,
        ),
    ),
)


def fitting(target: str) -> list[str]:
    """Names of the losses for a target: "label", "mask", "rgb" or "ab"."""
    return [name for name, spec in LOSSES.items() if target in spec.targets]


def build(
    name: str,
    ignore_labels: Sequence[int] = (),
    class_weights: Sequence[float] | None = None,
    label_smoothing: float = 0.0,
    target: str = "",
) -> "keras.losses.Loss":
    """Builds the Keras loss of that name.

    Args:
        name: One of `LOSSES`.
        ignore_labels: Label values to ignore.
        class_weights: One weight per class (for "bins": per color bin), or None.
        label_smoothing: Fraction of the target spread over all classes.
        target: "label", "mask", "rgb" or "ab": what is compared; "": the loss's first target.

    Raises:
        ConfigError: Unknown name, a loss for another target, or arguments it does not take.
    """
    known = fitting(target) if target else LOSSES
    if name not in known:
        raise suggest("loss", name, known)
    spec = LOSSES[name]
    given = {
        "ignore_labels": tuple(ignore_labels),
        "class_weights": class_weights,
        "label_smoothing": label_smoothing,
        "target": target or spec.targets[0],
    }
    if class_weights is not None and "class_weights" not in spec.takes:
        raise ConfigError(f"loss '{name}' takes no class weights", fix="unset class_weights")
    if label_smoothing and "label_smoothing" not in spec.takes:
        raise ConfigError(f"loss '{name}' takes no label smoothing", fix="label_smoothing = 0")
    return load(spec.builder)(**{key: given[key] for key in spec.takes})


_CLASSES = (
    "kerasdl.losses.crossentropy:SparseCrossentropy",
    "kerasdl.losses.focal:SparseFocal",
    "kerasdl.losses.dice:SparseDice",
    "kerasdl.losses.dice:Sum",
    "kerasdl.losses.color:ABError",
    "kerasdl.losses.color:BinsCrossentropy",
    "kerasdl.losses.color:Huber",
)

if not TYPE_CHECKING:  # a `__getattr__` would hide misspelled names from mypy
    __getattr__, __dir__ = attributes(__name__, _CLASSES)
