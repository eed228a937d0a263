"""Data in a folder of image files: classes, images with masks, or just color images.

See `layouts` for the arrangements of folders that are understood and `dataset_file` for what a
`dataset.toml` may say. Nothing below the folder is ever written or changed.
"""

import concurrent.futures
import hashlib
import os

import numpy

from kerasdl.core.errors import DataError
from kerasdl.data import images, path_name, splitting
from kerasdl.data.base import Dataset, Sample
from kerasdl.data.folder import discover, mask_palettes, mask_scan, masks
from kerasdl.data.folder.dataset_file import FILE_NAME
from kerasdl.data.folder.dataset_values import IGNORE
from kerasdl.data.inspect.findings import listing, raise_first

_MOST_BAD = 0.5  # with skip_invalid: a larger share of bad files is no accident


class FolderSplit:
    """The samples of one split, read from their files when asked for.

    Args:
        entries: List of `layouts.Entry`.
        rule: MaskRule of the data set, where there are masks.
        skipped: (name, reason) of samples that were left out as unreadable.
    """

    def __init__(self, entries, rule=None, skipped=()):
        self.entries = entries
        self.rule = rule
        self.skipped = tuple(skipped)

    def __len__(self):
        return len(self.entries)

    def __getitem__(self, index):
        """Sample of a position. Raises DataError naming the file that cannot be used."""
        entry = self.entries[index]
        image = images.read_image(entry.image)
        if entry.mask is None:
            return Sample(image, entry.label)
        mask = masks.read_mask(entry.mask_source(), self.rule)
        if mask.shape != image.shape[:2]:
            raise mask_scan.size_finding(entry, image.shape[:2], mask.shape).as_error()
        return Sample(image, entry.label, mask)

    def name(self, index):
        """Name of the image relative to the data folder."""
        return self.entries[index].name

    def names(self):
        """Names of all samples, in order."""
        return [entry.name for entry in self.entries]

    def labels(self):
        """Class indices of all samples, int32, without reading an image; None without classes."""
        if not self.entries or self.entries[0].label is None:
            return None
        return numpy.array([entry.label for entry in self.entries], "int32")


def load(location, annotation, config):
    """Dataset of a folder.

    Without split folders the images are divided by `config.validation_split` and
    `config.test_split`, the same way for the same names and seed; without a validation folder the
    validation images are taken from the training ones. A test split that is missing beside split
    folders stays missing. `config.train_size` and its like take a sample, chosen by the seed.

    Args:
        location: A located `kerasdl.data.Location`.
        annotation: "label", "mask" or "none".
        config: The settings.

    Raises:
        DataError: The folder cannot be used as it is; names the first problem and its fix.
        ConfigError: dataset.toml is wrong.
    """
    path = location.path
    reading = discover.discover(location, annotation)
    raise_first(reading.findings, config.skip_invalid)
    entries = splitting.divide(reading.splits, config, path)
    names, rule = reading.class_names, None
    if annotation == "mask":
        names, rule = _mask_classes(reading, config)
    elif annotation == "none":
        names = ()
    splits = {}
    for split, members in entries.items():
        members = splitting.limit(
            members, getattr(config, splitting.SIZE_KEYS[split]), config.split_seed
        )
        skipped = []
        if config.skip_invalid:
            members, skipped = _readable(members, rule, path)
        splits[split] = FolderSplit(members, rule, skipped)
    return Dataset(
        name=path_name(location),
        splits=splits,
        class_names=names,
        palette=reading.palette or masks.default_palette(len(names)),
        ignore_labels=rule.ignore_labels if rule else (),
        license=reading.license,
        source=location.file.source or location.shown,
        summary=reading.summary,
        fingerprint=fingerprint(splits),
    )


def fingerprint(splits):
    """SHA-256 over the sorted names and sizes in bytes of all files; never their times."""
    entries = [entry for split in splits.values() for entry in split.entries]
    digest = hashlib.sha256()
    for entry in sorted(entries, key=lambda entry: entry.name):
        lines = [_line(entry, entry.image)]
        if isinstance(entry.mask, str):
            lines.append(_line(entry, entry.mask_path))
        elif entry.mask is not None:
            lines.append(f"{entry.name}\0{entry.mask.fingerprint_text}\n")
        digest.update("".join(sorted(lines)).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _line(entry, path):
    try:
        size = os.stat(path).st_size
    except OSError:
        size = -1
    return f"{entry.name}\0{os.path.basename(path)}\0{size}\n"


def _mask_classes(reading, config):
    """Class names and MaskRule; without names the masks are searched for their values."""
    rule = masks.rule_for(reading, ignore=config.ignore_labels)
    if rule.classes is None:
        targets = {*rule.values.values(), *rule.colors.values()} - {IGNORE}
        if targets:
            count = max(targets) + 1
        else:
            sources = [
                entry.mask_source() for entries in reading.splits.values() for entry in entries
            ]
            count = _count_classes(sources, rule, reading, config.skip_invalid)
        rule = masks.rule_for(reading, count, config.ignore_labels)
    names = reading.class_names or tuple(f"class_{index}" for index in range(rule.classes))
    return names, rule


def _count_classes(sources, rule, reading, skip_invalid):
    """Number of classes that the values of all masks suggest; raises DataError if they do not."""
    # A sample would not do: a class that only the other masks hold would end the training late.
    what = f"the classes are not named: the values of all {len(sources)} masks are read; to start "
    what += f"at once, put the names into {FILE_NAME}: names = [...]"
    found = mask_scan.scan(sources, rule, what)
    errors = [item for item in found if isinstance(item, DataError)]
    if errors and not skip_invalid:
        raise errors[0]
    found = [item for item in found if not isinstance(item, DataError)]
    finding = mask_scan.count_finding(found, rule) or mask_palettes.palette_finding(found, rule)
    if finding:
        raise finding.as_error()
    used = mask_scan.used_values(found, rule)
    if len(used) < 2:
        finding = mask_scan.single_class_finding(found, rule)
        raise finding.as_error()
    return used[-1] + 1


def _readable(entries, rule, path):
    """Entries whose files can be read, and (name, reason) of the others."""
    split = FolderSplit(entries, rule)

    def reason(index):
        try:
            split[index]
        except DataError as error:
            return str(error)
        return None

    with concurrent.futures.ThreadPoolExecutor(mask_scan.THREADS) as pool:
        reasons = list(pool.map(reason, range(len(entries))))
    skipped = [(entry.name, why) for entry, why in zip(entries, reasons, strict=True) if why]
    if len(skipped) > _MOST_BAD * len(entries):
        raise DataError(
            f"{len(skipped)} of {len(entries)} samples cannot be used: "
            + listing([name for name, _ in skipped], 20),
            path,
            f"{skipped[0][1]}; `kerasdl data check` lists all",
        )
    return [entry for entry, why in zip(entries, reasons, strict=True) if not why], skipped
