"""`kerasdl report`."""

import json
import shlex
import sys

import click

from kerasdl.cli.options import backend_option, common_options, json_option


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
    mean and standard deviation over the seeds, paired differences, curves, configuration.

    \b
    Examples:
      kerasdl report saved_models/segmentation-unet-scenes
      kerasdl report saved_models/unet saved_models/fcn8 --out compared.html
      kerasdl report saved_models/sweep-segmentation-skips --short
    """
    from kerasdl.tools import reporting

    command = shlex.join(["kerasdl", *sys.argv[1:]])
    page = reporting.report(runs, out, title, not short, command, backend or "auto")
    click.echo(json.dumps({"page": str(page)}) if as_json else f"page: {page}")
