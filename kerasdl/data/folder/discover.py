"""The samples of a data folder: which image has which label or mask, in which split."""

from kerasdl.core import registry
from kerasdl.data.folder.dataset_values import MOST_CLASSES
from kerasdl.data.folder.layouts import SPLITS, UNDIVIDED, Reading, common, folders
from kerasdl.data.inspect.findings import listing

ARCHIVES = {".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar"}


def discover(location, annotation):
    """Reading of a located data folder, completed by what its dataset.toml says.

    Args:
        location: A `kerasdl.data.Location` whose `source` is a layout.
        annotation: "label", "mask" or "none".

    Raises DataError only if there is no such folder, ConfigError if dataset.toml is wrong.
    """
    tree, file = location.tree, location.file
    if not tree.images:
        found = f"; it holds {folders.kinds(tree.others)}" if tree.others else ", it is empty"
        reading = Reading(tree, findings=list(tree.findings))
        expected = folders.EXPECTED[annotation]
        if ARCHIVES & tree.others.keys():
            expected = f"unpack the archive first; {expected}"
        reading.error(f"no images in the data folder{found}", "", expected)
        return reading
    reading = registry.load(location.source.read)(location, annotation)
    reading.findings[:0] = tree.findings
    order = (UNDIVIDED, *SPLITS)
    reading.splits = {split: reading.splits[split] for split in order if reading.splits.get(split)}
    if not reading.splits.keys() & {UNDIVIDED, "train"}:
        if not any(finding.severity == "error" for finding in reading.findings):
            only = f", only {listing(reading.splits)}" if reading.splits else ""
            reading.error(f"no training images{only}", "", folders.EXPECTED[annotation])
    complete(reading, file)
    if annotation == "mask" and len(reading.class_names) > MOST_CLASSES:
        what = f"{len(reading.class_names)} classes, but masks can have {MOST_CLASSES} at most"
        reading.error(what, file.path or "", "leave out classes, or merge them")
    for entries in reading.splits.values():
        for entry in entries:
            if annotation != "label":
                entry.label = None
            if annotation != "mask":
                entry.mask = None
    return reading


def complete(reading, file):
    """Puts what dataset.toml says in the place of what the layout found.

    Where it says anything about classes, it says everything: names, values and colors go together.
    """
    if file.describes_classes:
        reading.values, reading.colors = file.values, file.colors
        # The names of class folders stand in the order of the labels already.
        labels = any(entry.label is not None for part in reading.splits.values() for entry in part)
        if not labels:
            two = file.threshold is not None and len(reading.class_names) == 2
            reading.class_names = file.names or (reading.class_names if two else ())
            reading.palette, reading.ignore = (), ()
            reading.threshold, reading.channel = file.threshold, file.channel
            for entry in [entry for part in reading.splits.values() for entry in part]:
                if isinstance(entry.mask, common.FileMask):
                    entry.mask = entry.mask.told(file)
    for key in ("palette", "ignore", "license"):
        setattr(reading, key, getattr(file, key) or getattr(reading, key))
