"""Augmentation of whole batches in NumPy, the same for an image and its mask.

Every choice is a function of (seed, pass over the data, sample), drawn from a hash instead of a
generator with a state: batch size, number of workers and restarts cannot change it. The layers of
Keras 3.15 do not offer that, and some are wrong for masks: on torch, RandomRotation turns an image
and its mask by different angles, and RandomCrop draws one window for the whole batch.

Vertical flips are not offered: scenes, streets and letters have an up and a down.

MixUp and CutMix are left out. `keras.layers.MixUp` and `CutMix` draw from a generator whose state
would have to be saved with every batch for an exact resume, so they cannot keep the promise above;
they need one-hot labels and so another loss than the recipe's; and with masks they are wrong
before Keras 3.16 (MixUp blends class numbers into other classes, CutMix returns masks with three
channels).
"""

import numbers

import numpy

from kerasdl.core.errors import ConfigError, suggest
from kerasdl.data.pipeline.geometry import shifted, warped

# Largest value of each strength; 0 switches it off.
LIMITS = {
    "crop": 256.0,
    "scale": 0.9,
    "rotate": 180.0,
    "brightness": 1.0,
    "contrast": 1.0,
    "saturation": 1.0,
    "random_erasing": 1.0,
}
COLOR = ("brightness", "contrast", "saturation", "random_erasing")
OFF = {"flip": False, **dict.fromkeys(LIMITS, 0.0), "fill": "reflect"}
GRAY = numpy.array([0.299, 0.587, 0.114], dtype=numpy.float32)  # Rec. 601 luma


def uniforms(seed, turn, samples, columns):
    """Random numbers that depend on nothing but their coordinates.

    Two rounds of SplitMix64 (Steele, Lea, Flood 2014) over (seed, turn, sample, column).

    Args:
        seed: Seed of the run.
        turn: Number of the pass over the data.
        samples: Numbers of the samples, shape (B,).
        columns: Number of values per sample.

    Returns:
        float64 in [0, 1), shape (B, columns).
    """
    with numpy.errstate(over="ignore"):  # the arithmetic is modulo 2**64
        state = _mixed(_mixed(numpy.uint64(seed % 2**64)) + numpy.uint64(turn) * _GOLDEN)
        state = _mixed(state + numpy.asarray(samples, dtype=numpy.uint64) * _GOLDEN)[:, None]
        state = _mixed(state + numpy.arange(1, columns + 1, dtype=numpy.uint64) * _GOLDEN)
    return (state >> numpy.uint64(11)).astype(numpy.float64) * 2.0**-53


