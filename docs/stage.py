"""Collects the pages of the documentation site in build/docs, from which `make docs` builds it.

The pages under docs/ link to each other and to other files of the repository as on a Git host. Here
docs/ becomes the root of the site, and the linked files outside it (results of benchmarks,
CHANGELOG.md, scripts, ...) are copied beside the pages, under their path in the repository.
A link to a file that does not exist ends the build. The help of every command goes into
docs/reference/commands.md, in place of the line `<!-- commands -->`.
"""

import os
import pathlib
import re
import shutil
import sys

import click
import nbconvert
import nbformat

from kerasdl.cli.main import cli

ROOT = pathlib.Path(__file__).parents[1]
TARGET = ROOT / "build" / "docs"
# A code block, which is copied as it is, or the target of a link.
LINK = re.compile(r"(?ms)^```.*?^```|(?<=\]\()(?!\w+:|#)(?P<path>[^)#\s]+)")


def place(path):
    """Where a file of the repository lies in the site; the README is the start page there."""
    if path == pathlib.Path("README.md"):
        return pathlib.Path("index.md")
    name = path.relative_to("docs") if path.parts[0] == "docs" else path
    return name.with_suffix(".md") if name.suffix == ".ipynb" else name


def relinked(text, path, queue):
    """The text with its links turned into those of the site; the linked files are queued."""

    def replace(match):
        if not match["path"]:
            return match[0]
        linked = pathlib.Path(os.path.normpath(path.parent / match["path"]))
        if not (ROOT / linked).is_file():
            sys.exit(f"error: {path}: link to a file that does not exist: {match['path']}")
        queue.append(linked)
        return os.path.relpath(place(linked), place(path).parent)

    return LINK.sub(replace, text)


def commands(command, name, parent=None, depth=2):
    """The help of a command and of those below it, as Markdown."""
    context = click.Context(command, parent, name, terminal_width=90, help_option_names=["--help"])
    yield f"{'#' * depth} {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            yield from commands(command.get_command(context, each), each, context, depth + 1)


def main():
    """Writes the pages and what they link to."""
    shutil.rmtree(TARGET, ignore_errors=True)
    queue = [
        path.relative_to(ROOT)
        for pattern in ("*.md", "*.ipynb", "*.css")
        for path in (ROOT / "docs").rglob(pattern)
    ]
    done = {pathlib.Path("README.md")}
    while queue:
        path = queue.pop()
        if path in done:
            continue
        done.add(path)
        target = TARGET / place(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            text = relinked((ROOT / path).read_text(encoding="utf-8"), path, queue)
            if "<!-- commands -->" in text:
                text = text.replace("<!-- commands -->", "\n".join(commands(cli, "kerasdl")))
            target.write_text(text, encoding="utf-8")
        elif path.suffix == ".ipynb":
            notebook = nbformat.read(ROOT / path, as_version=4)
            for cell in (each for each in notebook.cells if each.cell_type == "markdown"):
                cell.source = relinked(cell.source, path, queue)
            text, resources = nbconvert.MarkdownExporter().from_notebook_node(notebook)
            for name, data in resources["outputs"].items():
                target.with_name(f"{path.stem}-{name}").write_bytes(data)
                text = text.replace(f"]({name})", f"]({path.stem}-{name})")
            target.write_text(text, encoding="utf-8")
        else:
            shutil.copyfile(ROOT / path, target)


if __name__ == "__main__":
    main()
