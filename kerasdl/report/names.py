"""Names of runs, scores and tasks in reports, from their registry entries."""

from kerasdl import models
from kerasdl.metrics import ABSENT, METRICS, heading, number
from kerasdl.metrics import spec as score
from kerasdl.tasks import TASKS

__all__ = [
    "ABSENT",
    "METRICS",
    "baseline",
    "duration",
    "heading",
    "headline",
    "interval",
    "number",
    "run_label",
    "score",
]


def headline(task):
    """Names of the metrics that summarize a run of the task, the most important first."""
    return TASKS[task].headline


def interval(name, ends):
    """An interval [low, high] of a score as text: "94.1 to 96.3"; "" without one."""
    return f"{number(name, ends[0])} to {number(name, ends[1])}" if ends else ""


def baseline(task):
    """Description of the task's baseline."""
    return TASKS[task].baseline


def run_label(document):
    """Name of a run's model: "ResNet-18", "U-Net", "U-Net without skips", "U-Net, skips 1, 2".

    Args:
        document: Scores document; reads `label` if present, else `task`, `model`,
            `model_args` and `target`.
    """
    if document.get("label"):
        return document["label"]
    spec = TASKS[document["task"]]
    plain = models.label(document["model"])
    label = models.label(document["model"], document.get("model_args") or {})
    if label == plain and models.has_variants(document["model"]):
        label += spec.variant_label
    target = document.get("target")
    if target and target != spec.targets[0]:  # never grouped with runs of another target
        label += f", target {target}"
    return label


def duration(seconds):
    """Seconds as readable text: "45 s", "9 min 40 s", "2 h 05 min"."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
