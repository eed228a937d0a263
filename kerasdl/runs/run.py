"""The reader of run folders, without Keras, and functions that find runs below a folder."""

import collections.abc
import csv
import functools
import json
import logging
import os
import pathlib
from typing import TYPE_CHECKING, Any

from kerasdl.core import extensions, files
from kerasdl.core.errors import ConfigError, KerasdlError, ModelFileError
from kerasdl.runs import checks, hub, names, sidecar
from kerasdl.runs import config as configuration
from kerasdl.tasks import resolve_task

if TYPE_CHECKING:
    import keras

ROOT = pathlib.Path("saved_models")

logger = logging.getLogger("kerasdl")


class Run:
    """A run folder, read on demand; a path-like object, and `run / name` is a file in it.

    Each file is read once, on first access. Raises ModelFileError if a file is missing or damaged.

    Args:
        path: The folder, which need not exist, or "hf:USER/NAME", which is fetched.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = hub.local(path)

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def __truediv__(self, name: str | os.PathLike) -> pathlib.Path:
        return self.path / name

    @functools.cached_property
    def config(self) -> configuration.Config:
        """The resolved configuration. Raises ConfigError if it is damaged."""
        path = self.path / names.CONFIG
        if not path.exists():
            raise ModelFileError(f"not a run folder, {names.CONFIG} is missing", self.path)
        values = files.read_toml(path)
        named = checks.typed("extensions", values.get("extensions", ()), tuple[str, ...])
        extensions.require_outside(named, self.path)
        return configuration.Config(**values)

    @functools.cached_property
    def metrics(self) -> dict[str, Any]:
        """The metrics document: scores of the best model, their definitions, a baseline."""
        document = self._json(names.METRICS)
        scores, task = document.get("scores"), document.get("task")
        if not isinstance(scores, dict) or not isinstance(task, str):
            raise ModelFileError(
                "damaged file (no task or no scores)", self.path / names.METRICS, "--overwrite"
            )
        return document

    @property
    def scores(self) -> dict[str, float | None]:
        """Scores by name; None where one could not be measured."""
        return self.metrics["scores"]

    @functools.cached_property
    def history(self) -> list[dict[str, int | float]]:
        """One row per epoch, column name to number; empty cells are left out."""
        path = self.path / names.HISTORY
        try:
            with path.open(newline="", encoding="utf-8") as stream:
                return [
                    {
                        key: int(value) if key == "epoch" else float(value)
                        for key, value in row.items()
                        if value
                    }
                    for row in csv.DictReader(stream)
                ]
        except FileNotFoundError:
            raise self._unfinished(names.HISTORY) from None
        except (OSError, TypeError, ValueError) as error:
            raise ModelFileError(f"damaged file ({error})", path) from error

    @property
    def samples(self) -> dict[str, int]:
        """Number of images of each split."""
        return self._json(names.DATA).get("samples", {})

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names in the order of the model's outputs; empty without classes."""
        return tuple(self.sidecar.get("class_names") or ())

    @property
    def median_size(self) -> tuple[int, int] | None:
        """Median (height, width) of the images before they were resized; None if unknown."""
        try:
            height, width = self._json(names.REPORT_DATA)["median_size"]
        except (ModelFileError, KeyError, TypeError, ValueError):
            return None  # older, or not scored yet
        whole = all(type(side) is int and side > 0 for side in (height, width))
        return (height, width) if whole else None

    @functools.cached_property
    def environment(self) -> dict[str, Any]:
        """Backend, precision, versions and devices of the training."""
        return self._json(names.ENVIRONMENT)

    @property
    def backend(self) -> str | None:
        """The backend of the training; None if unknown."""
        try:
            return self.environment.get("backend")
        except ModelFileError:
            return None

    @functools.cached_property
    def sidecar(self) -> dict[str, Any]:
        """Metadata of the model: task, classes, how to build it."""
        return sidecar.read(self.path)

    @property
    def finished(self) -> bool:
        """Whether the metrics, which are written last, exist and are valid."""
        try:
            return isinstance(self.metrics, dict)
        except ModelFileError:
            return False

    def require_consistent(self) -> None:
        """Raises ModelFileError unless configuration and model.json describe the same model."""
        for key in ("task", "model", "image_size"):
            stored, built = getattr(self.config, key), self.sidecar[key]
            if (list(stored) if isinstance(stored, tuple) else stored) != built:
                raise ModelFileError(
                    f"{names.CONFIG} and {names.SIDECAR} differ in {key}: {stored}, {built}",
                    self.path,
                    "restore the file that was changed",
                )

    @property
    def best_model(self) -> pathlib.Path:
        """Path of the best model. Raises ModelFileError if there is none yet."""
        path = self.path / names.BEST_MODEL
        if not path.exists():
            raise ModelFileError(
                "the run has no best model yet", self.path, "finish its training first"
            )
        return path

    def open_model(self) -> "keras.Model":
        """The best model, a `keras.Model` that is not compiled; see `modelfile.open_model`."""
        from kerasdl.runs import modelfile

        return modelfile.open_model(self.best_model)[0]

    def _json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise self._unfinished(name) from None
        except (OSError, ValueError, RecursionError) as error:
            raise ModelFileError(f"damaged file ({error})", path) from error
        if not isinstance(content, dict):
            raise ModelFileError("damaged file (not a JSON object)", path)
        return content

    def _unfinished(self, name: str) -> ModelFileError:
        return ModelFileError(
            f"the run is not finished, {name} is missing", self.path, "finish its training"
        )


