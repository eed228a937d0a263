"""Charts and galleries of runs with their captions and text alternatives, ready for a page."""

from typing import NamedTuple

import numpy

from kerasdl.report import embed, figures, history, names, runs


class Curves(NamedTuple):
    """Charts of one or several histories, and a caption."""

    charts: list
    caption: str


class Gallery(NamedTuple):
    """Images with a title each; `columns` names the images in a row."""

    title: str
    columns: list
    rows: list


class ImageTable(NamedTuple):
    """Figure 2 or 3: rows of images below column titles."""

    columns: list
    rows: list
    legend: list


def curves(documents):
    """Curves of one run, or of several runs in the same charts; None without any history."""
    recorded = [document for document in documents if document.get("history")]
    if not recorded:
        return None
    if len(recorded) > 1:
        labels = runs.unique_names(recorded)
        return many_curves(dict(zip(labels, (each["history"] for each in recorded), strict=True)))
    rows = recorded[0]["history"]
    monitor = (recorded[0].get("config") or {}).get("monitor", "val_loss")
    charts = [
        embed.chart(
            figures.training_curves,
            _curve_alt(rows, column),
            rows=rows,
            panels=(column,),
            monitor=monitor,
        )
        for column in ("loss", *history.curve_scores(rows))
    ]
    return Curves(charts, curve_caption(rows, monitor))


def many_curves(histories, losses=True):
    """Validation curves of several runs, {name: rows}, in the same charts.

    Args:
        histories: Mapping of names to rows of the history.
        losses: Whether all runs have the same loss, so that its values are comparable.
    """
    every = [row for rows in histories.values() for row in rows]
    listed = ", ".join(histories)
    charts = [
        embed.chart(
            figures.training_curves_many,
            f"Validation {names.score(column).label} per epoch of {listed}.",
            runs=histories,
            panels=(column,),
        )
        for column in (*(("loss",) if losses else ()), *history.curve_scores(every))
    ]
    count = "one run" if len(histories) == 1 else f"{len(histories)} runs"
    return Curves(charts, f"Validation per epoch, {count}.")


def image_table(table):
    """An image table (see html.py) with its images as data URIs; None stays None."""
    if not table:
        return None
    rows = [
        [
            embed.image(pixels, f"{column}, row {place}")
            for column, pixels in zip(table["columns"], row, strict=True)
        ]
        for place, row in enumerate(table["rows"], 1)
    ]
    legend = [(name, css(color)) for name, color in table.get("legend") or ()]
    return ImageTable(list(table["columns"]), rows, legend)


def css(color):
    red, green, blue = (int(value) for value in color)
    return f"rgb({red} {green} {blue})"


def bars(values, score):
    """Chart of a score per class, from {class: value} and the score's label."""
    if not values:
        return None
    title = f"{score[0].upper()}{score[1:]} per class"
    listed = ", ".join(
        f"{name} {names.number('accuracy', value)}" for name, value in values.items()
    )
    alt = f"{title} in percent: {listed}."
    return embed.chart(figures.per_class_bars, alt, values=values, title=title)


def confusion(document):
    if not document.get("confusion_matrix"):
        return None
    classes = document["class_names"]
    fractions = numpy.nan_to_num(figures.row_fractions(document["confusion_matrix"]))
    numpy.fill_diagonal(fractions, 0)
    row, column = numpy.unravel_index(fractions.argmax(), fractions.shape)
    alt = "Confusion matrix in percent of each true class."
    if fractions[row, column] > 0:
        percent = fractions[row, column] * 100
        alt += f" Most often {classes[row]} is mistaken for {classes[column]}: {percent:.1f} %."
    return embed.chart(
        figures.confusion_matrix_figure,
        alt,
        matrix=document["confusion_matrix"],
        class_names=classes,
    )


def calibration(bins):
    if not bins or not any(each["count"] for each in bins):
        return None
    listed = "; ".join(
        f"{each['confidence'] * 100:.0f} % sure: {each['accuracy'] * 100:.0f} % right"
        for each in bins
        if each["count"]
    )
    return embed.chart(figures.calibration_figure, f"Calibration. {listed}.", bins=bins)


def galleries(images):
    galleries = []
    for key, title in (("best", "Best images"), ("worst", "Worst images")):
        if not images.get(key):
            continue
        columns = list(images["columns"])
        rows = [
            (
                text,
                [
                    embed.image(pixels, f"{column}: {text}")
                    for column, pixels in zip(columns, row, strict=True)
                ],
            )
            for text, row in images[key]
        ]
        galleries.append(Gallery(title, columns, rows))
    return galleries


def _curve_alt(rows, column):
    parts = []
    for name, label in ((column, "training"), (f"val_{column}", "validation")):
        values = [value for value in history.column(rows, name) if value == value]
        if values:
            parts.append(f"{label} from {names.number(name, values[0], unit=True)} to "
                         f"{names.number(name, values[-1], unit=True)}")  # fmt: skip
    label = names.score(column).label
    return f"{label[0].upper()}{label[1:]} in {len(rows)} epochs: {'; '.join(parts)}."


def curve_caption(rows, monitor="val_loss"):
    """Caption of the training curves of a run.

    Args:
        rows: The history, see `kerasdl.runs.run.Run`.
        monitor: The column that determined the best epoch.
    """
    sentences = ["Training and validation per epoch."]
    changes = history.rate_changes(rows)
    if len(changes) > figures.MARKED_RATES:
        rates = [row["learning_rate"] for row in rows if row.get("learning_rate") is not None]
        highest = max(rates)
        place = rates.index(highest) + 1
        sentences.append(
            f"The learning rate, as each epoch began, followed a schedule: {rates[0]:.2g} in the "
            f"first, {highest:.2g} in epoch {place}, {rates[-1]:.2g} in the last."
        )
    elif changes:
        listed = ", ".join(f"{rate:.2g} in epoch {epoch}" for epoch, rate in changes)
        sentences.append(f"Dashed lines: the learning rate became {listed}.")
    best = history.best_epoch(rows, monitor)
    if best is not None:
        sentences.append(
            f"Ring: best epoch, {best}, by {monitor}; its weights are the ones scored."
        )
    return " ".join(sentences)
