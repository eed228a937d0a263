"""Tasks: what data they take, what a model outputs, how predictions are scored.

`TASKS` describes each task without Keras; `of` returns the functions that compute it, a `Task`. A
task is a value, not a class hierarchy.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from kerasdl.core.errors import suggest
from kerasdl.core.registry import Reference, Registry, load
from kerasdl.core.types import Tensor

if TYPE_CHECKING:
    import keras
    import numpy

    from kerasdl.data.base import Dataset, Sample
    from kerasdl.metrics.images import ImageScores
    from kerasdl.tasks.prediction import ImagePrediction


@dataclasses.dataclass(frozen=True)
class TaskSpec:
    """A task: its names, its defaults, its headline scores.

    Attributes:
        name: Name on the command line and in files.
        alias: The equivalent verb, as in `kerasdl predict segment`.
        task: Function (config) -> the `Task` that computes.
        decoder: Its `kerasdl.tasks.prediction.Decoder`, which predicts without Keras.
        annotation: What its samples need besides the image: "label", "mask" or "none".
        default_model: Default model.
        default_loss: Default loss, by target.
        headline: Names of the metrics that summarize a run, the most important first.
        baseline: Description of the baseline.
        hub_tag: Pipeline tag of a model card on a hub.
        limits: Text of a model card on the limitations of such models.
        usage: Python of a model card, by target, from `model` and image.png to what is found;
            `{target_size}` is an argument of `keras.utils.load_img`.
        inputs: What the model's input is, by target, in words.
        resize: How images come to the training size by default: "crop" or "stretch".
        targets: Possible model outputs; the first is the default. Empty: there is only one.
        augmentation: Strengths of augmentation that differ from off.
        scenes_augmentation: Overrides for the embedded scenes, which already place everything
        anywhere.
        erases: Whether the recipe `fast` uses random erasing in long trainings.
        default_out: Default folder for predictions; "": predictions are text.
        variant_label: Suffix of the label of a model with nothing removed, such as " with skips".
    """

    name: str
    alias: str
    task: Reference
    decoder: Reference
    annotation: str
    default_model: str
    default_loss: Mapping[str, str]
    headline: tuple[str, ...]
    baseline: str
    hub_tag: str
    limits: str
    usage: Mapping[str, str]
    inputs: Mapping[str, str]
    resize: str = "crop"
    targets: tuple[str, ...] = ()
    augmentation: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    scenes_augmentation: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    erases: bool = False
    default_out: str = ""
    variant_label: str = ""

    @property
    def classes(self) -> bool:
        """Whether its targets are classes."""
        return self.annotation != "none"

    def compared(self, target: str = "") -> str:
        """What a loss of this task compares: "label", "mask", or the selected target."""
        if self.targets:
            return target or self.targets[0]
        return self.annotation


class Choice(Protocol):
    """The part of a configuration that a task depends on."""

    @property
    def task(self) -> str: ...

    @property
    def target(self) -> str: ...

    @property
    def loss(self) -> str: ...


class Scorer(Protocol):
    """Scores of all samples seen so far."""

    def update(self, y: Tensor, outputs: Tensor, /) -> None:
        """Adds a batch."""

    def result(self) -> tuple[dict[str, float], dict[str, float], dict[str, Any]]:
        """Scores, those of the baseline, and details."""


class NativeScorer(Protocol):
    """Scores of what `predict` delivers, at the size of the images as they are stored."""

    def update(self, samples: "Sequence[Sample]", found: "Sequence[ImagePrediction]", /) -> None:
        """Adds samples and their predictions."""

    def result(self) -> "tuple[dict[str, float], dict[str, float], ImageScores]":
        """Scores, those of the baseline, and what each image adds to the scores."""


@dataclasses.dataclass(frozen=True)
class Task:
    """The functions of a task, for one configuration.

    Attributes:
        spec: Its `TaskSpec`.
        target: What a loss compares: "label", "mask", "rgb" or "ab".
        channels: Channels of the model's input.
        outputs: Function (dataset) -> number of outputs of the model.
        prepare: Function (images, labels, masks) -> (x, y), a batch for the model.
        metrics: Function (dataset) -> Keras metrics for `model.compile`.
        scorer: Function (dataset, loss) -> `Scorer`.
        native: Function (dataset) -> `NativeScorer`; None if predictions are not images.
        sample_score: Function (y, outputs, dataset) -> one score per sample, higher is better.
        captions: Function (y, outputs, dataset) -> one line of text per sample.
        render: Function (x, y, outputs, dataset) -> uint8 RGB images of input, truth and
            prediction, each (B, H, W, 3); parts that are not images are left out.
        decode: Function (y, outputs) -> (truth, prediction) for per-image metrics.
    """

    spec: TaskSpec
    target: str
    channels: int
    outputs: "Callable[[Dataset], int]"
    prepare: "Callable[[numpy.ndarray, numpy.ndarray | None, numpy.ndarray | None], tuple]"
    metrics: "Callable[[Dataset], list[keras.metrics.Metric]]"
    scorer: "Callable[[Dataset, keras.losses.Loss], Scorer]"
    sample_score: "Callable[[numpy.ndarray, Tensor, Dataset], numpy.ndarray]"
    captions: "Callable[[numpy.ndarray, Tensor, Dataset], list[str]]"
    render: "Callable[[numpy.ndarray, numpy.ndarray, Tensor, Dataset], tuple[numpy.ndarray, ...]]"
    native: "Callable[[Dataset], NativeScorer] | None" = None
    decode: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = lambda y, outputs: (y, outputs)

    @property
    def name(self) -> str:
        """Name of the task."""
        return self.spec.name

    @property
    def masks(self) -> bool:
        """Whether the data must have masks."""
        return self.spec.annotation == "mask"


def of(config: Choice) -> Task:
    """The task of a configuration; reads `task`, `target` and `loss`."""
    return load(TASKS.require(config.task).task)(config)


_IMAGE = 'image = keras.utils.load_img("image.png"{target_size})\n'
_LOGITS = _IMAGE + 'logits = model.predict(numpy.asarray(image, "float32")[None] / 255)[0]\n'
_RGB = (
    _IMAGE
    + """\
