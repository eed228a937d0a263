"""One training on several devices or processes.

`start` yields the `Group` of this process. A group knows how many replicas share a batch, which
part of it this process computes, and which process writes. On every backend a distributed step
equals the step of a single process on the same global batch: losses, batch norm and metrics are
computed over all of its samples. Each backend has its own module, imported on use.
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

_is_worker = False
_inside = ALONE


@contextlib.contextmanager
def start(mode, backend):
    """The group of this process, for the duration of a training.

    Args:
        mode: "none" or "data".
        backend: The backend in use. It must not have computed anything yet.

    Raises:
        ConfigError: The processes were not started the way the backend needs.
    """
    global _is_worker
    if mode == "none":
        if backend == "torch" and int(os.environ.get("WORLD_SIZE", 1)) > 1:
            raise ConfigError(
                f"torchrun started {os.environ['WORLD_SIZE']} processes, but 'distribute' is off",
                fix="add --distribute data, or start without torchrun",
            )
        yield ALONE
        return
    group = importlib.import_module(ENGINES[backend]).start()
    _is_worker = not group.is_main
    if _is_worker:
        logger.setLevel(logging.ERROR)  # only the main process logs
    elif group.replicas == 1:
        logger.warning("there is only one device, so 'distribute' has no effect")
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
    """Context in which the model of a group is built, compiled and fitted."""
    global _inside
    _inside = group
    try:
        with group.scope():
            yield
    finally:
        _inside = ALONE


def total(values):
    """Sums over the replicas of a step, with gradients; the values themselves outside `scope`.

    Args:
        values: List of float tensors, of the same shapes on all replicas.
    """
    return _inside.total(values)


def is_worker():
    """Whether another process writes and logs for the run of this process."""
    return _is_worker


__all__ = ["ALONE", "Group", "is_worker", "scope", "start", "total"]
