"""What a task means: which data it takes, what the network puts out, what counts as good.

A task is a value, not a class hierarchy; `TASKS` is the list of them. Adding one is one file with
a `TASK` and one entry here.
"""

import dataclasses
import importlib
from collections.abc import Callable

from kerasdl.core.errors import suggest

# name -> module with a value TASK, so that listing the names imports no Keras.
TASKS = {
    "classification": "kerasdl.tasks.classification",
    "segmentation": "kerasdl.tasks.segmentation",
    "colorization": "kerasdl.tasks.colorization",
}

TASK_ALIASES = {"classify": "classification", "segment": "segmentation", "colorize": "colorization"}


@dataclasses.dataclass(frozen=True)
class Task:
    """Everything that differs between tasks.

    Attributes:
        name: Name of the task.
        models: Networks that can do it, the first being the default.
        losses: Names of the losses that fit, the first being the default.
        score: Name of the headline score, higher is better.
        channels: Channels of the network's input.
        masks: Whether the data must have masks.
        outputs: Function (dataset) -> number of outputs of the network.
        prepare: Function (images, labels, masks) -> (x, y), a batch as the network takes it.
        metrics: Function (dataset) -> Keras metrics for `model.compile`.
        scorer: Function (dataset, loss) -> object with `update(y, outputs)` and `result()`,
            which gives (scores, baseline, extras) over all samples it was updated with.
        sample_score: Function (y, outputs, dataset) -> one score per sample, higher is better.
        captions: Function (y, outputs, dataset) -> one line of text per sample.
        render: Function (x, y, outputs, dataset) -> uint8 RGB images of input, truth and
            prediction, each (B, H, W, 3), as far as they are images.
        loss_weights: Function (source) -> weights that the loss takes from the training data, or
            None where there are none but the class weights a user may ask for.
        variant: Function (config) -> the task as that configuration wants it, or None where no
            key changes it; see `of`.
    """

    name: str
    models: tuple[str, ...]
    losses: tuple[str, ...]
    score: str
    channels: int
    masks: bool
    outputs: Callable
    prepare: Callable
    metrics: Callable
    scorer: Callable
    sample_score: Callable
    captions: Callable
    render: Callable
    loss_weights: Callable | None = None
    variant: Callable | None = None


def of(config):
    """The task of a configuration. Raises ConfigError where its keys do not fit together."""
    task = get(config.task)
    return task if task.variant is None else task.variant(config)


def get(name):
    """The task of that name or alias, by default keys; ConfigError with the closest known name."""
    return importlib.import_module(TASKS[resolve_task(name)]).TASK


def require(kind, name, allowed, task):
    """Raises ConfigError unless `name` is one of the task's own."""
    if name not in allowed:
        raise suggest(f"{kind} for {task}", name, allowed)


def resolve_task(name):
    """Full name of a task given by name or alias. Raises ConfigError with the closest name."""
    name = TASK_ALIASES.get(name, name)
    if name not in TASKS:
        raise suggest("task", name, (*TASKS, *TASK_ALIASES))
    return name
