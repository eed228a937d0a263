"""What scores and networks are called, in which unit and with how many digits they are shown."""

import math
from typing import NamedTuple

ABSENT = "–"


class Score(NamedTuple):
    """How one score is shown.

    Attributes:
        label: Name for people.
        unit: Unit after the factor, or "".
        factor: Stored value times factor is the shown value (100 for shares in percent).
        digits: Digits after the point.
        better: "higher", "lower" or "1" (the closer to one the better).
    """

    label: str
    unit: str = ""
    factor: float = 1.0
    digits: int = 4
    better: str = "higher"


SCORES = {
    "accuracy": Score("accuracy", "%", 100.0, 2),
    "top5_accuracy": Score("top-5 accuracy", "%", 100.0, 2),
    "loss": Score("loss", better="lower"),
    "mean_iou": Score("mean IoU", "%", 100.0, 2),
    "pixel_accuracy": Score("pixel accuracy", "%", 100.0, 2),
    "psnr": Score("PSNR", "dB", digits=2),
    "ssim": Score("SSIM", "%", 100.0, 2),
    "chroma_error": Score("chroma error", digits=2, better="lower"),
    "delta_e": Score("ΔE 2000", digits=2, better="lower"),
    "ab_error": Score("ab error", digits=2, better="lower"),
    "out_of_gamut": Score("out of gamut", "%", 100.0, 2, better="lower"),
    "colorfulness_ratio": Score("colorfulness", digits=3, better="1"),
    "calibration_error": Score("calibration error", "%", 100.0, 2, "lower"),
}

MODELS = {
    "resnet18": "ResNet-18",
    "fcn32": "FCN-32s",
    "fcn16": "FCN-16s",
    "fcn8": "FCN-8s",
    "unet": "U-Net",
    "unet-resnet18": "U-Net on ResNet-18",
}

# The score that names a run in one number, and what its baseline is.
HEADLINES = {
    "classification": ("accuracy", "loss"),
    "segmentation": ("mean_iou", "pixel_accuracy"),
    "colorization": ("psnr", "ssim", "chroma_error"),
}
BASELINES = {
    "classification": "most frequent class",
    "segmentation": "most frequent class",
    "colorization": "gray image",
}


def score(name):
    """How the score `name` is shown; unknown names are shown as they are, with four digits."""
    if name.startswith("val_"):
        name = name.removeprefix("val_")
    if name in SCORES:
        return SCORES[name]
    kind, slash, class_name = name.partition("/")
    if slash and kind in ("iou", "accuracy"):
        return Score(f"{'IoU' if kind == 'iou' else kind} {class_name}", "%", 100.0, 2)
    return Score(name.replace("_", " "), better="lower" if name.endswith("loss") else "higher")


def heading(name):
    """Label with unit and direction, such as "accuracy (%) ↑" or "colorfulness → 1"."""
    shown = score(name)
    arrow = {"higher": "↑", "lower": "↓", "1": "→ 1"}[shown.better]
    unit = f" ({shown.unit})" if shown.unit else ""
    return f"{shown.label}{unit} {arrow}"


def number(name, value, unit=False):
    """A stored value as text: `number("accuracy", 0.9512)` is "95.12"; absent values are "–"."""
    if value is None or not math.isfinite(value):
        return ABSENT
    shown = score(name)
    text = f"{value * shown.factor:.{shown.digits}f}"
    return f"{text} {shown.unit}" if unit and shown.unit else text


def run_label(document):
    """Name of a run's network: "ResNet-18", "U-Net", "U-Net without skips", "U-Net, skips 1, 2".

    Args:
        document: Scores document; reads `label` if there is one, else `task`, `model` and
            `model_args["skips"]` ("all", "none" or a list of levels), and `target`.
    """
    if document.get("label"):
        return document["label"]
    model = document["model"]
    name = MODELS.get(model, model)
    if document.get("target") == "ab":  # never in one cell with runs that put out RGB
        return f"{run_label({**document, 'target': 'rgb'})}, target ab"
    if not model.startswith("unet"):
        return name
    options = document.get("model_args") or {}
    skips = levels(options.get("skips", "all"), options.get("depth", 4))
    if skips == "all":
        return f"{name} with skips" if document["task"] == "colorization" else name
    return f"{name} without skips" if skips == "none" else f"{name}, skips {skips}"


def levels(skips, depth=4):
    """Skip connections kept, in words: "all", "none", "1, 2", "all but 2".

    Args:
        skips: "all", "none" or a list of levels.
        depth: Number of levels there are.
    """
    if isinstance(skips, str):
        return skips
    removed = sorted(set(range(1, depth + 1)) - set(skips))
    if not skips or not removed:
        return "all" if skips else "none"
    if len(removed) == 1 and depth > 2:
        return f"all but {removed[0]}"
    return ", ".join(str(level) for level in sorted(skips))


def duration(seconds):
    """Seconds as text for people: "45 s", "9 min 40 s", "2 h 05 min"."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
