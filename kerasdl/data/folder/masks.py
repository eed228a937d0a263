"""Mask files: from whatever encoding is stored to class indices, or a DataError with its fix.

- Palette PNG: the raw index counts, not the color (unless `mask_values` names colors only).
- Gray of 1 to 16 bits: the value counts. 2-bit and 4-bit PNG hold 0-3 and 0-15.
- RGB: looked up in the color table (`mask_values` or `palette` of dataset.toml). Without a table
  three equal channels are taken as gray. Colors of 16 bits must fit into 8.
- With `threshold` the gray value of the color counts, whatever the encoding, JPEG included.
- JPEG and lossy WebP are refused otherwise: their values drift at the edges of the classes.
- Transparency is no part of a mask, unless `mask_channel` says so.
- The EXIF orientation is applied, as for images.
"""

import dataclasses
import functools
import os

import numpy

from kerasdl.core.errors import DataError
from kerasdl.data import images
from kerasdl.data.folder import mask_advice, mask_depth, mask_lossy
from kerasdl.data.folder.dataset_values import IGNORE, MOST_CLASSES, UNKNOWN
from kerasdl.data.folder.mask_advice import MOST_LISTED

IGNORED = 255  # what ignored values become where their own value is above 255 or named "ignore"


@dataclasses.dataclass(frozen=True)
class MaskRule:
    """How stored mask values become class indices.

    Attributes:
        classes: Number of classes; None while it is not known: then every value passes.
        ignore: Stored values that are left out of loss and metrics.
        values: Stored value -> class index or "ignore"; empty: the value is the index.
        colors: (red, green, blue) -> class index or "ignore"; empty: there is no color table.
        palette_as_colors: Whether palette masks are looked up by color instead of by index.
        threshold: Gray values from this one on are class 1, below it 0; None: the values count.
        channel: "red", "green", "blue" or "alpha": the one that holds the values; empty: all.
    """

    classes: int | None = None
    ignore: tuple[int, ...] = ()
    values: dict[int, int | str] = dataclasses.field(default_factory=dict)
    colors: dict[tuple[int, int, int], int | str] = dataclasses.field(default_factory=dict)
    palette_as_colors: bool = False
    threshold: int | None = None
    channel: str = ""

    @functools.cached_property
    def table(self):
        """uint16, shape (65536,): class index or ignored value per stored value, or 65535."""
        table = numpy.full(65536, UNKNOWN, "uint16")
        if self.values:
            for value, target in self.values.items():
                table[value] = IGNORED if target == IGNORE else target
        else:
            known = MOST_CLASSES + 1 if self.classes is None else self.classes
            table[:known] = numpy.arange(known)
        for value in self.ignore:
            if value not in self.values:
                # With mask_values the value itself may be the index of a class.
                free = value <= IGNORED and value not in self.values.values()
                table[value] = value if free else IGNORED
        return table

    @functools.cached_property
    def unchanged(self):
        """Stored values from 0 up to, not including, this one are their own result."""
        differs = self.table[:256] != numpy.arange(256)
        return int(differs.argmax()) if differs.any() else 256

    @functools.cached_property
    def color_table(self):
        """Sorted packed colors (red << 16 | green << 8 | blue) and the class of each."""
        packed = sorted(
            (red << 16 | green << 8 | blue, IGNORED if target == IGNORE else target)
            for (red, green, blue), target in self.colors.items()
        )
        return tuple(numpy.array(column, "int64") for column in zip(*packed, strict=True))

    def targets(self, stored, colored=False):
        """Class indices of stored values or packed colors, int64; UNKNOWN where there is none."""
        stored = numpy.asarray(stored)
        if not colored:
            inside = (stored >= 0) & (stored <= 65535)
            return numpy.where(inside, self.table[stored.clip(0, 65535)], UNKNOWN).astype("int64")
        if not self.colors:
            return numpy.full(stored.shape, UNKNOWN)
        known, classes = self.color_table
        places = numpy.searchsorted(known, stored).clip(max=len(known) - 1)
        return numpy.where(known[places] == stored, classes[places], UNKNOWN)

    @property
    def ignore_labels(self):
        """Values in the class masks that are left out of loss and metrics, sorted."""
        targets = [*self.values.values(), *self.colors.values()]
        labels = {int(self.table[value]) for value in self.ignore}
        return tuple(sorted(labels | {IGNORED for target in targets if target == IGNORE}))


