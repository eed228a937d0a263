"""`kerasdl sweep`: the runs of a grid, each in its own run folder, and their labels."""

import collections
import contextlib
import dataclasses
import itertools
import logging
import pathlib

from kerasdl import backend
from kerasdl.core.errors import ConfigError
from kerasdl.engine import run
from kerasdl.runs import config as configuration
from kerasdl.runs import runfolder
from kerasdl.tools.jobs import training
from kerasdl.tools.sweep import combine, grid

logger = logging.getLogger("kerasdl")


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
        raise ConfigError(
            "'time_budget' cannot be used with sweep", fix=combine.RESERVED["time_budget"]
        )
    wanted = grid.parse(assignments)
    keys = combine.full_keys("grid", wanted, base, wanted, combine.RESERVED)
    cells = _cells(base, common, wanted, keys, combine.settler(base))
    out = combine.folder("sweep", base, wanted, out)
    seeds = tuple(range(base.seed, base.seed + num_seeds))
    runs = []
    for seed, cell in itertools.product(seeds, cells):
        config = configuration.Config(**{**cell.values, "seed": seed})
        runs.append((cell, config, out / cell.name / f"seed-{seed}"))
    engine = backend.choose(base.backend, base.deterministic)
    for _, config, folder in runs:
        runfolder.compare_config(folder, run.as_stored(config, engine, folder))
    combine.check([config for _, config, _ in runs])
    return Plan(base.task, out, seeds, cells, tuple(runs))


def train(plan, quiet=False, workers=None):
    """Trains all runs of a plan that are not finished; a failed run does not stop the others.

    Args:
        plan: The `Plan`.
        quiet: No progress on standard error.
        workers: What `kerasdl.tools.jobs.workers` returns.

    Returns:
        The folders of the finished runs as [(cell, folder), ...], and a list of `Failure`.

    Raises:
        Stopped: A signal stopped a run; the same plan resumes there.
    """
    jobs = [
        training.Job(f"{cell.label}, seed {config.seed}", config, folder, key=(cell, number))
        for number, (cell, config, folder) in enumerate(plan.runs)
    ]
    finished, failures = {}, {}
    with contextlib.closing(training.train_listed(jobs, workers, quiet)) as course:
        for job, outcome in course:
            cell, number = job.key
            if outcome.error:
                failures[number] = Failure(
                    cell.label, job.config.seed, outcome.message, outcome.exit_code
                )
            else:
                finished[number] = (cell, job.folder)
    return [finished[key] for key in sorted(finished)], [failures[key] for key in sorted(failures)]


def _cells(base, common, wanted, keys, settle):
    """The combinations; an option that a model does not take is left out, duplicates are merged.

    Inconsistent combinations of dependent keys are left out.
    """
    cells, seen, left_out = [], set(), None
    for combination in itertools.product(*wanted.values()):
        settings = dict(zip(wanted, combination, strict=True))
        settings, values = combine.combine(base, common, keys, settings)
        try:
            made = configuration.Config(**values)
            if not made.batch_size:
                raise ConfigError(
                    "batch size 'auto' cannot be used with sweep", fix="--batch-size NUMBER"
                )
            values = configuration.as_dict(settle(made))
        except ConfigError as error:
            if len(combine.TOGETHER & set(keys.values())) < 2:
                raise
            left_out = error
            logger.info("skipped: %s: %s", combine.label(settings, values), error.what)
            continue
        if repr(values) in seen:
            continue
        seen.add(repr(values))
        cells.append(
            grid.Cell(grid.folder_name(settings), combine.label(settings, values), settings, values)
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
