"""Options that several commands share, and how they become a configuration."""

import itertools
import json
import os
import pathlib
import shlex

import click

from kerasdl.backend import BACKENDS
from kerasdl.core import extensions, files
from kerasdl.core.errors import ConfigError
from kerasdl.runs import checks
from kerasdl.runs import config as configuration
from kerasdl.tasks import TASKS, resolve_task
from kerasdl.tools.jobs import LAUNCHERS


class Name(click.ParamType):
    """A name; help and completion list the choices, the configuration checks them.

    Args:
        choices: The names, or a registry of entries with these names.
        metavar: What a value looks like, where names alone do not say it; a function where
            extensions add to it.
    """

    name = "name"

    def __init__(self, choices=(), metavar=""):
        self.choices, self.metavar = choices, metavar

    def get_metavar(self, param, ctx):
        shown = self.metavar() if callable(self.metavar) else self.metavar
        return shown or f"[{'|'.join(self.choices)}]"

    def shell_complete(self, context, parameter, incomplete):
        """The choices; without any, the words of the metavar, and paths where it names them."""
        shown = self.metavar() if callable(self.metavar) else self.metavar
        words = list(self.choices) or [word for word in shown.split("|") if word.islower()]
        found = [
            click.shell_completion.CompletionItem(name)
            for name in words
            if name.startswith(incomplete)
        ]
        paths = any(kind in shown for kind in ("FILE", "FOLDER", "RUN"))
        if found or not paths:
            return found
        return [click.shell_completion.CompletionItem(incomplete, type="file")]


class TaskName(Name):
    """A task by name or alias."""

    name = "task"

    def __init__(self):
        super().__init__([word for spec in TASKS.values() for word in (spec.name, spec.alias)])

    def convert(self, value, parameter, context):
        return resolve_task(value)


class TileSize(click.ParamType):
    """auto, none, SIZE or HEIGHTxWIDTH."""

    name = "tile"

    def get_metavar(self, param, ctx):
        return "auto|none|SIZE"

    def convert(self, value, parameter, context):
        if not isinstance(value, str) or value in ("auto", "none"):
            return value
        sides = value.split("x")
        if len(sides) > 2 or not all(side.isdecimal() for side in sides):
            self.fail(f"'{value}' is not auto, none, a size such as 256, or 256x320")
        return int(sides[0]), int(sides[-1])


def task_argument(function):
    return click.argument("task", type=TaskName(), metavar="TASK")(function)


def backend_option(function):
    return click.option(
        "--backend",
        type=Name(("auto", *BACKENDS)),
        help="Default: KERAS_BACKEND, else what `kerasdl benchmark` recommends, else the first "
        "installed.",
    )(function)


def run_option(function):
    return click.option(
        "--run",
        type=click.Path(),
        metavar="RUN",
        help="Run folder, or hf:USER/NAME; default: the newest finished run of the task.",
    )(function)


def tile_options(function):
    """--tile, --overlap and --scale: the arguments of `Tiling`."""
    function = click.option(
        "--scale", type=click.FloatRange(0, min_open=True), metavar="FACTOR",
        help="Scale of tiled images; 1 keeps their pixels. Default: as in training, where images "
        "were scaled or stretched.",
    )(function)  # fmt: skip
    function = click.option(
        "--overlap", type=click.FloatRange(0, 0.9), default=0.25, show_default=True,
        metavar="FRACTION", help="Fraction of a tile that the next one covers too.",
    )(function)  # fmt: skip
    return click.option(
        "--tile", type=TileSize(), default="auto", show_default=True,
        help="Size of the tiles in which large images are predicted; auto: the training size, for "
        "images more than twice as large.",
    )(function)  # fmt: skip


def json_option(function):
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(
        function
    )


def jobs_options(function):
    """--jobs, --launcher and --slurm: the arguments of `kerasdl.tools.jobs.workers`."""
    function = click.option(
        "--slurm", "slurm_options", multiple=True, metavar="KEY=VALUE",
        help="Option of sbatch for --launcher slurm, such as partition=gpu or time=240 (minutes). "
        "Repeatable.",
    )(function)  # fmt: skip
    function = click.option(
        "--launcher", type=Name(LAUNCHERS), default="local", show_default=True,
        help="Where the runs are trained: on this machine, or as jobs of a SLURM cluster.",
    )(function)  # fmt: skip
    return click.option(
        "--jobs", type=click.IntRange(1), metavar="N",
        help="Runs at a time, which share the cores of this machine; with slurm jobs in the queue "
        "(default 1, slurm 16).",
    )(function)  # fmt: skip


def complete_assignment(context, parameter, incomplete):
    """Completes `--set`: the key, then its value where there is a choice."""
    key, separator, start = incomplete.partition("=")
    if not separator:
        return [f"{name}=" for name in configuration.keys() if name.startswith(key)]
    declared = configuration.keys().get(key)
    default = getattr(configuration.Config, key, None)
    choices = ("true", "false") if isinstance(default, bool) else ()
    choices = (declared.choices if declared else None) or choices
    return [f"{key}={value}" for value in choices if value.startswith(start)]


