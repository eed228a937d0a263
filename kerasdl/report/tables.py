"""Tables of scores.

Tables of text cells, rendered by `as_rich` in a terminal, by `as_markdown` in a README and by
the templates in HTML.
"""

import dataclasses
import math
import re
import statistics
import textwrap

import rich.box
import rich.table
import rich.text

from kerasdl.report import names

TERMINAL = 80  # columns; wider tables may break within a cell
HEADING = 10  # characters that a line of a heading may have in any column
LONG_NAME = 24  # characters; longer texts in the first column may break
MANY = 4  # more models than this are rows, not columns
SPREAD = "Mean ± sample standard deviation (n − 1)"
MIN_RUNS = 3  # runs; for fewer, a note says that the spread is unreliable
ARROWS = "↑ higher is better, ↓ lower is better."


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of text cells; the first column names the rows.

    Attributes:
        caption: What the table shows.
        columns: Headings.
        rows: Cells, one tuple per row.
        notes: Sentences below the table: spread, number of runs, directions.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def mean_and_deviation(values):
    """Mean and sample standard deviation (n - 1) of finite numbers; the latter None for n = 1.

    None and values that are not finite are left out; without any other value the mean is None too.
    """
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not finite:
        return None, None
    return statistics.fmean(finite), statistics.stdev(finite) if len(finite) > 1 else None


def group(documents):
    """Scores documents by model: {"ResNet-18": [document, ...]}; all seeds of a model together.

    With several data sets, the name of the data set is added.
    """
    data = {document.get("data") for document in documents}
    groups = {}
    for document in documents:
        label = names.run_label(document)
        if len(data) > 1:
            label = f"{label}, {document['data']}"
        groups.setdefault(label, []).append(document)
    return groups


def cell(name, documents, source="scores"):
    """One score over several runs: "95.32 ± 0.21", "95.32" for one run, "–" for none."""
    values = [(document.get(source) or {}).get(name) for document in documents]
    mean, deviation = mean_and_deviation(values)
    text = names.number(name, mean)
    return text if deviation is None else f"{text} ± {names.number(name, deviation)}"


def runs_note(groups):
    """Note on the ±: number of runs and seeds, per model where they differ.

    Args:
        groups: Mapping of models to their scores documents.
    """
    counts = {label: _runs(documents) for label, documents in groups.items()}
    different = set(counts.values())
    if len(different) == 1:
        text = different.pop()
        spread = f"{SPREAD} over " if text != "one run" else "Values of "
        each = " each" if len(groups) > 1 else ""
        return f"{spread}{text}{each}."
    listed = "; ".join(f"{label}: {text}" for label, text in counts.items())
    return f"{SPREAD}. {listed}."


def split_caption(documents):
    """ "Scores, test split", with the documents' common split."""
    splits = dict.fromkeys(document.get("split", "test") for document in documents)
    return f"Scores, {' and '.join(splits)} split{'s' if len(splits) > 1 else ''}"


def side_by_side(documents, caption=None):
    """Scores of several models side by side, over all seeds of each.

    Up to four models are columns, more are rows.
    """
    groups = group(documents)
    caption = caption or split_caption(documents)
    present = {name for document in documents for name in document["scores"]}
    listed = [name for name in names.METRICS if name in present]
    notes = (runs_note(groups), ARROWS)
    if len(groups) <= MANY:
        rows = [
            (names.heading(name), *(cell(name, members) for members in groups.values()))
            for name in listed
        ]
        return Table(caption, ("score", *groups), tuple(rows), notes)
    rows = [
        (label, *(cell(name, members) for name in listed), str(len(members)))
        for label, members in groups.items()
    ]
    columns = ("model", *(names.heading(name) for name in listed), "runs")
    return Table(caption, columns, tuple(rows), notes)


def upright(table):
    """The table transposed, scores as rows, if that makes it narrower: for terminals."""
    if len(table.columns) <= len(table.rows) + 1:
        return table
    columns, *rows = zip(table.columns, *table.rows, strict=True)
    return dataclasses.replace(table, columns=columns, rows=tuple(rows))


def as_rich(table):
    """The table for a terminal, with its notes below."""
    shown = rich.table.Table(
        title=rich.text.Text(table.caption), title_justify="left", title_style="bold",
        caption=rich.text.Text("\n".join(table.notes)), caption_justify="left",
        caption_style="dim", box=rich.box.SIMPLE_HEAD,
        pad_edge=False, collapse_padding=True,
    )  # fmt: skip
    grouped = len({row[0] for row in table.rows}) < len(table.rows)
    widest = [
        max([len(row[place]) for row in table.rows] + [len(word) for word in column.split()])
        for place, column in enumerate(table.columns)
    ]
    if widest[0] > LONG_NAME:
        widest[0] = LONG_NAME
    fits = sum(widest) + 2 * len(widest) <= TERMINAL  # else let rich break cells where it must
    for place, column in enumerate(table.columns):
        left = place == 0 or column == "score"
        justify = "left" if left else "right"
        column = rich.text.Text(textwrap.fill(column, max(widest[place], HEADING)))
        shown.add_column(column, justify=justify, min_width=widest[place] if fits else None)
    previous = None
    for row in table.rows:
        if grouped and previous is not None and row[0] != previous:
            shown.add_section()
        first = "" if row[0] == previous else row[0]
        shown.add_row(*(rich.text.Text(text) for text in (first, *row[1:])))
        previous = row[0]
    return shown


def as_markdown(table):
    """The table as a Markdown pipe table, caption above and notes below."""
    left = [place == 0 or column == "score" for place, column in enumerate(table.columns)]
    lines = [f"**{table.caption}**", "", _pipes(table.columns)]
    lines.append(_pipes([":---" if each else "---:" for each in left]))
    lines += [_pipes(row) for row in table.rows]
    if table.notes:
        lines += ["", "*" + " ".join(table.notes) + "*"]
    return "\n".join(lines) + "\n"


def _pipes(cells):
    return "| " + " | ".join(markdown_text(text).replace("|", "\\|") for text in cells) + " |"


def markdown_text(text):
    """Text that Markdown shows as it is: names hold no tags, links, code or emphasis."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace("](", "]\\(")
    return re.sub(r"([`*])", r"\\\1", text)


def _runs(documents):
    if len(documents) == 1:
        return "one run"
    seeds = [document.get("seed") for document in documents]
    few = ", too few to show the spread" if len(documents) < MIN_RUNS else ""
    if None in seeds:
        return f"{len(documents)} runs{few}"
    listed = ", ".join(str(seed) for seed in sorted(seeds))
    return f"{len(documents)} runs (seeds {listed}){few}"
