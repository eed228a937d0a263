"""`kerasdl config`."""

import dataclasses
import itertools
import json
import re

import click

from kerasdl.cli.group import SuggestingGroup, common_options
from kerasdl.cli.options import backend_option, config_options, json_option, resolve, task_argument
from kerasdl.runs import config as configuration

PAGE = """# Configuration

Every key of a run, with its type, default and range. Set keys in a TOML file (`--config`), with
`--set key=value`, or, where the table says so, with a flag of `kerasdl train`; from Python with
`kerasdl.Config(key=value, ...)`. Order of precedence: defaults < recipe < file < `--set` < flag.
`kerasdl config show TASK` prints the configuration of a training.

This page is the output of `kerasdl config keys`.
"""


@click.group("config", cls=SuggestingGroup)
def config_group():
    """Show configurations and their keys."""


@config_group.command("show")
@task_argument
@config_options
@backend_option
@json_option
@common_options
def config_show(task, config_file, assignments, backend, as_json, **flags):
    """Print the configuration of a training, as TOML.

    \b
    Example:
      kerasdl config show segmentation --model fcn8 --set model_args.stem=small
    """
    config = resolve(task, config_file, assignments, backend, flags)
    if as_json:
        click.echo(json.dumps(configuration.as_dict(config), indent=1))
    else:
        click.echo(configuration.dump(config), nl=False)


@config_group.command("keys")
@common_options
def config_keys():
    """List every key with its default, its range and its help, as Markdown."""
    click.echo(keys_page(), nl=False)


def keys_page():
    """The page docs/configuration.md."""
    fields = {field.name: field for field in dataclasses.fields(configuration.Config)}
    text = PAGE
    for group, members in itertools.groupby(configuration.keys().items(), lambda e: e[1].group):
        text += f"\n## {group}\n\n| key | default | values | meaning |\n|---|---|---|---|\n"
        for name, key in members:
            flag = f" Flag: `{key.option(name)}`." if key.flag else ""
            values = re.sub(r"([|\[\]])", r"\\\1", _values(key, fields[name]))
            text += f"| `{name}` | `{_default(fields[name])}` | {values} | {key.help}{flag} |\n"
    return text


def _default(field):
    missing = field.default is dataclasses.MISSING
    value = field.default_factory() if missing else field.default
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def _values(key, field):
    """The allowed values of a key, as text."""
    if key.choices is not None:
        return ", ".join(f"`{choice}`" for choice in key.choices)
    if key.metavar:
        return key.metavar() if callable(key.metavar) else key.metavar
    limits = [
        f"{words} {limit:.10g}"
        for words, limit in (
            ("at least", key.low), ("at most", key.high), ("above", key.above),
            ("below", key.below),
        )
        if limit is not None
    ]  # fmt: skip
    noun = {int: "integer", float: "number", bool: "true or false", str: "text"}.get(field.type)
    return ", ".join([noun or ("table" if "dict" in str(field.type) else "list"), *limits])
