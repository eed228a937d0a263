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

_LOADED: dict[str, pathlib.Path] = {}  # file name -> path


def load(names: Iterable[str]) -> tuple[str, ...]:
    """Imports extensions, each once, and returns their names, with file paths made absolute.

    Args:
        names: Modules ("package.module") or Python files ("my_models.py").

    Raises:
        ConfigError: An extension is missing or its import fails.
    """
    return tuple(_load_file(name) if name.endswith(".py") else _load_module(name) for name in names)


def require_outside(names: Iterable[str], folder: pathlib.Path) -> None:
    """Raises ConfigError for an extension inside the run folder or with a relative path.

    A run folder may come from anywhere: opening it must not import code that came with it. Training
    stores absolute paths only.
    """
    for name in names:
        if not str(name).endswith(".py"):
            continue
        path = pathlib.Path(name)
        if not path.is_absolute() or path.resolve().is_relative_to(folder.resolve()):
            raise ConfigError(
                f"the run names an extension that came with it ({name})",
                folder,
                "if you trust it, copy the file elsewhere and put the new path in config.toml",
            )


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
    # A run stores the file's original path; on another machine --extension gives the new one.
    path = path if path.is_file() else _LOADED.get(path.name, path)
    if not path.is_file():
        raise ConfigError(
            "extension not found", path, "restore it, or pass its new path: --extension FILE.py"
        )
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
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
    except ConfigError:
        del sys.modules[module_name]
        raise
    except Exception as error:
        del sys.modules[module_name]
        raise _failed(path, error) from error
    _LOADED[path.name] = path
    return str(path)


def _failed(name: str | pathlib.Path, error: Exception) -> ConfigError:
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return ConfigError(f"extension {name} cannot be imported ({reason})", fix="run it on its own")
