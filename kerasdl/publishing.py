"""What a finished run leaves for people: scores.json, report.html, figures and the model card."""

import json
import logging
import pathlib

import numpy

from kerasdl import config as configuration
from kerasdl import evaluation, files, modelfile
from kerasdl.errors import ModelFileError
from kerasdl.report import card, figures, history, html

EXTREMES = 4  # best and worst pictures shown in a report

logger = logging.getLogger("kerasdl")


def finish(path, config, task, dataset):
    """Scores the best model of a run on its test split and writes the run's papers.

    Args:
        path: The run folder.
        config: Configuration of the run.
        task: The `kerasdl.tasks.Task`.
        dataset: The run's data.

    Returns:
        The scores document.
    """
    path = pathlib.Path(path)
    model, _ = modelfile.open_model(path / "best.keras")
    split = next(name for name in ("test", "validation", "train") if dataset.splits.get(name))
    if split != "test":
        logger.warning("no test pictures: the scores are those of the %s split", split)
    found = evaluation.evaluate(model, task, dataset, config, split)
    document = {
        **run_document(path, found.document),
        "parameters": model.count_params(),
        "source": dataset.source,
        "licence": dataset.licence,
    }
    document["calibration"] = found.calibration
    order = numpy.argsort(found.sample_scores, kind="stable")
    flip = config.test_time_flip
    best = _titled(model, task, dataset, found, order[::-1][:EXTREMES], flip)
    document["pictures"] = {
        # A class is a word, so a classified picture has no columns beside the input.
        "columns": ["input", "truth", "prediction"][: len(best[0][1])],
        "best": best,
        "worst": _titled(model, task, dataset, found, order[:EXTREMES], flip),
    }
    if task.masks:
        document["legend"] = list(zip(dataset.class_names, dataset.palette, strict=True))
    (path / "figures").mkdir(exist_ok=True)
    rows = document["history"]
    figures.training_curves(rows, path / "figures" / "curves.png", title=path.name)
    html.write_run_report(path, document)
    card.write_model_card(path, document)
    # Last, because its presence is what says that the run is complete.
    files.write_text(
        path / "scores.json", json.dumps(found.document, indent=1, ensure_ascii=False) + "\n"
    )
    return found.document


def run_document(path, scores=None):
    """All that a run folder holds, as the report room takes it; see `kerasdl.report.html`.

    Raises:
        ModelFileError: The folder holds no finished run.
    """
    path = pathlib.Path(path)
    if scores is None:
        scores = _read(path / "scores.json")
    config = configuration.read(path / "config.toml")
    environment = _read(path / "environment.json")
    rows = history.read(path / "history.csv")
    defaults = configuration.make({"task": config["task"], "model": config["model"]})
    return {
        "scores": scores,
        "history": rows,
        "config": config,
        "defaults": configuration.as_dict(defaults),
        "environment": environment,
        "backend": environment["backend"],
        "precision": config["precision"],
        "seconds": sum(row["seconds"] for row in rows),
        "command": f"kerasdl train {config['task']} --config {path / 'config.toml'}",
    }


def _titled(model, task, dataset, found, indices, test_time_flip):
    return [
        (f"{example.name}: {example.caption}", list(example.pictures))
        for example in evaluation.examples(
            model, task, dataset, found.source, indices, test_time_flip
        )
    ]


def _read(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelFileError(
            f"the run is not finished, {path.name} is missing", path.parent, "train it to the end"
        ) from None
    except ValueError as error:
        raise ModelFileError(f"damaged file ({error})", path) from error
