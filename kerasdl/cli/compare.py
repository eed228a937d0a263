"""`kerasdl compare`."""

import click

from kerasdl.cli.group import SuggestingGroup, common_options
from kerasdl.cli.options import json_option, with_extensions
from kerasdl.core.errors import ConfigError
from kerasdl.runs import config as configuration
from kerasdl.runs import hub

DIFFERENT = 3  # exit code if backends differ by more than the tolerance


class Names(click.ParamType):
    """Names separated by commas."""

    name = "names"

    def __init__(self, choices=()):
        self.choices = choices

    def get_metavar(self, param, ctx):
        return f"[{'|'.join(self.choices)}],..."

    def convert(self, value, parameter, context):
        if isinstance(value, tuple):
            return value
        return tuple(word.strip() for word in value.split(",") if word.strip())


@click.group("compare", cls=SuggestingGroup)
def compare_group():
    """Compare backends; `kerasdl report` compares runs."""


@compare_group.command("backends")
@click.argument("run", required=False, type=click.Path())
@click.option("--model", "models", type=Names(configuration.keys()["model"].choices),
              help="Without RUN: all (default), or names separated by commas, also unet-plain "
              "(no skips, colors).")  # fmt: skip
@click.option("--image-size", "sizes", type=Names(), metavar="SIZES",
              help="Without RUN: sizes such as 64x64,50x70.  [default: 64x64]")  # fmt: skip
@click.option("--backends", type=Names(), default="", metavar="NAMES",
              help="tensorflow,jax,torch; default: all that are installed.")  # fmt: skip
@click.option("--precision", "precisions", type=Names(), default="", metavar="NAMES",
              help="Also compare mixed_bfloat16 or mixed_float16, each with float32 on the same "
              "backend.")  # fmt: skip
@click.option("--tolerance", type=click.FloatRange(0, min_open=True), default=1e-4,
              show_default=True, help="Tolerance for outputs, relative to the largest output."
              )  # fmt: skip
@click.option("--step-tolerance", type=click.FloatRange(0, min_open=True), default=1e-4,
              show_default=True, help="Tolerance for a gradient step, relative to its norm."
              )  # fmt: skip
@click.option("--samples", type=click.IntRange(1), default=64, show_default=True,
              help="Images to predict and score.")  # fmt: skip
@click.option("--steps", type=click.IntRange(1), default=12, show_default=True,
              help="Steps of the short training.")  # fmt: skip
@click.option("--batch-size", type=click.IntRange(1),
              help="Images per step; default: that of the run, or 8.")  # fmt: skip
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE",
              help="Any key of the configuration. Repeatable.")  # fmt: skip
@click.option("--out", type=click.Path(),
              help="Folder for table, figure and page; default: RUN/compare or "
              "saved_models/compare.")  # fmt: skip
@json_option
@common_options
def compare_backends(run, models, sizes, backends, precisions, tolerance, step_tolerance, samples,
                     steps, batch_size, assignments, out, as_json):  # fmt: skip
    """Check that backends agree, and find the fastest.

    The best model of RUN, or models with random weights, run on each backend, in its own process,
    with the same images: outputs, layers, scores, one gradient step, a short training, times and
    memory. Exit code 3 if they differ by more than the tolerance.

    \b
    Examples:
      kerasdl compare backends
      kerasdl compare backends saved_models/segmentation-unet-scenes
      kerasdl compare backends --model unet,fcn8 --image-size 50x70 --backends jax,torch
    """
    import pathlib

    from kerasdl.tools.compare import backends as comparing
    from kerasdl.tools.compare import cases

    chosen = comparing.chosen_backends(backends)
    if run is None:
        subjects = cases.fresh(
            models or "all", sizes or ("64x64",), assignments, batch_size,
            with_extensions({}).get("extensions", ()),
        )  # fmt: skip
    else:
        if models or sizes:
            raise ConfigError(
                "--model and --image-size are for models with random weights", run,
                "leave them out, or leave RUN out",
            )  # fmt: skip
        subjects = [cases.of_run(run, assignments, batch_size)]
    written = None if run is None or hub.is_remote(run) else run
    folder = pathlib.Path(out or pathlib.Path(written or "saved_models") / "compare")
    document = comparing.compare(
        subjects, chosen, precisions, samples, steps,
        {"logits": tolerance, "gradient_step": step_tolerance},
    )  # fmt: skip
    page = comparing.publish(document, folder, written)
    if as_json:
        click.echo(comparing.as_json(document))
    else:
        import rich.console

        from kerasdl.report import backend_comparison

        backend_comparison.show(document, rich.console.Console())
        click.echo(f"page: {page}")
    if not document["verdict"]["agree"]:
        click.get_current_context().exit(DIFFERENT)
