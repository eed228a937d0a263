"""Metrics by name. `METRICS` describes each of them without importing Keras.

`MeanIoU`, `PSNR` and `SSIM` are attributes of this package, for use from plain Keras code:
`model.compile(metrics=[kerasdl.metrics.MeanIoU(num_classes=10)])`.
"""

import dataclasses
import math
from typing import TYPE_CHECKING

from kerasdl.core.errors import suggest
from kerasdl.core.registry import Reference, Registry, attributes

if TYPE_CHECKING:
    from kerasdl.metrics.base import ImageMean as ImageMean
    from kerasdl.metrics.confusion import MeanIoU as MeanIoU
    from kerasdl.metrics.psnr import PSNR as PSNR
    from kerasdl.metrics.ssim import SSIM as SSIM

ABSENT = "–"
BETTER = ("higher", "lower", "1")


@dataclasses.dataclass(frozen=True)
class MetricSpec:
    """A metric: its name, how it is shown, what it means.

    Attributes:
        name: Name in metrics.json and in the training history.
        label: Display name.
        definition: What it means, in one sentence.
        unit: Unit after the factor, or "".
        factor: Stored value times factor is the shown value (100 for fractions in percent).
        digits: Digits after the decimal point.
        better: "higher", "lower" or "1" (the closer to one the better).
        tasks: Tasks whose runs report it, if `per_image` computes it.
        per_image: Function (truth, prediction) -> one value per image, shape (B,), with
            `keras.ops`; None if the task itself computes the score. `truth` and `prediction` are a
            batch as passed to the loss.
    """

    name: str
    label: str
    definition: str
    unit: str = ""
    factor: float = 1.0
    digits: int = 4
    better: str = "higher"
    tasks: tuple[str, ...] = ()
    per_image: Reference | None = None

    def __post_init__(self) -> None:
        if self.better not in BETTER:
            raise suggest("value of 'better'", self.better, BETTER)


def _percent(name: str, label: str, definition: str, better: str = "higher") -> MetricSpec:
    return MetricSpec(name, label, definition, "%", 100.0, 2, better)


METRICS: Registry[MetricSpec] = Registry(
    "metric",
    (
        _percent("accuracy", "accuracy", "fraction of images whose class has the largest logit"),
        _percent(
            "top5_accuracy",
            "top-5 accuracy",
            "fraction of images whose class is among the five largest logits",
        ),
        MetricSpec(
            "loss",
            "loss",
            "mean over the images of the training loss of each image alone, without weight decay, "
            "class weights and smoothing; images whose pixels are all ignored are left out",
            better="lower",
        ),
        _percent(
            "calibration_error",
            "calibration error",
            "expected calibration error: mean gap between confidence and accuracy over 15 bins of "
            "equal width, weighted by their samples (Guo et al. 2017); 0 is best",
            "lower",
        ),
        _percent(
            "mean_iou",
            "mean IoU",
            "mean intersection over union from one confusion matrix over the whole split, over the "
            "classes that occur in truth or prediction; ignored labels are left out",
        ),
        _percent(
            "iou",
            "IoU",
            "intersection over union of one class over the whole split; not a number if the class "
            "occurs in neither truth nor prediction",
        ),
        _percent(
            "pixel_accuracy",
            "pixel accuracy",
            "fraction of the pixels not ignored whose class has the largest logit",
        ),
        MetricSpec(
            "psnr",
            "PSNR",
            "peak signal-to-noise ratio in dB, RGB in [0, 1], one mean squared error per image (at "
            "least 1e-10, so at most 100 dB), mean over images",
            unit="dB",
            digits=2,
        ),
        _percent(
            "ssim",
            "SSIM",
            "structural similarity (Wang et al. 2004): 11x11 Gaussian window, sigma 1.5, K1 0.01, "
            "K2 0.03, mean over the RGB channels and the places where the window fits, then over "
            "images",
        ),
        MetricSpec(
            "chroma_error",
            "chroma error",
            "distance in the ab plane of CIELAB (D65), mean over pixels, then images; 0 is best",
            digits=2,
            better="lower",
        ),
        MetricSpec(
            "ab_error",
            "ab error",
            "mean absolute error of a and b in CIELAB (D65), mean over pixels and the two, then "
            "images; 0 is best",
            digits=2,
            better="lower",
        ),
        MetricSpec(
            "delta_e",
            "ΔE 2000",
            "CIEDE2000 color difference, mean over pixels, then images; 0 is best",
            digits=2,
            better="lower",
        ),
        MetricSpec(
            "colorfulness_ratio",
            "colorfulness",
            "mean colorfulness (Hasler and Suesstrunk 2003) of the predictions divided by that of "
            "the truth; 1 is as colorful as the truth, 0 is gray",
            digits=3,
            better="1",
        ),
        _percent(
            "out_of_gamut",
            "out of gamut",
            "fraction of the pixels whose predicted RGB lies outside [0, 1] by more than half a "
            "step of 8 bits and was clipped before scoring",
            "lower",
        ),
        _percent(
            "boundary_iou",
            "boundary IoU",
            "mean over the classes of intersection over union of the inner boundaries of masks, of "
            "a width of 2 % of the image diagonal, summed over the split (Cheng et al. 2021)",
        ),
    ),
)


