"""Options that several commands share, and how they become a configuration."""

import json
import logging

import click

from kerasdl.core import files
from kerasdl.core.errors import ConfigError, suggest
from kerasdl.runs import config as configuration
from kerasdl.tasks import TASK_ALIASES, TASKS, resolve_task

TASK_NAMES = (*TASKS, *TASK_ALIASES)


class Words(click.Group):
    """A group that lists its commands in the order given and guesses what a typo meant."""

    def list_commands(self, context):
        return list(self.commands)

    def resolve_command(self, context, arguments):
        name = arguments[0] if arguments else ""
        if name and not name.startswith("-") and name not in self.commands:
            raise suggest("command", name, self.commands)
        return super().resolve_command(context, arguments)


class TaskName(click.ParamType):
    """A task by name or alias."""

    name = "task"

    def convert(self, value, parameter, context):
        return resolve_task(value)

    def shell_complete(self, context, parameter, incomplete):
        return [
            click.shell_completion.CompletionItem(name)
            for name in TASK_NAMES
            if name.startswith(incomplete)
        ]


def task_argument(function):
    return click.argument("task", type=TaskName(), metavar="TASK")(function)


def backend_option(function):
    return click.option(
        "--backend",
        metavar="NAME",
        help="tensorflow, jax, torch or auto: KERAS_BACKEND, else what `kerasdl benchmark` "
        "recommends, else the first installed.",
    )(function)


def run_option(function):
    return click.option(
        "--run", type=click.Path(), help="Run folder; default: the newest finished run of the task."
    )(function)


def json_option(function):
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(
        function
    )


def download_option(function):
    return click.option(
        "--download/--no-download",
        default=None,
        help="Whether a tfds: set may be downloaded and prepared; default: no.",
    )(function)


# Flags of `train` that are keys of the configuration: flag, type, help.
CONFIG_FLAGS = (
    ("--model", str, "Network: resnet18, fcn32, fcn16, fcn8, unet or unet-resnet18."),
    ("--recipe", str, "study (default) or fast: defaults of the training."),
    ("--data", str, "scenes (default), a folder, a .npz file, or tfds:NAME."),
    ("--epochs", int, "Number of epochs."),
    ("--batch-size", int, "Images per step."),
    ("--learning-rate", float, "Learning rate at the start."),
    ("--image-size", str, "HEIGHTxWIDTH, or one number for both."),
    ("--seed", int, "Seed of everything random."),
    ("--precision", str, "float32, mixed_bfloat16, mixed_float16 or auto."),
    ("--weights", str, "Weights to start from: a run, a .keras file, or imagenet."),
    ("--distribute", str, "none, or data: all devices share each batch."),
    ("--target", str, "Colorization: rgb (default), or ab, the lightness kept from the input."),
    ("--class-weights", str, "none, auto, or a TOML file: class name = weight."),
)


def config_options(function):
    """The options that make up a configuration."""
    function = click.option(
        "--freeze", is_flag=True, default=None, help="Leave the layers of the backbone as they are."
    )(function)
    for flag, kind, text in reversed(CONFIG_FLAGS):
        function = click.option(flag, type=kind, help=text)(function)
    function = download_option(function)
    function = click.option(
        "--set", "assignments", multiple=True, metavar="KEY=VALUE",
        help="Any key of the configuration; tables as model_args.skips=none. Repeatable.",
    )(function)  # fmt: skip
    return click.option(
        "--config", "config_file", type=click.Path(), help="TOML file with keys and values."
    )(function)


def given(task, config_file, assignments, backend, flags):
    """What the user set, as a mapping: file < --set < flags."""
    values = files.read_toml(config_file) if config_file else {}
    if "task" in values and resolve_task(values["task"]) != task:
        raise ConfigError(
            f"the file is for {values['task']}, the command for {task}", config_file,
            f"kerasdl train {values['task']} --config {config_file}",
        )  # fmt: skip
    values = configuration.override({**values, "task": task}, assignments)
    values |= {key: value for key, value in flags.items() if value is not None}
    if backend is not None:
        values["backend"] = backend
    return values


def resolve(task, config_file, assignments, backend, flags):
    """Configuration from defaults < file < --set < flags."""
    config = configuration.make(given(task, config_file, assignments, backend, flags))
    from kerasdl import models

    models.require_known(config.model)
    return config


def set_quiet(context, parameter, quiet):
    """Says less from now on, wherever on the line --quiet stands."""
    if quiet:
        context.find_root().ensure_object(dict)["quiet"] = True
        logging.getLogger().setLevel(logging.ERROR)
        logging.getLogger("kerasdl").setLevel(logging.ERROR)


def common_options(function):
    """--quiet and --debug, which are understood before and after the command's name."""
    function = click.option(
        "--debug", is_flag=True, expose_value=False, help="Show the traceback of an error."
    )(function)  # read in `main`, before anything can fail
    return click.option(
        "-q", "--quiet", is_flag=True, expose_value=False, callback=set_quiet,
        help="Results only, no progress and no notes.",
    )(function)  # fmt: skip


def chosen_run(task, run, backend):
    """The run folder to use, and the backend fixed."""
    from kerasdl import backend as backends
    from kerasdl.runs import run as runs

    if run is None:
        run = runs.newest(task)
        click.echo(f"run: {run}", err=True)
    elif (other := runs.Run(run).config.task) != task:
        raise ConfigError(f"the run is one of {other}, not {task}", run)
    backends.choose(backend or "auto")
    return run


def show_scores(document, as_json):
    """Scores on stdout: JSON, or a table with the baseline beside them."""
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
        return
    from kerasdl.report import terminal

    terminal.show_scores(document)
