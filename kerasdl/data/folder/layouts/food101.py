"""Food-101: `images/CLASS/*.jpg`, `meta/train.txt` and `meta/test.txt` with lines CLASS/NUMBER."""

from kerasdl.data.folder.layouts import Reading, common, pairing


def matches(location):
    """Whether there are `images/` and `meta/train.txt`."""
    return bool(_bases(location.tree))


def read(location, annotation):
    """The folders below `images/` as classes, splits from `meta/`."""
    tree = location.tree
    reading = Reading(tree)
    base = common.one_base(reading, _bases(tree), "Food-101")
    if base is None:
        return reading
    images = common.join(base, "images")
    names = tree.children(images)
    labels = {name: label for label, name in enumerate(names)}
    found = pairing.by_key(reading, images)
    for split, file in (("train", "train.txt"), ("test", "test.txt")):
        source = common.join(base, "meta", file)
        if common.has(tree.documents, source):
            lines = [" ".join(row) for row in common.read_rows(reading, source)]
            entries = common.listed(reading, source, lines, found, None, (images, ""))
            for entry in entries:
                entry.label = labels[entry.file[len(images) + 1 :].partition("/")[0]]
            reading.splits[split] = entries
    reading.class_names = tuple(names)
    reading.summary = f"Food-101: {len(names)} classes, splits from meta/train.txt, meta/test.txt"
    return reading


def _bases(tree):
    found = common.bases(tree, "images", "meta")
    names = ("train.txt", "test.txt")
    return [
        base
        for base in found
        if all(common.has(tree.documents, common.join(base, "meta", name)) for name in names)
    ]
