"""The artifacts of a sweep besides its runs: sweep.json, sweep.md, sweep.png, report.html."""

import collections
import dataclasses
import json

from kerasdl.core import files
from kerasdl.report import document as rundocument
from kerasdl.report import group_figures, html, paired_differences, tables
from kerasdl.runs import names as run_names


def publish(plan, finished, failures, command=None):
    """Writes sweep.json, sweep.md, sweep.png and report.html into the folder of the sweep.

    Returns:
        The document of sweep.json, and its tables as `kerasdl.report.tables.Table`.

    Raises:
        WriteError: A file cannot be written.
    """
    out = plan.out
    documents = []
    for cell, folder in finished:
        document = rundocument.read(folder)
        document["scores"]["label"] = cell.label
        documents.append(document)
    scores = [html.scores_of(document) for document in documents]
    groups = collections.defaultdict(list)
    for each in scores:
        groups[each["label"]].append(each)
    folders = collections.defaultdict(list)
    for cell, folder in finished:
        folders[cell.label].append(str(folder.relative_to(out)))
    found = paired_differences.compare(scores)
    shown = [paired_differences.overview(scores), *paired_differences.differences(found)]
    notes = [f"Failed and excluded: {each.label}, seed {each.seed}: {each.message}."
             for each in failures]  # fmt: skip
    title = f"Sweep: {plan.task}, {', '.join(plan.cells[0].settings)}"
    document = {
        "title": title,
        "command": command,
        "task": plan.task,
        "seeds": list(plan.seeds),
        "cells": [
            {
                "label": cell.label,
                "settings": cell.settings,
                "runs": folders[cell.label],
                **paired_differences.summary(groups[cell.label]),
            }
            for cell in plan.cells
        ],
        "differences": [each._asdict() for each in found],
        "failed": [dataclasses.asdict(each) for each in failures],
    }
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    files.write_text(out / "sweep.json", text + "\n")
    markdown = [f"# {title}", f"    {command}" if command else "", *notes]
    markdown += [tables.as_markdown(table).strip() for table in shown]
    files.write_text(out / "sweep.md", "\n\n".join(part for part in markdown if part) + "\n")
    group_figures.dots(scores, out / "sweep.png")
    html.write_group_report(
        out / run_names.REPORT, documents, title, details=False, command=command, notes=notes
    )
    return document, shown
