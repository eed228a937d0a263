"""Comparison of models or settings over several seeds: mean, spread and paired tests."""

import collections
import math
from typing import NamedTuple

import numpy

from kerasdl.report import names, paired, tables

# What must be equal for scores to be compared in pairs.
SCORED_ON = ("data", "split", "samples", "image_size")


class Difference(NamedTuple):
    """One score of a group of runs against the reference group.

    Attributes:
        label: The group.
        reference: The reference group.
        score: Name of the score.
        pairs, mean, deviation, low, high, p_t, p_wilcoxon: See `paired.Paired`.
        p_holm: `p_t` corrected for the number of groups compared in this score.
        image_deviation: Standard deviation of the mean difference over sets of test images, part
            of the interval; None if the runs do not hold scores per image.
    """

    label: str
    reference: str
    score: str
    pairs: int
    mean: float
    deviation: float | None
    low: float | None
    high: float | None
    p_t: float | None
    p_wilcoxon: float | None
    p_holm: float | None
    image_deviation: float | None


def compare(documents):
    """Differences of every group of runs from the first one, paired by seed.

    Args:
        documents: Scores documents of one task; runs with one label are a group.

    Returns:
        List of `Difference`, score by score; empty if no seed is shared, or if the runs were scored
        on different images or at different sizes.
    """
    if _scored_differently(documents):
        return []
    groups = {label: _by_seed(members) for label, members in tables.group(documents).items()}
    if len(groups) < 2:
        return []
    reference, *others = groups
    found = []
    for score in names.headline(documents[0]["task"]):
        series = {label: _series(groups[label], groups[reference], score) for label in others}
        tested = sum(len(paired.pairs(*each)) > 1 for each in series.values())
        rows = []
        for label, each in series.items():
            deviation = _image_deviation(groups[label], groups[reference], score)
            result = paired.paired(*each, tested, (deviation or 0.0) ** 2)
            if result is not None:
                rows.append((label, result, deviation))
        corrected = paired.holm([result.p_t for _, result, _ in rows])
        found += [
            Difference(label, reference, score, *result, p_holm, deviation)
            for (label, result, deviation), p_holm in zip(rows, corrected, strict=True)
        ]
    return found


def overview(documents, caption=None):
    """Table of all groups: mean ± deviation of the task's scores, the baseline in the last row.

    Args:
        documents: Scores documents of one task.
        caption: Caption; task, data and split if None.
    """
    groups = tables.group(documents)
    first = documents[0]
    headlines = names.headline(first["task"])
    present = {name for document in documents for name in document["scores"]}
    listed = [name for name in headlines if name in present]
    listed += [
        name for name in names.METRICS
        if name in present and name not in headlines and name != "loss"
    ]  # fmt: skip
    rows = [
        (label, *(tables.cell(name, members) for name in listed), str(len(members)))
        for label, members in groups.items()
    ]
    data = dict.fromkeys(document["data"] for document in documents)
    if len(data) == 1:
        baseline = [tables.cell(name, documents[:1], "baseline") for name in listed]
        rows.append((names.baseline(first["task"]), *baseline, names.ABSENT))
    columns = ("", *(names.heading(name) for name in listed), "runs")
    split = first.get("split", "test")
    caption = caption or f"{first['task'].capitalize()} on {', '.join(data)}, {split} split"
    notes = [tables.runs_note(groups), tables.ARROWS]
    different = _scored_differently(documents)
    if different:
        listed = ", ".join(key.replace("_", " ") for key in different)
        notes.append(f"No paired comparison: the runs were scored on different {listed}.")
    return tables.Table(caption, columns, tuple(rows), tuple(notes))


