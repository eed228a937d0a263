"""`kerasdl train`."""

import click

from kerasdl.cli.options import (
    backend_option,
    common_options,
    config_options,
    json_option,
    resolve,
    show_scores,
    task_argument,
)
from kerasdl.core.errors import ConfigError
from kerasdl.runs import config as configuration


@click.command()
@task_argument
@config_options
@backend_option
@click.option("--out", type=click.Path(), help="The run folder itself.")
@click.option("--resume", type=click.Path(), help="Go on with the run in this folder.")
@click.option("--overwrite", is_flag=True, help="Remove the run that is in the folder.")
@click.option("--allow-data-change", is_flag=True, help="Go on although the data changed.")
@json_option
@common_options
@click.pass_obj
def train(settings, task, config_file, assignments, backend, out, resume, overwrite,
          allow_data_change, as_json, **flags):  # fmt: skip
    """Train a network; repeated, the command goes on where it was interrupted.

    \b
    Examples:
      kerasdl train classification
      kerasdl train segmentation --model fcn32 --epochs 40
      kerasdl train colorize --set model_args.skips=none --out saved_models/plain
      kerasdl train segment --data photos/ --image-size 360x480
    """
    from kerasdl.backend import distribution
    from kerasdl.engine import run

    if resume:
        if out or config_file:
            raise ConfigError("--resume takes its configuration from the folder", resume)
        if overwrite:
            raise ConfigError("--resume goes on, --overwrite starts over", resume, "give one")
        stored = configuration.as_dict(run.Run(resume).config)
        values = configuration.override(stored, assignments)
        values |= {key: value for key, value in flags.items() if value is not None}
        config = configuration.make(values if backend is None else {**values, "backend": backend})
        if config.task != task:
            raise ConfigError(f"the run is one of {config.task}, not {task}", resume)
        out = resume
    else:
        config = resolve(task, config_file, assignments, backend, flags)
    quiet = settings.get("quiet", False)
    trained = run.train(config, out, overwrite, allow_data_change, quiet=quiet)
    if distribution.follows():
        return
    show_scores({"run": str(trained), **trained.metrics}, as_json)
