"""`kerasdl report`: a page about one run or comparing several, from their folders."""

import json
import logging
import pathlib

from kerasdl.core.errors import ConfigError, KerasdlError
from kerasdl.report import document as rundocument
from kerasdl.report import stored
from kerasdl.report.runs import with_distinct_labels
from kerasdl.runs import hub, names
from kerasdl.runs.run import Run, find

MARK = b'<meta name="generator" content="kerasdl">'

logger = logging.getLogger("kerasdl")


def report(paths, out=None, title=None, details=True, command=None, backend_name="auto"):
    """Writes report.html of one run into its folder, or a page of several runs.

    Args:
        paths: Run folders, or folders with runs below them.
        out: The HTML file; if None, report.html in the folder of a single run, else (and for a run
            on the hub) in the current folder.
        title: Heading of a page of several runs.
        details: Whether a page of several runs has a section for each model.
        command: Command shown on a page of several runs.
        backend_name: Backend, for runs whose example images must be computed first.

    Returns:
        The page's path, and the run documents with their folder as `run`, with distinct labels.

    Raises:
        ModelFileError: A folder holds no finished run.
        ConfigError: The page would replace a file that is not a page by kerasdl.
        WriteError: The page cannot be written.
    """
    folders = find(paths)
    single = len(folders) == 1
    into = single and not hub.is_remote(paths[0])
    out = pathlib.Path(out or (folders[0] / names.REPORT if into else names.REPORT))
    _refuse_foreign(out)
    documents = [{**_document(folder, backend_name), "run": str(folder)} for folder in folders]
    from kerasdl.report import html

    if single:
        html.write_run_report(out, documents[0])
        _add_comparison(out, folders[0])
    else:
        documents = with_distinct_labels(documents)
        title = title or f"Comparison of {len(documents)} runs"
        html.write_group_report(out, documents, title, details, command)
    return out, documents


def _add_comparison(page, folder):
    """Adds the section of `kerasdl compare backends` again, from its stored document."""
    path = folder / "compare" / "compare.json"
    if path.exists():
        from kerasdl.report import backend_comparison_page

        backend_comparison_page.insert(page, json.loads(path.read_text(encoding="utf-8")))


def _document(folder, backend_name):
    """The run document; images missing from the folder are computed from the data."""
    if not (folder / names.REPORT_DATA).exists():
        try:
            _examine(folder, backend_name)
        except KerasdlError as error:
            logger.warning("%s: without images and calibration: %s", folder, error)
    return rundocument.read(folder)


def _examine(folder, backend_name):
    """Scores the run's model again to write report.json, which earlier versions did not."""
    from kerasdl import backend, tasks
    from kerasdl.engine import datasets

    config = Run(folder).config
    dataset = datasets.load(config)
    known = json.loads((folder / names.DATA).read_text(encoding="utf-8")).get("fingerprint")
    if known != dataset.fingerprint:
        raise ConfigError("the data differ from those of the run", config.data)
    backend.choose(backend_name)
    from kerasdl.engine import publishing

    logger.info("finding the best and worst images: %s", folder)
    _, extras = publishing.examine(folder, config, tasks.of(config), dataset)
    stored.write(folder, extras)


def _refuse_foreign(path):
    """Raises ConfigError if the file exists and is not a page by kerasdl."""
    try:
        with path.open("rb") as stream:
            if MARK in stream.read(4096):
                return
    except FileNotFoundError:
        return
    except IsADirectoryError:
        raise ConfigError("the page would replace a folder", path, "name a file") from None
    raise ConfigError("not a page by kerasdl, so not replaced", path, "choose another --out")
