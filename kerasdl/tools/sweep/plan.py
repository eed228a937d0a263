"""`kerasdl sweep`: the runs of a grid, each in its own run folder, and their labels."""

import collections
import contextlib
import dataclasses
import gc
import itertools
import logging
import pathlib

from kerasdl import backend, models, tasks
from kerasdl.core.errors import ConfigError, KerasdlError, suggest
from kerasdl.engine import run
from kerasdl.runs import config as configuration
from kerasdl.tools.sweep import grid

# What a grid cannot vary, and why or what to use instead.
RESERVED = {
    "task": "a sweep has one task",
    "seed": "use --seeds",
    "backend": "one process, one backend: use --backend",
    "time_budget": "the runs of a sweep are compared, so set epochs",
    "workers": "it does not affect results",
    "cache_megabytes": "it does not affect results",
}
# Keys whose values depend on each other: loss "chroma" is for target "ab" only.
TOGETHER = {"target", "loss", "model"}

logger = logging.getLogger("kerasdl")


class SweepFailed(KerasdlError):
    """Some runs of a sweep failed; the exit code is that of the first failure."""

    def __init__(self, failures, total):
        first = failures[0]
        super().__init__(
            f"{len(failures)} of {total} runs failed, the first: {first.message}",
            fix=("the others are in the tables; " if len(failures) < total else "")
            + "repeat the command to retry these",
        )
        self.exit_code = first.exit_code


