"""Peak memory use."""

import sys


def peak_bytes() -> int | None:
    """Peak resident memory of this process in bytes; None where the system does not report it."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


def device_peak_bytes() -> int | None:
    """Peak memory in bytes on the first GPU of the running backend; None without a GPU."""
    import keras

    backend = keras.config.backend()
    if backend == "torch":
        import torch

        return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
    if backend == "jax":
        import jax

        return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    import tensorflow

    if not tensorflow.config.list_physical_devices("GPU"):
        return None
    return tensorflow.config.experimental.get_memory_info("GPU:0")["peak"]