def set_option(function):
    return click.option(
        "--set", "assignments", multiple=True, metavar="KEY=VALUE",
        shell_complete=complete_assignment,
        help="Any key of the configuration; tables as model_args.skips=none. Repeatable.",
    )(function)  # fmt: skip


def download_option(function):
    return click.option(
        "--download/--no-download",
        default=None,
        help="Whether a tfds: data set may be downloaded and prepared; default: no.",
    )(function)


def config_options(function):
    """The options that make up a configuration: one per key that is declared as a flag."""
    for name, key in reversed(configuration.keys().items()):
        if not key.flag:
            continue
        flag, default = key.option(name), getattr(configuration.Config, name)
        if isinstance(default, bool):
            facts = {"is_flag": True}
        elif key.choices is not None and isinstance(default, tuple):
            facts = {"type": Name(key.choices), "multiple": True, "callback": _list_or_none}
        elif key.choices is not None or key.metavar:
            facts = {"type": Name(key.choices or (), key.metavar)}
        else:
            facts = {"type": type(default)}
        shown = "x".join(map(str, default)) if isinstance(default, tuple) else default
        text = key.help if not shown else f"{key.help}  [default: {shown}]"
        function = click.option(flag, name, default=None, help=text, **facts)(function)
    function = set_option(download_option(function))
    return click.option(
        "--config", "config_file", type=click.Path(), help="TOML file with keys and values."
    )(function)


def _list_or_none(context, parameter, values):
    """The values of a repeatable option; None without any, as for the others."""
    return list(values) or None


def given(task, config_file, assignments, backend, flags):
    """What the user set, as a mapping: file < --set < flags."""
    values = read_config(config_file) if config_file else {}
    if "task" in values and resolve_task(values["task"]) != task:
        raise ConfigError(
            f"the file is for {values['task']}, the command for {task}", config_file,
            f"kerasdl train {values['task']} --config {config_file}",
        )  # fmt: skip
    values = configuration.override({**values, "task": task}, assignments)
    if resolve_task(str(values["task"])) != task:
        raise ConfigError("--set cannot change the task", fix="give it as the argument TASK")
    values |= {key: value for key, value in flags.items() if value is not None}
    if backend is not None:
        values["backend"] = backend
    return with_extensions(values)


def with_extensions(values):
    """The values with the extensions of the command line added."""
    named = click.get_current_context().find_root().ensure_object(dict).get("extensions", ())
    if not named:
        return values
    own = values.get("extensions", ())
    return {**values, "extensions": [*([own] if isinstance(own, str) else own), *named]}


def resolve(task, config_file, assignments, backend, flags):
    """Configuration from defaults < file < --set < flags."""
    return configuration.Config(**given(task, config_file, assignments, backend, flags))


def load_extensions(arguments):
    """Imports the extensions on a command line, before its help and names are resolved.

    Args:
        arguments: Arguments of the command line; `--extension` and `--config` are read.
    """
    words = [*arguments]
    if not words and "COMP_WORDS" in os.environ:  # the shell asks for completions
        words = shlex.split(os.environ["COMP_WORDS"])
    for flag, value in itertools.zip_longest(words, words[1:], fillvalue=""):
        flag, equals, joined = flag.partition("=")
        value = joined if equals else value
        if flag == "--extension" and value:
            extensions.replace([value])
        elif flag == "--config" and value:
            extensions.load(read_config(value).get("extensions", ()))


def read_config(path):
    """Values of a configuration file; extensions named in it lie relative to the file."""
    values = files.read_toml(path)
    if "extensions" in values:
        folder = pathlib.Path(path).expanduser().absolute().parent
        named = checks.typed("extensions", values["extensions"], tuple[str, ...])
        values["extensions"] = [
            str(folder / pathlib.Path(name).expanduser()) if name.endswith(".py") else name
            for name in named
        ]
    return values


def chosen_run(task, run, backend):
    """The run folder to use; selects the backend and imports Keras."""
    from kerasdl import backend as backends
    from kerasdl.runs import run as runs

    if run is None:
        run = runs.newest(task)
        click.echo(f"run: {run}", err=True)
    elif (other := runs.Run(run).config.task) != task:
        raise ConfigError(f"a run of task {other}, not {task}", run)
    backends.start(backend or "auto")
    return run


def named_runs(runs):
    """The runs by a name that differs: that of the folder, or its path below a common one."""
    paths = [pathlib.Path(run).absolute() for run in runs]
    names = [path.name for path in paths]
    if len(set(names)) < len(names):
        common = os.path.commonpath(paths)
        names = [path.relative_to(common).as_posix() for path in paths]
    if len(set(names)) < len(names):
        raise ConfigError("a run is given twice", runs[0])
    return dict(zip(names, runs, strict=True))


def show_scores(document, as_json):
    """Prints the scores: JSON, or a table with the baseline."""
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
        return
    from kerasdl.report import terminal

    terminal.show_scores(document)
