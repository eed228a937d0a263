"""The study that kerasdl reproduces: its numbers, tables with both results, its conclusions."""

from kerasdl.report import names, tables

# The study that kerasdl reproduces: model -> score -> value in our units (fractions from 0 to 1).
# Its data are not published, so its values are thresholds, not measurements on the same data.
STUDY = {
    "classification": {"ResNet-18": {"accuracy": 0.95, "loss": 0.1776}},
    "segmentation": {"U-Net": {"mean_iou": 0.9947}, "FCN-32s": {"mean_iou": 0.9699}},
    "colorization": {
        "U-Net with skips": {"psnr": 20.01, "ssim": 0.9218},
        "U-Net without skips": {"psnr": 17.82, "ssim": 0.6362},
    },
}
STUDY_DIGITS = {"accuracy": 0}  # the study gives "95 %", not "95.00 %"
COLOR_SCORES = ("psnr", "ssim", "chroma_error", "delta_e", "colorfulness_ratio")
MODEL_ORDER = ("ResNet-18", "U-Net", "FCN-8s", "FCN-16s", "FCN-32s")
WITH, WITHOUT = "U-Net with skips", "U-Net without skips"
SEGMENTERS = ("U-Net", "FCN-8s", "FCN-16s", "FCN-32s")
STATED = "stated"  # in words, without a number
# The study's words as limits; these are ours. Fractions, as the scores.
CONVERGED = 0.01  # accuracy after half of the epochs is that close to the last
A_BIT = 0.05  # validation accuracy is that far below training, at most
CLOSE = 0.03  # "3 % apart"
FOUND = 0.5  # IoU of every class, at least
BLURRY = 0.1  # SSIM lost without skips, at least
CLOSE_COLORS = 5.0  # ΔE 2000, at most


def classification_and_segmentation(documents):
    """Table 1: accuracy and loss of the classifiers, mean IoU of the segmenters.

    Args:
        documents: Scores documents (metrics.json), those of colorization are ignored. Reads `task`,
        `model`, `scores`, `baseline`, and if present `model_args`, `seed` and `label`.
    """
    rows, shown = [], {}
    for task, scores in (("classification", ("accuracy", "loss")), ("segmentation", ("mean_iou",))):
        groups = tables.group(_of(documents, task))
        shown.update(groups)
        for label in sorted(groups, key=_place):
            reported = STUDY[task].get(label, {})
            for name in scores:
                rows.append(
                    (
                        label,
                        names.heading(name),
                        study_cell(name, reported.get(name)),
                        tables.cell(name, groups[label]),
                        tables.cell(name, groups[label][:1], "baseline"),
                    )
                )
    notes = (
        tables.runs_note(shown),
        f"Baseline: always the most frequent class. {tables.ARROWS}",
        "The study's data are not published; its numbers were measured on other images.",
    )
    return tables.Table(
        "Table 1. Classification and segmentation, test split",
        ("model", "score", "study", "kerasdl", "baseline"),
        tuple(rows),
        notes if rows else (),
    )


def colorization(documents):
    """Table 2: scores of the colored images, with the gray image as the baseline.

    Args:
        documents: Scores documents; those of other tasks are ignored.
    """
    documents = _of(documents, "colorization")
    groups = tables.group(documents)
    labels = sorted(groups, key=_place)
    reported = [label for label in STUDY["colorization"] if label in groups]
    rows = []
    for name in COLOR_SCORES:
        row = [names.heading(name)]
        row += [study_cell(name, STUDY["colorization"][label].get(name)) for label in reported]
        row += [tables.cell(name, groups[label]) for label in labels]
        row.append(tables.cell(name, documents[:1], "baseline"))
        rows.append(tuple(row))
    notes = (
        tables.runs_note(groups) if groups else "",
        "Gray: the input itself, scored as a prediction. PSNR and SSIM hardly "
        "measure color; chroma error and ΔE do.",
        f"{tables.ARROWS} The study's numbers were measured on other images.",
    )
    columns = (
        "score",
        *(f"study: {_short(label)}" for label in reported),
        *(f"kerasdl: {_short(label)}" for label in labels),
        "gray",
    )
    caption = "Table 2. Colorization, test split"
    return tables.Table(caption, columns, tuple(rows) if groups else (), notes if groups else ())


def statements(documents):
    """Table 3: the study's conclusions, its numbers, ours, and whether they agree.

    Conclusions about models that were not run are left out. Means over the runs are compared; a
    difference smaller than the spread over seeds is not significant, whatever the last column says.

    Args:
        documents: Scores documents (metrics.json); `history` is read if present.
    """
    means, groups = {}, {}
    for task in STUDY:
        members = tables.group(_of(documents, task))
        groups |= members
        means[task] = {label: _means(each) for label, each in members.items()}
    gray = tables.mean_and_deviation(
        [
            (each.get("baseline") or {}).get("chroma_error")
            for each in _of(documents, "colorization")
        ]
    )[0]
    rows = [
        *_thresholds(means["classification"]),
        *_course(groups.get("ResNet-18", ())),
        *_ordering(means["segmentation"]),
        *_apart(means["segmentation"]),
        *_every_class(means["segmentation"]),
        *_skips(means["colorization"]),
        *_color(means["colorization"].get(WITH, {}).get("chroma_error"), gray),
        *_impressions(means["colorization"]),
    ]
    return tables.Table(
        "Table 3. The study's conclusions",
        ("statement", "study", "kerasdl", "agrees"),
        tuple(rows),
        (
            "Means over the runs are compared; tables 1 and 2 show their spread. "
            f"{STATED.capitalize()}: in words only; the limit is ours.",
        )
        if rows
        else (),
    )