# The same scores of what `predict` delivers, at the size of the images as they are stored.
NATIVE = "native_"
for _name in (
    *("mean_iou", "pixel_accuracy", "boundary_iou", "iou"),
    *("psnr", "ssim", "chroma_error", "ab_error", "delta_e", "colorfulness_ratio"),
):
    METRICS.add(
        dataclasses.replace(
            METRICS[_name],
            name=NATIVE + _name,
            label=f"native {METRICS[_name].label}",
            definition=f"{METRICS[_name].definition}; of what predict delivers, at the size of the "
            "original images",
        )
    )


def recorded() -> list[str]:
    """Names of the metrics that a history may hold: those at the training size."""
    return [name for name in METRICS if not name.startswith(NATIVE)]


def spec(name: str) -> MetricSpec:
    """The metric of a score by its full name: "iou/sky" and "val_iou" are shown as IoU.

    A name without an entry is shown as it is, with four digits.
    """
    name = name.removeprefix("val_")
    kind, slash, of = name.partition("/")
    known = METRICS.get(kind)
    if known is None:
        better = "lower" if name.endswith(("loss", "error")) else "higher"
        return MetricSpec(name, name.replace("_", " "), "", better=better)
    return dataclasses.replace(known, label=f"{known.label} {of}") if slash else known


def definition(name: str) -> str | None:
    """Definition of a score by its full name, such as "iou/sky"; None if it has none."""
    return spec(name).definition or None


def direction(name: str) -> str:
    """ "min" or "max": whether lower or higher is better, for a score by its full name."""
    return "min" if spec(name).better == "lower" else "max"


def heading(name: str) -> str:
    """Label with unit and direction, such as "accuracy (%) ↑" or "colorfulness → 1"."""
    shown = spec(name)
    arrow = {"higher": "↑", "lower": "↓", "1": "→ 1"}[shown.better]
    unit = f" ({shown.unit})" if shown.unit else ""
    return f"{shown.label}{unit} {arrow}"


def number(name: str, value: float | None, unit: bool = False) -> str:
    """A stored value as text: `number("accuracy", 0.9512)` is "95.12"; absent values are "–"."""
    if value is None or not math.isfinite(value):
        return ABSENT
    shown = spec(name)
    text = f"{value * shown.factor:.{shown.digits}f}"
    return f"{text} {shown.unit}" if unit and shown.unit else text


_CLASSES = (
    "kerasdl.metrics.confusion:MeanIoU",
    "kerasdl.metrics.psnr:PSNR",
    "kerasdl.metrics.ssim:SSIM",
    "kerasdl.metrics.base:ImageMean",
)

if not TYPE_CHECKING:  # a `__getattr__` would hide misspelled names from mypy
    __getattr__, __dir__ = attributes(__name__, _CLASSES)
