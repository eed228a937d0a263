"""The command line: parses arguments, makes one call, prints the result; imports no framework."""

import logging
import os
import sys

import click

from kerasdl import __version__
from kerasdl.cli.group import Entry, Program, common_options
from kerasdl.core.errors import KerasdlError
from kerasdl.tasks import TASKS

# Packages that the extras of the backends install.
WITH_BACKENDS = ("keras", "h5py", "matplotlib", "scipy", "skimage")
INSTALL = "pip install 'kerasdl[tensorflow]', 'kerasdl[jax]' or 'kerasdl[torch]'"
TASK_NAMES = ", ".join(f"{spec.name} (or {spec.alias})" for spec in TASKS.values())


COMMANDS = {
    "train": Entry(
        "kerasdl.cli.train:train", "Train a model; repeat the command to resume an interrupted run."
    ),
    "plan": Entry(
        "kerasdl.cli.plan:plan",
        "Show the configuration and duration of a training on this machine.",
    ),
    "lr-find": Entry(
        "kerasdl.cli.lr_find:lr_find",
        "Find a learning rate by a range test: a plot with a suggestion.",
    ),
    "evaluate": Entry("kerasdl.cli.evaluate:evaluate", "Score the best model of a run."),
    "predict": Entry("kerasdl.cli.predict:predict", "Predict for images of any size."),
    "demo": Entry(
        "kerasdl.cli.demo:demo",
        "Try runs in the browser: drop an image, see what they predict.",
    ),
    "export": Entry(
        "kerasdl.cli.export:export",
        "Export the best model of a run as a file that needs neither Keras nor kerasdl.",
    ),
    "reproduce": Entry(
        "kerasdl.cli.reproduce:reproduce",
        "Reproduce the study: train its models; two tables, three figures, one page.",
    ),
    "sweep": Entry(
        "kerasdl.cli.sweep:sweep",
        "Train every combination of a grid with several seeds and compare them.",
    ),
    "tune": Entry(
        "kerasdl.cli.tune:tune",
        "Search for the best values of configuration keys on the validation split.",
    ),
    "report": Entry(
        "kerasdl.cli.report:report",
        "Write a self-contained HTML page about one run, or comparing several.",
    ),
    "push": Entry(
        "kerasdl.cli.push:push",
        "Upload a finished run to the Hugging Face hub, with its model card.",
    ),
    "runs": Entry(
        "kerasdl.cli.runs:runs_group", "List the runs below a folder, or remove their checkpoints."
    ),
    "compare": Entry(
        "kerasdl.cli.compare:compare_group", "Compare backends; `kerasdl report` compares runs."
    ),
    "config": Entry("kerasdl.cli.config:config_group", "Show configurations and their keys."),
    "data": Entry("kerasdl.cli.data:data_group", "Look at data sets and check them."),
    "models": Entry(
        "kerasdl.cli.models:models", "List the models: parameters, MACs, output stride, options."
    ),
    "benchmark": Entry(
        "kerasdl.cli.benchmark:benchmark",
        "Measure how fast each backend trains each model here; recommend one.",
    ),
    "doctor": Entry(
        "kerasdl.cli.doctor:doctor",
        "Check this installation: versions, extras, folders, a training step per backend.",
    ),
}


@click.group(
    cls=Program,
    entries=COMMANDS,
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
        _load_extensions(sys.argv[1:] if arguments is None else arguments)
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


def _load_extensions(arguments):
    """Imports the extensions on a command line, if any: help and completion list their names."""
    words = [*arguments, *os.environ.get("COMP_WORDS", "").split()]
    if any(word.startswith(("--extension", "--config")) for word in words):
        from kerasdl.cli.options import load_extensions

        load_extensions(arguments)


def fail(message, code, debug):
    """One line on standard error and the exit code; the traceback only with --debug."""
    if debug:
        import traceback

        traceback.print_exc()
    lines = " ".join(str(message).split())
    click.echo(f"error: {lines}", err=True)
    sys.exit(code)