def is_run(path: str | os.PathLike) -> bool:
    """Whether a folder is that of a run."""
    # Many programs have a config.toml; only ours have a data.json next to it.
    path = pathlib.Path(path)
    return (path / names.CONFIG).exists() and (path / names.DATA).exists()


def below(path: str | os.PathLike[str]) -> collections.abc.Iterator[pathlib.Path]:
    """The folder itself if it is a run folder, else the run folders below it, by name."""
    for folder, children, _ in os.walk(path):
        children.sort(key=lambda name: [(len(part), part) for part in name.split("-")])
        if is_run(folder):
            children.clear()
            yield pathlib.Path(folder)


def find(paths: collections.abc.Iterable[str | os.PathLike]) -> list[pathlib.Path]:
    """The finished runs among folders: run folders themselves, or all runs below others.

    Args:
        paths: Folders, or runs on the hub.

    Returns:
        Run folders in the order given, those below one folder by name, without duplicates.

    Raises:
        ModelFileError: There is no run in a folder, or none that is finished.
    """
    found: dict[pathlib.Path, pathlib.Path] = {}
    for path in map(hub.local, paths):
        if not path.is_dir():
            raise ModelFileError("no such run folder", path)
        runs = list(below(path))
        if not runs:
            raise ModelFileError("no run in this folder", path)
        finished = {run for run in runs if Run(run).finished}
        if not finished:
            raise Run(runs[0])._unfinished(names.METRICS)
        for run in runs:
            if run in finished:
                found.setdefault(run.resolve(), run)
            else:
                logger.warning("not finished, skipped: %s", run)
    return list(found.values())


def newest(task: str, root: str | os.PathLike = ROOT) -> pathlib.Path:
    """The folder of the newest finished run of a task below `root`.

    Raises:
        ConfigError: There is none.
    """
    task = resolve_task(task)
    finished = []
    for run in map(Run, below(root)):
        try:
            if run.finished and run.best_model and run.metrics["task"] == task:
                finished.append(((run / names.METRICS).stat().st_mtime, run.path))
        except KerasdlError as error:
            logger.debug("skipped: %s", error)
    if not finished:
        raise ConfigError(
            f"no finished run of {task}", root, f"kerasdl train {task}, or choose one with --run"
        )
    return max(finished)[1]
