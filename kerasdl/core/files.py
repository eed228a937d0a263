"""Atomic file writes: a temporary file is written, synced, then renamed.

A rename within one folder is atomic, and the `fsync` before it ensures that a power failure cannot
leave the new name pointing to lost data.
"""

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import shutil
import tomllib
from collections.abc import Iterator
from typing import Any, TypeAlias

from kerasdl.core.errors import ConfigError, WriteError

Path: TypeAlias = str | os.PathLike[str]

TEMPORARY_PREFIX = ".tmp-"

_NO_SPACE = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
_NO_RIGHTS = (errno.EACCES, errno.EPERM, errno.EROFS)


def cannot_write(path: Path, error: OSError, needed_bytes: int | None = None) -> WriteError:
    """WriteError for an OSError raised while writing `path`, with a fix that matches the cause."""
    what = f"cannot write ({error.strerror or error})"
    fix = None
    if error.errno in _NO_SPACE:
        if needed_bytes:
            what += f", {max(needed_bytes / 1e6, 0.1):.1f} MB needed"
        fix = "free some space, then repeat the command"
    elif error.errno in _NO_RIGHTS:
        fix = "choose a writable folder with --out"
    elif error.errno == errno.ENOENT:
        fix = "was the folder removed during the run?"
    return WriteError(what, path, fix)


def sync_file(path: Path) -> None:
    """Flushes a file's content to disk."""
    with open(path, "rb+") as stream:
        os.fsync(stream.fileno())


def sync_folder(path: Path) -> None:
    """Makes a rename within the folder durable; does nothing where folders cannot be opened."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems do not support fsync on a folder.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing(path: Path, needed_bytes: int | None = None) -> Iterator[pathlib.Path]:
    """Yields a temporary path next to `path`, renamed to `path` if the block succeeds.

    In any case `path` is either the old or the new file, and no temporary file is left behind.

    Raises:
        WriteError: The operating system refuses any step.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(TEMPORARY_PREFIX + path.name)
    try:
        yield temporary
        sync_file(temporary)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error, needed_bytes) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Creates a folder and its parents if missing. Raises WriteError."""
    try:
        pathlib.Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 text file atomically. Raises WriteError."""
    with replacing(path, len(text)) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: Path, value: object) -> None:
    """Writes a JSON file atomically. Raises WriteError."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def remove(path: Path) -> None:
    """Removes a file, a link or a folder with its content, if it exists. Raises OSError."""
    path = pathlib.Path(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def read_toml(path: Path) -> dict[str, Any]:
    """Reads a TOML file into a dict. Raises ConfigError naming file and line."""
    path = pathlib.Path(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError("no such configuration file", path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration file cannot be read: {error}", path) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not valid TOML: {error}", path) from error
