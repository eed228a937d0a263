"""What is said while many files are read before training starts."""

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import rich.console
import rich.progress

PATIENCE = 3.0  # seconds without a word
Item = TypeVar("Item")
logger = logging.getLogger("kerasdl")


def shown(items: Iterable[Item], count: int, what: str) -> Iterator[Item]:
    """The items; if they take long, after a line in the log, and on a terminal a progress bar.

    Args:
        items: Any iterable that takes its time.
        count: Number of items.
        what: The line.
    """
    started, bar = time.monotonic(), None
    try:
        for done, item in enumerate(items, 1):
            if bar is None and time.monotonic() - started > PATIENCE:
                logger.info("%s", what)
                bar = _bar()
                task = bar.add_task("masks", total=count)
            if bar is not None:
                bar.update(task, completed=done)
            yield item
    finally:
        if bar is not None:
            bar.stop()


def _bar():
    """A started progress bar on standard error; without effect if that is no terminal."""
    console = rich.console.Console(stderr=True)
    silent = not console.is_terminal or not logger.isEnabledFor(logging.INFO)
    bar = rich.progress.Progress(console=console, transient=True, disable=silent)
    bar.start()
    return bar