def rule_for(reading, classes=None, ignore=()):
    """MaskRule from what is known of a folder.

    Args:
        reading: A `layouts.Reading`.
        classes: Number of classes; None: that of the names, or not known.
        ignore: Further stored values to ignore, such as those of the configuration.
    """
    colors = dict(reading.colors)
    if not colors:
        colors = {color: index for index, color in enumerate(reading.palette)}
    if classes is None:
        classes = len(reading.class_names) or (None if reading.threshold is None else 2)
    return MaskRule(
        classes=classes,
        ignore=tuple(dict.fromkeys((*reading.ignore, *ignore))),
        values=reading.values,
        colors=colors,
        palette_as_colors=bool(reading.colors) and not reading.values,
        threshold=reading.threshold,
        channel=reading.channel,
    )


def read_mask(source, rule):
    """Mask as class indices.

    Args:
        source: Path of the file, or a `layouts.DrawnMask`.
        rule: The MaskRule of the data set.

    Returns:
        uint8 array of shape (height, width): 0 to classes - 1, or a value of
        `rule.ignore_labels`.

    Raises:
        DataError: Unreadable, JPEG, a value or color outside the rule (with the values found,
            those allowed, and the line of dataset.toml that fixes it).
    """
    stored = read_stored(source, rule)
    if stored.dtype == "uint8" and stored.ndim == 2 and stored.max() < rule.unchanged:
        return stored  # the common case, without a pass over all pixels
    colored = stored.ndim == 3
    if colored:
        stored = pack_colors(stored)
    mask = rule.targets(stored, colored)
    if (mask == UNKNOWN).any():
        explain = mask_advice.explain_colors if colored else mask_advice.explain_values
        values = numpy.unique(stored[mask == UNKNOWN] if colored else stored)
        what, cause, fix = explain(values.tolist(), rule)
        path = source if isinstance(source, str | os.PathLike) else source.path
        raise DataError(what, path, f"{cause}; {fix}" if cause else fix)
    return mask.astype("uint8")


def read_stored(source, rule=MaskRule()):
    """What a mask holds: integers (height, width), or colors (height, width, 3) uint8."""
    return read_with_palette(source, rule)[0]


