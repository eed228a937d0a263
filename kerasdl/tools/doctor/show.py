"""Findings as a table in the terminal."""

import rich.box
import rich.console
import rich.table
import rich.text

MARKS = {"ok": ("✓", "green"), "note": ("·", "yellow"), "broken": ("✗", "bold red")}


def show(document, console=None):
    """Prints the findings and a one-line summary.

    Args:
        document: The result of `kerasdl.tools.doctor.examination.examine`.
        console: A `rich.console.Console`; standard output if None.
    """
    console = console or rich.console.Console(highlight=False)
    marks = MARKS
    if not (console.encoding or "").lower().startswith("utf"):
        marks = {state: (word, style) for state, (_, style), word in
                 zip(MARKS, MARKS.values(), ("ok", "-", "X"), strict=True)}  # fmt: skip
    table = rich.table.Table(
        title=f"kerasdl {document['kerasdl']} on {document['machine']}",
        title_justify="left", box=rich.box.SIMPLE, show_header=False, padding=(0, 1, 0, 0),
    )  # fmt: skip
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for each in document["findings"]:
        mark, style = marks[each["state"]]
        text = rich.text.Text(each["text"])
        if each["fix"]:
            text.append(f"\n{each['fix']}", style="dim")
        table.add_row(rich.text.Text(mark, style=style), rich.text.Text(each["about"]), text)
    console.print(table)
    broken = document["broken"]
    if broken:
        console.print(f"{broken} broken; see the fix below each", style="bold red")
    else:
        console.print("everything works", style="green")
