"""Run documents as plain values for the templates."""

import re
from typing import NamedTuple

from kerasdl.report import advice, embed, exhibits, names, runs, tables


class Headline(NamedTuple):
    """One large number at the head of a page."""

    label: str
    value: str
    rest: str
    baseline: str


class ScoreRow(NamedTuple):
    """One score with its interval over the test images, its baseline and its definition."""

    heading: str
    value: str
    interval: str
    baseline: str
    definition: str


class Section(NamedTuple):
    """The section of one model; images are those of the first seed."""

    label: str
    task: str
    data: str
    note: str
    facts: list
    headlines: list
    scores: list
    baseline_name: str
    curves: exhibits.Curves | None
    bars: embed.Chart | None
    bars_note: str
    confusion: embed.Chart | None
    calibration: embed.Chart | None
    galleries: list
    legend: list
    advice: list
    command: str | None
    config: list
    environment: list


def run_section(documents):
    """Section of one model, from the run documents of its seeds (one or several)."""
    first = documents[0]
    scores = [runs.scores_of(document) for document in documents]
    task = scores[0]["task"]
    note = ""
    if len(documents) > 1:
        note = tables.runs_note({"": scores})
        note += f" Class charts and images are from seed {scores[0].get('seed')}."
    times = [document["seconds"] for document in documents if document.get("seconds")]
    mean_time = {"seconds": sum(times) / len(times)} if times else {}
    per_class, score = runs.per_class(scores[0])
    return Section(
        label=names.run_label(scores[0]),
        task=task,
        data=scores[0]["data"],
        note=note,
        facts=facts({**first, **mean_time}, scores, "time per run" if len(times) > 1 else "time"),
        headlines=[
            _headline(name, scores) for name in names.headline(task) if name in scores[0]["scores"]
        ],
        scores=_score_rows(scores),
        baseline_name=names.baseline(task),
        curves=exhibits.curves(documents),
        bars=exhibits.bars(per_class, score),
        bars_note=_per_class_note(scores[0]) if per_class else "",
        confusion=exhibits.confusion(scores[0]),
        calibration=exhibits.calibration(first.get("calibration")),
        galleries=exhibits.galleries(first.get("images") or {}),
        legend=[(name, exhibits.css(color)) for name, color in first.get("legend") or ()],
        advice=advice.lines(first) if len(documents) == 1 else [],
        command=first.get("command"),
        config=config_rows(first.get("config") or {}, first.get("defaults") or {}),
        environment=runs.flat(first.get("environment") or {}),
    )


def facts(document, scores, time="time"):
    """Pairs of term and text for the head of a page: data, seeds, backend, time."""
    first, config = scores[0], document.get("config") or {}
    pairs = [("data", ", ".join(dict.fromkeys(each["data"] for each in scores)))]
    sizes = dict.fromkeys(each["samples"] for each in scores if each.get("samples"))
    if sizes:
        counts = ", ".join(f"{size:,}" for size in sizes)
        pairs.append((f"{first.get('split', 'test')} images", counts))
    seeds = sorted({each["seed"] for each in scores if each.get("seed") is not None})
    if seeds:
        pairs.append(("seed" if len(seeds) == 1 else "seeds", ", ".join(map(str, seeds))))
    for key in ("backend", "precision"):
        value = document.get(key) or config.get(key)
        if value:
            pairs.append((key, value))
    if document.get("parameters"):
        pairs.append(("parameters", f"{document['parameters']:,}"))
    if document.get("seconds"):
        pairs.append((time, names.duration(document["seconds"])))
    pairs.append(("kerasdl", first.get("kerasdl", names.ABSENT)))
    return pairs


def definitions(scores):
    """[(heading, definition), ...] of all scores of all documents, without duplicates.

    Per-class scores ("iou/tree") share one entry, left out where the score itself is defined.
    """
    entries = {}
    for document in scores:
        texts = document.get("definitions") or {}
        for name, text in texts.items():
            kind, slash, _ = name.partition("/")
            if slash and kind in texts:
                continue
            label = f"{names.score(f'{kind}/').label}per class" if slash else names.heading(name)
            entries.setdefault(label, _sentence(text))
    return list(entries.items())


def _sentence(text):
    return f"{text[0].upper()}{text[1:].rstrip('.')}." if text else ""


def slug(text):
    """Text as an anchor: "U-Net with skips" is "u-net-with-skips"."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _headline(name, scores):
    shown = names.score(name)
    text = tables.cell(name, scores)
    value, _, spread = text.partition(" ± ")
    baseline = (scores[0].get("baseline") or {}).get(name)
    baseline_text = ""
    if baseline is not None:
        task = names.baseline(scores[0]["task"])
        baseline_text = f"{task}: {names.number(name, baseline, unit=True)}"
    spread = f" ± {spread}" if spread else ""
    rest = f"{spread} {shown.unit}".rstrip()
    return Headline(shown.label, value, rest, baseline_text)


def _score_rows(scores):
    listed = [name for name in scores[0]["scores"] if "/" not in name]
    order = list(dict.fromkeys([*names.headline(scores[0]["task"]), *names.METRICS]))
    listed.sort(key=lambda name: order.index(name) if name in order else len(order))
    known = scores[0].get("definitions") or {}
    intervals = (scores[0].get("intervals") or {}) if len(scores) == 1 else {}
    return [
        ScoreRow(
            names.heading(name),
            tables.cell(name, scores),
            names.interval(name, intervals.get(name)),
            tables.cell(name, scores[:1], "baseline"),
            _sentence(known.get(name, "")),
        )
        for name in listed
    ]


def _per_class_note(document):
    """Definition of the per-class scores, which are not in a table."""
    known = document.get("definitions") or {}
    return next((_sentence(text) for name, text in known.items() if "/" in name), "")


def config_rows(config, defaults):
    """[(key, value, whether it differs from the default), ...], without folders."""
    usual = dict(runs.flat(defaults))
    return [
        (key, value, bool(usual) and usual.get(key, names.ABSENT) != value)
        for key, value in runs.flat(
            {key: runs.without_folder(value) for key, value in config.items()}
        )
    ]
