"""The documentation: commands that exist, notebooks that run, a site without broken links."""

import pathlib
import re
import shlex

import click
import pytest

from kerasdl.cli.main import cli
from kerasdl.core.errors import KerasdlError

DOCS = pathlib.Path(__file__).parents[1] / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), DOCS.parent / "README.md"]
BLOCK = re.compile(r"^```(?:\w*)\n(.*?)^```", re.M | re.S)


def command_lines(page):
    """The kerasdl commands in the code blocks of a page, without environment and redirection."""
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            line = re.sub(r"^(?:[A-Z_]+=\S+ )+", "", line)
            line = re.split(r" [|>] ?", line)[0]
            if line.startswith("kerasdl ") and "..." not in line:
                yield re.sub(r" --extension \S+", "", line)  # a file that the reader writes


def parse(line):
    """Parses a command line as the program does, without running the command."""
    arguments = shlex.split(line, comments=True)[1:]
    context = cli.make_context("kerasdl", arguments)
    while isinstance(context.command, click.Group):
        arguments = [*context._protected_args, *context.args]
        _, command, arguments = context.command.resolve_command(context, arguments)
        context = command.make_context(command.name, arguments, parent=context)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_program_takes_every_command_of_a_page(page):
    failed = {}
    for line in command_lines(page):
        try:
            parse(line)
        except (click.ClickException, KerasdlError) as error:
            failed[line] = str(error)
    assert failed == {}


def test_a_command_or_an_option_that_does_not_exist_is_found():
    for line in ("kerasdl trian segmentation", "kerasdl train segmentation --epoch-count 3"):
        with pytest.raises((click.ClickException, KerasdlError)):
            parse(line)


def results(notebook):
    """The kind of the result of each cell that has one; what libraries log is left out."""
    return {
        cell["id"]: [sorted(output["data"]) for output in cell["outputs"] if "data" in output]
        for cell in notebook.cells
        if cell["cell_type"] == "code"
    }


@pytest.mark.process
@pytest.mark.parametrize("path", sorted(DOCS.glob("notebooks/*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_is_stored_in_it(path, tmp_path):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(path, 4)
    stored = results(notebook)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=300, resources=resources).execute()
    assert results(notebook) == stored and any(stored.values())
    assert list(tmp_path.iterdir()) == []
