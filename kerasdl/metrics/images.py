"""What each image adds to the scores of a split, for intervals over the images (NumPy)."""

import functools
import os
import zipfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy
from numpy.typing import ArrayLike

from kerasdl.core import files

if TYPE_CHECKING:
    import scipy.sparse

RESAMPLES = 1000
LEVEL = 0.95
CHUNK_CELLS = 2**24  # most float64 counts that are held at once


class ImageScores:
    """Scores as functions of the weights of the images.

    Args:
        values: Score name -> one value per image, shape (N,); the score is their mean. NaN: the
            image does not count.
        confusion: Prefix of score names -> confusion matrices, one per image, as a sparse
            (N, C * C), rows truth. They give `mean_iou` and `pixel_accuracy`.
    """

    def __init__(
        self,
        values: Mapping[str, ArrayLike],
        confusion: "Mapping[str, scipy.sparse.csr_array] | None" = None,
    ):
        self.values = {name: numpy.asarray(each, "float64") for name, each in values.items()}
        self.confusion = dict(confusion or {})
        columns = [*self.values.values(), *self.confusion.values()]
        self.images = int(columns[0].shape[0])

    def joined(self, other: "ImageScores", prefix: str) -> "ImageScores":
        """These scores and others of the same images, under names with a prefix."""
        return ImageScores(
            {**self.values, **{prefix + name: each for name, each in other.values.items()}},
            {**self.confusion, **{prefix + name: each for name, each in other.confusion.items()}},
        )

    def scores(self, weights: ArrayLike) -> dict[str, numpy.ndarray]:
        """Each score for several weightings of the images.

        Args:
            weights: How often each image counts, shape (B, N).

        Returns:
            dict of float64 (B,).
        """
        weights = numpy.asarray(weights, "float64")
        found = {}
        for name, values in self.values.items():
            known = numpy.isfinite(values)
            total = weights[:, known].sum(axis=1)
            found[name] = weights[:, known] @ values[known] / numpy.where(total, total, numpy.nan)
        for prefix, confusion in self.confusion.items():
            size = max(1, CHUNK_CELLS // confusion.shape[1])
            parts = [
                _overlap(weights[first : first + size] @ confusion)
                for first in range(0, len(weights), size)
            ]
            for name in parts[0]:
                found[prefix + name] = numpy.concatenate([each[name] for each in parts])
        return found

    @functools.cached_property
    def resampled(self) -> dict[str, numpy.ndarray]:
        """Each score for `RESAMPLES` sets of N images drawn with replacement, always the same.

        Source: Efron 1979, "Bootstrap methods", section 2.
        """
        generator = numpy.random.default_rng(0)
        equal = numpy.full(self.images, 1 / self.images)
        size = max(1, CHUNK_CELLS // self.images)
        parts = [
            self.scores(generator.multinomial(self.images, equal, min(size, RESAMPLES - first)))
            for first in range(0, RESAMPLES, size)
        ]
        return {name: numpy.concatenate([each[name] for each in parts]) for name in parts[0]}

    def intervals(self) -> dict[str, list[float]]:
        """Score -> [low, high] of the 95 % percentile interval over the images."""
        ends = (1 - LEVEL) / 2, (1 + LEVEL) / 2
        return {
            name: numpy.quantile(values[numpy.isfinite(values)], ends).tolist()
            for name, values in self.resampled.items()
            if numpy.isfinite(values).any()
        }

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the file that `read` reads. Raises WriteError."""
        arrays = {f"value/{name}": each for name, each in self.values.items()}
        for prefix, matrix in self.confusion.items():
            for part in ("data", "indices", "indptr"):
                arrays[f"confusion/{prefix}/{part}"] = getattr(matrix, part)
            arrays[f"confusion/{prefix}/shape"] = numpy.array(matrix.shape)
        with files.replacing(path) as temporary, open(temporary, "wb") as stream:
            numpy.savez_compressed(stream, allow_pickle=False, **arrays)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "ImageScores | None":
        """The scores in a file; None if there is no file or it is damaged."""
        try:
            import scipy.sparse

            with numpy.load(path, allow_pickle=False) as arrays:
                values = {
                    name.removeprefix("value/"): arrays[name]
                    for name in arrays.files
                    if name.startswith("value/")
                }
                confusion = {}
                for name in arrays.files:
                    kind, _, rest = name.partition("/")
                    prefix, _, part = rest.rpartition("/")
                    if (kind, part) == ("confusion", "shape"):
                        parts = [
                            arrays[f"{kind}/{prefix}/{each}"]
                            for each in ("data", "indices", "indptr")
                        ]
                        confusion[prefix] = scipy.sparse.csr_array(
                            tuple(parts), shape=tuple(arrays[name])
                        )
                return cls(values, confusion)
        except (OSError, ValueError, KeyError, EOFError, IndexError, zipfile.BadZipFile):
            return None


def pair_counts(
    truth: ArrayLike, prediction: ArrayLike, classes: int, ignore_labels: Sequence[int] = ()
) -> numpy.ndarray:
    """Confusion matrix of two images of class indices: int64 (classes, classes), rows truth.

    Pixels whose truth is ignored or not a class are left out.
    """
    truth = numpy.asarray(truth).astype("int64").ravel()
    counted = (truth >= 0) & (truth < classes) & ~numpy.isin(truth, list(ignore_labels))
    pairs = truth[counted] * classes + numpy.asarray(prediction).ravel()[counted]
    return numpy.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def stacked(matrices: Sequence[numpy.ndarray]) -> "scipy.sparse.csr_array":
    """Confusion matrices, each (C, C), as one sparse matrix (N, C * C)."""
    import scipy.sparse  # not at the top: it would delay the first step of a training

    return scipy.sparse.csr_array(numpy.stack([each.ravel() for each in matrices]))


def _overlap(counts: numpy.ndarray) -> dict[str, numpy.ndarray]:
    """Mean IoU and pixel accuracy of confusion matrices (B, C * C), as `scores_from_confusion`."""
    classes = round(counts.shape[1] ** 0.5)
    matrix = numpy.asarray(counts, "float64").reshape(-1, classes, classes)
    hits = numpy.diagonal(matrix, axis1=1, axis2=2)
    union = matrix.sum(axis=1) + matrix.sum(axis=2) - hits
    there = union > 0
    iou = numpy.divide(hits, union, out=numpy.zeros_like(hits), where=there)
    total, present = matrix.sum(axis=(1, 2)), there.sum(axis=1)
    return {
        "mean_iou": iou.sum(axis=1) / numpy.where(present, present, numpy.nan),
        "pixel_accuracy": hits.sum(axis=1) / numpy.where(total, total, numpy.nan),
    }