@dataclasses.dataclass(frozen=True)
class Failure:
    """A failed run of a sweep."""

    label: str
    seed: int
    message: str
    exit_code: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a sweep will do: `runs` are (cell, `Config`, folder), seed by seed."""

    task: str
    out: pathlib.Path
    seeds: tuple[int, ...]
    cells: tuple[grid.Cell, ...]
    runs: tuple[tuple, ...]


def plan(common, assignments, num_seeds, out=None):
    """The runs of a grid, checked as far as possible without training.

    Every model of the grid is built once, because a typo found after five hours is costly.

    Args:
        common: Configuration keys and values common to all runs, as set by the user; the recipe
        completes them for each run. Seeds count up from theirs.
        assignments: Arguments of `--grid`, see `kerasdl.tools.sweep.grid`.
        num_seeds: Seeds per combination.
        out: Folder of the sweep; saved_models/sweep-<task>-<keys> if None.

    Raises:
        ConfigError: An unknown key, a value out of its range, a model that cannot be built, or a
            folder that holds a run with another configuration.
        DataError, ModelFileError: The data or the weights are missing.
    """
    base = configuration.Config(**common)
    if base.time_budget:
        raise ConfigError("a sweep has no 'time_budget'", fix=RESERVED["time_budget"])
    wanted = grid.parse(assignments)
    keys = {key: _full_key(key, base, wanted) for key in wanted}
    if len(set(keys.values())) < len(keys):
        raise ConfigError("the grid names a key twice", fix=f"keys: {', '.join(keys)}")
    cells = _cells(base, common, wanted, keys, _settler(base))
    if out is None:
        short = "-".join(key.rpartition(".")[2] for key in wanted)
        out = run.ROOT / f"sweep-{base.task}-{short}"
    out = pathlib.Path(out)
    if out.exists() and not out.is_dir():
        raise ConfigError("the output is a file", out, "another --out")
    seeds = tuple(range(base.seed, base.seed + num_seeds))
    runs = []
    for seed, cell in itertools.product(seeds, cells):
        config = configuration.Config(**{**cell.values, "seed": seed})
        runs.append((cell, config, out / cell.name / f"seed-{seed}"))
    _check(runs)
    return Plan(base.task, out, seeds, cells, tuple(runs))


def train(plan, quiet=False):
    """Trains all runs of a plan that are not finished; a failed run does not stop the others.

    Returns:
        The folders of the finished runs as [(cell, folder), ...], and a list of `Failure`.

    Raises:
        Stopped: A signal stopped a run; the same plan resumes there.
    """
    finished, failures = [], []
    for number, (cell, config, folder) in enumerate(plan.runs, 1):
        done = run.Run(folder).finished
        if not quiet and not done:
            logger.info(
                "%d of %d: %s, seed %d: %s",
                number, len(plan.runs), cell.label, config.seed, folder,
            )  # fmt: skip
        try:
            with _fresh(), _silent(done):
                run.train(config, folder, quiet=quiet)
            finished.append((cell, folder))
        except KerasdlError as error:
            if error.exit_code >= 128:  # a signal stops the whole sweep
                raise
            failures.append(Failure(cell.label, config.seed, str(error), error.exit_code))
        except Exception as error:
            logger.debug("defect in a run of the sweep", exc_info=True)
            text = f"defect in kerasdl: {type(error).__name__}: {error}: {folder}"
            text = " ".join(text.split())
            failures.append(Failure(cell.label, config.seed, text, 1))
        if failures and failures[-1].label == cell.label and failures[-1].seed == config.seed:
            logger.error("%s, seed %d failed: %s", cell.label, config.seed, failures[-1].message)
    return finished, failures


def _full_key(key, base, wanted):
    """The configuration key meant by a key of the grid: "skips" is "model_args.skips"."""
    if key in RESERVED:
        raise ConfigError(f"a grid cannot vary '{key}'", fix=RESERVED[key])
    fields = [field.name for field in dataclasses.fields(configuration.Config)]
    tables = ("model_args", "augment_args")
    if key in fields and key not in tables:
        return key
    table, dot, inner = key.partition(".")
    if dot and table == "augment_args":
        return key
    options = list(
        dict.fromkeys(
            option
            for name in wanted.get("model", [base.model])
            for option in models.option_names(name)
        )
    )
    name = inner if dot and table == "model_args" else key
    if name in options:
        return f"model_args.{name}"
    known = [name for name in fields if name not in (*tables, *RESERVED)]
    raise suggest("grid key", name, [*options, *known])


def _cells(base, common, wanted, keys, settle):
    """The combinations; an option that a model does not take is left out, duplicates are merged.

    Inconsistent combinations of dependent keys are left out.
    """
    cells, seen, left_out = [], set(), None
    for combination in itertools.product(*wanted.values()):
        settings = dict(zip(wanted, combination, strict=True))
        model = settings.get("model", base.model)
        if "model" in settings:
            common = {**common, "model_args": _taken(model, base.model_args)}
        settings = {
            key: value
            for key, value in settings.items()
            if not keys[key].startswith("model_args.")
            or keys[key].partition(".")[2] in models.option_names(model)
        }
        values = {key: dict(item) if isinstance(item, dict) else item
                  for key, item in common.items()}  # fmt: skip
        for key, value in settings.items():
            table, dot, inner = keys[key].partition(".")
            if dot:
                values.setdefault(table, {})[inner] = value
            else:
                values[table] = value
        try:
            values = configuration.as_dict(settle(configuration.Config(**values)))
        except ConfigError as error:
            if len(TOGETHER & set(keys.values())) < 2:
                raise
            left_out = error
            logger.info("skipped: %s: %s", _label(settings, values), error.what)
            continue
        if repr(values) in seen:
            continue
        seen.add(repr(values))
        cells.append(
            grid.Cell(grid.folder_name(settings), _label(settings, values), settings, values)
        )
    if not cells:
        raise left_out
    labels = collections.Counter(cell.label for cell in cells)
    cells = [
        # "all" and [1, 2] of a model with two levels are distinguished as written.
        cell if labels[cell.label] == 1 else dataclasses.replace(cell, label=cell.name)
        for cell in cells
    ]
    counts = collections.Counter(cell.name for cell in cells)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise ConfigError(f"two combinations of the grid have the name '{min(twice)}'")
    return tuple(cells)


def _settler(base):
    """Function Config -> Config that applies the recipe `auto` to the data, which are read once."""
    if base.recipe != "auto":
        return lambda config: config
    from kerasdl.engine import datasets, planning

    dataset, engine = datasets.load(base), backend.choose("auto")
    return lambda config: planning.settle(config, dataset, engine)[0]


def _taken(model, options):
    """The options of the base configuration that a model takes."""
    known = models.option_names(model)
    return {key: value for key, value in options.items() if key in known}


def _label(settings, values):
    from kerasdl.report import runs

    parts = []
    for key, value in settings.items():
        name = key.rpartition(".")[2]
        if name == "skips" and isinstance(value, list):
            text = models.skip_levels(value, values["model_args"].get("depth", 4))
        elif name == "model":
            parts.append(models.label(value))
            continue
        else:
            text = runs.text(value)
        parts.append(f"{name} {text}")
    return ", ".join(parts)


def _check(runs):
    """Raises ConfigError for runs that would certainly fail, before any training."""
    from kerasdl import data
    from kerasdl.engine import datasets, optimizers, transfer
    from kerasdl.runs import runfolder

    built = []
    for _, config, folder in runs:
        runfolder.compare_config(folder, config)
        task = tasks.of(config)
        data.require(config.data)
        transfer.require(config.weights)
        # The ignored mask values may be known from the data only.
        datasets.augmentation(config, config.ignore_labels or (255,))
        optimizers.build(config)
        model = (config.model, config.model_args, config.image_size)
        if model not in built:
            built.append(model)
            size = (*config.image_size, task.channels)
            models.build(config.model, size, 2, **config.model_args)


@contextlib.contextmanager
def _fresh():
    """Resets Keras for each run, as in a new process, and frees its models."""
    import keras

    keras.utils.clear_session()
    try:
        yield
    finally:
        keras.utils.clear_session()
        gc.collect()


@contextlib.contextmanager
def _silent(silent):
    """Suppresses the log messages of a run that was already finished."""
    level = logger.level
    if silent:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
