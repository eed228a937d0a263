"""The process of one cell: python -m kerasdl.tools.benchmark.worker JSON

Takes one block of training steps per line on standard input; ends with it. One JSON line comes back
after the first step and after every block, on the standard output it was started with; what the
frameworks print goes to standard error.
"""

import json
import os
import sys
import time

from kerasdl import backend
from kerasdl.backend import machine
from kerasdl.core.errors import KerasdlError
from kerasdl.tools.benchmark.cells import PLAIN


def main(job):
    """Measures until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(answer):
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    try:
        began = time.perf_counter()
        backend.choose("auto")
        if job["backend"] == PLAIN:
            from kerasdl.tools.benchmark.reference import Loop as Subject
        else:
            from kerasdl.tools.benchmark.subject import Subject
        imported = time.perf_counter()
        subject = Subject(job)
        ready = time.perf_counter()
        subject.first_step()
        say(
            {
                "import_seconds": imported - began,
                "first_step_seconds": time.perf_counter() - ready,
                "cores": machine.processors(),
                "parameters": subject.parameters,
                "peak_bytes": peak_bytes(job["backend"]),
            }
        )
        for _ in sys.stdin:
            seconds, waited = subject.block()
            say({"step_seconds": seconds, "waited_seconds": waited,
                 "peak_bytes": peak_bytes(job["backend"])})  # fmt: skip
    except KerasdlError as error:
        say({"error": str(error)})
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        reason = (str(error).strip() or "no reason given").splitlines()[0]
        say({"error": f"{type(error).__name__}: {reason}"})


def peak_bytes(name):
    """Most memory used so far: of the first GPU if the backend computes on one, else of the
    process; None where the system does not tell.
    """
    on_device = _gpu_peak_bytes(name)
    if on_device is not None:
        return on_device
    try:
        import resource
    except ImportError:  # Windows
        return None
    # Linux counts in KiB, macOS in bytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _gpu_peak_bytes(name):
    if name in ("torch", PLAIN):
        import torch

        return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
    if name == "jax":
        import jax

        return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    import tensorflow

    if not tensorflow.config.list_physical_devices("GPU"):
        return None
    return tensorflow.config.experimental.get_memory_info("GPU:0")["peak"]


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
