"""The proof of an export as a table in the terminal."""

import rich.console
import rich.table
import rich.text

from kerasdl.report import names
from kerasdl.runs import runtimes


def show_document(document, console=None):
    """Prints what `kerasdl.tools.export.run.export` returns.

    Args:
        document: The document.
        console: A `rich.console.Console`; standard output if None.
    """
    console = console or rich.console.Console()
    size = document["size"] and "x".join(map(str, document["size"]))
    label = runtimes.FORMATS[document["format"]].label
    table = rich.table.Table(
        title=rich.text.Text(
            f"{names.run_label(document)} as {label}, {document['precision']}, "
            f"{size or 'any size'}: {document['images']} images ({document['split']})"
        ),
        title_justify="left",
    )
    for column, side in (("", "left"), ("run", "right"), ("file", "right"), ("allowed", "right")):
        table.add_column(column, justify=side)
    tolerance = document["tolerance"]
    table.add_row(
        "largest difference / scale", "", f"{document['difference']:.1e}",
        f"{tolerance['difference']:.0e}",
    )  # fmt: skip
    if document["agreement"] is not None:
        table.add_row(
            "same class", "", f"{document['agreement']:.2%}", f"{tolerance['agreement']:.1%}"
        )
    for place, (name, values) in enumerate(document["scores"].items()):
        table.add_row(
            rich.text.Text(names.heading(name)),
            *(names.number(name, values[kind]) for kind in ("run", "file")),
            "" if place else f"{tolerance['worse']:.1%} worse",
        )
    table.add_row("ms per image", *(f"{document['milliseconds'][k]:.1f}" for k in ("run", "file")))
    console.print(table)
    if document.get("note"):
        console.print(f"note: {document['note']}", soft_wrap=True, highlight=False, markup=False)
    if not document["failed"]:
        console.print(
            f"{document['file']} ({document['bytes'] / 1e6:.2f} MB)",
            soft_wrap=True, highlight=False, markup=False,
        )  # fmt: skip
