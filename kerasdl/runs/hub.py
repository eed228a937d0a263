"""Runs on the Hugging Face hub: `hf:USER/NAME` wherever a run is taken, and `kerasdl push`.

Only the files in `PATTERNS` are sent or fetched. A fetched run is opened with the same checks as
any other, and is never written to: it lies in the cache of huggingface_hub.
"""

import contextlib
import fnmatch
import functools
import logging
import os
import pathlib
from collections.abc import Iterator

from kerasdl.core import extensions, files
from kerasdl.core.errors import (
    ConfigError,
    KerasdlError,
    ModelFileError,
    WriteError,
    first_line,
)
from kerasdl.runs import checks, names

PREFIX = "hf:"
# Not the checkpoints, nor the names of the data's files (splits.json).
PATTERNS = (
    names.CONFIG, names.DATA, names.ENVIRONMENT, names.INIT_WEIGHTS, names.HISTORY,
    names.BEST_MODEL, names.BEST_RECORD, names.SIDECAR, names.METRICS, names.IMAGE_SCORES,
    names.REPORT_DATA, names.REPORT, names.CARD, f"{names.FIGURES}/*.png",
)  # fmt: skip
OF_THE_HUB = (".gitattributes",)  # which it puts into every repository
LOGIN = "for a private one log in with `hf auth login`, or set HF_TOKEN"

logger = logging.getLogger("kerasdl")


def is_remote(run: str | os.PathLike[str]) -> bool:
    """Whether a run is named as one on the hub, "hf:USER/NAME" or "hf:USER/NAME@REVISION"."""
    return str(run).startswith(PREFIX)


def local(run: str | os.PathLike[str]) -> pathlib.Path:
    """The folder of a run; one on the hub is fetched into the cache first.

    Raises:
        ModelFileError: The repository is not found, not accessible, or not that of a run.
        ConfigError: huggingface_hub is missing, the name has the wrong form, or the run needs an
            extension that the command line does not name.
    """
    return _fetched(str(run)) if is_remote(run) else pathlib.Path(run)


def push(folder: pathlib.Path, name: str, public: bool = False) -> str:
    """Uploads a finished run and returns the address of its repository.

    Args:
        folder: The run folder.
        name: "USER/NAME"; the repository is created if missing.
        public: Whether others may see it.

    Raises:
        ConfigError: huggingface_hub is missing, or the repository is public and `public` is False.
        WriteError: The hub rejects the upload.
    """
    api = _api()
    with _one_line(name, WriteError):
        url = api.create_repo(name, private=not public, exist_ok=True)
        if not public and not api.model_info(name).private:
            raise ConfigError("the repository is public", name, "--public, or another name")
        api.upload_folder(
            repo_id=name, folder_path=folder, allow_patterns=list(PATTERNS),
            commit_message=f"{folder.resolve().name}, by kerasdl",
        )  # fmt: skip
    return str(url)


@functools.cache
def _fetched(run: str) -> pathlib.Path:
    name, _, revision = run.removeprefix(PREFIX).partition("@")
    api = _api()
    listed = []
    with contextlib.suppress(Exception):  # the next call says why, unless the cache has the run
        listed = api.model_info(name, revision=revision or None).siblings
    foreign = [each.rfilename for each in listed if not _is_known(each.rfilename)]
    if foreign:
        raise ModelFileError(f"not a run, the repository holds {foreign[0]}", run)
    with _one_line(run, ModelFileError):
        folder = pathlib.Path(
            api.snapshot_download(name, revision=revision or None, allow_patterns=list(PATTERNS))
        )
    if not (folder / names.CONFIG).exists():
        raise ModelFileError(f"not a run, {names.CONFIG} is missing", run)
    _refuse_extensions(folder, run)
    logger.info("fetched: %s, to %s", run, folder)
    return folder


def _is_known(file: str) -> bool:
    known = any(fnmatch.fnmatchcase(file, pattern) for pattern in PATTERNS)
    return (known and ".." not in file) or file in OF_THE_HUB


def _refuse_extensions(folder: pathlib.Path, run: str) -> None:
    """Raises ConfigError if the run would import code that the command line does not name."""
    values = files.read_toml(folder / names.CONFIG)
    given = {pathlib.Path(each).name for each in extensions.replacements()}
    for each in checks.typed("extensions", values.get("extensions", ()), tuple[str, ...]):
        if pathlib.Path(each).name not in given:
            raise ConfigError(f"the run needs the extension {each}", run, "--extension FILE.py")


def _api():
    """The client. Raises ConfigError if it is not installed."""
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.utils import disable_progress_bars
        from huggingface_hub.utils import logging as client_logging
    except ImportError:
        raise ConfigError(
            "runs on the hub need the package huggingface_hub", fix="pip install 'kerasdl[hub]'"
        ) from None
    disable_progress_bars()
    client_logging.set_verbosity_error()  # what matters is raised
    return HfApi(library_name="kerasdl")


@contextlib.contextmanager
def _one_line(name: str, kind: type[KerasdlError]) -> Iterator[None]:
    """Turns the errors of the client, down to its network, into one line."""
    from huggingface_hub import errors

    try:
        yield
    except KerasdlError:
        raise
    except errors.HFValidationError as error:
        raise ConfigError("not of the form USER/NAME", name) from error
    except errors.RevisionNotFoundError as error:
        raise kind("no such revision", name) from error
    except errors.RepositoryNotFoundError as error:
        raise kind("no such repository, or no access to it", name, LOGIN) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise kind("the hub cannot be reached, and the cache has no copy", name) from error
    except errors.HfHubHTTPError as error:
        refused = error.response.status_code in (401, 403)
        what = "the hub refuses access" if refused else f"the hub answers: {first_line(error)}"
        raise kind(what, name, LOGIN if refused else None) from error
    except Exception as error:
        raise kind(f"the hub cannot be reached ({first_line(error)})", name) from error