class Augmentation:
    """Random changes to a batch of images and their masks.

    `settings` holds the strengths in force, those of `defaults` unless named in `arguments`:

    - flip: flip left and right, for every second image.
    - crop: pad on all sides, then cut out the old size; pixels, or below 1 a share of each side
      (never more than half of it).
    - scale: upsample by a factor in [1 / (1 + scale), 1 + scale], uniform in its logarithm.
    - rotate: turn by up to so many degrees.
    - fill: what lies outside the image, "reflect" or "zero" (the mask then has an ignore label).
    - brightness, contrast, saturation: factors in [1 - strength, 1 + strength].
    - random_erasing: fraction of images of which a rectangle (2 to 33 % of the area, aspect 0.3 to
      3.3) takes the mean color (Zhong et al. 2020). The mask keeps its classes: what is hidden
      is to be inferred from around it.

    Geometry moves masks as it moves images, to the nearest pixel, so no new class can appear.
    Color changes and erasing are refused where the colors are what is to be predicted.

    Args:
        defaults: Strengths that differ from off.
        arguments: Strengths that differ from the defaults.
        recolors: Whether colors may change.
        masks: Whether there are masks.
        ignore_labels: Mask values that stand for no class.

    Raises:
        ConfigError: Unknown key, wrong type or range, color changes where colors are the target, or
            "zero" fill for masks without an ignore label.
    """

    columns = 13  # random numbers per sample, one per use, so that no strength disturbs another

    def __init__(self, defaults, arguments=None, recolors=True, masks=False, ignore_labels=()):
        self.settings = {**OFF, **defaults, **_checked(arguments or {}, recolors)}
        self._fill_label = ignore_labels[0] if ignore_labels else 0
        if self.settings["fill"] == "zero" and masks and not ignore_labels:
            raise ConfigError(
                "augment_args fill = 'zero' needs an ignore label for what lies outside the mask",
                fix="use fill = 'reflect', or set ignore_labels",
            )

    def apply(self, images, masks, uniforms):
        """Augments a batch; the inputs are left as they are.

        Args:
            images: uint8, shape (B, H, W, 3).
            masks: uint8, shape (B, H, W), or None.
            uniforms: Random numbers in [0, 1), shape (B, `columns`).

        Returns:
            images and masks with the same shapes and types.
        """
        original = images
        images, masks = self._move(images, masks, uniforms[:, :5])
        if any(self.settings[name] for name in ("brightness", "contrast", "saturation")):
            images = self._recolor(images, uniforms[:, 5:8])
        if self.settings["random_erasing"]:
            images = images.copy() if images is original else images
            self._erase(images, uniforms[:, 8:13])
        return images, masks

    def _move(self, images, masks, uniforms):
        """Mirrors, shifts, scales and turns, the mask as the image."""
        if not any(self.settings[name] for name in ("flip", "crop", "scale", "rotate")):
            return images, masks
        moves = {"flips": (uniforms[:, 0] < 0.5) & self.settings["flip"]}
        crop = self.settings["crop"]
        for column, name in ((1, "down"), (2, "right")):
            side = images.shape[column]
            pad = min(int(crop) if crop >= 1 else round(crop * side), (side - 1) // 2)
            moves[name] = (uniforms[:, column] * (2 * pad + 1)).astype(numpy.int64) - pad
        move = shifted
        if self.settings["scale"] or self.settings["rotate"]:
            move = warped
            zoom = 1.0 + self.settings["scale"]
            moves["factors"] = zoom ** (1.0 - 2.0 * uniforms[:, 3])
            moves["angles"] = numpy.deg2rad(self.settings["rotate"]) * (2.0 * uniforms[:, 4] - 1.0)
        reflect = self.settings["fill"] == "reflect"
        if masks is not None:
            masks = move(masks, **moves, outside=None if reflect else self._fill_label)
        return move(images, **moves, outside=None if reflect else 0), masks

    def _recolor(self, images, uniforms):
        """Brightness b, then contrast c about the mean gray m, then saturation s; clipped once.

        s c b x + (1 - s) c b gray(x) + (1 - c) b m
        """
        strengths = [self.settings[name] for name in ("brightness", "contrast", "saturation")]
        factors = 1.0 + numpy.array(strengths) * (2.0 * uniforms - 1.0)
        bright, contrast, saturation = factors.astype(numpy.float32).T
        slope = saturation * contrast * bright
        offset = (1 - contrast) * bright * (_mean_colors(images) @ GRAY) + 0.5
        changed = numpy.empty_like(images)
        if self.settings["saturation"]:
            fraction = (1 - saturation) * contrast * bright
            for index, image in enumerate(images):  # one image at a time stays in the cache
                pixels = image.astype(numpy.float32)
                gray = (pixels @ GRAY) * fraction[index] + offset[index]
                pixels *= slope[index]
                pixels += gray[..., None]
                changed[index] = numpy.clip(pixels, 0, 255.5, out=pixels)
            return changed
        # Without saturation a new level depends on the old one alone: 256 of them per image.
        levels = slope[:, None] * numpy.arange(256, dtype=numpy.float32) + offset[:, None]
        for index, table in enumerate(numpy.clip(levels, 0, 255.5).astype(numpy.uint8)):
            translated = images[index].tobytes().translate(table.tobytes())
            changed[index] = numpy.frombuffer(translated, numpy.uint8).reshape(images[index].shape)
        return changed

    def _erase(self, images, uniforms):
        """Covers a rectangle of some images with their mean color, in place."""
        height, width = images.shape[1:3]
        for index in numpy.flatnonzero(uniforms[:, 0] < self.settings["random_erasing"]):
            _, area, aspect, down, right = uniforms[index]
            area = (0.02 + 0.31 * area) * height * width
            aspect = 0.3 * (3.3 / 0.3) ** aspect
            tall = min(height, max(1, round((area * aspect) ** 0.5)))
            wide = min(width, max(1, round((area / aspect) ** 0.5)))
            top, left = int(down * (height - tall + 1)), int(right * (width - wide + 1))
            color = numpy.rint(_mean_colors(images[index : index + 1]))
            images[index, top : top + tall, left : left + wide] = color


def _checked(arguments, recolors):
    """Strengths with their types and ranges checked."""
    checked = {}
    for key, value in arguments.items():
        if key not in OFF:
            raise suggest("key of augment_args", key, OFF)
        if key == "flip":
            fine, allowed = isinstance(value, bool), "true or false"
        elif key == "fill":
            fine, allowed = value in ("reflect", "zero"), "'reflect' or 'zero'"
        else:
            fine = isinstance(value, numbers.Real) and not isinstance(value, bool)
            fine = fine and 0 <= value <= LIMITS[key]
            allowed = f"a number from 0 to {LIMITS[key]:g}"
        if not fine:
            raise ConfigError(f"augment_args '{key}' must be {allowed}, received {value!r}")
        if not recolors and key in COLOR and value:
            raise ConfigError(
                f"augment_args '{key}' would change the colors that are to be learned",
                fix="use flip, crop, scale and rotate",
            )
        checked[key] = value
    return checked


def _mean_colors(images):
    """Mean red, green and blue of each image, float32, shape (B, 3)."""
    pixels = images.shape[1] * images.shape[2]
    sums = [images[..., channel].sum(axis=(1, 2), dtype=numpy.int64) for channel in range(3)]
    return (numpy.stack(sums, axis=1) / pixels).astype(numpy.float32)


_GOLDEN = numpy.uint64(0x9E3779B97F4A7C15)


def _mixed(state):
    """Finalizer of SplitMix64: every bit of the state reaches every bit of the result."""
    state = (state ^ (state >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return state ^ (state >> numpy.uint64(31))
