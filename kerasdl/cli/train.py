"""`kerasdl train`."""

import click

from kerasdl.cli.group import common_options
from kerasdl.cli.options import (
    backend_option,
    config_options,
    json_option,
    resolve,
    show_scores,
    task_argument,
    with_extensions,
)
from kerasdl.core.errors import ConfigError
from kerasdl.runs import config as configuration


@click.command()
@task_argument
@config_options
@backend_option
@click.option("--out", type=click.Path(), help="Run folder; default: saved_models/TASK-MODEL-DATA.")
@click.option("--resume", type=click.Path(), help="Resume the run in this folder.")
@click.option("--overwrite", is_flag=True, help="Replace the run in the folder.")
@click.option("--allow-data-change", is_flag=True, help="Resume although the data changed.")
@json_option
@common_options
@click.pass_obj
def train(settings, task, config_file, assignments, backend, out, resume, overwrite,
          allow_data_change, as_json, **flags):  # fmt: skip
    """Train a model; repeat the command to resume an interrupted run.

    \b
    Examples:
      kerasdl train classification
      kerasdl train segmentation --model fcn32 --epochs 40
      kerasdl train colorize --set model_args.skips=none --out saved_models/plain
      kerasdl train segment --data photos/ --image-size 360x480
    """
    from kerasdl import backend as backends
    from kerasdl.backend import distribution
    from kerasdl.engine import run

    if resume:
        if out or config_file:
            raise ConfigError("--resume takes --out and --config from the folder", resume)
        if overwrite:
            raise ConfigError(
                "--resume and --overwrite are mutually exclusive", resume, "use one of them"
            )
        stored = configuration.as_dict(run.Run(resume).config)
        values = configuration.override(stored, assignments)
        values |= {key: value for key, value in flags.items() if value is not None}
        values = with_extensions(values)
        config = configuration.Config(
            **values if backend is None else {**values, "backend": backend}
        )
        if config.task != task:
            raise ConfigError(f"the run is a {config.task} run, not {task}", resume)
        out = resume
    else:
        config = resolve(task, config_file, assignments, backend, flags)
    quiet = settings.get("quiet", False)
    if config.distribute == "none" and config.jit_compile != "on":
        folder = out or run.default_folder(config)
        backends.start(run.wanted_backend(config, folder, overwrite), config.deterministic)
    trained = run.train(config, out, overwrite, allow_data_change, quiet=quiet)
    if distribution.is_worker():
        return
    show_scores({"run": str(trained), **trained.metrics}, as_json)
    if not quiet:
        from kerasdl.report import advice, document

        for line in advice.lines(document.read(trained)):
            click.echo(line, err=True)
