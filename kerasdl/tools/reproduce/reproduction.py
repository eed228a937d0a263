"""`kerasdl reproduce`: trains every model of the study on one data set, with tables and figures."""

import contextlib
import json
import logging
import pathlib
import shlex
import sys
import time

from kerasdl import backend, tasks
from kerasdl.core import files
from kerasdl.core.errors import ConfigError
from kerasdl.engine import run
from kerasdl.runs import config as configuration
from kerasdl.runs import names as run_names
from kerasdl.tools.jobs import training

# What two CPU cores train in minutes: 1000 images, and therefore small batches, without
# which 20 epochs are too few steps. Epochs, optimizer, rate and its drops are the study's.
SIZES = {"train_size": 1000, "validation_size": 200}
# The study states no momentum. ResNet-18 does best without (with 0.9 it stays at chance on so few
# steps), the dense prediction models learn faster with it.
IMAGES = {"batch_size": 32, "momentum": 0.0}
# Flips only: with shifts, 20 epochs of so few steps are not enough.
PIXELS = {"batch_size": 12, "momentum": 0.9, "plateau_patience": 3}
MASKS = {**PIXELS, "augment_args": {"crop": 0.0, "brightness": 0.0, "contrast": 0.0}}
COLORS = {**PIXELS, "augment_args": {"crop": 0.0}}
# name of the run folder -> what differs from the default configuration
VARIANTS = {
    "resnet18": {"task": "classification", "model": "resnet18", **IMAGES},
    "unet": {"task": "segmentation", "model": "unet", **MASKS},
    "fcn8": {"task": "segmentation", "model": "fcn8", **MASKS},
    "fcn16": {"task": "segmentation", "model": "fcn16", **MASKS},
    "fcn32": {"task": "segmentation", "model": "fcn32", **MASKS},
    "colors-skips": {"task": "colorization", "model": "unet", **COLORS},
    "colors-plain": {
        "task": "colorization",
        "model": "unet",
        "model_args": {"skips": "none"},
        **COLORS,
    },
}
# A demonstration, not the study: the recipe `auto`, and only as many steps as take minutes. Each
# image is seen once, because another one costs no more than the same again. The trials behind these
# settings: benchmarks/results/quick_settings.md.
QUICK = {
    "recipe": "auto", "validation_size": 100, "test_size": 200, "epochs": 12, "monitor": "val_loss",
    "augment": "auto",
}  # fmt: skip
# Smoothed labels would raise the loss, for which the study has a number.
QUICK_LABELS = {
    "train_size": 7680, "batch_size": 32, "steps_per_epoch": 20, "label_smoothing": 0.0,
}  # fmt: skip
QUICK_PIXELS = {
    "train_size": 4800, "batch_size": 16, "steps_per_epoch": 25, "learning_rate": 0.2,
}  # fmt: skip
QUICK_CLASSES = {"loss": "crossentropy", "class_weights": "none"}  # the study's
QUICK_VARIANTS = {
    "resnet18": QUICK_LABELS,
    "unet": {
        **QUICK_PIXELS, "train_size": 8000, "epochs": 20, "progressive_sizes": [50],
        **QUICK_CLASSES,
    },
    "fcn32": {**QUICK_PIXELS, **QUICK_CLASSES, "learning_rate": 0.1},
    "colors-skips": QUICK_PIXELS,
    "colors-plain": QUICK_PIXELS,
}  # fmt: skip
FIGURE_IMAGES = 5
# Variant after which a figure can be drawn -> the figure, and what it shows.
CURVES = {"resnet18": ("figure1", "ResNet-18")}
# Figure, task, title of the inputs, and the variants whose predictions it shows.
IMAGES_OF = (
    ("figure2", "segmentation", "input", {"FCN-32s": "fcn32", "U-Net": "unet"}),
    (
        "figure3", "colorization", "gray",
        {"with skips": "colors-skips", "without skips": "colors-plain"},
    ),
)  # fmt: skip

logger = logging.getLogger("kerasdl")


def reproduce(
    out, quick=False, seeds=None, values=None, backend_name=None, quiet=False, workers=None
):
    """Trains the study's models and writes its tables and figures.

    Args:
        out: Folder for the runs, the figures and report.html.
        quick: As many steps as take minutes, the five models of the study, one seed.
        seeds: Number of seeds; 1 if quick, else 3.
        values: Configuration keys that override the recipe, for all models.
        backend_name: Backend, see `kerasdl.backend.choose`.
        quiet: No progress.
        workers: What `kerasdl.tools.jobs.workers` returns.

    Returns:
        The page's path and the list of scores documents.

    Raises:
        RunsFailed: Some trainings failed; the others are finished.
    """
    started = time.monotonic()
    out = pathlib.Path(out)
    values = dict(values or {})
    for key in ("task", "model", "model_args", "seed"):
        if key in values:
            raise ConfigError(f"'{key}' is varied by reproduce itself", fix="leave it out")
    name = backend.choose(backend_name or values.pop("backend", None) or "auto")
    seeds = seeds or (1 if quick else 3)
    values["backend"] = name
    jobs = [
        training.Job(
            f"{variant}, seed {seed}",
            _config(variant, seed, quick, values),
            out / _folder(quick, seed) / variant,
            key=(variant, seed),
        )
        for seed in range(seeds)
        for variant in (QUICK_VARIANTS if quick else VARIANTS)
    ]
    first, failures, tables = {}, [], {}
    with contextlib.closing(training.train_listed(jobs, workers, quiet)) as course:
        for job, outcome in course:
            variant, seed = job.key
            if outcome.error:
                failures.append(outcome)
            elif seed == 0:
                first[variant] = job.folder
                _draw(out, variant, first, tables)
    if failures:
        raise training.RunsFailed(failures, len(jobs))
    return _publish(out, [job.folder for job in jobs], tables, quick, time.monotonic() - started)


