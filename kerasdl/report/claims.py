"""What the report concludes, set beside what the runs say: thresholds, orderings, differences."""

from kerasdl.report import names, tables

WITH, WITHOUT = "U-Net with skips", "U-Net without skips"
SEGMENTERS = ("U-Net", "FCN-8s", "FCN-16s", "FCN-32s")


def claims(documents):
    """Table 3: the report's statements, its number, ours, and whether ours agrees.

    Statements about networks that were not run are left out. Means over the runs are compared; a
    difference smaller than the spread between seeds is no finding, whatever the last column says.

    Args:
        documents: Scores documents (metrics.json).
    """
    means = {}
    for task in tables.REPORT:
        groups = tables.group([each for each in documents if each["task"] == task])
        means[task] = {label: _means(members) for label, members in groups.items()}
    gray = tables.mean_and_deviation(
        [
            (each.get("baseline") or {}).get("chroma_error")
            for each in documents
            if each["task"] == "colorization"
        ]
    )[0]
    rows = [
        *_thresholds(means["classification"]),
        *_ordering(means["segmentation"]),
        *_skips(means["colorization"]),
        *_color(means["colorization"].get(WITH, {}).get("chroma_error"), gray),
    ]
    return tables.Table(
        "Table 3. What the report concludes",
        ("statement", "report", "kerasdl", "agrees"),
        tuple(rows),
        ("Means over the runs are compared; tables 1 and 2 give their spread.",) if rows else (),
    )


def _means(documents):
    listed = {name for document in documents for name in document["scores"]}
    return {
        name: tables.mean_and_deviation([each["scores"].get(name) for each in documents])[0]
        for name in listed
    }


def _thresholds(means):
    reported = tables.REPORT["classification"]["ResNet-18"]
    ours = means.get("ResNet-18", {})
    for name, words in (("accuracy", "at least"), ("loss", "at most")):
        value = ours.get(name)
        if value is None:
            continue
        limit = reported[name]
        text = f"ResNet-18: {name} {words} {tables.report_cell(name, limit)}{_unit(name)}"
        agrees = value >= limit if name == "accuracy" else value <= limit
        yield text, tables.report_cell(name, limit), names.number(name, value), _word(agrees)


def _ordering(means):
    present = [label for label in SEGMENTERS if means.get(label, {}).get("mean_iou") is not None]
    pairs = list(zip(present, present[1:], strict=False))
    ends = ("U-Net", "FCN-32s")
    if set(ends) <= set(present) and ends not in pairs:
        pairs.append(ends)
    for better, worse in pairs:
        theirs = names.ABSENT
        if (better, worse) == ends:
            reported = tables.REPORT["segmentation"]
            theirs = _points(reported[better]["mean_iou"] - reported[worse]["mean_iou"])
        ours = means[better]["mean_iou"] - means[worse]["mean_iou"]
        yield f"mean IoU: {better} above {worse}", theirs, _points(ours), _word(ours > 0)


def _skips(means):
    if WITH not in means or WITHOUT not in means:
        return
    reported = tables.REPORT["colorization"]
    for name in ("psnr", "ssim"):
        best, plain = means[WITH].get(name), means[WITHOUT].get(name)
        if best is None or plain is None:
            continue
        theirs = reported[WITH][name] - reported[WITHOUT][name]
        text = f"{names.score(name).label}: with skips above without"
        yield text, _gain(name, theirs), _gain(name, best - plain), _word(best > plain)


def _color(error, gray):
    if error is None or gray is None:
        return
    ours = f"{names.number('chroma_error', error)} < {names.number('chroma_error', gray)}"
    if error >= gray:
        ours = ours.replace("<", "≥")
    yield "chroma error: with skips below the gray image", names.ABSENT, ours, _word(error < gray)


def _points(fraction):
    return f"{fraction * 100:+.2f} points"


def _gain(name, difference):
    return f"{difference:+.2f} dB" if name == "psnr" else _points(difference)


def _unit(name):
    unit = names.score(name).unit
    return f" {unit}" if unit else ""


def _word(agrees):
    return "yes" if agrees else "no"
