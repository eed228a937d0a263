"""Groups of commands, and the options that all commands share; light, as every start imports it."""

import logging
from collections.abc import Mapping
from typing import NamedTuple

import click

from kerasdl.core.errors import suggest
from kerasdl.core.registry import load


class Entry(NamedTuple):
    """A command of the program: its code, "module:attribute", and its summary."""

    command: str
    summary: str


class SuggestingGroup(click.Group):
    """A group that lists its commands in the order given and suggests the closest name."""

    def list_commands(self, context):
        return list(self.commands)

    def summaries(self):
        """(name, first sentence) of each command."""
        return [(name, each.get_short_help_str(200)) for name, each in self.commands.items()]

    def format_commands(self, context, formatter):
        """One line per command, with its full first sentence."""
        with formatter.section("Commands"):
            formatter.write_dl(self.summaries())

    def resolve_command(self, context, arguments):
        name = arguments[0] if arguments else ""
        names = self.list_commands(context)
        if name and not name.startswith("-") and name not in names:
            raise suggest("command", name, names)
        return super().resolve_command(context, arguments)


class Program(SuggestingGroup):
    """A group whose commands are imported when they are run, not when they are listed.

    Args:
        entries: Commands by name.
    """

    def __init__(self, *arguments, entries: Mapping[str, Entry], **keywords):
        super().__init__(*arguments, **keywords)
        self.entries = dict(entries)

    def list_commands(self, context):
        return list(self.entries)

    def get_command(self, context, name):
        return load(self.entries[name].command) if name in self.entries else None

    def summaries(self):
        return [(name, entry.summary) for name, entry in self.entries.items()]


def set_quiet(context, parameter, quiet):
    """Lowers the log level; --quiet may be anywhere on the command line."""
    if quiet:
        context.find_root().ensure_object(dict)["quiet"] = True
        logging.getLogger().setLevel(logging.ERROR)
        logging.getLogger("kerasdl").setLevel(logging.ERROR)


def add_extensions(context, parameter, names):
    """Stores the extensions; --extension may be anywhere on the command line."""
    if names:
        from kerasdl.core import extensions

        found = context.find_root().ensure_object(dict).setdefault("extensions", [])
        found.extend(name for name in extensions.replace(names) if name not in found)


def common_options(function):
    """--extension, --quiet and --debug, accepted before and after the command's name."""
    function = click.option(
        "--debug", is_flag=True, expose_value=False, help="Show the traceback of an error."
    )(function)  # read in `main`, before anything can fail
    function = click.option(
        "-q", "--quiet", is_flag=True, expose_value=False, callback=set_quiet,
        help="Results only, no progress and no messages.",
    )(function)  # fmt: skip
    return click.option(
        "--extension", multiple=True, expose_value=False, callback=add_extensions,
        metavar="FILE|MODULE", help="Python file or module with further models, losses, ...",
    )(function)  # fmt: skip
