"""`kerasdl benchmark`."""

import json

import click

from kerasdl.cli.options import common_options, json_option
from kerasdl.runs import config as configuration


def _several(flag, kind, text):
    return click.option(
        flag, flag.strip("-").replace("-", "_"), type=kind, multiple=True, metavar="NAME|NUMBER",
        help=f"{text} Repeatable.",
    )  # fmt: skip


@click.command()
@_several("--backend", str, "tensorflow, jax or torch; default: all installed.")
@_several("--model", str, "Model; default: resnet18 and unet.")
@_several("--batch-size", int, "Images per step; default: 32.")
@_several("--precision", str, "Default: float32, and mixed_bfloat16 if the hardware supports it.")
@_several("--jit-compile", str, "auto (default), on or off: compile the whole training step.")
@click.option("--image-size", default="64x64", show_default=True, help="HEIGHTxWIDTH.")
@click.option("--reference", multiple=True, metavar="FILE.py:CLASS",
              help="Your own training loop to measure as well, see docs/backends.md. "
              "Repeatable.")  # fmt: skip
@click.option("--steps", type=click.IntRange(1), default=5, show_default=True,
              help="Steps per round.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(1), default=4, show_default=True,
              help="Rounds per cell.")  # fmt: skip
@click.option("--timeout", type=click.IntRange(1), default=300, show_default=True,
              help="Time limit in seconds for a first step or a round.")  # fmt: skip
@click.option("--keep/--no-keep", default=True, help="Store the recommendation for `auto`.")
@json_option
@common_options
@click.pass_obj
def benchmark(settings, image_size, steps, rounds, timeout, keep, as_json, **axes):
    """Measure how fast each backend trains each model here; recommend one.

    Each combination is trained in its own process, in turn with the others. `--backend auto` and
    `--precision auto` then use the recommendation on this machine.

    \b
    Examples:
      kerasdl benchmark
      kerasdl benchmark --model fcn8 --batch-size 8 --batch-size 32 --no-keep
      kerasdl benchmark --backend tensorflow --precision float32 --jit-compile auto --jit-compile on
    """
    from kerasdl.tools.benchmark import run

    size = configuration.Config(**{"image_size": image_size}).image_size
    log = None if settings.get("quiet") else lambda text: click.echo(text, err=True)
    job = {"steps": steps, "image_size": list(size), "seed": 0, "timeout": timeout}
    document = run.benchmark(axes, job, rounds, keep, log)
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
    else:
        run.show_document(document)
