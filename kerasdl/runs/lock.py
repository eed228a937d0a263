"""One process per run folder: the lock, and who holds it."""

import datetime
import errno
import json
import logging
import os
import socket

import filelock

from kerasdl.core import files
from kerasdl.core.errors import WriteError
from kerasdl.runs import names

_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)

logger = logging.getLogger("kerasdl")


def acquire(path):
    """Acquires the lock of a folder. Raises WriteError naming the process that holds it."""
    file = path / names.LOCK
    try:
        try:
            lock = filelock.FileLock(file, timeout=0)
            lock.acquire()
        except (OSError, NotImplementedError) as error:
            if isinstance(error, filelock.Timeout):
                raise
            if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
                raise files.cannot_write(file, error) from error
            logger.warning(
                "this file system has no locks: %s (using a plain lock file instead)", path
            )
            lock = filelock.SoftFileLock(f"{file}.soft", timeout=0)
            lock.acquire()
    except filelock.Timeout:
        raise WriteError(
            f"in use by {_holder_text(path)}", path, "wait for it, or choose another --out"
        ) from None
    return lock


def held(path):
    """Whether a process holds the lock of a folder. Raises nothing."""
    if not (path / names.HOLDER).exists():
        return False
    try:
        with filelock.FileLock(path / names.LOCK, timeout=0):
            return False
    except filelock.Timeout:
        return True
    except (OSError, NotImplementedError):  # read-only, or no locks on this file system
        return (path / f"{names.LOCK}.soft").exists()


def holder():
    """Describes this process as the holder of the lock, for `running.json`."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "started": now}


def _holder_text(path):
    try:
        found = json.loads((path / names.HOLDER).read_text(encoding="utf-8"))
        return f"pid {found['pid']} on host {found['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
