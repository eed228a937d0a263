"""The public API as a user's typed program has it. mypy checks this file; nothing runs it."""

import pathlib
from typing import Any

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


def one_run(config: kerasdl.Config, photo: numpy.ndarray) -> list[str]:
    run: kerasdl.Run = kerasdl.train(config, out=pathlib.Path("runs") / "scenes", quiet=True)
    run = kerasdl.Run("runs/scenes")
    metrics: dict[str, Any] = kerasdl.evaluate(run, "validation", batch_size=8)
    score: float | None = run.scores["mean_iou"]
    errors = [each.error for each in run.predict("photos", out="masks", overwrite=True)]
    for each in kerasdl.predict(run, ["a.png", pathlib.Path("b.png"), photo], top=5):
        shown: list[tuple[str, float]] = list(each.classes or ())
        errors += [each.error, *(name for name, _ in shown)]
    kerasdl.predict("runs/scenes", photo)
    kerasdl.predict(run.path, pathlib.Path("photos"))
    model: keras.Model = run.open_model()
    return [model.name, f"{run.config.epochs} {score} {sorted(metrics)}", *filter(None, errors)]


def data_sets(config: kerasdl.Config) -> int:
    drawn: kerasdl.SourceSpec = kerasdl.data.SOURCES["scenes"]
    dataset = kerasdl.data.load(config, "mask", kerasdl.data.locate(drawn.form))
    report = kerasdl.data.check(config, "mask", quick=True, dataset=dataset)
    failed = [finding.what for finding in report.findings]
    option = kerasdl.Option("filters", "a number", "Filters of the first level.")
    name: str = option.name
    return len(dataset.splits["train"]) + len(failed) + len(name)


def not_any(config: kerasdl.Config) -> list[bytes]:
    """An `Any` could be assigned to each of these, and the ignored error would be missing."""
    wrong: list[bytes] = []
    wrong = kerasdl.train(config)  # type: ignore[assignment]
    wrong = kerasdl.Run("runs/scenes")  # type: ignore[assignment]
    wrong = kerasdl.Run("runs/scenes").config  # type: ignore[assignment]
    wrong = kerasdl.Run("runs/scenes").history  # type: ignore[assignment]
    wrong = kerasdl.Run("runs/scenes").evaluate()  # type: ignore[assignment]
    wrong = kerasdl.evaluate("runs/scenes")  # type: ignore[assignment]
    wrong = kerasdl.predict("runs/scenes", "photos")  # type: ignore[assignment]
    wrong = kerasdl.Run("runs/scenes").predict("photos")  # type: ignore[assignment]
    wrong = kerasdl.predict("runs/scenes", "photos")[0].mask  # type: ignore[assignment]
    wrong = kerasdl.predict("runs/scenes", "photos")[0].as_dict()  # type: ignore[assignment]
    wrong = kerasdl.data.SOURCES["scenes"]  # type: ignore[assignment]
    wrong = kerasdl.data.load(config, "mask")  # type: ignore[assignment]
    wrong = kerasdl.data.check(config, "mask")  # type: ignore[assignment]
    wrong = kerasdl.data.locate("scenes")  # type: ignore[assignment]
    wrong = kerasdl.models.MODELS["unet"].options[0]  # type: ignore[assignment]
    return wrong


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
        kerasdl.train("config.toml"),  # type: ignore[arg-type]
        kerasdl.train(kerasdl.Config(task="segmentation"), folder="runs"),  # type: ignore[call-arg]
        kerasdl.evaluate("runs/scenes", batch_size="8"),  # type: ignore[arg-type]
        kerasdl.predict("runs/scenes", 1),  # type: ignore[arg-type]
        kerasdl.Run("runs/scenes").predict([1]),  # type: ignore[list-item]
        kerasdl.Run("runs/scenes").predict("photos", saturation="2"),  # type: ignore[arg-type]
        kerasdl.Run("runs/scenes").f1,  # type: ignore[attr-defined]
        kerasdl.data.load("scenes", "mask"),  # type: ignore[arg-type]
    ]