def show(documents):
    """Prints the study's two tables, with its numbers and ours, and the conclusions that agree."""
    import rich.console

    from kerasdl.report import study, tables

    console = rich.console.Console()
    for table in (
        study.classification_and_segmentation(documents),
        study.colorization(documents),
        study.statements(documents),
    ):
        if table.rows:
            console.print(tables.as_rich(table))


def _folder(quick, seed):
    """Name of the folder of the runs of a seed."""
    if quick:
        return f"quick-seed-{seed}" if seed else "quick"
    return f"seed-{seed}"


def _config(variant, seed, quick, values):
    """The configuration of one run; `values` override the recipe, but not the model."""
    what = VARIANTS[variant]
    if quick:
        what = {key: what[key] for key in ("task", "model", "model_args") if key in what}
        recipe = {**QUICK, **QUICK_VARIANTS[variant], **what, **values}
    else:
        recipe = {"recipe": "study", **SIZES, **what, **values}
    return configuration.Config(**{**recipe, "seed": seed})


def _publish(out, folders, shown, quick, seconds):
    """The tables as Markdown, the scores, and the page."""
    from kerasdl.report import document as rundocument
    from kerasdl.report import html, study, tables

    runs = [rundocument.read(folder) for folder in folders]
    documents = [{**run["scores"], "history": run["history"]} for run in runs]
    (out / "tables.md").write_text(
        "\n\n".join(
            tables.as_markdown(table)
            for table in (
                study.classification_and_segmentation(documents),
                study.colorization(documents),
            )
        )
        + "\n",
        encoding="utf-8",
    )
    (out / "metrics.jsonl").write_text(
        "".join(json.dumps(run["scores"], ensure_ascii=False) + "\n" for run in runs),
        encoding="utf-8",
    )
    notes = []
    if quick:
        notes.append(
            "A quick run: one seed, the recipe auto and as many steps as take minutes, not the "
            "study's recipe (kerasdl reproduce)."
        )
    page = html.write_reproduction_report(
        out / run_names.REPORT,
        {
            "runs": runs,
            **shown,
            "command": shlex.join(["kerasdl", *sys.argv[1:]]),
            "seconds": seconds,
            "environment": runs[0]["environment"],
            "notes": notes,
        },
    )
    return page, documents


def _draw(out, variant, first, tables):
    """Draws the figures whose runs are complete with the one that has just finished.

    Args:
        out: Folder of the reproduction.
        variant: The run that has just finished.
        first: Run folders of the first seed by variant, so far.
        tables: Image tables by figure; those that are drawn are added.
    """
    from kerasdl.report import figures

    target = out / run_names.FIGURES
    files.make_folder(target)
    if variant in CURVES:
        history, (name, title) = run.Run(first[variant]).history, CURVES[variant]
        figures.training_curves(history, target / f"{name}.png", title=title)
    for name, task, column, models in IMAGES_OF:
        if variant not in models.values() or not set(models.values()) <= set(first):
            continue
        shown = _images(task, {title: first[each] for title, each in models.items()}, column)
        figures.image_grid(
            shown["rows"], shown["columns"], target / f"{name}.png", legend=shown.get("legend")
        )
        tables[name] = shown


def _images(task_name, folders, input_title):
    """An image table: input and truth of the first test images, then each model's prediction."""
    from kerasdl.engine import datasets, evaluation

    task = tasks.of(configuration.Config(task=task_name))
    rows, legend = [], None
    for number, folder in enumerate(folders.values()):
        trained = run.Run(folder)
        config = trained.config
        dataset = datasets.load(config)
        model = trained.open_model()
        source = evaluation.source_of(dataset, "test", task, config)
        indices = list(range(min(FIGURE_IMAGES, len(source))))
        for index, example in enumerate(
            evaluation.examples(model, task, dataset, source, indices, config.test_time_flip)
        ):
            if number == 0:
                rows.append(list(example.images))
            else:
                rows[index].append(example.images[-1])
        if task.masks:
            legend = list(zip(dataset.class_names, dataset.palette, strict=True))
    table = {"columns": [input_title, "truth", *folders], "rows": rows}
    return {**table, "legend": legend} if legend else table
