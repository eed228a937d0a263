"""`kerasdl report`."""

import json
import shlex
import sys

import click

from kerasdl.cli.group import common_options
from kerasdl.cli.options import backend_option, json_option


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path())
@click.option("--out", type=click.Path(), help="The HTML file.  [default: report.html, in the "
              "folder of a single run]")  # fmt: skip
@click.option("--title", help="Heading of a page of several runs.")
@click.option("--short", is_flag=True, help="Several runs: the comparison only, no section each.")
@backend_option
@json_option
@common_options
def report(runs, out, title, short, backend, as_json):
    """Write a self-contained HTML page about one run, or comparing several.

    RUN is a run folder, or a folder with runs below it. Several runs are compared: scores with
    mean and standard deviation over the seeds, paired differences, curves, configuration. Runs that
    differ only in the seed are grouped.

    \b
    Examples:
      kerasdl report saved_models/segmentation-unet-scenes
      kerasdl report saved_models/unet saved_models/fcn8 --out compared.html
      kerasdl report saved_models/sweep-segmentation-skips --short
    """
    from kerasdl.tools import reporting

    command = shlex.join(["kerasdl", *sys.argv[1:]])
    page, documents = reporting.report(runs, out, title, not short, command, backend or "auto")
    from kerasdl.report import grouping

    several = len(documents) > 1
    if as_json:
        summary = grouping.summary(documents) if several else {}
        click.echo(json.dumps({"page": str(page), **summary}, ensure_ascii=False, indent=1))
        return
    if several:
        import rich.console

        from kerasdl.report import tables

        console = rich.console.Console()
        lines, shown = grouping.printed(documents)
        for line in lines:
            click.echo(line)
        for table in shown:
            console.print(tables.as_rich(table))
    click.echo(f"page: {page}")
