"""`kerasdl benchmark`."""

import json

import click

from kerasdl.backend import BACKENDS
from kerasdl.cli.group import common_options
from kerasdl.cli.options import Name, json_option, with_extensions
from kerasdl.runs import config as configuration
from kerasdl.tools.benchmark.cells import MEASURED_PRECISIONS

KEYS = configuration.keys()


def _several(flag, kind, text):
    return click.option(
        flag, flag.strip("-").replace("-", "_"), type=kind, multiple=True,
        help=f"{text} Repeatable.",
    )  # fmt: skip


@click.command()
@_several("--backend", Name(BACKENDS), "Default: all installed.")
@_several("--model", Name(KEYS["model"].choices), "Default: resnet18 and unet.")
@_several("--batch-size", int, "Images per step; default: 32.")
@_several("--precision", Name(MEASURED_PRECISIONS),
          "Default: float32, with mixed_bfloat16 where the hardware has it.")  # fmt: skip
@_several(
    "--jit-compile",
    Name(KEYS["jit_compile"].choices),
    "Compile the step as a whole; default: auto.",
)
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
    job["extensions"] = with_extensions({}).get("extensions", ())
    document = run.benchmark(axes, job, rounds, keep, log)
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
    else:
        run.show_document(document)
