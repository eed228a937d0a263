"""What the pages show of several runs: scores, differences, curves, configuration, machines."""

from typing import NamedTuple

from kerasdl.report import (
    embed,
    exhibits,
    group_figures,
    names,
    paired_differences,
    runs,
    sections,
    tables,
)

NOT_COMPARED = ("seed", "workers", "cache_megabytes")  # in another column; no effect
MANY_CURVES = 7  # more curves than distinguishable colors


class Comparison(NamedTuple):
    """The comparison of the runs of one task."""

    title: str
    scores: tables.Table
    dots: exhibits.Curves | None
    differences: list
    curves: exhibits.Curves | None


def by_task(documents):
    """One `Comparison` per task."""
    result = []
    for members in _tasks(documents):
        scores = [runs.scores_of(each) for each in members]
        groups = tables.group(scores)
        result.append(
            Comparison(
                scores[0]["task"].capitalize(),
                _table(scores, groups),
                _dots(scores) if len(groups) > 1 else None,
                paired_differences.differences(paired_differences.compare(scores)),
                _curves(members),
            )
        )
    return result


def printed(documents):
    """The comparison for the terminal: one line per task on the best, and tables."""
    shown = []
    for members in _tasks(documents):
        scores = [runs.scores_of(each) for each in members]
        shown.append(tables.side_by_side(scores))
        shown += paired_differences.differences(paired_differences.compare(scores))
    lines = [best(members) for members in _tasks(documents)]
    configuration = differences(documents)
    return [line for line in lines if line], shown + ([configuration] if configuration else [])


def best(documents):
    """One line: the group of runs of a task with the best headline score; None for one group."""
    name = names.headline(documents[0]["scores"]["task"])[0]
    found = []
    for label, members in tables.group([runs.scores_of(each) for each in documents]).items():
        mean, deviation = tables.mean_and_deviation([each["scores"].get(name) for each in members])
        if mean is not None:
            text = f"{label}, {tables.cell(name, members)} {names.score(name).unit}".rstrip()
            found.append((mean, deviation or 0.0, text))
    if len(found) < 2:
        return None
    first, second = sorted(found, key=lambda each: -each[0])[:2]
    text = f"best {names.score(name).label}: {first[2]}, before {second[2]}"
    spread = max(first[1], second[1])
    if spread and first[0] - second[0] <= spread:
        text += " (within the spread over seeds)"
    return f"{text}."


def summary(documents):
    """The comparison for `--json`; runs that differ only in the seed form a group.

    Args:
        documents: Run documents with their folder as `run`, with distinct labels.

    Returns:
        {"differences": [keys], "groups": [{"label", "task", "data", "runs", "seeds",
        "configuration": {key: value}, "scores": {name: {"mean", "deviation", "values"}}}],
        "definitions"}; the deviation is that of the sample, null for one run.
    """
    keys = _differing_keys(documents)
    groups = []
    for members in runs.grouped(documents).values():
        scores = [runs.scores_of(document) for document in members]
        values = dict(runs.flat(members[0]["config"]))
        listed = {
            name: [each["scores"].get(name) for each in scores]
            for name in dict.fromkeys(name for each in scores for name in each["scores"])
        }
        groups.append(
            {
                "label": names.run_label(scores[0]),
                "task": scores[0]["task"],
                "data": scores[0]["data"],
                "runs": [document["run"] for document in members],
                "seeds": [each.get("seed") for each in scores],
                "configuration": {key: values.get(key) for key in keys},
                "scores": {
                    name: dict(
                        zip(("mean", "deviation"), tables.mean_and_deviation(each), strict=True),
                        values=each,
                    )
                    for name, each in listed.items()
                },
            }
        )
    definitions = {
        name: text
        for document in documents
        for name, text in (document["scores"].get("definitions") or {}).items()
    }
    return {"differences": keys, "groups": groups, "definitions": definitions}


def facts(documents):
    """Pairs of term and text for the head of the page; differences are in the tables."""
    first = documents[0]
    for key in ("backend", "precision"):
        if len({document.get(key) for document in documents}) > 1:
            first = {**first, key: None, "config": {}}
    times = [document["seconds"] for document in documents if document.get("seconds")]
    shared = {key: first.get(key) for key in ("backend", "precision", "config")}
    pairs = sections.facts(
        {**shared, "seconds": sum(times)},
        [runs.scores_of(document) for document in documents],
        "total training time",
    )
    return [("runs", str(len(documents))), *pairs]


