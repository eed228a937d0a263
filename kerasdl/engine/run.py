"""Train, evaluate, predict: the one place where the packages meet.

`train` reads in order of execution: task, data, folder, model, fit, scores, report. There is no
trainer class: `model.compile`, `model.fit` and callbacks are the trainer.
"""

import logging
import os
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kerasdl import backend, data, tasks
from kerasdl.backend import precision
from kerasdl.core.errors import ConfigError
from kerasdl.runs import hub, names
from kerasdl.runs import run as reader
from kerasdl.runs.config import Config, changed
from kerasdl.runs.run import ROOT

if TYPE_CHECKING:
    from kerasdl.backend.distribution.group import Group
    from kerasdl.data.base import Dataset
    from kerasdl.data.location import Location
    from kerasdl.engine.prediction import Prediction
    from kerasdl.engine.prediction.geometry import Tiling
    from kerasdl.engine.prediction.predictor import Predictor
    from kerasdl.engine.prediction.sources import Images
    from kerasdl.runs.runfolder import RunFolder

Watch = Callable[[list[dict[str, Any]]], None]  # what is called with the rows of a history

logger = logging.getLogger("kerasdl")


class Run(reader.Run):
    """A run folder: its content, and evaluation and prediction with its best model.

        run = kerasdl.Run("saved_models/segmentation-unet-scenes")
        run.scores["mean_iou"], run.config.epochs, run.history[-1]["val_loss"]
        run.predict("photos/", out="masks/")

    Keras is imported by `predict`, `evaluate` and `open_model` only.
    """

    def evaluate(
        self,
        split: str = "test",
        data_name: str | None = None,
        batch_size: int | None = None,
        at: str | None = None,
    ) -> dict[str, Any]:
        """The metrics document of the best model on a split, see `kerasdl.evaluate`."""
        return evaluate(self, split, data_name, batch_size, at)

    def predict(
        self,
        images: "Images",
        out: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        top: int = 3,
        saturation: float = 1.0,
        tiling: "Tiling | None" = None,
    ) -> "list[Prediction]":
        """Predictions of the best model for images, see `kerasdl.predict`."""
        return predict(self, images, out, overwrite, top, saturation, tiling)


def default_folder(config: Config, root: str | os.PathLike[str] = ROOT) -> pathlib.Path:
    """Where a run goes without --out: saved_models/<task>-<model>-<data>."""
    return pathlib.Path(root) / f"{config.task}-{config.model}-{data.short_name(config.data)}"


def train(
    config: Config,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    allow_data_change: bool = False,
    quiet: bool = False,
    watch: Watch | None = None,
) -> Run:
    """Trains one model as configured; resumes if the run was interrupted.

    Args:
        config: A `kerasdl.runs.config.Config`.
        out: The run folder; `default_folder(config)` if None.
        overwrite: Remove an earlier run in the folder.
        allow_data_change: Resume although the data changed since the run began.
        quiet: No progress on standard error.
        watch: Called with the rows of the history after each epoch is saved; an exception ends the
            training.

    Returns:
        The `Run`.

    Raises:
        KerasdlError: A subclass, with the exit code of the failure.
    """
    path = default_folder(config) if out is None else pathlib.Path(out)
    if hub.is_remote(path):
        raise ConfigError("a run on the hub cannot be trained", path, "--weights of it, with --out")
    engine = chosen_backend(config, path, overwrite)
    from kerasdl.backend import distribution
    from kerasdl.report import trackers

    trackers.require(config.log)
    with distribution.start(config.distribute, engine) as group:
        # Not earlier: once JAX has listed its GPUs it cannot join other hosts.
        config = as_stored(config, engine, path, overwrite)
        quiet = quiet or not group.is_main
        return Run(_train(group, config, path, engine, overwrite, allow_data_change, quiet, watch))


