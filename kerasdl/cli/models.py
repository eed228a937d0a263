"""`kerasdl models`."""

import json

import click

from kerasdl.cli.group import common_options
from kerasdl.cli.options import backend_option, json_option
from kerasdl.runs import config as configuration


@click.command()
@click.option("--image-size", default="64x64", show_default=True, help="HEIGHTxWIDTH.")
@click.option("--outputs", type=click.IntRange(1), default=10, show_default=True)
@backend_option
@json_option
@common_options
def models(image_size, outputs, backend, as_json):
    """List the models: parameters, MACs, output stride, options."""
    from kerasdl import backend as backends
    from kerasdl.tools import summary

    backends.choose(backend or "auto")
    size = configuration.Config(**{"image_size": image_size}).image_size
    rows = summary.summary(size, outputs)
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        summary.show(rows, size, outputs)
