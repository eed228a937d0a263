"""Any readable data set as plain folders: class folders, `images/` + `masks/`, or images."""

import os
import pathlib
import re
import shutil

import PIL.Image
import tomli_w

from kerasdl.core import files
from kerasdl.core.errors import ConfigError, DataError
from kerasdl.data.folder.dataset_file import FILE_NAME
from kerasdl.data.folder.tree import is_hidden

SPLIT_FOLDERS = {"train": "train", "validation": "val", "test": "test"}
UNSAFE = re.compile(r'[\x00-\x1f/\\:*?"<>|]+')  # in names of folders, on one system or another


def convert(dataset, annotation, out, source=None):
    """Writes a data set as plain folders with a dataset.toml.

    Files of images are copied as they are; images without a file become PNG, masks PNG of 8 bits
    whose values are the class indices. `out` is whole or absent.

    Args:
        dataset: A `kerasdl.data.base.Dataset`; one with a single split is written without splits.
        annotation: "label", "mask" or "none".
        out: The folder to write; it must not exist, or be empty.
        source: Path of the data, which `out` must not lie in or around; None if they are no files.

    Returns: the number of samples.
    Raises: ConfigError for an `out` that will not do, DataError for a sample that cannot be read,
        WriteError where there is no space or right.
    """
    out = pathlib.Path(os.path.abspath(os.path.expanduser(out)))
    _require_free(out, source)
    temporary = out.with_name(files.TEMPORARY_PREFIX + out.name)
    try:
        files.remove(temporary)
        temporary.mkdir(parents=True)
        count = _write(dataset, annotation, temporary)
        if out.exists():
            out.rmdir()
        os.replace(temporary, out)
    except OSError as error:
        raise files.cannot_write(out, error) from error
    finally:
        if temporary.exists():
            shutil.rmtree(temporary, ignore_errors=True)
    return count


def _require_free(out, source):
    """Raises ConfigError if `out` holds anything, or lies within the data or around them."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ConfigError("the output exists and is not empty", out, "name a new folder")
    if source is not None:
        real, other = out.resolve(), pathlib.Path(source).resolve()
        if real.is_relative_to(other) or other.is_relative_to(real):
            raise ConfigError("the output lies within the data or around them", out, "elsewhere")


def _write(dataset, annotation, root):
    names = _folder_names(dataset.class_names) if annotation == "label" else dataset.class_names
    count = 0
    for split, samples in dataset.splits.items():
        inner = SPLIT_FOLDERS[split] if len(dataset.splits) > 1 else ""
        taken = set()
        for index in range(len(samples)):
            _write_sample(samples, index, annotation, names, root, inner, taken)
            count += 1
    facts = {"license": dataset.license, "source": dataset.source}
    if annotation != "none":
        facts["names"] = list(names)
        facts["palette"] = ["#{:02x}{:02x}{:02x}".format(*color) for color in dataset.palette]
    if dataset.ignore_labels:
        facts["ignore_label"] = list(dataset.ignore_labels)
    files.write_text(root / FILE_NAME, tomli_w.dumps({k: v for k, v in facts.items() if v}))
    return count


def _write_sample(samples, index, annotation, names, root, split, taken):
    """One image, and its mask; the name is its own as far as no other sample has it."""
    entry = samples.entries[index] if hasattr(samples, "entries") else None
    sample = None if entry is not None and annotation != "mask" else samples[index]
    name = samples.name(index) + ("" if entry is not None else ".png")
    label = entry.label if sample is None else sample.label
    folder = names[label] if annotation == "label" else "images" if annotation == "mask" else ""
    parts = (split, folder) if annotation == "label" else (folder, split)
    place = root.joinpath(*filter(None, parts))
    file = _free_name(name, place, taken)
    place.mkdir(parents=True, exist_ok=True)
    if entry is not None:
        _copy(entry.image, place / file)
    else:
        PIL.Image.fromarray(sample.image).save(place / file)
    if annotation == "mask":
        masks = root.joinpath(*filter(None, ("masks", split)))
        masks.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(sample.mask).save(masks / (os.path.splitext(file)[0] + ".png"))


def _copy(image, target):
    try:
        shutil.copyfile(image, target)
    except FileNotFoundError:
        raise DataError("no such file", image, "was it removed since it was listed?") from None


def _free_name(name, place, taken):
    """A file name that no other one of the folder has, not even with another suffix."""
    short = UNSAFE.sub("-", os.path.basename(name))
    stem, suffix = os.path.splitext(short)
    long = os.path.splitext(UNSAFE.sub("-", name))[0]
    candidates = [stem, long, *(f"{long}-{number}" for number in range(2, 1000))]
    stem = next(each for each in candidates if (place, each) not in taken)
    taken.add((place, stem))
    return stem + suffix


def _folder_names(class_names):
    """Class names that every system takes as folders, all different, none hidden."""
    found = {}
    for name in class_names:
        safe = UNSAFE.sub("-", name).strip(" .") or "class"
        if is_hidden(safe):
            safe = f"class-{safe}"
        if safe.casefold() in found:
            safe = f"{safe}-{len(found)}"
        found[safe.casefold()] = safe
    return tuple(found.values())
