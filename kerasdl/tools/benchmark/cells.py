"""The cells of a benchmark: every combination of the requested values."""

import dataclasses
import itertools
import pathlib

from kerasdl import backend as backends
from kerasdl.backend import BACKENDS, PRECISIONS, machine
from kerasdl.core.errors import ConfigError, suggest
from kerasdl.models import MODELS
from kerasdl.runs.config import JIT_COMPILE

MEASURED_PRECISIONS = tuple(name for name in PRECISIONS if name != "auto")
QUICK = {"models": ("resnet18", "unet"), "batch_sizes": (32,), "jits": ("auto",)}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One thing to measure; `backend` is one of `kerasdl.backend.BACKENDS` or a reference."""

    model: str
    batch_size: int
    backend: str
    precision: str
    jit_compile: str

    @property
    def is_reference(self):
        """Whether it trains with the user's class "FILE.py:CLASS" instead of kerasdl."""
        return self.backend not in BACKENDS

    @property
    def group(self):
        """Cells of one group compute the same steps and are compared."""
        return self.model, self.batch_size


def plan(backend=(), model=(), batch_size=(), precision=(), jit_compile=(), reference=()):
    """All cells, group by group; an empty axis has its quick default.

    The defaults: every installed backend, `QUICK`, float32 and mixed_bfloat16 if the machine
    supports it in hardware. A reference, "FILE.py:CLASS", is measured once per precision.

    Raises:
        ConfigError: An unknown name, a number below 1, or a missing reference.
    """
    installed = backends.installed()
    names = tuple(backend) or tuple(installed)
    if not names:
        backends.choose("auto")  # raises with instructions to install one
    for name in names:
        backends.require_installed(name)
    models = tuple(model) or QUICK["models"]
    sizes = tuple(batch_size) or QUICK["batch_sizes"]
    precisions = tuple(precision) or quick_precisions()
    jits = tuple(jit_compile) or QUICK["jits"]
    for kind, values, known in (
        ("model", models, MODELS),
        ("precision", precisions, MEASURED_PRECISIONS),
        ("jit_compile", jits, JIT_COMPILE),
    ):
        for value in values:
            _require(kind, value, known)
    for size in sizes:
        if size < 1:
            raise ConfigError(f"the batch size must be at least 1, received {size}")
    for each in reference:
        _require_reference(each)
    cells = []
    for name, size in itertools.product(dict.fromkeys(models), dict.fromkeys(sizes)):
        for kind in dict.fromkeys(precisions):
            cells += [Cell(name, size, each, kind, "auto") for each in dict.fromkeys(reference)]
            cells += [
                Cell(name, size, each, kind, mode)
                for each in dict.fromkeys(names)
                for mode in dict.fromkeys(jits)
            ]
    return cells


def quick_precisions():
    """float32, and mixed_bfloat16 if this machine supports it in hardware."""
    fast = machine.gpus() or machine.bfloat16_in_hardware()
    return ("float32", "mixed_bfloat16") if fast else ("float32",)


def _require(kind, name, known):
    if name not in known:
        raise suggest(kind, name, known)


def _require_reference(text):
    path, _, name = text.rpartition(":")
    if not (path.endswith(".py") and name.isidentifier()):
        raise ConfigError(f"the reference '{text}' is not of the form FILE.py:CLASS")
    if not pathlib.Path(path).is_file():
        raise ConfigError("no such reference file", path, "see docs/backends.md")
    backends.require_installed("torch")
