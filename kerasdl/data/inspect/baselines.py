"""Trivial methods that need no network: what a data set gives away for nothing.

A score means little beside them if they come close to it. All three look at single pixels or at
their counts, never at shapes.
"""

import numpy

from kerasdl.core.errors import DataError

BATCH = 256


def histogram_nearest_neighbor(train, test, levels=4):
    """Accuracy of the label of the training image with the most similar colors.

    Each image becomes a histogram of its RGB colors in levels^3 bins, as shares of its pixels;
    the nearest is the one with the smallest sum of absolute differences (the first of equals).

    Args:
        train, test: Splits with labels.
        levels: Levels per channel; a divisor of 256.

    Returns: share of test images with the right label, 0 to 1. An empty test split gives nan.
    Raises: DataError where there are no labels.
    """
    known, known_labels = _histograms(train, levels)
    asked, asked_labels = _histograms(test, levels)
    right = 0
    for histogram, label in zip(asked, asked_labels, strict=True):
        distances = numpy.abs(known - histogram).sum(axis=1)
        right += int(known_labels[distances.argmin()] == label)
    return right / len(asked) if len(asked) else float("nan")


def pixel_color_lookup(train, test, classes, levels=32, ignore_labels=()):
    """Mean intersection over union of the most frequent class of each color.

    The class of a pixel is the one that its RGB color, in levels^3 bins, has most often in the
    training masks; a color never seen has the most frequent class of all. Per class,
    IoU = TP / (TP + FP + FN) over all pixels of the split; the mean leaves out classes that are
    neither in the masks nor predicted.

    Args:
        train, test: Splits with masks.
        classes: Number of classes.
        levels: Levels per channel; a divisor of 256.
        ignore_labels: Mask values that do not count.

    Returns: mean IoU, 0 to 1; nan without any counted pixel.
    Raises: DataError where there are no masks.
    """
    counts = numpy.zeros((levels**3, classes), numpy.int64)
    for colors, masks in _pixels(train, levels, ignore_labels):
        pairs = colors * classes + masks
        counts += numpy.bincount(pairs, minlength=counts.size).reshape(counts.shape)
    table = counts.argmax(axis=1)
    table[counts.sum(axis=1) == 0] = counts.sum(axis=0).argmax()
    confusion = numpy.zeros((classes, classes), numpy.int64)
    for colors, masks in _pixels(test, levels, ignore_labels):
        pairs = masks * classes + table[colors]
        confusion += numpy.bincount(pairs, minlength=confusion.size).reshape(confusion.shape)
    right = numpy.diag(confusion)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - right
    present = union > 0
    return float((right[present] / union[present]).mean()) if present.any() else float("nan")


def gray_psnr(test):
    """Mean over the images of the PSNR of the gray image against the colored one, in dB.

    Gray is the luma of Rec. 601, 0.299 R + 0.587 G + 0.114 B, in all three channels;
    PSNR = 10 log10(1 / mean squared error) with values in [0, 1]. An image without any color
    has an infinite PSNR and is left out of the mean; nan where all are.
    """
    values = []
    for images, _, _ in _batches(test):
        colors = images.astype(numpy.float64) / 255
        luma = 0.299 * colors[..., 0] + 0.587 * colors[..., 1] + 0.114 * colors[..., 2]
        errors = ((colors - luma[..., None]) ** 2).mean(axis=(1, 2, 3))
        # Rounding leaves errors of about 1e-33 in images that are gray.
        values.extend(-10 * numpy.log10(errors[errors > 1e-20]))
    return float(numpy.mean(values)) if values else float("nan")


def _batches(split):
    """Samples as (images, labels, masks), each an array or None; images may differ in size."""
    if hasattr(split, "take"):
        for first in range(0, len(split), BATCH):
            batch = split.take(numpy.arange(first, min(first + BATCH, len(split))))
            if batch is None:
                break
            yield batch
        else:
            return
    for index in range(len(split)):
        image, label, mask = split[index]
        label = None if label is None else numpy.array([label])
        yield image[None], label, None if mask is None else mask[None]


def _bins(images, levels):
    """Number of the color bin of each pixel, int64, shape (n, height, width)."""
    level = images.astype(numpy.int64) // (256 // levels)
    return (level[..., 0] * levels + level[..., 1]) * levels + level[..., 2]


def _histograms(split, levels):
    """Shares of each color, float64 (n, levels^3), and labels (n,)."""
    histograms, labels = [], []
    for images, label, _ in _batches(split):
        if label is None:
            raise DataError("these data have no labels", fix="use data for classification")
        labels.extend(label)
        for bins in _bins(images, levels):
            histograms.append(numpy.bincount(bins.ravel(), minlength=levels**3) / bins.size)
    return numpy.array(histograms).reshape(-1, levels**3), numpy.array(labels)


def _pixels(split, levels, ignore_labels):
    """Color bins and classes of all pixels that count, batch by batch, flat."""
    for images, _, masks in _batches(split):
        if masks is None:
            raise DataError("these data have no masks", fix="use data for segmentation")
        counted = ~numpy.isin(masks, ignore_labels)
        yield _bins(images, levels)[counted], masks[counted].astype(numpy.int64)
