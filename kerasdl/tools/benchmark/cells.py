"""The cells of a benchmark: every combination of what is asked for, and what cannot be measured."""

import dataclasses
import itertools

from kerasdl import backend as backends
from kerasdl.backend import BACKENDS, PRECISIONS, machine
from kerasdl.core.errors import ConfigError, suggest
from kerasdl.models import MODELS
from kerasdl.runs.config import JIT_COMPILE

PLAIN = "plain PyTorch"
MEASURED_PRECISIONS = tuple(name for name in PRECISIONS if name != "auto")
YARDSTICKS = {"none": (), "eager": ("off",), "compiled": ("on",), "both": ("off", "on")}
QUICK = {"models": ("resnet18", "unet"), "batch_sizes": (32,), "jits": ("auto",)}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One thing to measure; `backend` is one of `kerasdl.backend.BACKENDS` or `PLAIN`."""

    model: str
    batch_size: int
    backend: str
    precision: str
    jit_compile: str

    @property
    def group(self):
        """Cells of one group compute the same steps and are compared."""
        return self.model, self.batch_size


def plan(backend=(), model=(), batch_size=(), precision=(), jit_compile=(), reference="eager"):
    """All cells, group by group; an empty axis takes its quick default.

    The defaults: every installed backend, `QUICK`, float32 and, where the machine has hardware
    for it, mixed_bfloat16.

    Raises:
        ConfigError: An unknown name or a number below 1.
    """
    installed = backends.installed()
    names = tuple(backend) or tuple(installed)
    if not names:
        backends.choose("auto")  # says how to install one
    for name in names:
        _require("backend", name, BACKENDS)
        if name not in installed:
            raise ConfigError(
                f"backend '{name}' is not installed", fix=f"pip install 'kerasdl[{name}]'"
            )
    models = tuple(model) or QUICK["models"]
    sizes = tuple(batch_size) or QUICK["batch_sizes"]
    precisions = tuple(precision) or quick_precisions()
    jits = tuple(jit_compile) or QUICK["jits"]
    for kind, values, known in (
        ("model", models, MODELS),
        ("precision", precisions, MEASURED_PRECISIONS),
        ("jit_compile", jits, JIT_COMPILE),
        ("reference", (reference,), YARDSTICKS),
    ):
        for value in values:
            _require(kind, value, known)
    for size in sizes:
        if size < 1:
            raise ConfigError(f"the batch size must be at least 1, received {size}")
    plain = YARDSTICKS[reference] if "torch" in installed else ()
    cells = []
    for name, size in itertools.product(dict.fromkeys(models), dict.fromkeys(sizes)):
        for kind in dict.fromkeys(precisions):
            cells += [Cell(name, size, PLAIN, kind, mode) for mode in plain]
            cells += [
                Cell(name, size, each, kind, mode)
                for each in dict.fromkeys(names)
                for mode in dict.fromkeys(jits)
            ]
    return cells


def quick_precisions():
    """float32, and mixed_bfloat16 where this machine computes with it in hardware."""
    fast = machine.graphics() or machine.bfloat16_in_hardware()
    return ("float32", "mixed_bfloat16") if fast else ("float32",)


def _require(kind, name, known):
    if name not in known:
        raise suggest(kind, name, known)
