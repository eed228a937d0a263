"""`kerasdl predict`."""

import json
import sys

import click

from kerasdl.cli.group import common_options
from kerasdl.cli.options import backend_option, chosen_run, json_option, run_option, task_argument
from kerasdl.tasks import TASKS


@click.command()
@task_argument
@click.argument("images", nargs=-1, required=True, type=click.Path())
@run_option
@click.option("--out", type=click.Path(), help="Folder for masks or colorized images.")
@click.option("--overwrite", is_flag=True, help="Replace existing results.")
@click.option("--top", type=click.IntRange(1), default=3, show_default=True,
              help="Classification: number of classes to list.")  # fmt: skip
@click.option("--saturation", type=click.FloatRange(0), default=1.0, metavar="FACTOR",
              help="Colorization: factor of the chroma; 0 is gray, default 1.")  # fmt: skip
@backend_option
@json_option
@common_options
def predict(task, images, run, out, overwrite, top, saturation, backend, as_json):
    """Predict for images or folders of images of any size.

    Classification prints classes with probabilities. Segmentation writes the mask and an overlay,
    colorization the colorized image, at the size of the input, to --out (default: predictions).

    \b
    Examples:
      kerasdl predict classify cat.jpg dog.jpg
      kerasdl predict segment photos/ --out masks/
      kerasdl predict colorize old.jpg --saturation 1.3
    """
    from kerasdl.engine import run as engine

    run = chosen_run(task, run, backend)
    out = out or TASKS[task].default_out or None
    found = engine.predict(run, list(images), out, overwrite, top, saturation)
    if out is not None and any(each.error is None for each in found):
        from kerasdl.engine.prediction import write_index

        write_index(found, out)
    if as_json:
        click.echo(json.dumps([each.as_dict() for each in found], ensure_ascii=False, indent=1))
    else:
        for each in found:
            if each.error is None:
                click.echo(prediction_line(each))
    bad = [each for each in found if each.error is not None]
    for each in bad:
        click.echo(f"error: {each.error}", err=True)
    if bad:
        sys.exit(3)


def prediction_line(found):
    """One prediction as a line of text."""
    files = "  -> " + ", ".join(found.files.values()) if found.files else ""
    return f"{found.name}: {found.text}{files}"
