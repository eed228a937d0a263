"""A user's own models, losses, metrics and data, registered by a Python file or module.

A configuration names them with the key `extensions`; a file is never imported just because it lies
in a folder. An extension calls `kerasdl.register` with its entries, see docs/extending.md.
"""

import hashlib
import importlib
import importlib.machinery
import importlib.util
import pathlib
import sys
from collections.abc import Iterable

from kerasdl.core.errors import ConfigError

# Files by name that the command line gave: they stand for those that a configuration names.
_REPLACEMENTS: dict[str, pathlib.Path] = {}


def load(names: Iterable[str]) -> tuple[str, ...]:
    """Imports extensions, each once, and returns their names, with file paths made absolute.

    Args:
        names: Modules ("package.module") or Python files ("my_models.py").

    Raises:
        ConfigError: An extension is missing or its import fails.
    """
    return tuple(dict.fromkeys(_load(name) for name in names))


def replace(names: Iterable[str]) -> tuple[str, ...]:
    """Imports extensions as `load` does; a file also stands for any other of its name.

    So a run whose extension was moved, or changed, can be opened with the file at hand.
    """
    loaded = load(names)
    for name in loaded:
        if name.endswith(".py"):
            _REPLACEMENTS[pathlib.Path(name).name] = pathlib.Path(name)
    return loaded


def replacements() -> tuple[str, ...]:
    """The files that `replace` was given, for another process."""
    return tuple(map(str, _REPLACEMENTS.values()))


def require_outside(names: Iterable[str], folder: pathlib.Path) -> None:
    """Raises ConfigError for an extension that lies in a run folder, or has a relative path.

    A run folder may come from anywhere: opening it must not import code that came with it. Training
    stores absolute paths only.
    """
    inside = folder.resolve()
    for name in names:
        if name.endswith(".py"):
            places = [pathlib.Path(name)]
            foreign = not places[0].is_absolute()
        else:
            places, foreign = _places(name.partition(".")[0]), False
        if foreign or any(place.resolve().is_relative_to(inside) for place in places):
            raise ConfigError(
                f"the run names an extension that came with it ({name})",
                folder,
                "if you trust it, copy the file elsewhere and put the new path in config.toml",
            )


def _places(module: str) -> list[pathlib.Path]:
    """Where a top-level module would be imported from, without importing it."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    places = [*(spec.submodule_search_locations or ()), *([spec.origin] if spec.origin else [])]
    return [pathlib.Path(place) for place in places]


def _load(name: str) -> str:
    if name.endswith(".py"):
        return _load_file(name)
    if not all(part.isidentifier() for part in name.split(".")):
        raise ConfigError(
            f"extension '{name}' is neither a module nor a Python file", fix="name a .py file"
        )
    return _load_module(name)


def _load_module(name: str) -> str:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _failed(name, error) from error
        raise ConfigError(
            f"extension '{name}' is not installed",
            fix="install its package, or pass its file: --extension FILE.py",
        ) from error
    except Exception as error:
        raise _failed(name, error) from error
    return name


def _load_file(name: str) -> str:
    path = pathlib.Path(name).expanduser().absolute()
    if path.name in _REPLACEMENTS:
        return str(path)
    if not path.is_file():
        raise ConfigError(
            "extension not found",
            path,
            f"put it back, or name where it is now: --extension .../{path.name}",
        )
    # By content: a copy of a file that was imported already has nothing to add.
    digest = hashlib.sha256(path.name.encode() + path.read_bytes()).hexdigest()[:16]
    module_name = f"kerasdl_extension_{path.stem}_{digest}"
    if module_name in sys.modules:
        return str(path)
    loader = importlib.machinery.SourceFileLoader(module_name, str(path))
    spec = importlib.machinery.ModuleSpec(module_name, loader, origin=str(path))
    spec.has_location = True  # so that the module has a __file__
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        raise _failed(path, error) from error
    return str(path)


def _failed(name: str | pathlib.Path, error: Exception) -> ConfigError:
    if isinstance(error, ConfigError):  # such as a name that is taken
        return ConfigError(error.what, name, error.fix)
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return ConfigError(f"extension {name} cannot be imported ({reason})", fix="run it on its own")
