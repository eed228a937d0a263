"""`kerasdl reproduce`."""

import json

import click

from kerasdl.cli.group import common_options
from kerasdl.cli.options import backend_option, jobs_options, json_option
from kerasdl.core import files
from kerasdl.runs import config as configuration


@click.command()
@click.option("--quick", is_flag=True, help="Few steps: minutes, not hours.")
@click.option("--out", type=click.Path(), default="saved_models/reproduce", show_default=True)
@click.option("--seeds", type=click.IntRange(1), help="Runs per model (default 3, quick 1).")
@click.option("--data", default="scenes", show_default=True, help="Data with masks.")
@click.option("--config", "config_file", type=click.Path(), help="TOML file: another recipe.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any key.")
@backend_option
@jobs_options
@json_option
@common_options
@click.pass_obj
def reproduce(settings, quick, out, seeds, data, config_file, assignments, backend, jobs, launcher,
              slurm_options, as_json):  # fmt: skip
    """Reproduce the study: train its models; two tables, three figures, one page.

    Finished runs are kept; repeat the command to resume.

    \b
    Examples:
      kerasdl reproduce --quick
      kerasdl reproduce --seeds 3 --backend torch --jobs 2
    """
    from kerasdl.tools import jobs as launchers
    from kerasdl.tools.reproduce import reproduction

    values = configuration.override(
        files.read_toml(config_file) if config_file else {}, assignments
    )
    workers = launchers.workers(out, jobs, launcher, slurm_options)
    quiet = settings.get("quiet", False)
    page, documents = reproduction.reproduce(
        out, quick, seeds, {**values, "data": data}, backend, quiet, workers
    )
    if as_json:
        click.echo(json.dumps({"page": str(page), "runs": documents}, ensure_ascii=False))
    else:
        reproduction.show(documents)
        click.echo(f"page: {page}")
