"""`kerasdl lr-find`."""

import dataclasses
import json

import click

from kerasdl.cli.group import common_options
from kerasdl.cli.options import backend_option, config_options, json_option, resolve, task_argument


@click.command("lr-find")
@task_argument
@config_options
@backend_option
@click.option("--low", type=float, default=1e-6, show_default=True, help="First learning rate.")
@click.option("--high", type=float, default=10.0, show_default=True, help="Last learning rate.")
@click.option("--steps", type=int, default=100, show_default=True, help="Steps in between.")
@click.option("--out", type=click.Path(dir_okay=False), default="lr-find.png", show_default=True,
              help="The plot.")  # fmt: skip
@json_option
@common_options
def lr_find(task, config_file, assignments, backend, low, high, steps, out, as_json, **flags):
    """Find a learning rate by a range test: a plot with a suggestion.

    A new model is trained for some steps with a rising rate, then dropped (Smith 2017).

    \b
    Examples:
      kerasdl lr-find segmentation --data photos/
      kerasdl lr-find classification --optimizer adamw --steps 200
    """
    config = resolve(task, config_file, assignments, backend, flags)
    from kerasdl.tools import rates

    result = rates.find(config, low, high, steps)
    from kerasdl.report import rate_figure

    rate_figure.rate_figure(result.rates, result.losses, result.smoothed, result.suggestion, out)
    if as_json:
        click.echo(json.dumps({**dataclasses.asdict(result), "plot": out}, indent=1))
        return
    if result.suggestion is None:
        click.echo(f"no suggestion: the loss does not fall from {low:g} on; try a smaller --low")
    else:
        click.echo(
            f"suggestion: --learning-rate {result.suggestion:.2g} (there the loss falls fastest; "
            f"it is lowest at {result.lowest:.2g})"
        )
    click.echo(f"plot: {out}")
