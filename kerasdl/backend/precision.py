"""In which precision a training computes: what `auto` means here, and what a device cannot do.

Mixed precision is Keras' own: layers compute in 16 bits, weights stay float32. Losses, metrics and
the outputs of all networks are float32 under every policy; float16 gradients are scaled by Keras'
`LossScaleOptimizer`, which `compile` puts around the optimizer.
"""

from kerasdl.backend import machine, recommendation
from kerasdl.core.errors import ConfigError

# Backends whose bfloat16 convolutions are faster than float32 on a processor that has the
# instructions. JAX has no such kernels on processors and takes longer than with float32.
PROFITS_ON_PROCESSORS = ("tensorflow", "torch")
FIRST_WITH_BFLOAT16 = (8, 0)  # compute capability of NVIDIA's Ampere


def resolve(name, backend):
    """The precision to train in on this machine; call it after the backend was chosen.

    "auto" is what `kerasdl benchmark` recommends for the backend; without a recommendation
    mixed_bfloat16 where the GPU or the processor does it in hardware and the backend profits,
    else float32.

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
            f"precision 'mixed_float16' needs a GPU, {backend} computes on processors here",
            fix="take mixed_bfloat16, float32 or auto",
        )
    return name


def _without_measurement(backend):
    capability = gpu_capability(backend)
    if capability is not None:
        profits = capability >= FIRST_WITH_BFLOAT16
    else:
        profits = backend in PROFITS_ON_PROCESSORS and machine.bfloat16_in_hardware()
    return "mixed_bfloat16" if profits else "float32"


def gpu_capability(backend):
    """Compute capability of the first GPU the backend uses, such as (8, 0); None without a GPU.

    (0, 0) for a GPU that states none, such as those that are not NVIDIA's.
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
    """ "8.6" -> (8, 6); (0, 0) for what is no such number."""
    parts = str(text).split(".")
    return tuple(map(int, parts)) if all(part.isdigit() for part in parts) else (0, 0)


def exact_matmul(a, b):
    """Matrix product of float32 tensors with all of their digits.

    On recent GPUs TensorFlow and JAX multiply float32 matrices with the 10 bits of TensorFloat-32
    by default.
    """
    import keras

    backend = keras.config.backend()
    if backend == "jax":
        import jax

        with jax.default_matmul_precision("float32"):
            return keras.ops.matmul(a, b)
    if backend == "tensorflow":  # has no such choice per product, but float64 is exact
        a, b = keras.ops.cast(a, "float64"), keras.ops.cast(b, "float64")
        return keras.ops.cast(keras.ops.matmul(a, b), "float32")
    return keras.ops.matmul(a, b)
