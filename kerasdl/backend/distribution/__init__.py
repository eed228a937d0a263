"""One training on several devices or processes.

`start` gives the `Group` of this process. A group knows how many replicas share a batch, which
part of it this process computes, and which process writes. Whatever the engine, a step on all of
them is the step of a single process on the same global batch: losses, batch norm and metrics are
taken over all of its samples. The engines are one file each and are imported when they are used.
"""

import contextlib
import importlib
import logging
import os

from kerasdl.backend.distribution.group import ALONE, Group
from kerasdl.core.errors import ConfigError

ENGINES = {
    "jax": "kerasdl.backend.distribution.jax_devices",
    "tensorflow": "kerasdl.backend.distribution.tensorflow_replicas",
    "torch": "kerasdl.backend.distribution.torch_processes",
}

logger = logging.getLogger("kerasdl")

_follows = False
_inside = ALONE


@contextlib.contextmanager
def start(mode, backend):
    """The group of this process, for the life of a training.

    Args:
        mode: "none" or "data".
        backend: The backend in use. Nothing may have been computed with it yet.

    Raises:
        ConfigError: The processes were not started as the backend needs it.
    """
    global _follows
    if mode == "none":
        if backend == "torch" and int(os.environ.get("WORLD_SIZE", 1)) > 1:
            raise ConfigError(
                f"torchrun started {os.environ['WORLD_SIZE']} processes, but nothing is shared",
                fix="add --distribute data, or start without torchrun",
            )
        yield ALONE
        return
    group = importlib.import_module(ENGINES[backend]).start()
    _follows = not group.is_main
    if _follows:
        logger.setLevel(logging.ERROR)  # one voice is enough
    elif group.replicas == 1:
        logger.warning("there is one device only, so 'distribute' changes nothing")
    else:
        logger.info("%d replicas in %d processes share each batch", group.replicas, group.processes)
    try:
        yield group
    except BaseException:
        group.close(failed=True)
        raise
    group.close()


@contextlib.contextmanager
def scope(group):
    """Where the network of a group is built, compiled and fitted."""
    global _inside
    _inside = group
    try:
        with group.scope():
            yield
    finally:
        _inside = ALONE


def total(values):
    """Sums over the replicas of a step, with gradients; the values themselves outside of `scope`.

    Args:
        values: List of float tensors, of the same shapes on all replicas.
    """
    return _inside.total(values)


def follows():
    """True if another process writes and speaks for the run that this process took part in."""
    return _follows


__all__ = ["ALONE", "Group", "follows", "scope", "start", "total"]
