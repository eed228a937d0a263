"""Choosing and setting up the Keras backend, before Keras is imported."""

import contextlib
import importlib
import importlib.metadata
import importlib.util
import json
import logging
import os
import platform
import sys
import types

from kerasdl.backend import machine
from kerasdl.core.errors import ConfigError, suggest

BACKENDS = ("tensorflow", "jax", "torch")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16", "auto")
KERAS_DEFAULTS = {"image_data_format": "channels_last", "floatx": "float32", "epsilon": 1e-7}
JAXLIB_WITH_YNNPACK = ((0, 9), (0, 13))  # from, to: versions that know its flag
PACKAGES = ("keras", "tensorflow", "tensorflow-cpu", "jax", "torch", "numpy", "pillow", "kerasdl")


def installed():
    """Names of the backends that can be imported, in order of preference."""
    return [name for name in BACKENDS if importlib.util.find_spec(name) is not None]


def require_installed(name):
    """Raises ConfigError unless `name` is a backend that can be imported."""
    if name not in BACKENDS:
        raise suggest("backend", name, BACKENDS)
    available = installed()
    if name not in available:
        there = ", ".join(available) or "none"
        raise ConfigError(
            f"backend '{name}' is not installed",
            fix=f"pip install 'kerasdl[{name}]'; installed: {there}",
        )


def choose(name="auto", deterministic=True):
    """Selects the backend of this process; call it before anything imports Keras.

    Precedence: `name` unless "auto", else the variable KERAS_BACKEND, else what `kerasdl benchmark`
    recommends for this machine, else the first installed of tensorflow, jax and torch.

    Args:
        name: The backend, or "auto".
        deterministic: Whether runs are reproducible; see `prepare`. Used here for JAX only,
            whose compiler flags cannot change once it runs.

    Returns:
        The backend's name.

    Raises:
        ConfigError: Unknown or not installed, or Keras already runs on another one.
    """
    wanted = name if name != "auto" else os.environ.get("KERAS_BACKEND") or "auto"
    if wanted == "auto":
        available = installed()
        if not available:
            raise ConfigError(
                "no backend is installed",
                fix="pip install 'kerasdl[tensorflow]', 'kerasdl[jax]' or 'kerasdl[torch]'",
            )
        from kerasdl.backend import recommendation  # circular import

        recommended = recommendation.read().get("backend")
        wanted = recommended if recommended in available else available[0]
    require_installed(wanted)
    if "keras" in sys.modules and sys.modules["keras"].config.backend() != wanted:
        running = sys.modules["keras"].config.backend()
        raise ConfigError(
            f"Keras already runs on '{running}' in this process, '{wanted}' was requested",
            fix="start a new process for another backend",
        )
    os.environ["KERAS_BACKEND"] = wanted
    machine.keep_freed_memory()
    if wanted == "tensorflow" and "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        # TensorFlow enables its oneDNN kernels only on CPUs with AVX-512 VNNI or newer. On others
        # its default convolutions train ResNet-18 at a quarter of the speed.
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
        _import_tensorflow_silently()
    if wanted == "jax" and "jax" not in sys.modules:
        flags = jax_flags(_jax_is_cpu_only(), deterministic)
        if flags:  # the user's own flags are kept
            os.environ.setdefault("XLA_FLAGS", flags)
    _ignore_keras_json()
    return wanted


def _ignore_keras_json():
    """Undoes what a keras.json in the home folder changes of Keras' results.

    Keras is imported here only where there is such a file: it may want to join other hosts first.
    """
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    try:
        with open(os.path.join(home, "keras.json"), encoding="utf-8") as file:
            stored = json.load(file)
    except (OSError, ValueError):
        return
    if isinstance(stored, dict) and any(stored.get(k, v) != v for k, v in KERAS_DEFAULTS.items()):
        import keras

        keras.config.set_image_data_format(KERAS_DEFAULTS["image_data_format"])
        keras.config.set_floatx(KERAS_DEFAULTS["floatx"])
        keras.config.set_epsilon(KERAS_DEFAULTS["epsilon"])
        keras.config.set_dtype_policy(KERAS_DEFAULTS["floatx"])


def jax_flags(cpu_only, deterministic=True):
    """Flags for XLA on this kind of device; an unknown one would end the process."""
    if cpu_only:
        # YNNPACK's convolutions take up to 5.7 times as long as Eigen's (docs/upstream.md, 19).
        jaxlib = tuple(map(int, importlib.metadata.version("jaxlib").split(".")[:2]))
        known = JAXLIB_WITH_YNNPACK[0] <= jaxlib < JAXLIB_WITH_YNNPACK[1]
        return "--xla_cpu_experimental_ynn_fusion_type=-individual_convolution" if known else ""
    # On a GPU each process autotunes, and some algorithms sum in arbitrary order: two identical
    # runs of ResNet-18 differed after two epochs (NVIDIA H200).
    return "--xla_gpu_deterministic_ops=true" if deterministic else ""


def _jax_is_cpu_only():
    """Whether JAX is installed without a GPU or TPU plugin."""
    return all(importlib.util.find_spec(name) is None for name in ("jax_plugins", "libtpu"))


def _import_tensorflow_silently():
    """Imports TensorFlow without its startup messages, six lines from C++ whatever the log level.

    Errors still surface as exceptions.
    """
    with silenced():
        import tensorflow

        tensorflow.config.list_physical_devices()
        # Otherwise it warns about every model after the fifth that predicts in one process.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)


