"""Predictions for real images: any size, any source, the result at the image's own size."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy

from kerasdl.core import files

INDEX = "predictions.json"


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The prediction for one image; fields of other tasks are None.

    Attributes:
        name: Path of the image, or its index if it was an array.
        text: The prediction in one line.
        classes: Classification: (class name, probability), most probable first.
        mask: Segmentation: class indices uint8 (height, width) at the image's own size.
        fractions: Segmentation: fraction of the pixels per class found, largest first.
        image: Colorization: uint8 RGB (height, width, 3) at the image's own size.
        files: Files written, by kind ("mask", "overlay", "image", "video").
        error: Why there is no prediction: one line.
    """

    name: str
    text: str = ""
    classes: tuple[tuple[str, float], ...] | None = None
    mask: numpy.ndarray | None = None
    fractions: dict[str, float] | None = None
    image: numpy.ndarray | None = None
    files: dict[str, str] = dataclasses.field(default_factory=dict)
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The parts that are text and numbers, for JSON."""
        plain: dict[str, Any] = {"name": self.name, "files": self.files}
        if self.classes is not None:
            plain["classes"] = [{"class": c, "probability": p} for c, p in self.classes]
        if self.fractions is not None:
            plain["fractions"] = self.fractions
        if self.error is not None:
            plain["error"] = self.error
        return plain


def write_index(predictions: Iterable[Prediction], out: str | os.PathLike[str]) -> None:
    """Writes predictions.json: names, classes or fractions, and files."""
    files.make_folder(out)
    plain = [prediction.as_dict() for prediction in predictions]
    files.write_text(
        pathlib.Path(out) / INDEX, json.dumps(plain, indent=1, ensure_ascii=False) + "\n"
    )
