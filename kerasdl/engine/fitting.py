"""Builds, compiles and fits the model of a run, from scratch or from its newest state."""

import contextlib
import dataclasses
import logging

import keras

from kerasdl import backend, models
from kerasdl.backend.distribution import ALONE
from kerasdl.core.errors import TrainingFailed, suggest
from kerasdl.data.pipeline.batches import Batches
from kerasdl.engine import (
    averaging,
    callbacks,
    datasets,
    evaluation,
    failures,
    schedules,
    stages,
    step,
    transfer,
)
from kerasdl.metrics import direction
from kerasdl.metrics.base import ExpensiveMetricsInValidationOnly, gated_names
from kerasdl.runs import checkpoint, names, runfolder
from kerasdl.runs import sidecar as sidecars

logger = logging.getLogger("kerasdl")


def build(config, task, dataset, image_size=None):
    """The untrained model of a run, at the run's image size or another one."""
    return models.build(
        config.model,
        (*(image_size or config.image_size), task.channels),
        task.outputs(dataset),
        # "auto" is resolved for the image size of the run, not of a stage.
        **models.resolved(config.model, config.image_size, config.model_args),
    )


def fit(folder, config, task, dataset, stop, quiet=False, group=ALONE, watchers=()):
    """Trains the run in `folder` to its end and saves its best model there.

    A run with progressive sizes is one fit per size, each of which resumes from the state that the
    previous one committed.

    Args:
        folder: The acquired `kerasdl.runs.runfolder.RunFolder`.
        config: Configuration of the run.
        task: The `kerasdl.tasks.Task`.
        dataset: Data with a training split.
        stop: The active `kerasdl.backend.signals.StopOnSignal`.
        quiet: No progress on standard error.
        group: The `kerasdl.backend.distribution.Group`, whose scope is active.
        watchers: Functions of the rows of the history, called after the commit of an epoch.

    Raises:
        TrainingFailed: The loss is not finite, or there is no best model in the end.
        WriteError: The state cannot be written.
    """
    finished = False
    while not finished:
        done = runfolder.committed(folder.checkpoints)
        stage = stages.at_epoch(config, runfolder.epoch_number(done[0]) if done else 0)
        finished = _fit_stage(folder, config, stage, task, dataset, stop, quiet, group, watchers)


def _fit_stage(folder, config, stage, task, dataset, stop, quiet, group, watchers):
    """Trains the epochs of one stage; returns whether the run is finished.

    If a damaged state sets the run back to an earlier stage, nothing is trained.
    """
    sized = dataclasses.replace(config, image_size=stage.image_size)
    source = evaluation.source_of(dataset, "train", task, sized)
    class_weights = evaluation.class_weights_of(task, config, dataset, source)
    loss = evaluation.loss_of(task, config, dataset, class_weights, config.label_smoothing)
    metrics = evaluation.metrics_of(task, dataset)
    model = build(config, task, dataset, stage.image_size)
    # The main process first, because it writes what the others then read.
    group.main_first(lambda: _transfer(folder, model, config))
    group.run_on_main(lambda: _prepare(folder, model, config, task, dataset, group))
    with contextlib.ExitStack() as stack:
        batches, validation = open_batches(stack, source, sized, task, dataset, group)
        rate = schedules.learning_rate(config, len(batches))
        step.assemble(model, config, loss, metrics, rate)
        group.prepare_model(model)
        monitor = _monitor(config, metrics, validation)
        state = _run_state(folder, config, stage, monitor, batches, group)
        first = state.restore(model)
        group.require_same(first, model.get_weights(), dataset.fingerprint)
        finished = state.stopped_by == "early_stopping" or first >= config.epochs
        if not finished and first < stage.first:
            return False
        if not finished:
            _log_start(folder, config, stage, first)
            step.tune(model, config)
            if group.replicas == 1:
                step.build_scores(model, task.prepare(*source.take([0])))
            progress = callbacks.Progress(
                batches, quiet, config.epochs, hidden=gated_names(metrics)
            )
            stack.callback(progress.close)
            stack.enter_context(
                failures.training_errors(folder.path, config.batch_size, stage.image_size)
            )
            model.fit(
                group.wrap_dataset(batches),
                validation_data=None if validation is None else group.wrap_dataset(validation),
                initial_epoch=first,
                epochs=stage.end,
                shuffle=False,
                verbose=0,
                callbacks=_callbacks(
                    state, metrics, group.watch(stop, batches, validation), progress, watchers
                ),
            )
            finished = stage.end >= config.epochs or state.stopped_by == "early_stopping"
    if finished:
        group.run_on_main(lambda: _require_best(folder, monitor))
    return finished


