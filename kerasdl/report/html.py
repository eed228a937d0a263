"""Self-contained HTML pages: of a run, of a group of runs, of the reproduction of the study.

No JavaScript, no network: figures are data URIs. Pages follow the reader's light or dark setting,
fit a phone and print.

A *run document* is a dict of what the run folder holds:

    scores         the scores document (metrics.json): task, model, data, split, samples, scores,
                   baseline, definitions, class_names, confusion_matrix, and, if known, seed,
                   model_args and label
    image_scores   what each test image adds to the scores (`kerasdl.metrics.images.ImageScores`),
                   optional
    history        rows of history.csv (dicts); may be empty
    config         resolved configuration (dict)
    defaults       default configuration, to mark the keys that were set (dict), optional
    environment    environment.json (dict, may be nested)
    samples        number of images of each split (dict), optional
    median_size    median height and width of the images (list), optional
    backend, precision, command, seconds (number), parameters (int), all optional
    calibration    [{low, high, count, confidence, accuracy}, ...], optional
    images       {columns: ["input", "truth", "prediction"],
                    best: [(title, [pixels, ...]), ...], worst: the same}, optional;
                   pixels are uint8 RGB (height, width, 3) or gray (height, width), one per column
    legend         [(class name, (red, green, blue)), ...], optional

An *image table* (figures 2 and 3) is {columns: [titles], rows: [[pixels, ...], ...],
legend: as above or absent}.
"""

import datetime
import pathlib
import re

import jinja2

from kerasdl.report import canvas, exhibits, grouping, names, runs, sections, study
from kerasdl.report.runs import scores_of
from kerasdl.runs import names as run_names
from kerasdl.tasks import TASKS


def write_run_report(path, document):
    """Writes the page of one run and returns its path.

    Args:
        path: The HTML file; a folder means report.html in it.
        document: Run document, see the module docstring.

    Raises:
        WriteError: The file cannot be written.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        path /= run_names.REPORT
    run = sections.run_section([document])
    return write(path, "run.html.j2", title=f"{run.label} on {run.data}", run=run)


def write_reproduction_report(path, document):
    """Writes the page of `kerasdl reproduce`: the study's tables and figures next to ours.

    Args:
        path: The HTML file.
        document: Dict with `runs` (run documents, one or several seeds per model),
            `figure2` and `figure3` (image tables), and, all optional, `command`, `seconds`,
            `environment`, `notes` (sentences, such as that it was a quick run).

    Returns:
        The path.

    Raises:
        WriteError: The file cannot be written.
    """
    documents = [{**scores_of(run), "history": run["history"]} for run in document["runs"]]
    groups = runs.grouped(document["runs"])
    shown = (
        study.classification_and_segmentation(documents),
        study.colorization(documents),
        study.statements(documents),
    )
    classifiers = [m for key, m in groups.items() if TASKS[key[0]].annotation == "label"]
    return write(
        path,
        "reproduction.html.j2",
        title="The study and its reproduction",
        tables=[table for table in shown if table.rows],
        figure1=exhibits.curves(classifiers[0][:1]) if classifiers else None,
        figure1_of=_name(classifiers[0][0]) if classifiers else "",
        figure2=exhibits.image_table(document.get("figure2")),
        figure3=exhibits.image_table(document.get("figure3")),
        runs=[sections.run_section(members) for members in groups.values()],
        definitions=sections.definitions(documents),
        facts=sections.facts(document, documents),
        command=document.get("command"),
        notes=document.get("notes", ()),
        environment=runs.flat(document.get("environment") or {}),
    )


def write_group_report(
    path,
    documents,
    title="Comparison of runs",
    details=True,
    command=None,
    notes=(),
):
    """Writes a page that compares runs: scores, paired differences, configuration, curves.

    Args:
        path: The HTML file.
        documents: Run documents; runs that differ only in the seed are grouped.
        title: Heading of the page.
        details: Whether to add a section with curves, classes and images for each model.
        command: The command that made the page, if it is to be shown.
        notes: Sentences below the heading, such as that a run failed.

    Returns:
        The path.

    Raises:
        WriteError: The file cannot be written.
    """
    documents = runs.with_distinct_labels(documents)
    groups = runs.grouped(documents)
    scores = [scores_of(document) for document in documents]
    environment, machines = grouping.environments(documents)
    return write(
        path,
        "group.html.j2",
        title=title,
        comparisons=grouping.by_task(documents),
        differences=grouping.differences(documents),
        runs=[sections.run_section(members) for members in groups.values()] if details else [],
        definitions=sections.definitions(scores),
        facts=grouping.facts(documents),
        command=command,
        notes=notes,
        config=grouping.shared_config(documents),
        environment=environment,
        machines=machines,
    )


def _name(document):
    scores = scores_of(document)
    seed = f", seed {scores['seed']}" if scores.get("seed") is not None else ""
    return f"{names.run_label(scores)} on {scores['data']}{seed}"


def _glue(text):
    """Keeps arrows and units on the same line as the preceding word."""
    return re.sub(r" (?=[↑↓→(]|1$)", "\u00a0", text)


def write(path, template, **context):
    """Renders a template and writes the page atomically. Raises WriteError."""
    canvas.write(render(template, **context).encode("utf-8"), path)
    return pathlib.Path(path)


def templates(autoescape):
    """The templates of this package, for HTML or (without escaping) Markdown."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent / "templates"),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template, **context):
    """Renders a template of this package."""
    environment = templates(autoescape=True)
    environment.filters["slug"] = sections.slug
    environment.filters["glue"] = _glue
    written = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    return environment.get_template(template).render(written=written, **context)
