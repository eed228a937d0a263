"""Tables of named entries: models, tasks, metrics, losses and data sources.

An entry is a frozen dataclass of plain facts that can be read without Keras. Its code is given as a
reference, "module:attribute", and imported on first use.
"""

import importlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar

from kerasdl.core.errors import ConfigError, suggest

Reference: TypeAlias = str | Callable[..., Any]


class Named(Protocol):
    """Anything with a name."""

    @property
    def name(self) -> str: ...


Entry = TypeVar("Entry", bound=Named)


class Registry(Mapping[str, Entry]):
    """Entries by name, in insertion order.

    Args:
        kind: What an entry is, for messages: "model", "loss".
        entries: Entries with an attribute `name`.
    """

    def __init__(self, kind: str, entries: Iterable[Entry] = ()):
        self.kind = kind
        self._entries: dict[str, Entry] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Adds an entry. Raises ConfigError if the name is taken."""
        name = entry.name
        if self._entries.setdefault(name, entry) != entry:
            raise ConfigError(
                f"there is already a {self.kind} '{name}'",
                fix="choose another name; two versions of one extension cannot be used at once",
            )

    def require(self, name: str) -> Entry:
        """The entry of that name. Raises ConfigError suggesting the closest name."""
        if name not in self._entries:
            raise suggest(self.kind, name, self._entries)
        return self._entries[name]

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def load(reference: Reference) -> Any:
    """Resolves a reference: a callable is returned as is, "module:attribute" is imported."""
    if not isinstance(reference, str):
        return reference
    name, _, attribute = reference.partition(":")
    module = importlib.import_module(name)
    return getattr(module, attribute) if attribute else module


def attributes(
    module: str, references: Iterable[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a module whose attributes are imported on first use.

    Args:
        module: Name of the module.
        references: "module:attribute" or "package.module"; the last part is the attribute's name.
    """
    known = {re.split("[.:]", reference)[-1]: reference for reference in references}

    def get(name: str) -> Any:
        if name not in known:
            raise AttributeError(f"module '{module}' has no attribute '{name}'")
        return load(known[name])

    return get, lambda: sorted([*vars(sys.modules[module]), *known])