def open_batches(stack, source, config, task, dataset, group):
    """Training and validation batches (None without validation images), closed with the stack."""
    batches = Batches(
        source,
        task.prepare,
        datasets.augmentation(config, dataset.ignore_labels),
        config.batch_size,
        config.seed,
        workers=config.workers,
        steps_per_epoch=config.steps_per_epoch,
        **group.training,
    )
    stack.enter_context(batches)
    if not len(dataset.splits.get("validation", ())):
        return batches, None
    validation = Batches(
        evaluation.source_of(dataset, "validation", task, config),
        task.prepare,
        None,
        config.batch_size,
        shuffle=False,
        workers=config.workers,
        **group.validation,
    )
    return batches, stack.enter_context(validation)


def _run_state(folder, config, stage, monitor, batches, group):
    """The `RunState` of a stage, with the callbacks whose counters a resumed run needs."""
    mode = direction(monitor)
    resumable = []
    if config.lr_schedule == "plateau":
        resumable.append(schedules.plateau(config, monitor, mode, len(batches)))
    if config.early_stopping_patience:
        resumable.append(
            keras.callbacks.EarlyStopping(
                monitor=monitor, mode=mode, patience=config.early_stopping_patience
            )
        )
    return checkpoint.RunState(
        folder,
        config.seed,
        monitor=monitor,
        mode=mode,
        callbacks=resumable,
        set_epoch=batches.set_epoch,
        average=averaging.Averaging(config.ema_decay) if config.ema_decay else None,
        epochs=config.epochs,
        # Scores at another size are not comparable with those at the full size.
        keep_best=stage.end == config.epochs,
        group=group,
    )


def _callbacks(state, metrics, watching, progress, watchers):
    """The callbacks of `fit`, in the order they need: logs first, the commit last."""
    return [
        callbacks.WithoutTrainingValues(gated_names(metrics)),
        *watching,
        callbacks.StopOnBadLoss(),
        ExpensiveMetricsInValidationOnly(metrics),
        *([state.average] if state.average else []),
        *state.callbacks,
        progress,
        callbacks.WarnAboutGray(),
        callbacks.Watch(watchers, state),
        state,
    ]


def _log_start(folder, config, stage, first):
    """Logs where a run resumes, and the size of a stage."""
    if first > stage.first:
        logger.info("resuming after epoch %d: %s", first, folder.path)
    if config.progressive_sizes:
        logger.info("epochs %d to %d: %dx%d", first + 1, stage.end, *stage.image_size)


def _transfer(folder, model, config):
    """Initializes weights and freezes layers, if the run is configured to."""
    if not runfolder.committed(folder.checkpoints):
        transfer.start(model, config, folder)
    transfer.freeze(model, config, folder)


def _prepare(folder, model, config, task, dataset, group):
    """Writes what a run folder holds before its first epoch."""
    folder.require_space(model.count_params())
    environment = backend.environment()
    if group.replicas > 1:
        environment |= {"replicas": group.replicas, "processes": group.processes}
    folder.write_json(names.ENVIRONMENT, environment)
    sidecars.write(folder.path, sidecar(config, task, dataset))


def _require_best(folder, monitor):
    """Raises TrainingFailed if a run finished without a best model."""
    if not folder.file(names.BEST_MODEL).exists():
        raise TrainingFailed(
            f"no epoch has a best model ({monitor} was never finite, or best.keras is missing)",
            folder.path,
            "start over with --overwrite, after nan with a smaller --learning-rate",
        )


def sidecar(config, task, dataset):
    """The content of model.json: how to build the model, and what `predict` needs."""
    return {
        "task": task.name,
        "model": config.model,
        "model_args": models.resolved(config.model, config.image_size, config.model_args),
        "outputs": task.outputs(dataset),
        "class_names": list(dataset.class_names) if task.spec.classes else [],
        "palette": [list(color) for color in dataset.palette] if task.masks else [],
        "ignore_labels": list(dataset.ignore_labels) if task.masks else [],
        "image_size": list(config.image_size),
        "resize": config.resize,
        "channels": task.channels,
        "precision": config.precision,
        **({"target": config.target} if config.target else {}),
        "data": dataset.name,
        "license": dataset.license,
    }


def _monitor(config, metrics, validation):
    """The value to monitor, checked before training starts."""
    names = ["loss"]
    for metric in metrics:
        names += getattr(metric, "result_names", [metric.name])
    known = [name for name in names if name not in gated_names(metrics)]
    if validation is not None:
        known += [f"val_{name}" for name in names]
    monitor = config.monitor
    if validation is None and monitor.startswith("val_"):
        logger.warning("no validation images: monitoring the training loss instead of %s", monitor)
        monitor = "loss"
    if monitor not in known:
        raise suggest("monitor", monitor, known)
    return monitor
