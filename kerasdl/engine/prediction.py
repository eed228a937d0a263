"""Predictions for real images: any size, any folder, the result at the image's own size."""

import collections
import dataclasses
import json
import logging
import os
import pathlib

import keras
import numpy
import PIL.Image

from kerasdl import models
from kerasdl.core import files
from kerasdl.core.errors import ConfigError, DataError
from kerasdl.data.images import read_image, resize_image
from kerasdl.engine import inference
from kerasdl.metrics.colors.lab import fit_gamut, lab_to_rgb
from kerasdl.tasks.classification import probabilities
from kerasdl.tasks.colorization import predicted_chroma, to_bytes, to_lab
from kerasdl.tasks.scoring import to_unit

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
OVERLAY = 0.5  # weight of the class colors over the image
MOST_SATURATION = 100
STRIDE = 8  # own sizes are rounded to this, so that few networks have to be built

logger = logging.getLogger("kerasdl")


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What the network says of one image; what does not belong to its task is None.

    Attributes:
        name: Path of the image, or its number if it was an array.
        classes: Classification: (class name, probability), most probable first.
        mask: Segmentation: class indices uint8 (height, width) at the image's own size.
        shares: Segmentation: share of the pixels per class found, largest first.
        image: Colorization: uint8 RGB (height, width, 3) at the image's own size.
        files: Files written, by kind ("mask", "overlay", "image").
        error: Why there is no prediction: one line.
    """

    name: str
    classes: tuple[tuple[str, float], ...] | None = None
    mask: numpy.ndarray | None = None
    fractions: dict[str, float] | None = None
    image: numpy.ndarray | None = None
    files: dict[str, str] = dataclasses.field(default_factory=dict)
    error: str | None = None

    def as_dict(self):
        """What of it is plain text and numbers, for JSON."""
        plain = {"name": self.name, "files": self.files}
        if self.classes is not None:
            plain["classes"] = [{"class": c, "probability": p} for c, p in self.classes]
        if self.fractions is not None:
            plain["fractions"] = self.fractions
        if self.error is not None:
            plain["error"] = self.error
        return plain


class Predictor:
    """One trained network, applied to images one after the other.

    Args:
        model: The network.
        task: Its `kerasdl.tasks.Task`.
        config: Configuration of the run.
        sidecar: Content of the run's model.json: class names and palette.
        top: Classification: how many classes to name.
        saturation: Colorization: factor of the predicted chroma, 0 to 100.

    Raises:
        ConfigError: The saturation is none.
    """

    def __init__(self, model, task, config, sidecar, top=3, saturation=1.0):
        self.model = model
        self.task = task
        self.config = config
        self.class_names = sidecar.get("class_names") or []
        self.palette = numpy.array(sidecar.get("palette") or [[0, 0, 0]], dtype="uint8")
        self.top = top
        if not 0 <= saturation <= MOST_SATURATION:  # NaN compares with nothing
            raise ConfigError(f"saturation must be from 0 to {MOST_SATURATION}, not {saturation}")
        self.saturation = saturation
        self._networks = {tuple(config.image_size): model}

    def run(self, images, out=None, overwrite=False):
        """Yields a `Prediction` for each image; one that cannot be read carries its error.

        Args:
            images: A path, an array, or a list of these; folders stand for the images below.
            out: Folder for the results, which keeps the subfolders of the input; None: none.
            overwrite: Whether files there may be replaced.

        Raises:
            DataError: A path does not exist, or a folder holds no image.
            ConfigError: A result exists already, would replace an image, or two images have the
                same name.
        """
        named = list(self._named(images))
        if out is not None:
            self._check_outputs(named, pathlib.Path(out), overwrite)
        for name, image in named:
            try:
                pixels = read_image(image) if isinstance(image, pathlib.Path) else image
                found = self._predict(str(image) if pixels is not image else name, pixels)
            except DataError as error:
                yield Prediction(str(image), error=str(error))
                continue
            if out is not None:
                found = self._write(found, name, pixels, pathlib.Path(out))
            yield found

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
            path = pathlib.Path(image)
            if path.is_dir():
                found = sorted(
                    item
                    for item in path.rglob("*")
                    if item.suffix.lower() in SUFFIXES
                    and item.is_file()
                    and not item.name.startswith(".")
                )
                if not found:
                    raise DataError("no images in the folder", path)
                for item in found:
                    yield str(item.relative_to(path).with_suffix("")), item
            elif path.exists():
                yield path.stem, path
            else:
                raise DataError("no such image or folder", path)

    def _predict(self, name, pixels):
        if self.task.name == "classification":
            return self._classify(name, pixels)
        if self.task.name == "segmentation":
            return self._segment(name, pixels)
        return self._colorize(name, pixels)

    def _classify(self, name, pixels):
        x = to_unit(resize_image(pixels, self.config.image_size, self.config.resize))[None]
        found = probabilities(self._outputs(self.model, x))[0]
        best = numpy.argsort(-found, kind="stable")[: self.top]
        return Prediction(name, tuple((self.class_names[i], float(found[i])) for i in best))

    def _segment(self, name, pixels):
        size = self._network_size(pixels.shape[:2])
        x = to_unit(resize_image(pixels, size, "stretch"))[None]
        logits = numpy.asarray(self._outputs(self._network(size), x), dtype="float32")[0]
        # Scores, not classes, are upsampled: edges stay smooth and no class is invented.
        logits = _upsample(logits, pixels.shape[:2])
        mask = logits.argmax(axis=-1).astype("uint8")
        counts = numpy.bincount(mask.ravel(), minlength=len(self.class_names)) / mask.size
        order = [i for i in numpy.argsort(-counts, kind="stable") if counts[i] > 0]
        fractions = {self.class_names[i]: float(counts[i]) for i in order}
        return Prediction(name, mask=mask, fractions=fractions)

    def _colorize(self, name, pixels):
        """Colors of the network, lightness of the image at its full sharpness.

        Colors that sRGB does not have at that lightness become as saturated as it has them.
        """
        size = self._network_size(pixels.shape[:2])
        x, _ = self.task.prepare(resize_image(pixels, size, "stretch")[None], None, None)
        outputs = self._outputs(self._network(size), x)[0]
        chroma = _upsample(predicted_chroma(outputs, self.config.target), pixels.shape[:2])
        lightness = to_lab(to_unit(pixels))[..., :1]
        lab = fit_gamut(numpy.concatenate([lightness, self.saturation * chroma], axis=-1))
        image = keras.ops.convert_to_numpy(lab_to_rgb(lab))
        return Prediction(name, image=to_bytes(image.clip(0.0, 1.0)))

    def _outputs(self, network, x):
        return inference.outputs(network, x, self.config.test_time_flip)

    def _network_size(self, size):
        """Size at which the network sees an image: about as large as in training."""
        if self.config.resize == "stretch":
            return tuple(self.config.image_size)
        scale = max(want / have for want, have in zip(self.config.image_size, size, strict=True))
        return tuple(
            max(STRIDE, want, round(have * scale / STRIDE) * STRIDE)
            for want, have in zip(self.config.image_size, size, strict=True)
        )

    def _network(self, size):
        """The network for another input size: the same weights, which do not depend on it."""
        if size not in self._networks:
            resized = models.build(
                self.config.model,
                (*size, self.task.channels),
                self.model.output_shape[-1],
                **self.config.model_args,
            )
            resized.set_weights(self.model.get_weights())
            self._networks[size] = resized
        return self._networks[size]

    def _targets(self, name, out):
        """Paths of the results of one image, by kind."""
        if self.task.name == "segmentation":
            return {"mask": out / f"{name}_mask.png", "overlay": out / f"{name}_overlay.png"}
        if self.task.name == "colorization":
            return {"image": out / f"{name}.png"}
        return {}

    def _check_outputs(self, named, out, overwrite):
        targets = [path for name, _ in named for path in self._targets(name, out).values()]
        twice = [path for path, count in collections.Counter(targets).items() if count > 1]
        if twice:
            raise ConfigError(
                "two images would have the same result",
                sorted(twice)[0],
                "predict the folder above them, which keeps the subfolders, or rename one",
            )
        images = {os.path.realpath(item) for _, item in named if isinstance(item, pathlib.Path)}
        own = [path for path in targets if os.path.realpath(path) in images]
        if own:  # --overwrite is for results, not for the user's images
            raise ConfigError("the result would replace the image", own[0], "another --out")
        there = [path for path in (*targets, out / "predictions.json") if path.exists()]
        if there and not overwrite:
            raise ConfigError("the result exists", there[0], "--overwrite, or another --out")

    def _write(self, found, name, pixels, out):
        written = self._targets(name, out)
        for kind, path in written.items():
            if kind == "mask":
                image = PIL.Image.fromarray(found.mask).convert("P")
                image.putpalette(self.palette.tobytes())
            elif kind == "overlay":
                colors = self.palette[found.mask]
                mixed = pixels * (1 - OVERLAY) + colors * OVERLAY
                image = PIL.Image.fromarray(numpy.round(mixed).astype("uint8"))
            else:
                image = PIL.Image.fromarray(found.image)
            files.make_folder(path.parent)
            with files.replacing(path) as temporary:
                image.save(temporary, format="PNG")
        return dataclasses.replace(found, files={k: str(path) for k, path in written.items()})


def write_index(predictions, out):
    """Writes predictions.json: names, classes or shares, and files."""
    files.make_folder(out)
    plain = [prediction.as_dict() for prediction in predictions]
    files.write_text(
        pathlib.Path(out) / "predictions.json",
        json.dumps(plain, indent=1, ensure_ascii=False) + "\n",
    )


def _upsample(maps, size):
    """Maps float (h, w, C) to another height and width, bilinear, one channel at a time."""
    if maps.shape[:2] == tuple(size):
        return maps
    height, width = size
    channels = [
        numpy.asarray(
            PIL.Image.fromarray(numpy.ascontiguousarray(channel, dtype="float32")).resize(
                (width, height), PIL.Image.Resampling.BILINEAR
            )
        )
        for channel in numpy.moveaxis(maps, -1, 0)
    ]
    return numpy.stack(channels, axis=-1)
