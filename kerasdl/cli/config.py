"""`kerasdl config`."""

import json

import click

from kerasdl.cli.options import (
    Words,
    backend_option,
    common_options,
    config_options,
    json_option,
    resolve,
    task_argument,
)
from kerasdl.runs import config as configuration


@click.group("config", cls=Words)
def config_group():
    """Show configurations."""


@config_group.command("show")
@task_argument
@config_options
@backend_option
@json_option
@common_options
def config_show(task, config_file, assignments, backend, as_json, **flags):
    """Print the configuration a training would have, as TOML.

    \b
    Example:
      kerasdl config show segmentation --model fcn8 --set model_args.stem=small
    """
    config = resolve(task, config_file, assignments, backend, flags)
    if as_json:
        click.echo(json.dumps(configuration.as_dict(config), indent=1))
    else:
        click.echo(configuration.dump(config), nl=False)
