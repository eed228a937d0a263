"""Predictions for real images: any size, any folder, the result at the image's own size."""

import collections
import dataclasses
import json
import logging
import os
import pathlib
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy

from kerasdl import models
from kerasdl.core import files
from kerasdl.core.errors import ConfigError, DataError
from kerasdl.data.folder.tree import scan
from kerasdl.data.images import read_image, resize_image
from kerasdl.engine import inference
from kerasdl.tasks.prediction import Names, Settings

RESULT_FIELDS = ("text", "classes", "mask", "fractions", "image")  # of an `ImagePrediction`
MAX_SATURATION = 100
STRIDE = 8  # own sizes are rounded to this, so that few models have to be built

Image: TypeAlias = str | os.PathLike[str] | numpy.ndarray
Images: TypeAlias = Image | Sequence[Image]

logger = logging.getLogger("kerasdl")


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
        files: Files written, by kind ("mask", "overlay", "image").
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


class Predictor:
    """Applies a trained model to images, one at a time.

    Args:
        model: The model.
        task: Its `kerasdl.tasks.Task`.
        config: Configuration of the run.
        sidecar: Content of the run's model.json: class names and palette.
        top: Classification: number of classes to list.
        saturation: Colorization: factor of the predicted chroma, 0 to 100.

    Raises:
        ConfigError: The saturation is out of range.
    """

    def __init__(self, model, task, config, sidecar, top=3, saturation=1.0):
        self.model = model
        self.task = task
        self.config = config
        self.names = Names(
            tuple(sidecar.get("class_names") or ()),
            numpy.array(sidecar.get("palette") or [[0, 0, 0]], dtype="uint8"),
        )
        if not 0 <= saturation <= MAX_SATURATION:  # also rejects NaN
            raise ConfigError(f"saturation must be from 0 to {MAX_SATURATION}, not {saturation}")
        self.settings = Settings(config.target, top, saturation)
        self._models = {tuple(config.image_size): model}

    def run(self, images, out=None, overwrite=False):
        """Yields a `Prediction` for each image; for unreadable images it holds the error.

        Args:
            images: A path, an array, or a list of these; a folder means all images below it.
            out: Folder for the results, with the subfolders of the input; None: nothing is written.
            overwrite: Whether files there may be replaced.

        Raises:
            DataError: A path does not exist, or a folder holds no image.
            ConfigError: A result already exists or would replace an image, or two images have the
            same name.
        """
        named = _distinct(list(self._named(images)))
        if out is not None:
            self._check_outputs(named, pathlib.Path(out), overwrite)
        for name, image in named:
            try:
                pixels = read_image(image) if isinstance(image, pathlib.Path) else image
                found = self._predict(pixels)
            except DataError as error:
                yield Prediction(str(image), error=str(error))
                continue
            written = {} if out is None else self._write(found, name, pathlib.Path(out))
            fields = {key: getattr(found, key) for key in RESULT_FIELDS}
            yield Prediction(str(image) if pixels is not image else name, files=written, **fields)

    def _named(self, images):
        """(name of the result without suffix, path or array) of each image."""
        if isinstance(images, str | os.PathLike | numpy.ndarray):
            images = [images]
        for number, image in enumerate(images):
            if isinstance(image, numpy.ndarray):
                if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != numpy.uint8:
                    raise DataError(
                        f"image {number} is {image.dtype} {image.shape}",
                        fix="arrays must be uint8 of shape (height, width, 3)",
                    )
                yield f"{number:05d}", image
                continue
            path = pathlib.Path(image).expanduser()
            if path.is_dir():
                found = scan(path).images
                if not found:
                    raise DataError("no images in the folder", path)
                for name in found:
                    yield os.path.splitext(name)[0], path / name
            elif path.exists():
                yield path.stem, path
            else:
                raise DataError("no such image or folder", path)

    def _predict(self, pixels):
        size = self._model_size(pixels.shape[:2])
        resize = "stretch" if self.task.own_size else self.config.resize
        x, _ = self.task.prepare(resize_image(pixels, size, resize)[None], None, None)
        outputs = self._outputs(self._model(size), x)[0]
        return self.task.predict(outputs, pixels, self.names, self.settings)

    def _outputs(self, model, x):
        return inference.outputs(model, x, self.config.test_time_flip)

    def _model_size(self, size):
        """Size at which the model gets an image: about that of training."""
        if not self.task.own_size or self.config.resize == "stretch":
            return tuple(self.config.image_size)
        scale = max(want / have for want, have in zip(self.config.image_size, size, strict=True))
        return tuple(
            max(STRIDE, want, round(have * scale / STRIDE) * STRIDE)
            for want, have in zip(self.config.image_size, size, strict=True)
        )

    def _model(self, size):
        """The model for another input size, with the same weights."""
        if size not in self._models:
            resized = models.build(
                self.config.model,
                (*size, self.task.channels),
                self.model.output_shape[-1],
                **self.config.model_args,
            )
            resized.set_weights(self.model.get_weights())
            self._models[size] = resized
        return self._models[size]

    def _targets(self, name, out):
        """Paths of the results of one image, by kind."""
        return {kind: out / f"{name}{ending}" for kind, ending in self.task.files.items()}

    def _check_outputs(self, named, out, overwrite):
        targets = [path for name, _ in named for path in self._targets(name, out).values()]
        twice = [path for path, count in collections.Counter(targets).items() if count > 1]
        if twice:
            raise ConfigError(
                "two images would have the same result file",
                sorted(twice)[0],
                "predict their parent folder, which keeps the subfolders, or rename one",
            )
        images = {os.path.realpath(item) for _, item in named if isinstance(item, pathlib.Path)}
        own = [path for path in targets if os.path.realpath(path) in images]
        if own:  # --overwrite is for results, not for the user's images
            raise ConfigError("the result would overwrite the image", own[0], "another --out")
        there = [path for path in (*targets, out / "predictions.json") if path.exists()]
        if there and not overwrite:
            raise ConfigError("the result exists already", there[0], "--overwrite or another --out")

    def _write(self, found, name, out):
        """Writes the images of a result; paths by kind."""
        written = self._targets(name, out)
        for kind, path in written.items():
            files.make_folder(path.parent)
            with files.replacing(path) as temporary:
                found.images[kind].save(temporary, format="PNG")
        return {kind: str(path) for kind, path in written.items()}


def _distinct(named):
    """The names and images, where a.png beside a.jpg has the name with the suffix."""
    counts = collections.Counter(name for name, _ in named)
    return [
        (
            name + image.suffix if counts[name] > 1 and isinstance(image, pathlib.Path) else name,
            image,
        )
        for name, image in named
    ]


def write_index(predictions, out):
    """Writes predictions.json: names, classes or fractions, and files."""
    files.make_folder(out)
    plain = [prediction.as_dict() for prediction in predictions]
    files.write_text(
        pathlib.Path(out) / "predictions.json",
        json.dumps(plain, indent=1, ensure_ascii=False) + "\n",
    )