def _means(documents):
    listed = {name for document in documents for name in document["scores"]}
    return {
        name: tables.mean_and_deviation([each["scores"].get(name) for each in documents])[0]
        for name in listed
    }


def _thresholds(means):
    reported = STUDY["classification"]["ResNet-18"]
    ours = means.get("ResNet-18", {})
    for name, words in (("accuracy", "at least"), ("loss", "at most")):
        value = ours.get(name)
        if value is None:
            continue
        limit = reported[name]
        text = f"ResNet-18: {name} {words} {study_cell(name, limit)}{_unit(name)}"
        agrees = value >= limit if name == "accuracy" else value <= limit
        yield text, study_cell(name, limit), names.number(name, value), _word(agrees)


def _course(documents):
    """Convergence and overfitting, from the accuracy in the histories of one model."""
    early, gaps, epochs = [], [], 0
    for rows in [document.get("history") or () for document in documents]:
        half = len(rows) // 2
        if half and all("val_accuracy" in row and "accuracy" in row for row in rows):
            last, epochs = rows[-1], half
            early.append(last["val_accuracy"] - rows[half - 1]["val_accuracy"])
            gaps.append(last["accuracy"] - last["val_accuracy"])
    if not early:
        return
    value, limit = sum(early) / len(early), _percent(CONVERGED)
    text = f"ResNet-18 converges after {epochs} epochs: accuracy then within {limit} of the last"
    yield text, STATED, _points(value), _word(abs(value) <= CONVERGED)
    value, limit = sum(gaps) / len(gaps), _percent(A_BIT)
    text = f"ResNet-18 overfits a bit: training accuracy above validation, by at most {limit}"
    yield text, STATED, _points(value), _word(0 < value <= A_BIT)


def _apart(means):
    """The distance between the two models of the study's table."""
    if not all(means.get(label, {}).get("mean_iou") is not None for label in ("U-Net", "FCN-32s")):
        return
    reported = STUDY["segmentation"]
    theirs = reported["U-Net"]["mean_iou"] - reported["FCN-32s"]["mean_iou"]
    ours = means["U-Net"]["mean_iou"] - means["FCN-32s"]["mean_iou"]
    text = f"mean IoU: U-Net and FCN-32s only {_percent(CLOSE)} apart"
    yield text, _points(theirs), _points(ours), _word(abs(ours) <= CLOSE)


def _every_class(means):
    """Whether the models of the study's table find every class."""
    for label in ("U-Net", "FCN-32s"):
        found = {
            name.partition("/")[2]: value
            for name, value in means.get(label, {}).items()
            if name.startswith("iou/") and value is not None
        }
        if found:
            worst = min(found, key=found.get)
            ours = f"{names.number('iou', found[worst])} % ({worst})"
            text = f"{label} has no problem with any class: lowest IoU at least {_percent(FOUND)}"
            yield text, STATED, ours, _word(found[worst] >= FOUND)


def _impressions(means):
    """What the study says about the colored images that it shows."""
    best, plain = means.get(WITH, {}), means.get(WITHOUT, {})
    if best.get("ssim") is not None and plain.get("ssim") is not None:
        lost = best["ssim"] - plain["ssim"]
        text = f"without skips: blurry, SSIM at least {_percent(BLURRY)} below"
        yield text, STATED, _points(-lost), _word(lost >= BLURRY)
        yield "without skips: objects visible", STATED, "no score says so: figure 3", names.ABSENT
    if best.get("delta_e") is not None:
        text = f"with skips: colors close to the truth, ΔE 2000 at most {CLOSE_COLORS:.0f}"
        ours = names.number("delta_e", best["delta_e"])
        yield text, STATED, ours, _word(best["delta_e"] <= CLOSE_COLORS)


def _ordering(means):
    present = [label for label in SEGMENTERS if means.get(label, {}).get("mean_iou") is not None]
    pairs = list(zip(present, present[1:], strict=False))
    ends = ("U-Net", "FCN-32s")
    if set(ends) <= set(present) and ends not in pairs:
        pairs.append(ends)
    for better, worse in pairs:
        theirs = names.ABSENT
        if (better, worse) == ends:
            reported = STUDY["segmentation"]
            theirs = _points(reported[better]["mean_iou"] - reported[worse]["mean_iou"])
        ours = means[better]["mean_iou"] - means[worse]["mean_iou"]
        yield f"mean IoU: {better} above {worse}", theirs, _points(ours), _word(ours > 0)


def _skips(means):
    if WITH not in means or WITHOUT not in means:
        return
    reported = STUDY["colorization"]
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


def _percent(fraction):
    return f"{fraction * 100:.0f} %"


def _points(fraction):
    return f"{fraction * 100:+.2f} points"


def _gain(name, difference):
    return f"{difference:+.2f} dB" if name == "psnr" else _points(difference)


def _unit(name):
    unit = names.score(name).unit
    return f" {unit}" if unit else ""


def _word(agrees):
    return "yes" if agrees else "no"


def study_cell(name, value):
    """A value as the study prints it."""
    if value is None:
        return names.ABSENT
    if name in STUDY_DIGITS:
        return f"{value * names.score(name).factor:.{STUDY_DIGITS[name]}f}"
    return names.number(name, value)


def _of(documents, task):
    """The scores documents of one task."""
    return [each for each in documents if each["task"] == task]


def _place(label):
    place = MODEL_ORDER.index(label) if label in MODEL_ORDER else len(MODEL_ORDER)
    return (place, "without" in label, label)


def _short(label):
    return label.removeprefix("U-Net ").removeprefix("U-Net, ")
