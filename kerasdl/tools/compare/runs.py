"""`kerasdl compare runs`: scores of finished runs and what their configurations differ in."""

from kerasdl.core.errors import ConfigError
from kerasdl.report import document as rundocument
from kerasdl.report import html, names, runs, tables
from kerasdl.runs.run import find


def compare(folders):
    """Run documents of the folders, told apart by what their configurations differ in.

    Args:
        folders: Run folders of one task, or folders with runs below them.

    Returns:
        The run documents, in the order given; see `kerasdl.report.html`.

    Raises:
        ConfigError: Fewer than two, or different tasks.
        ModelFileError: A folder holds no finished run.
    """
    folders = find(folders)
    if len(folders) < 2:
        raise ConfigError("there is only one run", fix="name two or more run folders")
    documents = []
    for folder in folders:
        document = rundocument.read(folder)
        # The configuration may say "auto"; what counts is what it came to.
        document["config"] = {**document["config"], "backend": document["backend"]}
        documents.append({**document, "run": str(folder)})
    first = documents[0]["scores"]["task"]
    for folder, document in zip(folders, documents, strict=True):
        if document["scores"]["task"] != first:
            raise ConfigError(
                f"a run of {document['scores']['task']} cannot be compared with one of {first}",
                folder,
                "name runs of one task",
            )
    return runs.told_apart(documents)


def summary(documents):
    """What `--json` gives: groups of runs that differ in nothing but the seed.

    Returns:
        {"task", "differences": [keys], "groups": [{"label", "data", "runs", "seeds",
        "configuration": {key: value}, "scores": {name: {"mean", "deviation", "values"}}}],
        "definitions"}; the deviation is that of the sample, null for one run.
    """
    keys = differing_keys(documents)
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
    return {
        "task": documents[0]["scores"]["task"],
        "differences": keys,
        "groups": groups,
        "definitions": definitions,
    }


def differing_keys(documents):
    """Configuration keys in which the runs differ; seed and what changes no result aside."""
    passed_over = ("seed", "workers", "cache_megabytes")
    return [key for key in runs.differing_keys(documents) if key not in passed_over]


def difference_table(documents):
    """Table of the differing keys, one row per group of seeds; None if they do not differ."""
    keys = differing_keys(documents)
    if not keys:
        return None
    scores = [runs.scores_of(document) for document in documents]
    configs = {
        id(each): document["config"] for each, document in zip(scores, documents, strict=True)
    }
    rows = []
    for label, members in tables.group(scores).items():
        values = dict(runs.flat(configs[id(members[0])]))
        rows.append((label, *(values.get(key, names.ABSENT) for key in keys)))
    return tables.Table("Configuration keys in which the runs differ", ("run", *keys), tuple(rows))


def show(documents, console):
    """Prints scores and differences to a `rich.console.Console`."""
    scores = [runs.scores_of(document) for document in documents]
    split = ", ".join(dict.fromkeys(each["split"] for each in scores))
    table = tables.side_by_side(scores, f"Scores, {split} split")
    for each in (table, difference_table(documents)):
        if each is not None:
            console.print(tables.as_rich(each))


def publish(documents, path):
    """Writes the page and returns its path. Raises WriteError."""
    return html.write_group_report(path, documents)


def best(documents):
    """One line: which group has the best headline score; None for a single group."""
    groups = runs.grouped(documents)
    if len(groups) < 2:
        return None
    name = names.HEADLINES[documents[0]["scores"]["task"]][0]
    found = {}
    for members in groups.values():
        scores = [runs.scores_of(document) for document in members]
        mean, deviation = tables.mean_and_deviation([each["scores"].get(name) for each in scores])
        if mean is not None:
            found[names.run_label(scores[0])] = (mean, deviation, tables.cell(name, scores))
    if len(found) < 2:
        return None
    order = sorted(found, key=lambda label: -found[label][0])
    first, second = (found[label] for label in order[:2])
    shown = names.score(name)
    text = f"best {shown.label}: {order[0]}, {first[2]} {shown.unit}".rstrip()
    text += f", before {order[1]}, {second[2]} {shown.unit}".rstrip()
    spread = max(first[1] or 0.0, second[1] or 0.0)
    if spread and first[0] - second[0] <= spread:
        text += " (no further apart than seeds are)"
    return f"{text}."
