"""Tasks: what data one takes, what a model puts out for it, what counts as good.

`TASKS` says everything about each task that can be said without Keras; `get` gives the functions
that compute with it, a `Task`. A task is a value, not a class hierarchy.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from kerasdl.core.errors import suggest
from kerasdl.core.registry import Reference, Registry, load
from kerasdl.core.types import Tensor

if TYPE_CHECKING:
    import keras
    import numpy

    from kerasdl.data.base import Dataset
    from kerasdl.tasks.prediction import Found, Names, Settings


@dataclasses.dataclass(frozen=True)
class TaskSpec:
    """A task: its names, its defaults, its headline scores.

    Attributes:
        name: Name on the command line and in files.
        alias: The verb that means the same, as in `kerasdl predict segment`.
        task: The `Task` that computes.
        annotation: What its samples need beside the image: "label", "mask" or "none".
        default_model: Name of the model where none is given.
        default_loss: Name of the loss where none is given, by target.
        headline: Names of the metrics that sum up a run, the most important first.
        baseline: What the baseline scores are of, in words.
        hub_tag: Pipeline tag of a model card on a hub.
        limits: What a model card says about the limits of such models.
        usage: Python of a model card, by target, from `model` and image.png to what is found;
            `{target_size}` is an argument of `keras.utils.load_img`.
        resize: How images come to the training size by default: "crop" or "stretch".
        targets: What a model may put out; the first is the default. Empty: there is no choice.
        augmentation: Strengths of augmentation that differ from off.
        drawn_augmentation: Those that differ again for the embedded scenes, which are drawn with
            everything anywhere.
        erases: Whether the recipe `fast` hides parts of the images in long trainings.
        default_out: Folder for predictions where none is given; "": predictions are text.
        variant_label: What a model's label says of it that has nothing left out, such as
            " with skips".
    """

    name: str
    alias: str
    task: Reference
    annotation: str
    default_model: str
    default_loss: Mapping[str, str]
    headline: tuple[str, ...]
    baseline: str
    hub_tag: str
    limits: str
    usage: Mapping[str, str]
    resize: str = "crop"
    targets: tuple[str, ...] = ()
    augmentation: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    drawn_augmentation: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    erases: bool = False
    default_out: str = ""
    variant_label: str = ""

    @property
    def classes(self) -> bool:
        """Whether its samples belong to classes."""
        return self.annotation != "none"

    def compared(self, target: str = "") -> str:
        """What a loss of this task compares: "label", "mask", or the target in force."""
        if self.targets:
            return target or self.targets[0]
        return self.annotation


class Choice(Protocol):
    """What a task depends on; a configuration has it."""

    @property
    def task(self) -> str: ...

    @property
    def target(self) -> str: ...

    @property
    def loss(self) -> str: ...


class Scorer(Protocol):
    """Scores over all the samples it was updated with."""

    def update(self, y: Tensor, outputs: Tensor, /) -> None:
        """Adds a batch."""

    def result(self) -> tuple[dict[str, float], dict[str, float], dict[str, Any]]:
        """Scores, those of the baseline, and details."""


@dataclasses.dataclass(frozen=True)
class Task:
    """What a task computes, for one configuration.

    Attributes:
        spec: The facts about it.
        target: What a loss compares: "label", "mask", "rgb" or "ab".
        channels: Channels of the model's input.
        outputs: Function (dataset) -> number of outputs of the model.
        prepare: Function (images, labels, masks) -> (x, y), a batch as the model takes it.
        metrics: Function (dataset) -> Keras metrics for `model.compile`.
        scorer: Function (dataset, loss) -> `Scorer`.
        sample_score: Function (y, outputs, dataset) -> one score per sample, higher is better.
        captions: Function (y, outputs, dataset) -> one line of text per sample.
        render: Function (x, y, outputs, dataset) -> uint8 RGB images of input, truth and
            prediction, each (B, H, W, 3), as far as they are images.
        predict: Function (outputs, pixels, names, settings) -> `kerasdl.tasks.prediction.Found`
            for one image uint8 (H, W, 3) and the model's outputs for it.
        decode: Function (y, outputs) -> (truth, prediction) as metrics per image take them.
        own_size: Whether a prediction has the size of the image, so that the model sees the image
            with its own aspect ratio.
        files: Kind of file that a prediction writes -> what its name ends with.
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
    predict: "Callable[[Tensor, numpy.ndarray, Names, Settings], Found]"
    decode: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = lambda y, outputs: (y, outputs)
    own_size: bool = True
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)

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
            annotation="label",
            default_model="resnet18",
            default_loss={"": "crossentropy"},
            headline=("accuracy", "loss"),
            baseline="most frequent class",
            hub_tag="image-classification",
            limits="It knows only the classes above and names one of them whatever the image "
            "shows; its probabilities are as good as the calibration in report.html.",
            usage={"": _LOGITS + "best = logits.argmax()  # class index"},
            augmentation={"flip": True, "crop": 0.125},
            drawn_augmentation={"flip": False, "crop": 0.0},
            erases=True,
        ),
        TaskSpec(
            name="segmentation",
            alias="segment",
            task="kerasdl.tasks.segmentation:task",
            annotation="mask",
            default_model="unet",
            default_loss={"": "crossentropy"},
            headline=("mean_iou", "pixel_accuracy"),
            baseline="most frequent class",
            hub_tag="image-segmentation",
            limits="It knows only the classes above; small or thin objects are missed first, see "
            "the IoU per class in report.html.",
            usage={"": _LOGITS + "classes = logits.argmax(axis=-1)  # class index of each pixel"},
            # A mask can be scaled back whatever its shape was; a cropped label or color is lost.
            resize="stretch",
            augmentation={"flip": True, "crop": 0.125, "brightness": 0.1, "contrast": 0.1},
            drawn_augmentation={"crop": 0.0, "brightness": 0.0, "contrast": 0.0},
            default_out="predictions",
        ),
        TaskSpec(
            name="colorization",
            alias="colorize",
            task="kerasdl.tasks.colorization:task",
            annotation="none",
            default_model="unet",
            default_loss={"rgb": "l1", "ab": "l1"},
            headline=("psnr", "ssim", "chroma_error"),
            baseline="gray image",
            hub_tag="image-to-image",
            limits="It guesses plausible colors, not the true ones: what the gray image does not "
            "show is lost. PSNR and SSIM hardly see color, so read the chroma error beside that of "
            "the gray image.",
            usage={"rgb": _RGB, "ab": _AB},
            targets=("rgb", "ab"),
            augmentation={"flip": True, "crop": 0.125},
            drawn_augmentation={"crop": 0.0},
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
