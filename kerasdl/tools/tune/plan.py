"""What `kerasdl tune` will do: the space, checked before any training, and the objective."""

import dataclasses
import importlib.util
import itertools
import math
import pathlib
from collections.abc import Callable

from kerasdl.core.errors import ConfigError
from kerasdl.report import names
from kerasdl.runs import config as configuration
from kerasdl.tasks import TASKS
from kerasdl.tools.sweep import combine
from kerasdl.tools.tune import space as spaces

RESERVED = {
    **combine.RESERVED,
    "seed": "all trials have one seed: compare the best one with others in kerasdl sweep --seeds",
    "monitor": "it selects the epoch by which trials are compared",
}


@dataclasses.dataclass(frozen=True)
class Plan:
    """A search.

    Attributes:
        base: Configuration of the common values.
        common: Configuration keys and values, as set by the user.
        space: {key as written: `kerasdl.tools.tune.space.Dimension`}, the model first.
        keys: {key as written: key of the configuration}.
        settle: Function Config -> Config that applies the recipe to the data.
        out: Folder of the search.
        trials: Number of trials.
        every: All combinations, if the space has no more than `trials`; else None.
        prune: Whether trials that fall behind are ended early.
    """

    base: configuration.Config
    common: dict
    space: dict
    keys: dict
    settle: Callable
    out: pathlib.Path
    trials: int
    every: list | None
    prune: bool

    @property
    def objective(self):
        """Column of the history that is optimized: the task's main score on validation images."""
        return f"val_{TASKS[self.base.task].headline[0]}"

    @property
    def lower(self):
        """Whether a lower value of the objective is better."""
        return names.score(self.objective).better == "lower"

    def config(self, settings):
        """(settings that apply, `Config`) of one combination. Raises ConfigError."""
        settings, values = combine.combine(self.base, self.common, self.keys, settings)
        return settings, self.settle(configuration.Config(**values))

    def recorded(self):
        """What must be the same when a search is continued, as JSON types."""
        fixed = configuration.as_dict(self.base)
        for key in (*configuration.RESUMABLE_KEYS, "backend"):
            if key != "epochs":
                del fixed[key]
        return {
            "space": {key: each.document for key, each in self.space.items()},
            "configuration": fixed,
        }


def plan(common, assignments, trials, out=None, prune=True):
    """The `Plan` of a search, checked as far as possible without training.

    Args:
        common: Configuration keys and values common to all trials, as set by the user.
        assignments: Arguments of `--space`, see `kerasdl.tools.tune.space`.
        trials: Number of trials; a space with fewer combinations is tried completely.
        out: Folder of the search; saved_models/tune-<task>-<keys> if None.
        prune: Whether trials that fall behind are ended early.

    Raises:
        ConfigError: Optuna is missing, an unknown key, a value out of its range, a model that
            cannot be built, or data without validation images.
        DataError, ModelFileError: The data or the weights are missing.
    """
    if importlib.util.find_spec("optuna") is None:
        raise ConfigError("tune needs the package optuna", fix="pip install 'kerasdl[tune]'")
    base = configuration.Config(**common)
    if base.time_budget:
        raise ConfigError(
            "'time_budget' cannot be used with tune", fix="--timeout ends the whole search"
        )
    space = spaces.parse(assignments)
    space = {key: space[key] for key in sorted(space, key=lambda key: key != "model")}
    models = {key: each.choices for key, each in space.items() if key == "model"}
    keys = combine.full_keys("space", space, base, models, RESERVED)
    out = combine.folder("tune", base, space, out)
    found = Plan(base, common, space, keys, combine.settler(base), out, trials, None, prune)
    combine.check(_corners(found))
    _require_validation(base)
    if math.prod(each.size for each in space.values()) > trials:
        return found
    every = _every(found)
    return dataclasses.replace(found, trials=min(trials, len(every)), every=every)


def _corners(plan):
    """A configuration for each end of each range and each choice. Raises ConfigError."""
    first = {key: each.ends[0] for key, each in plan.space.items()}
    linked = [key for key in plan.space if plan.keys[key] in combine.TOGETHER]
    configs, left_out = [], {}
    # Values that depend on each other are good if one combination of them is.
    for values in itertools.product(*(plan.space[key].ends for key in linked)):
        together = dict(zip(linked, values, strict=True))
        try:
            configs.append((together, plan.config({**first, **together})[1]))
        except ConfigError as error:
            if not linked:
                raise
            left_out.update({(key, value): error for key, value in together.items()})
    good = {each for together, _ in configs for each in together.items()}
    for value, error in left_out.items():
        if value not in good:
            raise error
    ends = []
    for key in plan.space.keys() - set(linked):
        # Together with a model that takes the key.
        applying = next(
            together
            for together, config in configs
            if combine.applies(plan.keys[key], config.model)
        )
        for value in plan.space[key].ends:
            ends.append(plan.config({**first, **applying, key: value})[1])
    return [config for _, config in configs] + ends


def _every(plan):
    """All combinations that can be trained, without duplicates."""
    found = []
    values = [each.choices or range(each.low, each.high + 1) for each in plan.space.values()]
    for combination in itertools.product(*values):
        try:
            settings, _ = plan.config(dict(zip(plan.space, combination, strict=True)))
        except ConfigError:
            continue
        if settings not in found:
            found.append(settings)
    return found


def _require_validation(base):
    from kerasdl.engine import datasets

    if not len(datasets.load(base).splits.get("validation", ())):
        raise ConfigError(
            "the data have no validation images, which a search compares trials by",
            fix="--set validation_split=0.1",
        )
