"""The public API as a user's typed program has it. mypy checks this file; nothing runs it."""

import keras
import numpy

import kerasdl
from kerasdl.core.registry import Registry


def configuration() -> str:
    config = kerasdl.Config(task="segmentation", model="fcn8", image_size=(64, 64))
    rate: float = config.learning_rate
    size: tuple[int, int] = config.image_size
    return f"{config.model} {rate} {max(size)}"


def plain_keras() -> keras.Model:
    model = kerasdl.models.unet((64, 64, 3), 10, skips=[1, 3], filters=8)
    model.compile(
        loss=kerasdl.losses.SparseCrossentropy(ignore_labels=(255,), class_weights=[1.0] * 10),
        metrics=[kerasdl.metrics.MeanIoU(num_classes=10, ignore_labels=[255])],
    )
    return model


def by_name() -> keras.losses.Loss:
    built: keras.Model = kerasdl.models.build("resnet18", (32, 32, 3), 10, stem="small")
    built.compile(metrics=[kerasdl.metrics.PSNR(), kerasdl.metrics.SSIM(name="structure")])
    return kerasdl.losses.build("crossentropy+dice", ignore_labels=[255])


def registries() -> list[str]:
    models: Registry[kerasdl.ModelSpec] = kerasdl.models.MODELS
    spec = kerasdl.register(kerasdl.LossSpec("mine", "mine", ("mask",), "my_losses:Mine"))
    kerasdl.register(kerasdl.SourceSpec("mine", "mine", "mine:NAME", "my:matches", "my:load"))
    shown: str = kerasdl.metrics.number("accuracy", 0.95)
    return [spec.label, shown, *(model.label for model in models.values())]


def arrays(labels: numpy.ndarray, probabilities: numpy.ndarray) -> float:
    from kerasdl.losses.weights import balanced_class_weights
    from kerasdl.metrics.classification import accuracy

    weights: numpy.ndarray = balanced_class_weights([10, 20, 70])
    return accuracy(labels, probabilities) * float(weights.sum())


def mistakes() -> list[object]:
    """What mypy must find: a line ignored without an error is an error itself."""
    return [
        kerasdl.Configuration,  # type: ignore[attr-defined]
        kerasdl.models.u_nett,  # type: ignore[attr-defined]
        kerasdl.losses.SparseCrossEntropy,  # type: ignore[attr-defined]
        kerasdl.metrics.MeanIou,  # type: ignore[attr-defined]
        kerasdl.models.unet((64, 64, 3), "10"),  # type: ignore[arg-type]
        kerasdl.metrics.MeanIoU(classes=10),  # type: ignore[call-arg]
        kerasdl.losses.SparseCrossentropy(ignore_labels=255),  # type: ignore[arg-type]
        kerasdl.register("unet"),  # type: ignore[type-var]
    ]
