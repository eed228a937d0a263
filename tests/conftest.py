"""Which tests compute with Keras, and settings for all of them."""

import gc
import os
import pathlib
import sys
import types

import numpy
import pytest
import weight_draws

from kerasdl import backend

# What was measured on this machine for its user must not decide which backend is tested.
os.environ["KERASDL_SETTINGS"] = str(pathlib.Path(__file__).parents[1] / ".pytest_cache/settings")
os.environ.setdefault("MPLBACKEND", "Agg")
# JAX compiles every network for every shape, which takes longer than all the tests compute. The
# results stay those of the same program; only its compilation is cheaper, and kept for next time.
CHEAP = (
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
)
if "jax" in backend.installed():
    os.environ.setdefault("XLA_FLAGS", " ".join([*CHEAP, backend.jax_flags(cpu_only=True)]))
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR",
    str(pathlib.Path(__file__).parents[1] / ".pytest_cache" / "jax-compilation"),
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "0")
# Before anything imports Keras. The suite is run once per backend, see the Makefile.
BACKEND = backend.choose("auto")
weight_draws.install()
if BACKEND == "torch":
    import torch

    to_array = torch.Tensor.__array__

    def to_array_outside_kerasdl(tensor, *arguments, **keywords):
        """NumPy takes tensors of the processor, but none of a GPU, which no test has."""
        caller = sys._getframe(1).f_code.co_filename
        if pathlib.Path(caller).is_relative_to(pathlib.Path(backend.__file__).parents[1]):
            raise TypeError("kerasdl must use keras.ops.convert_to_numpy")
        return to_array(tensor, *arguments, **keywords)

    torch.Tensor.__array__ = to_array_outside_kerasdl


# The files that take longest start first: at the end, one of them would run alone.
LONG = ("distribution", "run", "export", "kill", "backends", "docs", "models", "optimizer_choice")


def pytest_collection_modifyitems(items):
    """Marks the tests of modules that import Keras: those are run once per backend."""
    places = {f"test_{name}.py": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONG)))
    for item in items:
        module = getattr(item, "module", None)
        computes = isinstance(getattr(module, "keras", None), types.ModuleType)
        if computes and "once" not in item.keywords:
            item.add_marker(pytest.mark.backend)


def pytest_collection_finish():
    """What is imported stays: no collection of garbage, of which kerasdl asks many, walks it."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def without_artifacts(monkeypatch):
    """Trainings whose report is not looked at do not draw one."""
    monkeypatch.setattr("kerasdl.engine.publishing.finish", scores_only)


def scores_only(path, config, task, dataset):
    """In place of `kerasdl.engine.publishing.finish`."""
    (path / "metrics.json").write_text("{}")


@pytest.fixture
def without_charts(monkeypatch):
    """Pages whose charts are not looked at have a pixel in place of each."""
    from kerasdl.report import embed

    pixel = embed.image(numpy.zeros((1, 1), "uint8"), "").source

    def not_drawn(draw, alt, **arguments):
        return embed.Chart(pixel, pixel, alt, 1, 1)

    monkeypatch.setattr(embed, "chart", not_drawn)
