"""Which tests compute with Keras, and settings for all of them."""

import os
import types

import pytest

from kerasdl import backend

# Before anything imports Keras. The suite is run once per backend, see the Makefile.
backend.choose("auto")
os.environ.setdefault("MPLBACKEND", "Agg")


def pytest_collection_modifyitems(items):
    """Marks the tests of modules that import Keras: those are run once per backend."""
    for item in items:
        module = getattr(item, "module", None)
        if isinstance(getattr(module, "keras", None), types.ModuleType):
            item.add_marker(pytest.mark.backend)