def differences(documents):
    """Table of the configuration keys in which the runs differ; None if they do not.

    Runs that differ only in the seed share a row.
    """
    keys = _differing_keys(documents)
    if not keys:
        return None
    rows = {}
    for document in documents:
        scores = runs.scores_of(document)
        values = dict(runs.flat(document.get("config") or {}))
        cells = (
            names.run_label(scores),
            *(runs.without_folder(values.get(key, names.ABSENT)) for key in keys),
        )
        rows.setdefault(cells, []).append(scores.get("seed"))
    several = any(len(seeds) > 1 for seeds in rows.values())
    columns = ("runs" if several else "run", *keys)
    listed = list(rows)
    if several:
        columns = (*columns, "seeds")
        listed = [(*row, runs.text(seeds)) for row, seeds in rows.items()]
    if len(keys) > runs.MANY_KEYS:  # keys as rows, to fit on a page
        columns, *listed = zip(columns, *listed, strict=True)
    return tables.Table("Configuration keys in which the runs differ", columns, tuple(listed))


def shared_config(documents):
    """[(key, value, whether it differs from the default), ...] of the keys all runs share."""
    different = runs.differing_keys(documents)
    first = documents[0]
    rows = sections.config_rows(first.get("config") or {}, first.get("defaults") or {})
    return [row for row in rows if row[0] not in different]


def environments(documents):
    """The environment that all runs have in common, and a table of the differences or None."""
    values = [dict(runs.flat(document.get("environment") or {})) for document in documents]
    keys = list(dict.fromkeys(key for each in values for key in each))
    different = [key for key in keys if len({each.get(key) for each in values}) > 1]
    common = [(key, values[0][key]) for key in keys if key not in different]
    if not different:
        return common, None
    rows = [
        (name, *(each.get(key, names.ABSENT) for key in different))
        for name, each in zip(runs.unique_names(documents), values, strict=True)
    ]
    caption = "Differences between machines or versions"
    return common, tables.Table(caption, ("run", *different), tuple(rows))


def _tasks(documents):
    """The documents of each task."""
    tasks = dict.fromkeys(document["scores"]["task"] for document in documents)
    return [[each for each in documents if each["scores"]["task"] == task] for task in tasks]


def _differing_keys(documents):
    return [key for key in runs.differing_keys(documents) if key not in NOT_COMPARED]


def _table(scores, groups):
    if len(groups) > 1:
        return paired_differences.overview(scores, tables.split_caption(scores))
    return tables.side_by_side(scores)


def _dots(scores):
    """One chart per score, so that they stack on a phone."""
    groups = tables.group(scores)
    charts = []
    for name in group_figures.shown(scores):
        values = "; ".join(f"{label} {tables.cell(name, each)}" for label, each in groups.items())
        alt = f"{names.heading(name)}, every run a dot, mean and standard deviation: {values}."
        charts.append(embed.chart(group_figures.dots, alt, documents=scores, scores=[name]))
    return exhibits.Curves(charts, "Every run is a dot; bars: mean and sample standard deviation.")


def _curves(documents):
    """Curves of the runs; of many runs only the first seed of each model."""
    recorded = [document for document in documents if document.get("history")]
    note = ""
    if len(recorded) > MANY_CURVES:
        firsts = {}
        for document in recorded:
            firsts.setdefault(names.run_label(runs.scores_of(document)), document)
        if len(firsts) < len(recorded):
            note = f" Of {len(recorded)} runs, only the first seed of each is drawn."
        recorded = list(firsts.values())
    if not recorded:
        return None
    histories = dict(
        zip(runs.unique_names(recorded), (each["history"] for each in recorded), strict=True)
    )
    configs = [each.get("config") or {} for each in recorded]
    kinds = {(each.get("target"), each.get("loss")) for each in configs}
    curves = exhibits.many_curves(histories, losses=len(kinds) == 1)
    return curves._replace(caption=curves.caption + note)