@contextlib.contextmanager
def silenced():
    """Drops what is written to standard error within the block, by C++ too."""
    try:
        standard_error = os.dup(2)
    except OSError:  # closed: nothing to silence
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(standard_error, 2)
        os.close(standard_error)


def prepare(seed, precision="float32", deterministic=True):
    """Seeds all generators and sets precision and determinism; imports Keras.

    Deterministic means that two runs on the same machine, backend and versions are bit-identical;
    TensorFlow and torch have a switch for it, for JAX on a GPU `choose` sets a compiler flag.
    """
    import keras

    set_seed(seed)
    keras.config.set_dtype_policy(precision)
    if not deterministic:
        return
    if keras.config.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
    elif keras.config.backend() == "torch":
        import torch

        # CUDA's matrix products are only reproducible with a fixed workspace.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        # The same as `use_deterministic_algorithms`, which would import the compiler as well.
        torch.set_deterministic_debug_mode("warn")
        # Otherwise every new tensor is first filled with NaN, in case it is read before it is
        # written. That does not happen here, and costs 4 % of a step.
        torch.utils.deterministic.fill_uninitialized_memory = False


def set_seed(seed):
    """Seeds the generators of Python, NumPy, Keras and the chosen backend."""
    import keras

    with _no_other_tensorflow(keras.config.backend()):
        keras.utils.set_random_seed(seed)


# Optional packages that Keras imports wherever they are installed, for features not used here.
KERAS_EXTRAS = ("sklearn", "pandas", "matplotlib", "orbax")
KERAS_ONLY_EXTRAS = ("IPython", "requests")  # TensorFlow itself needs them
COMPILER = "torch._dynamo"


def start(name="auto", deterministic=True):
    """`choose`, and imports Keras, for a program of its own that does not use `torch.compile`.

    Without the optional packages that Keras would import, and without PyTorch's compiler, which
    takes as long as PyTorch. Keras' wrappers for scikit-learn, galleries of images and data frames
    then do not work in this process.
    """
    if "keras" in sys.modules:
        return choose(name, deterministic)
    with _hidden(*KERAS_EXTRAS):
        chosen = choose(name, deterministic)
        others = (*KERAS_ONLY_EXTRAS, *({"jax"} - {chosen}))
        with _without_compiler(chosen), _hidden(*others):
            import keras  # noqa: F401
    return chosen


@contextlib.contextmanager
def _without_compiler(backend):
    """Within the block, PyTorch's compiler is there but for what Keras imports it for.

    Keras exempts two functions from compilation. Anything else loads the compiler after all.
    """
    if backend != "torch" or COMPILER in sys.modules:
        yield
        return
    import torch  # noqa: F401  # it looks through all modules, and would load the compiler

    def loaded(name):
        if name.startswith("__"):
            raise AttributeError(name)
        sys.modules.pop(COMPILER, None)
        return getattr(importlib.import_module(COMPILER), name)

    stand_in = types.ModuleType(COMPILER)
    stand_in.disable = lambda: lambda function: function
    stand_in.__getattr__ = loaded
    sys.modules[COMPILER] = stand_in
    try:
        yield
    finally:
        if sys.modules.get(COMPILER) is stand_in:
            del sys.modules[COMPILER]


@contextlib.contextmanager
def _hidden(*names):
    """Packages that cannot be imported within the block, unless they are loaded already."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # None is Python's marker for it
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextlib.contextmanager
def _no_other_tensorflow(backend):
    """Keeps Keras from importing TensorFlow where it is installed but not the backend.

    `keras.utils.set_random_seed` seeds TensorFlow on every backend, for tf.data pipelines, and
    imports it for that: two seconds, 0.4 GB, and its startup messages. Keras caches whether it is
    available, so saving a model does not import it either.
    """
    if backend == "tensorflow" or "tensorflow" in sys.modules:
        yield
        return
    with _hidden("tensorflow"):
        yield


def without_tensor_float_32():
    """Makes GPUs multiply float32 at its full 24-bit precision, in this process.

    By default all three frameworks let the GPU round the factors of a convolution to the 11 bits of
    TensorFloat-32, each where it likes.
    """
    import keras

    backend = keras.config.backend()
    if backend == "torch":
        import torch

        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
    elif backend == "jax":
        import jax

        if jax.default_backend() != "cpu":
            jax.config.update("jax_default_matmul_precision", "highest")
    else:
        import tensorflow

        tensorflow.config.experimental.enable_tensor_float_32_execution(False)


def allow_float64():
    """Lets JAX compute in float64, in this process; the others do by default."""
    import keras

    if keras.config.backend() == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)


def environment():
    """What a result depends on besides configuration and data, as JSON types."""
    import importlib.metadata  # here, because it takes a fifth of the start of `--help`

    import keras

    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "backend": keras.config.backend(),
        "precision": keras.config.dtype_policy().name,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "devices": _devices(keras.config.backend()),
        "versions": versions,
    }


def _devices(backend):
    """Kinds of devices the backend computes on."""
    if backend == "torch":
        import torch

        if torch.cuda.is_available():
            return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return ["cpu"]
    if backend == "jax":
        import jax

        return [device.device_kind for device in jax.devices()]
    import tensorflow

    return [device.name for device in tensorflow.config.list_logical_devices()]
