"""`kerasdl evaluate`."""

import click

from kerasdl.cli.group import common_options
from kerasdl.cli.options import (
    backend_option,
    chosen_run,
    json_option,
    run_option,
    show_scores,
    task_argument,
)


@click.command()
@task_argument
@run_option
@click.option("--split", type=click.Choice(["test", "validation", "train"]), default="test")
@click.option("--data", help="Data other than the run's, with the same classes.")
@click.option(
    "--batch-size", type=click.IntRange(1), help="Images per step; default: as in training."
)
@click.option("--at", type=click.Choice(["native", "training"]), metavar="native|training",
              help="Size of the scored images: native is that of the files, as predict delivers, "
              "next to that of training. Default: native where it differs.")  # fmt: skip
@backend_option
@json_option
@common_options
def evaluate(task, run, split, data, batch_size, at, backend, as_json):
    """Score the best model of a run.

    \b
    Examples:
      kerasdl evaluate colorize
      kerasdl evaluate segmentation --run saved_models/segmentation-unet-scenes --json
    """
    from kerasdl.engine import run as engine

    run = chosen_run(task, run, backend)
    show_scores(engine.evaluate(run, split, data, batch_size, at), as_json)
