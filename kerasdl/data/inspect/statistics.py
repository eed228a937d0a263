"""From the records of all samples to findings and statistics about the data set."""

import collections

import numpy

from kerasdl.data.folder import mask_scan
from kerasdl.data.folder.layouts import UNDIVIDED
from kerasdl.data.inspect.examine import wrong_suffix
from kerasdl.data.inspect.findings import Finding, counted, listing

LEAST_SIDE = 32  # below it an image is smaller than one step of the deepest networks
RANGE = 256  # levels after 16 bits were divided by 256
LEAST_SAMPLES = 10  # per class: with fewer no network can learn or be judged
LEAST_PIXEL_SHARE = 0.001
IMBALANCE = 10  # largest class / smallest class


def statistics_of(records, class_names, labels):
    """Counts, sizes and kinds of the images, as plain JSON types.

    Args:
        records: Records of the samples that were looked at.
        class_names: Names of the classes.
        labels: (split, class index) of all samples; empty where they are not known.
    """
    readable = [record for record in records if record.size]
    headers = [record.header for record in readable if record.header]
    statistics = {
        "samples": dict(collections.Counter(split for split, _ in labels)),
        "unreadable": len(records) - len(readable),
        "modes": dict(collections.Counter(header.mode for header in headers).most_common()),
        "formats": dict(collections.Counter(header.format for header in headers).most_common()),
        "turned_by_exif": sum(header.orientation != 1 for header in headers),
        "animated": sum(header.frames > 1 for header in headers),
        "transparent": sum(header.transparent for header in headers),
        "suffix_differs": sum(wrong_suffix(record) for record in readable if record.header),
        "gray": sum(record.gray for record in readable),
    }
    if readable:
        sizes = numpy.array([record.size for record in readable])
        statistics["sizes"] = {
            "smallest": sizes[sizes.prod(axis=1).argmin()].tolist(),
            "median": [int(side) for side in numpy.median(sizes, axis=0)],
            "largest": sizes[sizes.prod(axis=1).argmax()].tolist(),
        }
    if labels and labels[0][1] is not None:
        counts = collections.Counter(labels)
        statistics["per_class"] = {
            split: {name: counts[split, label] for label, name in enumerate(class_names)}
            for split in statistics["samples"]
        }
    return statistics


# Severity, kind, what is said of the images, the fix, and which images (with a file) it concerns.
_TRAITS = (
    (
        *("note", "suffix", "with a suffix of another format; the content decides", ""),
        wrong_suffix,
    ),
    (
        *("note", "exif", "turned upright by the EXIF orientation", ""),
        lambda record: record.header.orientation != 1,
    ),
    (
        *("note", "animated", "with several frames, of which the first counts", ""),
        lambda record: record.header.frames > 1,
    ),
    (
        *("note", "transparent", "with transparency, laid over white", ""),
        lambda record: record.header.transparent,
    ),
    (
        *("warning", "blank", "fully transparent and therefore white"),
        "remove the transparency, or the images",
        lambda record: record.blank and record.header.transparent,
    ),
)


def image_findings(records, annotation):
    """Notes and warnings about the images."""
    readable = [record for record in records if record.size]
    filed = [record for record in readable if record.header]
    for severity, kind, what, fix, concerns in _TRAITS:
        yield from _some(severity, kind, [r for r in filed if concerns(r)], what, fix)
    small = [record for record in readable if min(record.size) < LEAST_SIDE]
    if len(small) < len(readable):  # else small images are what this data set is made of
        what = f"with a side below {LEAST_SIDE} pixels, which will be upsampled"
        fix = "remove them if they are thumbnails or mistakes"
        yield from _some("warning", "small", small, what, fix)
    yield from _range_findings(filed)
    if annotation == "none":
        yield from _color_findings(readable)


def _color_findings(readable):
    """Images from which no color can be learned."""
    gray = [record for record in readable if record.gray and record.digest]
    if gray and len(gray) == len(readable):
        what = "all images are gray, there is no color to learn"
        yield Finding("error", what, gray[0].path, "", "give color images", "gray")
    else:
        what = "without color, which teach to predict gray"
        yield from _some("warning", "gray", gray, what, "remove them")
    drawn = [record for record in readable if record.drawn and not record.gray]
    if len(drawn) < len(readable):
        what = "of few colors, as masks and drawings are"
        yield from _some("warning", "drawn", drawn, what, "remove them if they are masks")


def _some(severity, kind, members, what, fix=""):
    """One finding about several images, or none."""
    if members:
        text = f"{counted(len(members), 'image')} {what}"
        yield Finding(severity, text, members[0].path, "", fix, kind)


def _range_findings(filed):
    """16-bit images whose values do not use the range: 12 bits in 16, as microscopes store them."""
    deep = [record for record in filed if record.header.deep and record.digest]
    highest = max((record.highest for record in deep), default=RANGE)
    what = f"of 16 bits with values up to {highest * 256 + 255} only, which become "
    if highest < RANGE // 16:
        fix = "multiply the values to the full range (12 bits: by 16), or save them as 8-bit"
        yield from _some("error", "range", deep, what + "nearly black", fix)
    elif highest < RANGE // 4:
        fix = "if the range is of 14 bits, multiply the values by 4, or save them as 8-bit"
        yield from _some("warning", "range", deep, what + "dark", fix)


