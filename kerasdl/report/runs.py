"""Run documents: grouping, labels, differing configuration keys."""

import collections
import os

from kerasdl.report import names

# Keys that are already part of a run's name, or do not affect what it computes.
TOLD_ELSEWHERE = ("task", "model", "data", "seed", "model_args.skips", "workers", "cache_megabytes")
MANY_KEYS = 4  # more make labels unreadable and tables too wide


def scores_of(document):
    """The scores document of a run document, with seed and model_args from its configuration.

    `image_scores` are those of the run document: a `kerasdl.metrics.images.ImageScores`.
    """
    config = document.get("config") or {}
    known = {key: config[key] for key in ("seed", "model_args") if key in config}
    images = document.get("image_scores")
    return {**known, **document["scores"], **({"image_scores": images} if images else {})}


def per_class(scores):
    """{class: value} of a scores document and the label of the score; empty without any."""
    values = scores["scores"]
    kind = next((name.partition("/")[0] for name in values if "/" in name), "")
    found = {
        name.partition("/")[2]: value
        for name, value in values.items()
        if name.startswith(f"{kind}/")
    }
    return found, names.score(kind).label


def grouped(documents):
    """Run documents by task and model, all seeds together: {(task, "U-Net"): [document, ...]}."""
    groups = {}
    for document in documents:
        scores = scores_of(document)
        key = (scores["task"], names.run_label(scores), scores.get("data"))
        groups.setdefault(key, []).append(document)
    return groups


def with_distinct_labels(documents):
    """The run documents with labels that name the configuration keys in which they differ.

    Of more than four keys only as many as needed are named. Two runs of the same model, data set
    and seed that differ in the learning rate become "ResNet-18, learning_rate 0.1" and "ResNet-18,
    learning_rate 0.01". For backend "auto" the backend that was used counts.
    """
    documents = [
        {**each, "config": {**each["config"], "backend": each["backend"]}}
        if each.get("config") and each.get("backend")
        else each
        for each in documents
    ]
    labels = {}
    for members in grouped(documents).values():
        keys = [key for key in differing_keys(members) if key not in TOLD_ELSEWHERE]
        if len(keys) > MANY_KEYS:
            keys = _distinguishing(members, keys)
        for document in members:
            values = dict(flat(document.get("config") or {}))
            settings = [f"{key} {values.get(key, names.ABSENT)}" for key in keys]
            labels[id(document)] = ", ".join([names.run_label(scores_of(document)), *settings])
    return [
        {**document, "scores": {**document["scores"], "label": labels[id(document)]}}
        for document in documents
    ]


def _distinguishing(documents, keys):
    """A subset of the keys, recipe first, that distinguishes the runs as well as all of them."""
    values = [dict(flat(document.get("config") or {})) for document in documents]

    def kinds(chosen):
        return len({tuple(each.get(key) for key in chosen) for each in values})

    telling = []
    for key in sorted(keys, key=lambda key: key != "recipe"):
        if kinds([*telling, key]) > kinds(telling):
            telling.append(key)
    return telling


def differing_keys(documents):
    """Configuration keys, flat, whose values differ between the documents."""
    values = [dict(flat(document.get("config") or {})) for document in documents]
    keys = dict.fromkeys(key for each in values for key in each)
    outer = {key.rpartition(".")[0] for key in keys}
    return [key for key in keys if key not in outer and len({each.get(key) for each in values}) > 1]


def unique_names(documents):
    """One name per run document: its model, data set and seed, as far as needed."""
    scores = [scores_of(document) for document in documents]
    labels = [names.run_label(each) for each in scores]
    if len({each.get("data") for each in scores}) > 1:
        labels = [f"{label}, {each['data']}" for label, each in zip(labels, scores, strict=True)]
    if len(labels) > 1 and len(set(labels)) == 1:
        return [f"seed {each.get('seed')}" for each in scores]
    counts = collections.Counter(labels)
    if len(counts) < len(labels):
        labels = [
            f"{label}, seed {each.get('seed')}" if counts[label] > 1 else label
            for label, each in zip(labels, scores, strict=True)
        ]
    return labels


def flat(values, prefix=""):
    """Nested dict as [("outer.inner", text), ...]."""
    pairs = []
    for key, value in values.items():
        if isinstance(value, dict) and value:
            pairs += flat(value, f"{prefix}{key}.")
        else:
            pairs.append((f"{prefix}{key}", text(value)))
    return pairs


def text(value):
    """A plain TOML or JSON value as text; empty values are "–"."""
    if isinstance(value, list | tuple):
        return ", ".join(text(item) for item in value) or names.ABSENT
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or value == "" or value == {}:
        return names.ABSENT
    return f"{value:g}" if isinstance(value, float) else str(value)


def without_folder(value):
    """A configuration value; of absolute paths only the last part, because pages are passed on."""
    if isinstance(value, list | tuple):
        return [without_folder(item) for item in value]
    return os.path.basename(value) if isinstance(value, str) and os.path.isabs(value) else value
