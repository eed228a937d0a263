"""`kerasdl runs`."""

import dataclasses
import json
import sys

import click
from rich import filesize

from kerasdl.cli.group import SuggestingGroup, common_options
from kerasdl.cli.options import Name, json_option
from kerasdl.core.errors import ConfigError, suggest
from kerasdl.runs import overview
from kerasdl.runs import run as runs
from kerasdl.runs.run import ROOT


class Runs(SuggestingGroup):
    """`kerasdl runs PATH` is `kerasdl runs list PATH`."""

    def parse_args(self, context, arguments):
        if not arguments or arguments[0] not in (*self.commands, *context.help_option_names):
            arguments = ["list", *arguments]
        return super().parse_args(context, arguments)


@click.group("runs", cls=Runs)
def runs_group():
    """List the runs below a folder, or remove their checkpoints.

    `kerasdl runs PATH` is short for `kerasdl runs list PATH`.

    \b
    Examples:
      kerasdl runs
      kerasdl runs saved_models --sort score
      kerasdl runs clean saved_models
    """


@runs_group.command("list")
@click.argument("path", default=str(ROOT), type=click.Path())
@click.option(
    "--sort",
    type=Name(overview.SORTS),
    default="path",
    show_default=True,
    help="Scores: best first; age: newest first; size and epochs: largest first.",
)
@json_option
@common_options
def list_runs(path, sort, as_json):
    """List the runs below a folder: task, model, data, main score, epochs, state, age, size.

    PATH is saved_models by default.
    """
    if sort not in overview.SORTS:
        raise suggest("order", sort, overview.SORTS)
    rows = overview.rows(path, sort)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(row) for row in rows], indent=1))
        return
    from kerasdl.report import terminal

    if rows:
        terminal.show_runs(rows)
    else:
        click.echo(f"no runs below {path}")


@runs_group.command("clean")
@click.argument("path", default=str(ROOT), type=click.Path())
@click.option("--yes", is_flag=True, help="Do not ask.")
@common_options
def clean(path, yes):
    """Remove the checkpoints of the finished runs below a folder.

    The best model, scores, reports and history stay. No epochs can be added to such a run.
    """
    finished = [run for run in runs.below(path) if runs.Run(run).finished]
    chosen = {run: found for run in finished if (found := overview.removable(run))}
    if not chosen:
        click.echo(f"no checkpoints of finished runs below {path}")
        return
    total = sum(overview.size(file) for found in chosen.values() for file in found)
    told = f"checkpoints of {len(chosen)} finished run{'s' * (len(chosen) != 1)} "
    told += f"({filesize.decimal(total)})"
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError(f"nobody to ask whether to remove the {told}", path, "--yes")
        for run in chosen:
            click.echo(str(run))
        if not click.confirm(f"Remove the {told}?"):
            return
    for run in chosen:
        overview.clean(run)
    click.echo(f"removed the {told}")
