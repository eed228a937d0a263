"""The model card: README.md of a run folder, with the front matter that model hubs read."""

import pathlib
import re

from kerasdl.data import SOURCES
from kerasdl.losses import LOSSES
from kerasdl.report import canvas, html, names, runs, sections, tables
from kerasdl.runs import names as run_names
from kerasdl.tasks import TASKS


def write_model_card(folder, document):
    """Writes README.md, the model card, into a run folder and returns its path.

    Args:
        folder: Run folder.
        document: Run document as in `html.py`; also reads `source` and `license` (of the data).

    Raises:
        WriteError: The file cannot be written.
    """
    path = pathlib.Path(folder) / run_names.CARD
    canvas.write(model_card(document, pathlib.Path(folder).name).encode("utf-8"), path)
    return path


def model_card(document, run_name):
    """Text of the model card: front matter between `---` lines, then Markdown.

    Args:
        document: Run document.
        run_name: Name of the run folder, which names the model.
    """
    scores = runs.scores_of(document)
    config = document.get("config") or {}
    environment = html.templates(autoescape=False)
    environment.filters["yaml"] = quoted
    environment.filters["text"] = tables.markdown_text
    label = names.run_label(scores)
    headlines = [name for name in scores["scores"] if "/" not in name]
    source = SOURCES.get(scores["data"])
    size = config.get("image_size")
    loss = LOSSES.get(config.get("loss", ""))
    task = TASKS[scores["task"]]
    text = environment.get_template("card.md.j2").render(
        run_name=run_name,
        model_license=source.model_license if source else "other",
        label=label,
        task=scores["task"],
        pipeline=task.hub_tag,
        model=scores["model"],
        data=scores["data"],
        split=scores.get("split", "test"),
        samples=scores.get("samples"),
        version=scores.get("kerasdl", ""),
        metrics=headlines,
        results=[
            (name, names.score(name).label, scores["scores"][name])
            for name in headlines
            if names.number(name, scores["scores"][name]) != names.ABSENT
        ],
        table=_table(scores, headlines),
        definitions=sections.definitions([scores]),
        class_names=list(scores.get("class_names") or ()),
        limits=task.limits,
        command=document.get("command"),
        source=runs.without_folder(document.get("source")),
        license=document.get("license"),
        parameters=document.get("parameters"),
        size=size,
        training=_training(document, config, scores),
        # Outputs whose number the loss decides are no plain answer, only kerasdl reads them.
        usage="" if loss and loss.outputs else _usage(task, config.get("target", ""), size),
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def _usage(task, target, size):
    """Python that uses the model, from the image file to what was found."""
    target_size = f", target_size=({size[0]}, {size[1]})" if size else ""
    usage = task.usage[target if target in task.usage else next(iter(task.usage))]
    return usage.format(target_size=target_size).rstrip()


def quoted(text):
    """Text as a double-quoted YAML scalar."""
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'


def _table(scores, listed):
    rows = [
        (
            names.heading(name),
            tables.cell(name, [scores]),
            tables.cell(name, [scores], "baseline"),
        )
        for name in listed
    ]
    columns = ("score", "this model", names.baseline(scores["task"]))
    caption = f"{scores.get('split', 'test').capitalize()} split of {scores['data']}, one run"
    return tables.as_markdown(tables.Table(caption, columns, tuple(rows), (tables.ARROWS,)))


def _training(document, config, scores):
    """Pairs of setting and value, where known."""
    pairs = []
    for key, label in (
        ("recipe", "recipe"),
        ("target", "target"),
        ("loss", "loss"),
        ("weights", "weights"),
        ("epochs", "epochs"),
        ("batch_size", "batch size"),
        ("optimizer", "optimizer"),
        ("learning_rate", "learning rate"),
        ("momentum", "momentum"),
        ("weight_decay", "weight decay"),
        ("precision", "precision"),
    ):
        if key == "target" and not TASKS[scores["task"]].targets:
            continue
        if config.get(key, "") != "":
            pairs.append((label, runs.text(runs.without_folder(config[key]))))
    if scores.get("seed") is not None:
        pairs.append(("seed", str(scores["seed"])))
    backend = document.get("backend") or config.get("backend")
    if backend:
        pairs.append(("Keras backend", backend))
    if document.get("seconds"):
        pairs.append(("time", names.duration(document["seconds"])))
    return pairs