rgb = numpy.asarray(image, "float32") / 255
gray = rgb @ numpy.array([0.299, 0.587, 0.114], "float32")
colored = model.predict(gray[None, :, :, None])[0].clip(0, 1)  # RGB, 0 to 1
"""
)
_AB = (
    "import skimage.color\n\n"
    + _IMAGE
    + """\
lab = skimage.color.rgb2lab(numpy.asarray(image, "float32") / 255)
lab[..., 1:] = model.predict(lab[None, ..., :1] / 100)[0] * 100  # the lightness stays
colored = skimage.color.lab2rgb(lab)  # RGB, 0 to 1
"""
)

TASKS: Registry[TaskSpec] = Registry(
    "task",
    (
        TaskSpec(
            name="classification",
            alias="classify",
            task="kerasdl.tasks.classification:task",
            decoder="kerasdl.tasks.prediction.classification:DECODER",
            annotation="label",
            default_model="resnet18",
            default_loss={"": "crossentropy"},
            headline=("accuracy", "loss"),
            baseline="most frequent class",
            hub_tag="image-classification",
            limits="It only knows the classes above and predicts one of them whatever the image "
            "shows; its probabilities are as reliable as the calibration in report.html shows.",
            usage={"": _LOGITS + "best = logits.argmax()  # class index"},
            inputs={"": "RGB from 0 to 1"},
            augmentation={"flip": True, "crop": 0.125},
            scenes_augmentation={"flip": False, "crop": 0.0},
            erases=True,
        ),
        TaskSpec(
            name="segmentation",
            alias="segment",
            task="kerasdl.tasks.segmentation:task",
            decoder="kerasdl.tasks.prediction.segmentation:DECODER",
            annotation="mask",
            default_model="unet",
            default_loss={"": "crossentropy"},
            headline=("mean_iou", "pixel_accuracy"),
            baseline="most frequent class",
            hub_tag="image-segmentation",
            limits="It only knows the classes above; small or thin objects are missed first, see "
            "the IoU per class in report.html.",
            usage={"": _LOGITS + "classes = logits.argmax(axis=-1)  # class index of each pixel"},
            inputs={"": "RGB from 0 to 1"},
            # A mask can be scaled back whatever its shape was; a cropped label or color is lost.
            resize="stretch",
            augmentation={"flip": True, "crop": 0.125, "brightness": 0.1, "contrast": 0.1},
            scenes_augmentation={"crop": 0.0, "brightness": 0.0, "contrast": 0.0},
            default_out="predictions",
        ),
        TaskSpec(
            name="colorization",
            alias="colorize",
            task="kerasdl.tasks.colorization:task",
            decoder="kerasdl.tasks.prediction.colorization:DECODER",
            annotation="none",
            default_model="unet",
            default_loss={"rgb": "l1", "ab": "l1"},
            headline=("psnr", "ssim", "chroma_error"),
            baseline="gray image",
            hub_tag="image-to-image",
            limits="It guesses plausible colors, not the true ones: what the gray image does not "
            "show is lost. PSNR and SSIM hardly measure color, so compare the chroma error to that "
            "of the gray image.",
            usage={"rgb": _RGB, "ab": _AB},
            inputs={
                "rgb": "luma from 0 to 1: 0.299 R + 0.587 G + 0.114 B",
                "ab": "lightness L of CIELAB divided by 100, from 0 to 1",
            },
            targets=("rgb", "ab"),
            augmentation={"flip": True, "crop": 0.125},
            scenes_augmentation={"crop": 0.0},
            default_out="predictions",
            variant_label=" with skips",
        ),
    ),
)


def resolve_task(name: str) -> str:
    """Full name of a task given by name or alias. Raises ConfigError with the closest name."""
    aliases = {spec.alias: spec.name for spec in TASKS.values()}
    name = aliases.get(name, name)
    if name not in TASKS:
        raise suggest("task", name, (*TASKS, *aliases))
    return name
