"""Splits made by a seed: which samples train, which validate, which test."""

import collections

import numpy

from kerasdl.core.errors import DataError
from kerasdl.data.folder.layouts import UNDIVIDED

SIZE_KEYS = {"train": "train_size", "validation": "validation_size", "test": "test_size"}


def divide(entries, config, path):
    """Entries per split, with the missing splits made from the training entries.

    The samples of each class are put in an order drawn from the seed and dealt out evenly, so that
    every part has about the shares of the classes of the whole.

    Raises:
        DataError: No training images, or too few to make the splits.
    """
    entries = dict(entries)
    undivided = UNDIVIDED in entries
    if not undivided and "train" not in entries:
        raise DataError(
            "no training images that can be used", path, "`kerasdl data check` tells why"
        )
    remaining = entries.pop(UNDIVIDED) if undivided else entries.pop("train")
    fractions = {}
    if undivided or "validation" not in entries:
        fractions["validation"] = config.validation_split
    if undivided:
        fractions["test"] = config.test_split
    ordered = _dealt(remaining, config.split_seed)
    made, taken = {}, 0
    for split, fraction in fractions.items():
        if fraction:
            count = max(1, round(fraction * len(ordered)))
            made[split] = ordered[taken : taken + count]
            taken += count
    if taken >= len(ordered):
        keys = " ".join(f"--set {split}_split=0" for split in made)
        raise DataError(
            f"{len(ordered)} training images are too few to take a {' and a '.join(made)} "
            "split from them",
            path,
            f"add images, or divide none: {keys}",
        )
    made["train"] = ordered[taken:]
    entries.update({split: sorted(members, key=_name) for split, members in made.items()})
    return {split: entries[split] for split in SIZE_KEYS if entries.get(split)}


def limit(entries, most, seed):
    """At most `most` entries (0: all), chosen by the seed, in their old order."""
    if not most or len(entries) <= most:
        return entries
    chosen = numpy.random.default_rng([seed, len(entries)]).permutation(len(entries))[:most]
    return [entries[index] for index in sorted(chosen)]


def _name(entry):
    return entry.name


def _dealt(entries, seed):
    """Entries in an order whose every stretch holds about the same share of each class."""
    generator = numpy.random.default_rng(seed)
    groups = collections.defaultdict(list)
    for entry in entries:
        groups[entry.label or 0].append(entry)
    ordered, places = [], []
    for label in sorted(groups):
        members = sorted(groups[label], key=_name)
        ordered += [members[index] for index in generator.permutation(len(members))]
        places.append((numpy.arange(len(members)) + 0.5) / len(members))
    order = numpy.argsort(numpy.concatenate(places), kind="stable")  # equals stay by label
    return [ordered[index] for index in order.tolist()]


def _name(entry):
    return entry.name
