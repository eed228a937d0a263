"""Builds, compiles and fits the network of a run, from its start or from its newest state."""

import contextlib
import logging

import keras

from kerasdl import backend, callbacks, checkpoint, evaluation, failures, modelfile, models
from kerasdl.config import suggest
from kerasdl.data import transforms
from kerasdl.data.batches import Batches
from kerasdl.metrics.base import ExpensiveMetricsInValidationOnly, gated_names
from kerasdl.optimizers import SGD

logger = logging.getLogger("kerasdl")


def direction(monitor):
    """ "min" for a loss, "max" for a score. Keras would guess, and fail on its first guess."""
    return "min" if monitor.endswith("loss") else "max"


def build(config, task, dataset):
    """The untrained network of a run."""
    return models.build(
        config.model,
        (*config.image_size, task.channels),
        task.outputs(dataset),
        **config.model_args,
    )


def fit(folder, config, task, dataset, stop, quiet=False):
    """Trains the run in `folder` to its end and leaves its best model there.

    Args:
        folder: The claimed `kerasdl.runfolder.RunFolder`.
        config: Configuration of the run.
        task: The `kerasdl.tasks.Task`.
        dataset: Data with a training split.
        stop: The `kerasdl.signals.StopOnSignal` in force.
        quiet: No progress on standard error.

    Raises:
        TrainingFailed: The loss is not finite, or memory ran out.
        WriteError: The state cannot be written.
    """
    source = evaluation.source_of(dataset, "train", task, config)
    class_weights = evaluation.class_weights_of(task, config, dataset, source)
    measures = task.metrics(dataset)
    model = build(config, task, dataset)
    model.compile(
        optimizer=SGD(config.learning_rate, config.momentum, config.weight_decay),
        loss=evaluation.loss_of(task, config, dataset, class_weights),
        metrics=measures,
    )
    folder.require_space(model.count_params())
    folder.write_json("environment.json", backend.environment())
    modelfile.write_sidecar(folder.path, sidecar(config, task, dataset))
    with contextlib.ExitStack() as stack:
        batches = stack.enter_context(
            Batches(
                source,
                task.prepare,
                transforms.make(config, dataset.ignore_labels),
                config.batch_size,
                config.seed,
                workers=config.workers,
                steps_per_epoch=config.steps_per_epoch,
            )
        )
        validation = None
        if len(dataset.splits.get("validation", ())):
            validation = stack.enter_context(
                Batches(
                    evaluation.source_of(dataset, "validation", task, config),
                    task.prepare,
                    None,
                    config.batch_size,
                    shuffle=False,
                    workers=config.workers,
                )
            )
        monitor = _monitor(config, model, measures, validation)
        mode = direction(monitor)
        # Exact counting of what is no improvement: an absolute min_delta would be wrong for one
        # loss or another.
        plateau = keras.callbacks.ReduceLROnPlateau(
            monitor=monitor,
            mode=mode,
            factor=config.plateau_factor,
            patience=config.plateau_patience,
            min_delta=0.0,
        )
        resumable = [plateau]
        if config.early_stopping_patience:
            resumable.append(
                keras.callbacks.EarlyStopping(
                    monitor=monitor, mode=mode, patience=config.early_stopping_patience
                )
            )
        state = checkpoint.RunState(
            folder,
            config.seed,
            monitor=monitor,
            mode=mode,
            callbacks=resumable,
            set_epoch=batches.set_epoch,
        )
        first = state.restore(model)
        if state.stopped_by == "early_stopping" or first >= config.epochs:
            return
        if first:
            logger.info("going on after epoch %d: %s", first, folder.path)
        progress = callbacks.Progress(batches, quiet)
        stack.callback(progress.close)
        stack.enter_context(
            failures.training_errors(folder.path, config.batch_size, config.image_size)
        )
        model.fit(
            batches,
            validation_data=validation,
            initial_epoch=first,
            epochs=config.epochs,
            shuffle=False,
            verbose=0,
            callbacks=[
                callbacks.WithoutTrainingValues(gated_names(measures)),
                stop,
                failures.StopOnBadLoss(),
                ExpensiveMetricsInValidationOnly(measures),
                *resumable,
                progress,
                state,
            ],
        )


def sidecar(config, task, dataset):
    """What a model file cannot hold and `predict` needs, as plain JSON."""
    return {
        "task": task.name,
        "model": config.model,
        "model_args": config.model_args,
        "class_names": list(dataset.class_names) if task.name != "colorization" else [],
        "palette": [list(color) for color in dataset.palette] if task.masks else [],
        "ignore_labels": list(dataset.ignore_labels) if task.masks else [],
        "image_size": list(config.image_size),
        "resize": config.resize,
        "channels": task.channels,
        "data": dataset.name,
        "licence": dataset.licence,
    }


def _monitor(config, model, measures, validation):
    """The value to watch, known to exist before training starts."""
    names = ["loss", *(metric.name for metric in measures)]
    for metric in measures:
        if hasattr(metric, "result_names"):
            names = [name for name in names if name != metric.name] + list(metric.result_names)
    if validation is not None:
        gated = gated_names(measures)
        known = [name for name in names if name not in gated] + [f"val_{name}" for name in names]
    else:
        known = [name for name in names if name not in gated_names(measures)]
    monitor = config.monitor
    if validation is None and monitor.startswith("val_"):
        logger.warning("no validation pictures: watching the training loss in place of %s", monitor)
        monitor = "loss"
    if monitor not in known:
        raise suggest("monitor", monitor, known)
    return monitor
