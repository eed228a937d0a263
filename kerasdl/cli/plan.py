"""`kerasdl plan`."""

import json

import click

from kerasdl.cli.group import common_options
from kerasdl.cli.options import backend_option, config_options, given, json_option, task_argument
from kerasdl.runs import config as configuration


@click.command()
@task_argument
@config_options
@backend_option
@click.option("--toml", "as_toml", is_flag=True, help="Print TOML for `train --config`.")
@json_option
@common_options
def plan(task, config_file, assignments, backend, as_toml, as_json, **flags):
    """Show the configuration and duration of a training on this machine.

    The recipe decides what is not set; a few steps are measured. Nothing is written.

    \b
    Examples:
      kerasdl plan segmentation --data photos/
      kerasdl plan classification --data photos/ --toml > photos.toml
    """
    from kerasdl.tools import planner

    values = given(task, config_file, assignments, backend, flags)
    found = planner.plan(configuration.Config(**values))
    if as_toml:
        click.echo(planner.toml(found), nl=False)
    elif as_json:
        click.echo(json.dumps(planner.document(found), indent=1))
    else:
        planner.show(found)
