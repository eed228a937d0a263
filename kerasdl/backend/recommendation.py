"""The backend and precision that `kerasdl benchmark` recommends here, stored for `auto`.

One small JSON file in the user's settings folder (`platformdirs`, or the folder in the variable
KERASDL_SETTINGS), with one entry per `kerasdl.backend.machine.description`. A settings folder and
not `saved_models`, because the machine does not change with the working directory.
"""

import json
import logging
import os
import pathlib

import platformdirs

from kerasdl.backend import BACKENDS, machine
from kerasdl.core import files

FILE = "benchmark.json"
# float16 is never recommended: its gradients need scaling, and where it is fast bfloat16 is too.
PRECISIONS = ("float32", "mixed_bfloat16")

logger = logging.getLogger("kerasdl")


def path():
    """Path of the file; it need not exist."""
    folder = os.environ.get("KERASDL_SETTINGS") or platformdirs.user_config_dir(
        "kerasdl", appauthor=False, roaming=True
    )
    return pathlib.Path(folder) / FILE


def read():
    """The entry for this machine, or an empty mapping: {"backend", "precisions", ...}.

    An unreadable file is ignored: it only holds what can be measured again.
    """
    try:
        entry = json.loads(path().read_text(encoding="utf-8"))["machines"][machine.description()]
        backend, precisions = entry.get("backend"), entry.get("precisions", {})
        if backend not in (None, *BACKENDS) or not set(precisions.values()) <= set(PRECISIONS):
            raise ValueError("unknown backend or precision")
    except FileNotFoundError:
        return {}
    except KeyError:
        return {}  # other machines only
    except (OSError, ValueError, TypeError, AttributeError) as error:
        logger.warning("ignored: %s (%s; kerasdl benchmark rewrites it)", path(), error)
        return {}
    return entry


def write(entry):
    """Stores the entry for this machine and returns the file's path. Raises WriteError."""
    file = path()
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        machines = dict(document["machines"])
    except (OSError, ValueError, KeyError, TypeError):
        machines = {}
    files.make_folder(file.parent)
    machines[machine.description()] = entry
    files.write_json(file, {"machines": machines})
    return file