def _train(
    group: "Group", config: Config, path: pathlib.Path, engine: str,
    overwrite: bool, allow_data_change: bool, quiet: bool,
    watch: Watch | None,
) -> pathlib.Path:  # fmt: skip
    """`train` in one of the processes of a group."""
    from kerasdl.backend import distribution, signals
    from kerasdl.engine import datasets, failures, fitting, optimizers, planning
    from kerasdl.report import trackers
    from kerasdl.runs import runfolder

    location = datasets.locate(config)
    dataset = group.main_first(lambda: datasets.load(config, location))
    datasets.require_training(dataset, config)
    config, decisions = planning.settle(config, dataset, engine, None if overwrite else path)
    optimizers.build(config)  # wrong arguments end here, before there is a folder
    task = tasks.of(config)
    for line in planning.explain(decisions) if group.is_main else ():
        logger.info(line)
    acquired = group.run_on_main(
        lambda: runfolder.acquire(
            path,
            config,
            dataset.fingerprint,
            {name: len(split) for name, split in dataset.splits.items()},
            overwrite=overwrite,
            allow_data_change=allow_data_change,
            data_path=data.on_disk(config.data),
        )
    )
    folder = acquired or runfolder.ReadOnlyRunFolder(path, config)
    sent = config.log if group.is_main else ()
    with (
        folder,
        trackers.Session(folder.path, sent) as tracking,
        signals.StopOnSignal(folder.path) as stop,
    ):
        if _already_finished(group, folder):
            tracking.results()
            return folder.path
        if location.source.can_fail:
            _check_data(config, location, dataset)
        if dataset.summary and not quiet:
            logger.info("%s", dataset.summary)
        datasets.record_splits(folder, dataset)
        stop.check()
        backend.prepare(config.seed, config.precision, config.deterministic)
        with failures.training_errors(folder.path, config.batch_size, config.image_size):
            with distribution.scope(group):
                watchers = [tracking.rows, *([watch] if watch and group.is_main else [])]
                fitting.fit(folder, config, task, dataset, stop, quiet, group, watchers)
            stop.check()
            if group.is_main:
                from kerasdl.engine import publishing  # matplotlib would delay the first step

                publishing.finish(folder.path, config, task, dataset)
                tracking.results()
        # A signal during the last steps lets them complete, but must stop a following run.
        stop.check()
    return folder.path


def _already_finished(group: "Group", folder: "RunFolder") -> bool:
    """Whether nothing is left to train or to write; says so."""
    from kerasdl.runs import restore

    complete = group.main_first(lambda: restore.complete(folder))
    if not (complete and reader.Run(folder.path).finished):
        return False
    logger.info(
        "already finished: %s (nothing to train; --overwrite trains it again, --out starts "
        "another run)",
        folder.path,
    )
    return True


def chosen_backend(config: Config, folder: str | os.PathLike[str], overwrite: bool = False) -> str:
    """Selects the backend of this process and returns its name; see `kerasdl.backend.choose`.

    Raises:
        ConfigError: The backend is unknown or not installed.
    """
    return backend.choose(wanted_backend(config, folder, overwrite), config.deterministic)


def wanted_backend(config: Config, folder: str | os.PathLike[str], overwrite: bool = False) -> str:
    """The backend to train on, or "auto".

    A run that has begun in the folder resumes on its own backend unless the configuration or the
    variable KERAS_BACKEND names one, whatever has been measured or installed since.
    """
    name = config.backend
    if name == "auto" and not overwrite and not os.environ.get("KERAS_BACKEND"):
        before = reader.Run(folder).backend or name
        name = before if before in backend.installed() else name
    return name


def as_stored(
    config: Config, engine: str, folder: str | os.PathLike[str], overwrite: bool = False
) -> Config:
    """The configuration with the absolute path of its data and the precision that "auto" means.

    So the run folder stores it, and so it is compared with one. "auto" stays what it was when the
    run in the folder began.

    Raises:
        ConfigError: The backend `engine` cannot compute in that precision here.
    """
    wanted = config.precision
    if wanted == "auto" and not overwrite and (pathlib.Path(folder) / names.CONFIG).exists():
        wanted = reader.Run(folder).config.precision
    path = data.absolute(config.data)
    return changed(config, data=path, precision=precision.resolve(wanted, engine))


