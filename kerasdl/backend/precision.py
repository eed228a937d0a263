"""The precision to train and predict in: what `auto` is, and what a device does not support.

Mixed precision is Keras' own: layers compute in 16 bits, weights stay float32. Losses, metrics and
the outputs of all models are float32 under every policy; float16 gradients are scaled by Keras'
`LossScaleOptimizer`, which `compile` puts around the optimizer.
"""

from kerasdl.backend import machine, recommendation
from kerasdl.core.errors import ConfigError

# Backends whose bfloat16 convolutions are faster than float32 on a CPU with bfloat16 instructions.
# JAX has no such CPU kernels and is slower than with float32.
FASTER_ON_CPU = ("tensorflow", "torch")
FIRST_WITH_BFLOAT16 = (8, 0)  # compute capability of NVIDIA's Ampere


def resolve(name, backend):
    """The precision to train in on this machine; call it once the backend is chosen.

    "auto" is what `kerasdl benchmark` recommends for the backend; without a recommendation
    mixed_bfloat16 where the GPU or CPU supports it in hardware and the backend benefits, else
    float32.

    Args:
        name: One of `kerasdl.backend.PRECISIONS`.
        backend: The backend's name.

    Raises:
        ConfigError: mixed_float16 without a GPU.
    """
    if name == "auto":
        recommended = recommendation.read().get("precisions", {}).get(backend)
        return recommended or _without_measurement(backend)
    if name == "mixed_float16" and gpu_capability(backend) is None:
        raise ConfigError(
            f"precision 'mixed_float16' needs a GPU, {backend} runs on the CPU here",
            fix="use mixed_bfloat16, float32 or auto",
        )
    return name


def for_inference(trained, backend):
    """The precision to predict in: that of the training, or float32 on a device without it.

    Without instructions for bfloat16 a CPU emulates it: torch takes five times as long, and
    TensorFlow prints an error.

    Args:
        trained: The precision of the training.
        backend: The backend's name.
    """
    if trained == "mixed_float16":
        return trained if gpu_capability(backend) is not None else "float32"
    return trained if trained == _without_measurement(backend) else "float32"


def _without_measurement(backend):
    capability = gpu_capability(backend)
    if capability is not None:
        benefits = capability >= FIRST_WITH_BFLOAT16
    else:
        benefits = backend in FASTER_ON_CPU and machine.bfloat16_in_hardware()
    return "mixed_bfloat16" if benefits else "float32"


def gpu_capability(backend):
    """Compute capability of the first GPU the backend uses, such as (8, 0); None without a GPU.

    (0, 0) for a GPU that reports none, such as one not from NVIDIA.
    """
    if backend == "torch":
        import torch

        return torch.cuda.get_device_capability() if torch.cuda.is_available() else None
    if backend == "jax":
        import jax

        gpus = [device for device in jax.devices() if device.platform != "cpu"]
        return _numbers(getattr(gpus[0], "compute_capability", "")) if gpus else None
    import tensorflow

    gpus = tensorflow.config.list_physical_devices("GPU")
    if not gpus:
        return None
    details = tensorflow.config.experimental.get_device_details(gpus[0])
    return tuple(details.get("compute_capability", (0, 0)))


def _numbers(text):
    """ "8.6" -> (8, 6); (0, 0) for anything else."""
    parts = str(text).split(".")
    return tuple(map(int, parts)) if all(part.isdigit() for part in parts) else (0, 0)


def exact_matmul(a, b):
    """Matrix product of float32 tensors in full precision.

    On recent GPUs TensorFlow and JAX multiply float32 matrices with the 10 bits of TensorFloat-32
    by default.
    """
    import keras

    backend = keras.config.backend()
    if backend == "jax":
        import jax

        with jax.default_matmul_precision("float32"):
            return keras.ops.matmul(a, b)
    if backend == "tensorflow":  # no per-product setting, but float64 is exact
        a, b = keras.ops.cast(a, "float64"), keras.ops.cast(b, "float64")
        return keras.ops.cast(keras.ops.matmul(a, b), "float32")
    return keras.ops.matmul(a, b)
