"""Checks that need no backend: versions, combinations, extras, folders."""

import importlib.metadata
import importlib.util
import os
import pathlib
import re
import shutil
import sys
import tempfile

from kerasdl import backend as backends
from kerasdl.backend import BACKENDS, recommendation
from kerasdl.core import files
from kerasdl.engine import run

LEAST_PYTHON = (3, 11)
LEAST_KERAS = (3, 15, 1)
LEAST_FREE_BYTES = 2**30
# extra -> modules that it installs, and what they enable
EXTRAS = {
    "tensorflow": (("tensorflow",), "the TensorFlow backend"),
    "jax": (("jax",), "the JAX backend"),
    "torch": (("torch",), "the PyTorch backend"),
    "tfds": (
        ("tensorflow_datasets", "importlib_resources"),
        "--data tfds:NAME, the data sets of TensorFlow Datasets",
    ),
    "keras-cv": (("keras_cv", "tensorflow"), "comparison with the ResNet-18 of keras-cv"),
    "yolo": (("yaml",), "YOLO exports, whose classes are in a data.yaml"),
    "onnx": (("onnxruntime",), "predict with ONNX files"),
    "openvino": (("openvino",), "predict with OpenVINO files"),
    "litert": (("ai_edge_litert",), "predict with LiteRT files"),
    "export": (("onnx", "flatbuffers", "sympy"), "kerasdl export"),
    "video": (("av",), "predict for videos"),
    "demo": (("gradio",), "kerasdl demo, a page to try runs in"),
    "tensorboard": (("tensorboard",), "--log tensorboard"),
    "mlflow": (("mlflow",), "--log mlflow"),
    "wandb": (("wandb",), "--log wandb"),
    "tune": (("optuna",), "kerasdl tune"),
    "safetensors": (("safetensors",), "--weights FILE.safetensors"),
    "hub": (("huggingface_hub",), "kerasdl push and --run hf:USER/NAME"),
    "slurm": (("submitit",), "--launcher slurm"),
    "test": (("pytest", "sklearn"), "the tests"),
}


def finding(about, state, text, fix=None):
    """One finding, see `kerasdl.tools.doctor`."""
    return {"about": about, "state": state, "text": text, "fix": fix}


def has(module):
    """Whether a module can be found; nothing is imported. Plain folders do not count."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None


def version(package):
    """Version of an installed package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def numbers(text):
    """ "3.15.1rc0" -> (3, 15, 1)."""
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def python():
    text = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < LEAST_PYTHON:
        return [finding("Python", "broken", text, "install Python 3.11 or later")]
    return [finding("Python", "ok", f"{text}, {sys.executable}")]


def keras(version=version):
    """Whether Keras is installed and recent enough."""
    found = version("keras")
    fix = "pip install --upgrade 'keras>=3.15.1,<4'"
    if found is None:
        return [finding("Keras", "broken", "not installed", fix)]
    if numbers(found) < LEAST_KERAS:
        return [finding("Keras", "broken", f"{found} computes wrong transposed convolutions on "
                        "PyTorch and opens model files unsafely", fix)]  # fmt: skip
    return [finding("Keras", "ok", found)]


def combinations(has=has, version=version, environment=os.environ):
    """Packages and settings that conflict with each other."""
    found = []
    installed = [name for name in BACKENDS if has(name)]
    if not installed:
        found.append(finding("backends", "broken", "none is installed",
                             "pip install 'kerasdl[tensorflow]', 'kerasdl[jax]' or "
                             "'kerasdl[torch]'"))  # fmt: skip
    wanted = environment.get("KERAS_BACKEND")
    if wanted and wanted not in installed:
        known = "not installed" if wanted in BACKENDS else "not a backend of kerasdl"
        found.append(finding("KERAS_BACKEND", "broken", f"'{wanted}' is {known}",
                             f"unset it, or one of: {', '.join(installed) or 'none'}"))  # fmt: skip
    if has("keras_cv") and not has("tensorflow"):
        found.append(finding("keras-cv", "broken", "cannot be imported without TensorFlow",
                             "pip install 'kerasdl[keras-cv]', or uninstall it"))  # fmt: skip
    if has("tensorflow_datasets") and not has("importlib_resources"):
        found.append(finding("tensorflow-datasets", "broken",
                             "needs importlib_resources, an undeclared dependency",
                             "pip install importlib_resources"))  # fmt: skip
    pair = version("tensorflow"), version("tensorflow-cpu")
    if all(pair) and pair[0] != pair[1]:
        found.append(finding("TensorFlow", "broken", f"tensorflow {pair[0]} and tensorflow-cpu "
                             f"{pair[1]} overwrite each other",
                             "pip uninstall both, then install one"))  # fmt: skip
    for name in (*BACKENDS, "keras", "numpy"):
        if pathlib.Path(name).is_dir() and not has(name):
            found.append(finding(name, "broken", f"the folder ./{name} hides the package",
                                 "work in another folder, or rename it"))  # fmt: skip
    return found


def extras(has=has):
    """The optional packages, and what each missing one would enable."""
    found = []
    for name, (modules, purpose) in EXTRAS.items():
        missing = [module for module in modules if not has(module)]
        if not missing:
            found.append(finding(f"[{name}]", "ok", purpose))
        else:
            found.append(finding(f"[{name}]", "note", f"not installed: {purpose}",
                                 f"pip install 'kerasdl[{name}]'"))  # fmt: skip
    return found


def folders(places=None):
    """Folders that must be writable and have free space."""
    places = places or {
        "run folders": (run.ROOT, "work in a writable folder, or use --out"),
        "temporary files": (pathlib.Path(tempfile.gettempdir()), "set TMPDIR"),
        "settings": (recommendation.path().parent, "set KERASDL_SETTINGS"),
    }
    found = []
    for about, (path, fix) in places.items():
        there = pathlib.Path(path).absolute()
        while not there.exists():  # missing folders are created below the nearest existing one
            there = there.parent
        probe = there / f"{files.TEMPORARY_PREFIX}doctor-{os.getpid()}"
        try:
            probe.write_bytes(b"kerasdl")
            probe.unlink()
        except OSError as error:
            text = f"cannot write to {path} ({error.strerror})"
            found.append(finding(about, "broken", text, fix))
            continue
        free = shutil.disk_usage(there).free
        state = "ok" if free >= LEAST_FREE_BYTES else "note"
        found.append(finding(about, state, f"{path}, {free / 2**30:.1f} GiB free"))
    return found


def choice():
    """What `--backend auto` resolves to."""
    entry = recommendation.read()
    wanted = os.environ.get("KERAS_BACKEND")
    installed = backends.installed()
    if wanted:
        text = f"{wanted}, from KERAS_BACKEND"
    elif entry.get("backend") in installed:
        text = f"{entry['backend']}, the fastest in `kerasdl benchmark` here"
    elif installed:
        text = f"{installed[0]}, the first installed; `kerasdl benchmark` finds the fastest"
    else:
        return []
    return [finding("--backend auto", "ok", text)]
