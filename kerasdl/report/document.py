"""Run folders as the report room takes them, read without Keras."""

import json
import logging
import os
import pathlib
import shlex

from kerasdl.core import files
from kerasdl.core.errors import ModelFileError
from kerasdl.report import history, stored
from kerasdl.runs import config as configuration

logger = logging.getLogger("kerasdl")


def read(path, scores=None):
    """All that a run folder holds, a run document; see `kerasdl.report.html`.

    Args:
        path: The run folder.
        scores: Scores document, where metrics.json is not written yet.

    Raises:
        ModelFileError: The folder holds no finished run, or a damaged one.
        DataError: Its history is damaged.
    """
    path = pathlib.Path(path)
    if scores is None:
        scores = _read(path / "metrics.json")
    config = files.read_toml(path / "config.toml")
    environment = _read(path / "environment.json")
    rows = history.read(path / "history.csv")
    defaults = configuration.Config(**{"task": config["task"], "model": config["model"]})
    return {
        "scores": scores,
        "history": rows,
        "config": config,
        "defaults": configuration.as_dict(defaults),
        "environment": environment,
        "backend": environment["backend"],
        "precision": config["precision"],
        "seconds": sum(row["seconds"] for row in rows),
        # From the folder above: a page or card that is passed on tells no path of this machine.
        "command": shlex.join(
            ["kerasdl", "train", config["task"], "--config", f"{path.resolve().name}/config.toml"]
        ),
        **stored.read(path),
    }


def find(paths):
    """The finished runs among folders: run folders themselves, or all runs below others.

    Args:
        paths: Folders.

    Returns:
        Run folders in the order given, those below one folder by name, each once.

    Raises:
        ModelFileError: There is no run in a folder, or none that is finished.
    """
    found = {}
    for path in map(pathlib.Path, paths):
        if not path.is_dir():
            raise ModelFileError("no such run folder", path)
        runs = [path] if _is_run(path) else list(_below(path))
        if not runs:
            raise ModelFileError("there is no run in this folder", path)
        finished = [run for run in runs if (run / "metrics.json").exists()]
        if not finished:
            raise ModelFileError(
                "the run is not finished, metrics.json is missing", runs[0], "train it to the end"
            )
        for run in runs:
            if run in finished:
                found.setdefault(run.resolve(), run)
            else:
                logger.warning("not finished, left out: %s", run)
    return list(found.values())


def _is_run(path):
    # Many programs have a config.toml; data.json beside it tells that it is one of ours.
    return (path / "config.toml").exists() and (path / "data.json").exists()


def _below(path):
    """Run folders below a folder, by name; what lies within a run folder is not looked at."""
    for folder, names, _ in os.walk(path):
        names.sort(key=lambda name: [(len(part), part) for part in name.split("-")])
        if _is_run(pathlib.Path(folder)):
            names.clear()
            yield pathlib.Path(folder)


def _read(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelFileError(
            f"the run is not finished, {path.name} is missing", path.parent, "train it to the end"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFileError(f"damaged file ({error})", path) from error
