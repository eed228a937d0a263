"""One-line errors for what ends a command early: out of memory, disk full."""

import contextlib
import errno

from kerasdl.core.errors import KerasdlError, TrainingFailed
from kerasdl.core.files import cannot_write

# Class names and phrases of the backends' out-of-memory errors; the classes are not imported,
# because that would load backends that are not in use.
_MEMORY_CLASSES = ("MemoryError", "ResourceExhaustedError", "OutOfMemoryError")
_MEMORY_WORDS = ("RESOURCE_EXHAUSTED", "out of memory", "can't allocate memory", "failed to alloc")
# Operating system errors that only occur when writing.
_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@contextlib.contextmanager
def training_errors(path=None, batch_size=None, image_size=None):
    """Turns out-of-memory and disk-full errors of any backend into errors with a fix.

    Args:
        path: The run folder, for messages.
        batch_size: Current batch size, for the fix.
        image_size: Current (height, width), for the fix.

    Raises:
        TrainingFailed: Out of memory.
        WriteError: Disk full or read-only.
    """
    try:
        yield
    except KerasdlError:
        raise
    except Exception as error:
        if out_of_memory(error):
            raise TrainingFailed("out of memory", path, _smaller(batch_size, image_size)) from error
        if isinstance(error, OSError) and error.errno in _WRITING:
            raise cannot_write(error.filename or path, error) from error
        raise


def out_of_memory(error):
    """Whether an exception of any backend means out of memory."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names.intersection(_MEMORY_CLASSES)) or any(
        words.lower() in str(error).lower() for words in _MEMORY_WORDS
    )


def _smaller(batch_size, image_size):
    advice = []
    if batch_size is not None:
        advice.append(f"a smaller --batch-size, now {batch_size}")
    if image_size is not None:
        height, width = image_size
        advice.append(f"a smaller --image-size, now {height}x{width}")
    return "try " + " or ".join(advice) if advice else "try smaller images"