def differences(found):
    """Table of differences with 95 % interval and test, in a list; empty without any."""
    if not found:
        return []
    pairs = sorted({each.pairs for each in found})
    tested = any(each.p_t is not None for each in found)
    with_wilcoxon = pairs[0] >= paired.WILCOXON_PAIRS
    rows = []
    labels = list(dict.fromkeys(each.label for each in found))
    for each in sorted(found, key=lambda each: labels.index(each.label)):
        interval = names.ABSENT
        if each.low is not None:
            interval = f"{_signed(each.score, each.low)} to {_signed(each.score, each.high)}"
        row = [each.label, names.heading(each.score), _signed(each.score, each.mean), interval]
        row.append(p_text(each.p_holm))
        if with_wilcoxon:
            row.append(p_text(each.p_wilcoxon))
        rows.append(tuple(row))
    columns = ("", "score", "difference", "95 % interval", "p")
    if with_wilcoxon:
        columns = (*columns, "p Wilcoxon")
    caption = f"Difference from {found[0].reference}, paired by seed"
    notes = _notes(found, pairs, tested, with_wilcoxon)
    return [tables.Table(caption, columns, tuple(rows), notes)]


def summary(documents):
    """Mean and deviation of every score of one group of runs, for JSON."""
    listed = dict.fromkeys(name for document in documents for name in document["scores"])
    result = {"mean": {}, "deviation": {}}
    for name in listed:
        mean, deviation = tables.mean_and_deviation(
            [document["scores"].get(name) for document in documents]
        )
        result["mean"][name], result["deviation"][name] = mean, deviation
    return result


def p_text(p):
    """A p-value as text: "0.012", "<0.001", "1", "–"."""
    if p is None or not math.isfinite(p):
        return names.ABSENT
    if p < 0.001:
        return "<0.001"
    return f"{p:.3f}" if p < 0.0995 else f"{p:.2f}".replace("1.00", "1")


def _by_seed(documents):
    """{seed: document}; a seed that occurs twice gives no pair and is left out."""
    counts = collections.Counter(document.get("seed") for document in documents)
    return {
        document["seed"]: document
        for document in documents
        if document.get("seed") is not None and counts[document["seed"]] == 1
    }


def _scored_differently(documents):
    """The keys of SCORED_ON that are not the same in all documents."""
    return [key for key in SCORED_ON if len({str(each.get(key)) for each in documents}) > 1]


def _series(ours, reference, score):
    """The scores of two groups for the seeds they share."""
    seeds = sorted(set(ours) & set(reference))
    return [[group[seed]["scores"].get(score) for seed in seeds] for group in (ours, reference)]


def _image_deviation(ours, reference, score):
    """Standard deviation of the mean difference of two groups over resampled test images."""
    differences = []
    for seed in set(ours) & set(reference):
        pair = [group[seed].get("image_scores") for group in (ours, reference)]
        if any(each is None or score not in each.resampled for each in pair):
            return None
        one, other = (each.resampled[score] for each in pair)
        if len(one) != len(other):
            return None
        differences.append(one - other)
    if not differences:
        return None
    # The same images are drawn for both and for all seeds.
    return float(numpy.nanstd(numpy.mean(differences, axis=0), ddof=1))


def _signed(name, value):
    shown = names.score(name)
    return f"{value * shown.factor:+.{shown.digits}f}".replace("-", "−")


def _images_note(found):
    """Whether intervals and p-values know that other test images would give other scores."""
    without = [each.score for each in found if each.pairs > 1 and each.image_deviation is None]
    if not without:
        return " Both include the sampling of the test images (bootstrap over images)."
    listed = ", ".join(dict.fromkeys(names.score(name).label for name in without))
    return f" The sampling of the test images is not included for: {listed}."


def _notes(found, pairs, tested, with_wilcoxon):
    counts = " or ".join(map(str, pairs))
    if not tested:
        return (f"{counts} pair: one run each does not show the spread, so there is no test.",)
    compared = max(
        sum(each.score == name and each.pairs > 1 for each in found)
        for name in {each.score for each in found}
    )
    notes = [
        f"{counts} pairs (seeds). Percentages differ in percentage points. Interval: Student's t. "
        f"p: paired t-test, two-sided.{_images_note(found)}"
        + (
            f" Corrected for {compared} comparisons per score: the intervals hold simultaneously "
            "(Bonferroni), p-values by Holm's method."
            if compared > 1
            else ""
        )
    ]
    if not with_wilcoxon:
        floor = paired.wilcoxon_floor(pairs[-1])
        notes.append(
            f"With so few pairs a p-value is weak evidence: the t-test assumes normal differences, "
            f"and Wilcoxon's test, which does not, cannot fall below {floor:.2g}. "
            "Rely on the interval."
        )
    return tuple(notes)