def read_with_palette(source, rule=MaskRule()):
    """What a mask holds, as `read_stored`, and its palette where its indices count, else None.

    A palette is an array uint8 (up to 256, 3).
    """
    if not isinstance(source, str | os.PathLike):
        return source.read(), None
    with images.open_image(source) as image:
        images.require_single(image, source)
        _refuse_drift(image, source, rule)
        if image.mode == "F":
            raise DataError("float mask", source, "save the class indices as 8-bit PNG")
        raw_mode = image.tile[0][3] if image.format == "PNG" and image.tile else ""
        deep = mask_depth.is_deep(image, source)
        image.load()
        upright = images.turn_upright(image, images.orientation_of(image))
        if deep:
            upright = mask_depth.whole(upright, source, not rule.colors and not rule.channel)
        if rule.channel:
            return _thresholded(_channel(upright, rule.channel, source), rule), None
        if upright.mode in ("RGBA", "LA", "PA"):
            _refuse_label_in_alpha(upright, source, rule)
        if rule.threshold is not None:
            return _thresholded(_gray(upright), rule), None
        if upright.mode == "P" and not rule.palette_as_colors:
            return numpy.array(upright), numpy.reshape(upright.getpalette(), (-1, 3))
        if upright.mode in ("1", "L", "I") or upright.mode.startswith("I;16"):
            stored = numpy.array(upright)
            if upright.mode == "I" and stored.min(initial=0) < 0:
                fix = "store the pixels without a class as 255"
                raise DataError(f"mask holds the negative value {stored.min()}", source, fix)
            # Pillow spreads gray of 2 and 4 bits over 0-255; the class index is what was stored.
            divisor = {"L;2": 85, "L;4": 17}.get(raw_mode, 1)
            return (stored.astype("uint8") if upright.mode == "1" else stored // divisor), None
        if upright.mode in ("LA", "La"):
            return numpy.array(upright.getchannel("L")), None
        colors = numpy.array(upright.convert("RGB"))
    if not rule.colors and (colors == colors[:, :, :1]).all():
        return colors[:, :, 0], None
    return colors, None


def _refuse_drift(image, path, rule):
    """Raises DataError for a lossy file without a threshold, with the line that sets one."""
    if rule.threshold is not None or not images.is_lossy(image):
        return
    name = images.format_of(image)
    if name not in ("JPEG", "WEBP"):
        name = f"{name} with JPEG compression"
    fix = "save the mask as PNG from its source; a converted file keeps the drift"
    fix = mask_lossy.threshold_line(image) or fix
    what = f"{name} cannot hold class indices: its values drift where two classes meet"
    raise DataError(what, path, fix)


def _refuse_label_in_alpha(image, path, rule):
    """Raises DataError if the transparency varies and the color does not, or not everywhere."""
    bands = [numpy.asarray(band) for band in image.split()]
    fix = 'put into dataset.toml: mask_channel = "alpha"'
    if all((band == band.flat[0]).all() for band in bands[:-1]) and numpy.ptp(bands[-1]):
        raise DataError("mask of one color, whose transparency differs", path, fix)
    if image.mode != "RGBA" or rule.colors or rule.values:
        return
    packed, hidden = pack_colors(numpy.asarray(image)), bands[-1] == 0
    both = set(numpy.unique(packed[hidden])) & set(numpy.unique(packed[~hidden])) - {0}
    if both:
        colors = numpy.unique(packed).tolist()[:MOST_LISTED]
        pairs = ", ".join(f'"#{color:06x}" = {index}' for index, color in enumerate(colors))
        what = f"the color #{both.pop():06x} is transparent in places, and opaque in others"
        fix += f", or, if the colors count: mask_values = {{ {pairs} }}"
        raise DataError(what, path, fix)


def _channel(image, name, path):
    """One channel of a mask. Raises DataError if it has none of that name."""
    if name == "alpha" and "A" not in image.getbands():
        if "transparency" not in image.info:
            raise DataError("mask without an alpha channel", path, "correct mask_channel")
        image = image.convert("RGBA")
    elif name != "alpha":
        image = image.convert("RGB")
    return numpy.asarray(image.getchannel("RGBA"["red green blue alpha".split().index(name)]))


def _gray(image):
    """Gray values 0 to 255 of a mask; 16 bits are divided by 256 where they are used."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        stored = numpy.asarray(image)
        return stored // 256 if stored.max(initial=0) > 255 else stored
    return numpy.asarray(image.convert("L"))


def _thresholded(gray, rule):
    """0 and 1 by the threshold of the rule; without one as they are."""
    return gray if rule.threshold is None else (gray >= rule.threshold).astype("uint8")


def pack_colors(colors):
    """Colors (..., 3) uint8 as integers red << 16 | green << 8 | blue."""
    wide = colors.astype("int32")
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def default_palette(count):
    """One (red, green, blue) per class: the color map of PASCAL VOC.

    Bit k of each channel, from the highest, is bit 3k, 3k+1 and 3k+2 of the index; class 0 is
    black, and neighboring indices differ strongly.
    """
    palette = []
    for index in range(count):
        color = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                color[channel] |= (index >> (3 * bit + channel) & 1) << (7 - bit)
        palette.append(tuple(color))
    return tuple(palette)
