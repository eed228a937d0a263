"""The artifacts of a finished run: metrics.json, report.html, figures and the model card."""

import logging
import pathlib

import numpy

from kerasdl.backend import tuning
from kerasdl.core import files
from kerasdl.engine import evaluation, native
from kerasdl.report import card, figures, html, stored
from kerasdl.report import document as rundocument
from kerasdl.runs import names
from kerasdl.runs.run import Run

EXTREMES = 4  # best and worst images shown in a report

logger = logging.getLogger("kerasdl")


def finish(path, config, task, dataset):
    """Scores the best model of a run on its test split and writes the run's artifacts.

    Args:
        path: The run folder.
        config: Configuration of the run.
        task: The `kerasdl.tasks.Task`.
        dataset: The run's data.

    Returns:
        The scores document.
    """
    path = pathlib.Path(path)
    found, extras = examine(path, config, task, dataset)
    stored.write(path, extras)
    if found.images is not None:
        found.images.write(path / names.IMAGE_SCORES)
    document = rundocument.read(path, found.document)
    files.make_folder(path / names.FIGURES)
    rows = document["history"]
    figures.training_curves(rows, path / names.FIGURES / "curves.png", title=path.name)
    html.write_run_report(path, document)
    card.write_model_card(path, document)
    # Last, because its presence marks the run as complete.
    files.write_json(path / names.METRICS, found.document)
    return found.document


def examine(path, config, task, dataset):
    """Scores the best model of a run and finds its best and worst images.

    Returns:
        The `kerasdl.engine.evaluation.Evaluation`, and what reports show besides its scores, see
        `kerasdl.report.stored`.
    """
    model = tuning.tune_for_inference(Run(path).open_model())
    split = next(name for name in ("test", "validation", "train") if dataset.splits.get(name))
    if split != "test":
        logger.warning("no test images: scoring the %s split instead", split)
    found = evaluation.evaluate(model, task, dataset, config, split)
    order = numpy.argsort(found.sample_scores, kind="stable")
    flip = config.test_time_flip
    best = _titled(model, task, dataset, found, order[::-1][:EXTREMES], flip)
    extras = {
        "parameters": model.count_params(),
        "source": dataset.source,
        "license": dataset.license,
        "median_size": native.median_size(dataset.splits[split]),
        "calibration": found.calibration,
        "images": {
            # A class is not an image, so classification has only the input column.
            "columns": ["input", "truth", "prediction"][: len(best[0][1])],
            "best": best,
            "worst": _titled(model, task, dataset, found, order[:EXTREMES], flip),
        },
    }
    if task.masks:
        extras["legend"] = list(zip(dataset.class_names, dataset.palette, strict=True))
    return found, extras


def _titled(model, task, dataset, found, indices, test_time_flip):
    return [
        (f"{example.name}: {example.caption}", list(example.images))
        for example in evaluation.examples(
            model, task, dataset, found.source, indices, test_time_flip
        )
    ]