def evaluate(
    run: str | os.PathLike[str],
    split: str = "test",
    data_name: str | None = None,
    batch_size: int | None = None,
    at: str | None = None,
) -> dict[str, Any]:
    """Scores the best model of a run.

    Args:
        run: The `Run`, or the path of its folder, or "hf:USER/NAME".
        split: "test", "validation" or "train".
        data_name: Data other than the run's, with the same classes.
        batch_size: Batch size other than the run's.
        at: "native" scores what `predict` delivers, at the size of the stored images, as well as
            outputs at the training size; "training" only the latter. None: native where the two
            differ and no image has more than 4 megapixels.

    Returns:
        The metrics document, as `Run.metrics`, with the run's path under "run".

    Raises:
        ModelFileError: The run has no model, or one for other classes.
        DataError: The data cannot be used or the split is empty.
    """
    run = reader.Run(run)
    config = run.config
    if data_name is not None:
        config = changed(config, data=data_name)
    if batch_size is not None:
        config = changed(config, batch_size=batch_size)
    backend.choose("auto")
    from kerasdl.backend import tuning
    from kerasdl.engine import datasets, evaluation, failures

    model = tuning.tune_for_inference(run.open_model())
    run.require_consistent()
    task = tasks.of(config)
    dataset = datasets.load(config)
    datasets.require_classes(dataset, run.class_names, run.path)
    with failures.training_errors(run.path, config.batch_size):
        found = evaluation.evaluate(model, task, dataset, config, split, at)
    return {"run": str(run), **found.document}


def predict(
    run: str | os.PathLike[str],
    images: "Images",
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    top: int = 3,
    saturation: float = 1.0,
    tiling: "Tiling | None" = None,
) -> "list[Prediction]":
    """Predictions of a run's best model for images of any size.

    Args:
        run: The `Run`, the path of its folder, "hf:USER/NAME", or a file written by `kerasdl
            export`, which needs neither Keras nor a backend.
        images: A path, a pattern such as "photos/**/*.jpg", an array uint8 (height, width, 3), or a
            list of these. A folder means all images below it.
        out: Folder for masks and colored images; nothing is written if None.
        overwrite: Whether files there may be replaced.
        top: Classification: number of classes to list.
        saturation: Colorization: factor of the predicted chroma; 0 is gray, 1 as predicted.
        tiling: Size, overlap and scale of the tiles of large images, a
            `kerasdl.engine.prediction.geometry.Tiling`.

    Returns:
        A list of `kerasdl.engine.prediction.Prediction`, in the order of the images.
    """
    from kerasdl.engine import failures

    with failures.training_errors(run):
        return list(predictor(run, tiling, top, saturation).run(images, out, overwrite))


def predictor(
    run: str | os.PathLike[str],
    tiling: "Tiling | None" = None,
    top: int = 3,
    saturation: float = 1.0,
) -> "Predictor":
    """What predicts with a run's best model; the arguments are those of `predict`."""
    from kerasdl.engine.prediction import networks
    from kerasdl.engine.prediction.predictor import Predictor

    if is_exported(run):
        return Predictor(*networks.exported(run), tiling, top, saturation)
    run = reader.Run(run)
    backend.choose("auto")
    model = run.open_model()
    run.require_consistent()
    network, facts = networks.of_run(model, run.config, run.sidecar, run.median_size)
    return Predictor(network, facts, tiling, top, saturation)


def is_exported(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a model file rather than a run folder."""
    from kerasdl.runs import runtimes

    if hub.is_remote(path):
        return False
    return pathlib.Path(path).is_file() or runtimes.find_format(path) is not None


def _check_data(config: Config, location: "Location", dataset: "Dataset") -> None:
    """The quick part of `kerasdl data check`: raises the first problem that must be fixed."""
    from kerasdl.data.inspect import findings
    from kerasdl.engine import datasets

    report = datasets.check(config, True, location, dataset)
    findings.raise_first(report.findings, config.skip_invalid)