def class_findings(records, class_names, statistics):
    """Labels outside the classes, and classes with few samples."""
    wrong = [
        record
        for record in records
        if record.label is not None and not 0 <= record.label < len(class_names)
    ]
    if wrong:
        labels = sorted({record.label for record in wrong})
        what = f"labels {listing(labels, 12)} are outside 0 to {len(class_names) - 1}"
        yield Finding(
            "error", f"{counted(len(wrong), 'sample')}: {what}", wrong[0].path, kind="label"
        )
    alike = collections.defaultdict(list)
    for name in class_names:
        alike[name.casefold().strip()].append(name)
    for names in alike.values():
        if len(names) > 1:
            what = f"classes whose names are alike: {listing(names)}"
            yield Finding("warning", what, fix="merge them if they are one", kind="label")
    for split, counts in statistics.get("per_class", {}).items():
        few = [f"{name} ({count})" for name, count in counts.items() if 0 < count < LEAST_SAMPLES]
        if few and split in ("train", UNDIVIDED):
            what = f"classes with fewer than {LEAST_SAMPLES} training images: {listing(few, 20)}"
            fix = "add images, or merge or remove these classes"
            yield Finding("warning", what, fix=fix, kind="balance")
        least, most = min(counts.values()), max(counts.values())
        if least and most > IMBALANCE * least and split in ("train", UNDIVIDED):
            what = f"the largest class has {most / least:.0f} times the images of the smallest"
            yield Finding("note", what, fix="--class-weights auto", kind="balance")


def duplicate_findings(records, class_names):
    """Images with equal pixels: across splits, in two classes, or twice in one place."""
    groups = collections.defaultdict(list)
    for record in records:
        if record.digest:
            groups[record.digest].append(record)
    for group in groups.values():
        if len(group) < 2:
            continue
        splits = sorted({record.split for record in group})
        labels = sorted({record.label for record in group if record.label is not None})
        names = listing([record.name for record in group], 4)
        if len(labels) > 1:
            classes = " and ".join(class_names[label] for label in labels)
            what, kind = f"the same image in the classes {classes}: {names}", "duplicate-class"
            fix = "keep the one in the right class, remove the others"
        elif len(splits) > 1:
            what = f"the same image in the splits {' and '.join(splits)}: {names}"
            kind = "duplicate-split"
            fix = "remove all but one: a network is not judged by what it was trained on"
        else:
            what, kind = f"the same image {len(group)} times: {names}", "duplicate"
            fix = "remove the copies"
        if group[0].header is None:  # a published set or an array, not files to be removed
            fix = "the data came so; know it when you compare scores"
        yield Finding("warning", what, group[0].path, fix=fix, kind=kind)


def mask_findings(records, rule, class_names, statistics):
    """Pixel shares per class go into the statistics; what they tell is returned."""
    classes = len(class_names)
    totals = collections.defaultdict(lambda: numpy.zeros(classes + 1, "int64"))
    empty = []
    for record in records:
        counts = mask_scan.class_counts(record.mask, rule, classes) if record.mask else None
        if counts is not None:
            totals[record.split] += counts
            if not counts[:-1].any():
                empty.append(record)
    if empty:
        what = f"{counted(len(empty), 'mask')} with nothing but the ignored value"
        yield Finding(
            "warning",
            what,
            empty[0].mask.path,
            "",
            "they teach nothing: remove them with their images, or correct ignore_label",
            "mask-empty",
        )
    fractions = {}
    for split, counts in totals.items():
        labeled = max(counts[:-1].sum(), 1)
        fractions[split] = {
            name: round(float(count / labeled), 6)
            for name, count in zip(class_names, counts, strict=False)
        }
        fractions[split]["(ignored)"] = round(float(counts[-1] / max(counts.sum(), 1)), 6)
    statistics["pixel_fractions"] = fractions
    yield from _fraction_findings(fractions)


def _fraction_findings(fractions):
    """Classes without or nearly without pixels in training."""
    split = "train" if "train" in fractions else UNDIVIDED
    classes = {
        name: fraction for name, fraction in fractions.get(split, {}).items() if name != "(ignored)"
    }
    absent = [name for name, fraction in classes.items() if fraction == 0]
    if absent:
        yield Finding(
            "warning",
            f"classes without a pixel in the training masks: {listing(absent, 20)}",
            kind="balance",
            fix="add images, or correct the names, mask_values or ignore_label",
        )
    rare = [
        f"{name} ({fraction:.2%})"
        for name, fraction in classes.items()
        if 0 < fraction < LEAST_PIXEL_SHARE
    ]
    if rare:
        yield Finding(
            "warning",
            f"classes with hardly a pixel in the training masks: {listing(rare, 20)}",
            fix="--class-weights auto",
            kind="balance",
        )
    present = [fraction for fraction in classes.values() if fraction]
    if present and max(present) > IMBALANCE * min(present):
        what = f"the largest class has {max(present) / min(present):.0f} times the pixels of the "
        yield Finding("note", what + "smallest", fix="--class-weights auto", kind="balance")
