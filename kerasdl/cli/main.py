"""The command line: parses arguments, makes one call, prints the result; imports no framework."""

import logging
import sys

import click

from kerasdl import __version__
from kerasdl.cli import (
    benchmark,
    compare,
    config,
    data,
    demo,
    doctor,
    evaluate,
    export,
    models,
    plan,
    predict,
    report,
    reproduce,
    sweep,
    train,
)
from kerasdl.cli.options import SuggestingGroup, common_options, load_extensions
from kerasdl.core.errors import KerasdlError
from kerasdl.tasks import TASKS

# Packages that the extras of the backends install.
WITH_BACKENDS = ("keras", "h5py", "matplotlib", "scipy", "skimage")
INSTALL = "pip install 'kerasdl[tensorflow]', 'kerasdl[jax]' or 'kerasdl[torch]'"
TASK_NAMES = ", ".join(f"{spec.name} (or {spec.alias})" for spec in TASKS.values())


@click.group(
    cls=SuggestingGroup,
    help=f"""Train, evaluate and use image models on TensorFlow, JAX or PyTorch.

TASK is one of {TASK_NAMES}.

\b
Examples:
  kerasdl train segmentation --model fcn32
  kerasdl evaluate colorize
  kerasdl predict segment photos/ --out masks/
  kerasdl reproduce --quick
""",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="kerasdl")
@common_options
@click.pass_context
def cli(context):
    """The program; its help is above."""
    context.ensure_object(dict)


for command in (
    train.train,
    plan.plan,
    evaluate.evaluate,
    predict.predict,
    demo.demo,
    export.export,
    reproduce.reproduce,
    sweep.sweep,
    report.report,
    compare.compare_group,
    config.config_group,
    data.data_group,
    models.models,
    benchmark.benchmark,
    doctor.doctor,
):
    cli.add_command(command)


def main(arguments=None):
    """Runs the command line and exits with the documented code."""
    debug = "--debug" in (sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        # What an encoding such as cp1252 or ASCII does not have is shown as \uNNNN.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("kerasdl").setLevel(logging.INFO)
    try:
        load_extensions(sys.argv[1:] if arguments is None else arguments)
        sys.exit(cli.main(arguments, prog_name="kerasdl", standalone_mode=False) or 0)
    except KerasdlError as error:
        fail(error, error.exit_code, debug)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.Abort:
        fail("interrupted by SIGINT", 130, debug)
    except click.ClickException as error:
        fail(error.format_message(), 2, debug)
    except BrokenPipeError:
        # The reader of our output closed the pipe, such as `head`; that is not an error.
        sys.stderr.close()
        sys.exit(141)
    except Exception as error:
        missing = str(getattr(error, "name", "")).partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and missing in WITH_BACKENDS:
            fail(f"{missing} is not installed ({INSTALL})", 2, debug)
        fail(f"defect in kerasdl: {type(error).__name__}: {error}", 1, debug)


def fail(message, code, debug):
    """One line on standard error and the exit code; the traceback only with --debug."""
    if debug:
        import traceback

        traceback.print_exc()
    lines = " ".join(str(message).split())
    click.echo(f"error: {lines}", err=True)
    sys.exit(code)
