"""Facts about this machine that need no framework: CPU, GPUs, memory allocator."""

import ctypes
import os
import pathlib
import platform

# Instructions that multiply bfloat16 numbers, as Linux calls them: x86-64, then 64-bit ARM.
BFLOAT16_FLAGS = frozenset(("avx512_bf16", "amx_bf16", "bf16", "svebf16"))

# Parameters of mallopt(3), and values that never return a block to the system.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER_TRIM, _MAP_FROM = 2**31 - 1, 2**30

_CPU_INFO = pathlib.Path("/proc/cpuinfo")
_GPUS = pathlib.Path("/proc/driver/nvidia/gpus")


def num_cores():
    """Number of processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_name(text=None):
    """Name of the processor, such as "AMD EPYC 7763".

    Args:
        text: Content of /proc/cpuinfo; read from there if None.
    """
    fields = _fields(text)
    name = fields.get("model name") or fields.get("Model") or platform.processor()
    return " ".join(name.split()) or platform.machine() or "unknown processor"


def bfloat16_in_hardware(text=None):
    """Whether the CPU has bfloat16 instructions; False where /proc/cpuinfo is missing.

    Args:
        text: Content of /proc/cpuinfo; read from there if None.
    """
    fields = _fields(text)
    flags = f"{fields.get('flags', '')} {fields.get('Features', '')}".split()
    return not BFLOAT16_FLAGS.isdisjoint(flags)


def gpus(folder=_GPUS):
    """Names of the NVIDIA GPUs whose driver is loaded, sorted; other GPUs are not detected."""
    names = []
    try:
        for path in pathlib.Path(folder).glob("*/information"):
            names.append(_fields(path.read_text(encoding="utf-8")).get("Model", "GPU"))
    except OSError:
        return []
    return sorted(names)


def description():
    """Name of this kind of machine: processor, cores, GPUs, operating system.

    Machines with the same description are assumed to be equally fast.
    """
    parts = [cpu_name(), f"{num_cores()} cores", *gpus(), platform.system()]
    return ", ".join(parts)


def keep_freed_memory():
    """Makes the C library keep freed blocks for the next step instead of returning them.

    Otherwise each batch and activation is mapped again and zeroed page by page. Does nothing
    without glibc, or where the user has set its environment variables.
    """
    if platform.libc_ver()[0] != "glibc" or _allocator_is_set(os.environ):
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_MMAP_THRESHOLD, _MAP_FROM)
    mallopt(_TRIM_THRESHOLD, _NEVER_TRIM)


def _allocator_is_set(environment):
    return any(
        name.startswith("MALLOC_") or (name == "GLIBC_TUNABLES" and "malloc" in value)
        for name, value in environment.items()
    )


def _fields(text):
    """Mapping of the first "name : value" line of each name."""
    if text is None:
        try:
            text = _CPU_INFO.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return {}
    fields = {}
    for line in text.splitlines():
        name, separator, value = line.partition(":")
        if separator:
            fields.setdefault(name.strip(), value.strip())
    return fields
