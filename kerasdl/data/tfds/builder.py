"""Builders of TensorFlow Datasets by name, and preparing them; every failure says its fix.

TFDS itself answers an unknown name with its whole catalog and a set that is not prepared with an
AssertionError.
"""

import contextlib
import difflib
import errno
import importlib
import json
import logging
import os
import pathlib
import re
import socket
import sys
import urllib.parse
import urllib.request

from kerasdl.core.errors import DataError, WriteError

MOST_HOSTS = 3  # that are asked whether there is a connection
PATIENCE = 5.0  # seconds to wait for one of them
NAME = re.compile(r"(?P<name>\w+)(/(?P<config>[\w.+-]+))?(:(?P<version>\d+\.\d+\.\d+))?")


def library():
    """The module tensorflow_datasets."""
    try:
        module = importlib.import_module("tensorflow_datasets")
    except ModuleNotFoundError as error:
        raise DataError(
            f"TensorFlow Datasets cannot be used: no module named '{error.name}'",
            fix="pip install kerasdl[tfds]",
        ) from error
    # Its notes, such as that a set is not prepared, come as errors of ours where they matter.
    for noisy in ("absl", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    return module


def prepared(name, download):
    """Builder of a set that is prepared with random access; prepares it if that is allowed.

    Args:
        name: NAME[/CONFIG][:VERSION].
        download: Whether the network may be used.

    Raises:
        DataError: Unknown or malformed name, not prepared, not prepared with random access, or
            preparing failed.
        WriteError: No space or no right to write while preparing.
    """
    match = NAME.fullmatch(name)
    if match is None:
        fix = "write tfds:NAME[/CONFIG][:VERSION], such as tfds:cmaterdb/bangla:1.0.0"
        raise DataError(f"'tfds:{name}' does not name a set", fix=fix)
    tfds = library()
    builder = _builder(tfds, name, match)
    if not builder.is_prepared():
        if not download:
            raise DataError(
                f"'tfds:{name}' is not prepared, and downloads are not allowed",
                builder.data_path,
                f"add --download, as in `kerasdl data check tfds:{name} --download`, or set "
                "TFDS_DATA_DIR to where the set lies",
            )
        builder = _builder(tfds, name, match, file_format="array_record")
        _prepare(tfds, builder, name)
    formats = {format.value for format in builder.info.available_file_formats()}
    if not formats & {"array_record", "parquet"}:
        raise DataError(
            f"'tfds:{name}' is prepared as {'/'.join(sorted(formats))}, without random access",
            builder.data_path,
            f"tfds convert_format --dataset_version_dir={builder.data_path} "
            "--out_file_format=array_record",
        )
    return builder


def _builder(tfds, name, match, **options):
    """Builder by name. Raises DataError with close names, or the configs or versions there are."""
    # TFDS reads the variable only once, when it is imported.
    options["data_dir"] = os.environ.get("TFDS_DATA_DIR")
    try:
        return tfds.builder(name, try_gcs=False, **options)
    except ModuleNotFoundError as error:
        what = f"'tfds:{name}' needs the module '{error.name}'"
        raise DataError(what, fix=f"pip install {error.name.partition('.')[0]}") from error
    except Exception as error:
        known = tfds.list_builders(with_community_datasets=False)
        if match["name"] not in known:
            close = difflib.get_close_matches(match["name"], known, n=3, cutoff=0.3)
            what = f"TensorFlow Datasets has no set '{match['name']}'"
            raise DataError(what, fix=f"did you mean {listed(close, ' or ')}?") from error
        kind = tfds.builder_cls(match["name"])
        if match["config"] and match["config"] not in kind.builder_configs:
            configs = list(kind.builder_configs)
            fix = f"configs: {listed(configs[:20])}" if configs else "it has no configs"
            what = f"'{match['name']}' has no config '{match['config']}'"
            raise DataError(what, fix=fix) from error
        if match["version"]:
            versions = tfds.builder(name.partition(":")[0], try_gcs=False).versions
            what = f"'{match['name']}' has no version {match['version']}"
            raise DataError(what, fix=f"versions: {listed(versions)}") from error
        raise DataError(f"'tfds:{name}' cannot be used: {first_line(error)}") from error


def _prepare(tfds, builder, name):
    """Downloads and prepares; what an interrupted attempt leaves is not taken for a set by TFDS."""
    settings = tfds.download.DownloadConfig(try_download_gcs=False)
    _require_network(builder, name)
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        # Progress and notes of TFDS are no result: standard output belongs to those.
        with contextlib.redirect_stdout(sys.stderr):
            builder.download_and_prepare(download_config=settings)
    except ModuleNotFoundError as error:
        raise DataError(
            f"preparing 'tfds:{name}' needs the module '{error.name}'",
            fix=f"pip install {error.name.partition('.')[0]}; reading the set later does not",
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM):
            fix = "make room or set TFDS_DATA_DIR to another folder"
            raise WriteError(
                f"cannot prepare 'tfds:{name}': {error.strerror}", builder.data_path, fix
            ) from error
        raise _failed(name, builder, error) from error
    except Exception as error:
        raise _failed(name, builder, error) from error


def _failed(name, builder, error):
    if type(error).__name__ == "NonMatchingChecksumError":
        fix = "the file has changed or was cut short: delete it from downloads and try again"
    else:
        fix = _elsewhere(name)
    what = f"'tfds:{name}' could not be prepared: {first_line(error)}"
    return DataError(what, builder.data_path, fix)


def _require_network(builder, name):
    """Raises DataError where files are missing and no host that has them can be reached.

    TFDS would try each file ten times, which takes minutes, and warn of each attempt.
    """
    hosts = {}
    for url in _missing_files(builder):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname:
            hosts[parts.hostname] = parts.port or (80 if parts.scheme == "http" else 443)
    if not hosts or urllib.request.getproxies():
        return
    asked = dict(list(hosts.items())[:MOST_HOSTS])
    if not any(_reachable(*host) for host in asked.items()):
        raise DataError(
            f"'tfds:{name}' cannot be downloaded, no connection to {listed(asked, ' or ')}",
            builder.data_path,
            _elsewhere(name),
        )


def _missing_files(builder):
    """Addresses of the registered files that lie neither among the downloads nor in `manual`."""
    downloads = data_folder() / "downloads"
    present = set()
    for path in downloads.rglob("*.INFO"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            present.update(json.loads(path.read_text(encoding="utf-8"))["urls"])
    for url, info in (builder.url_infos or {}).items():
        if url not in present and not (
            info.filename and (downloads / "manual" / info.filename).exists()
        ):
            yield url


def _reachable(host, port):
    try:
        socket.create_connection((host, port), timeout=PATIENCE).close()
    except OSError:
        return False
    return True


def _elsewhere(name):
    """What to do without a connection."""
    return (
        f"prepare it where there is one with `kerasdl data check tfds:{name} --download`, copy the "
        "folder and set TFDS_DATA_DIR to it; with --no-download nothing is tried"
    )


def data_folder():
    """Where TFDS keeps its sets and downloads."""
    return pathlib.Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def listed(items, separator=", "):
    """Items as one line of text."""
    return separator.join(str(item) for item in items)


def first_line(error):
    """First line of an error, at most 200 characters."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]
