"""The optimizers of Keras that a run can be trained with, and their defaults."""

import dataclasses

from kerasdl.core.registry import Registry


@dataclasses.dataclass(frozen=True)
class OptimizerSpec:
    """An optimizer by Keras' name in lower case.

    Attributes:
        name: Name in a configuration.
        keras_name: Its class in `keras.optimizers`.
        learning_rate: Default of the key `learning_rate`.
        weight_decay: Default of the key `weight_decay`.
        momentum: Whether the keys `momentum` and `nesterov` apply.
    """

    name: str
    keras_name: str
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    momentum: bool = False


# Rates: Kingma and Ba 2015 (Adam), Loshchilov and Hutter 2019 (AdamW), Hinton 2012 (RMSprop), Dozat
# 2016 (Nadam); Lion a tenth of AdamW's with ten times its decay, Chen et al. 2023, section 5; Muon
# as AdamW, Liu et al. 2025; Adafactor the largest of its relative steps, Shazeer and Stern 2018.
OPTIMIZERS: Registry[OptimizerSpec] = Registry(
    "optimizer",
    (
        OptimizerSpec("sgd", "SGD", 0.1, 1e-5, momentum=True),
        OptimizerSpec("adam", "Adam"),
        OptimizerSpec("adamw", "AdamW", weight_decay=0.01),
        OptimizerSpec("rmsprop", "RMSprop"),
        OptimizerSpec("nadam", "Nadam"),
        OptimizerSpec("lion", "Lion", 1e-4, 0.1),
        OptimizerSpec("muon", "Muon", weight_decay=0.01),
        OptimizerSpec("adafactor", "Adafactor", 1e-2),
    ),
)
DEFAULT = "sgd"


def defaults(name: str) -> dict[str, float | bool]:
    """Values of the keys that depend on the optimizer; {} for one that does not exist."""
    spec = OPTIMIZERS.get(name)
    if spec is None:
        return {}
    values: dict[str, float | bool] = {
        "learning_rate": spec.learning_rate,
        "weight_decay": spec.weight_decay,
    }
    return values if spec.momentum else {**values, "momentum": 0.0, "nesterov": False}
