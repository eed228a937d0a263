"""Contact sheets: many samples of a split in one image, to look at with human eyes."""

import numpy
from PIL import Image, ImageDraw, ImageFont

from kerasdl.core.errors import DataError

CELL = 128  # pixels along the longer side of an image on the sheet
GAP = 4
TITLE = 14  # height of a line of text
PAPER, INK = (255, 255, 255), (40, 40, 40)
OPACITY = 0.6  # of the mask over the image


def contact_sheet(split, count=64, columns=8, masks=False, palette=(), class_names=(), legend=()):
    """A sheet with the first `count` samples of a split, row by row.

    Small images are upsampled by a whole factor (each pixel stays one color), large ones are
    reduced. With masks, each image is followed by itself beneath its mask.

    Args:
        split: A `kerasdl.data.base.Split`.
        count: Number of samples, as far as there are so many.
        columns: Samples in a row.
        masks: Whether to show masks.
        palette: One (red, green, blue) per class of the masks, 0-255.
        class_names: If given, the class of each sample is written beneath it.
        legend: If given, the names of the palette's colors, written at the foot of the sheet.

    Returns: a PIL.Image, RGB.
    Raises: DataError where masks are asked for and there are none, or the split is empty.
    """
    samples = [split[index] for index in range(min(count, len(split)))]
    if not samples:
        raise DataError("there are no samples to show")
    rows = []
    for first in range(0, len(samples), columns):
        rows.append([_cell(s, masks, palette) for s in samples[first : first + columns]])
    width = max(cell.width for row in rows for cell in row)
    height = max(cell.height for row in rows for cell in row)
    step_x, step_y = width + GAP, height + GAP + (TITLE if class_names else 0)
    font = ImageFont.load_default(11)
    across, foot = min(columns, len(samples)) * step_x + GAP, len(rows) * step_y + GAP
    places, end = _legend_places(legend, across, foot, font)
    sheet = Image.new("RGB", (across, end), PAPER)
    draw = ImageDraw.Draw(sheet)
    for (left, top), name, color in zip(places, legend, palette, strict=False):
        square = (left, top + 1, left + TITLE - 5, top + TITLE - 4)
        draw.rectangle(square, tuple(color), outline=INK)
        draw.text((left + TITLE, top - 1), name, fill=INK, font=font)
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            left, top = GAP + column * step_x, GAP + row * step_y
            sheet.paste(cell, (left + (width - cell.width) // 2, top))
            label = samples[row * columns + column].label
            if class_names and label is not None:
                middle = (left + width // 2, top + height + 1)
                draw.text(middle, class_names[label], fill=INK, font=font, anchor="ma")
    return sheet


def overlay(image, mask, palette, opacity=OPACITY):
    """An image beneath the colors of its mask.

    Args:
        image: uint8, shape (height, width, 3).
        mask: Class indices, shape (height, width); values beyond the palette stay uncolored.
        palette: One (red, green, blue) per class, 0-255.
        opacity: Share of the mask's color, 0 to 1.

    Returns: uint8, shape (height, width, 3).
    """
    colors = numpy.asarray(palette, numpy.float32).reshape(-1, 3)
    known = mask < len(colors)
    mixed = image.astype(numpy.float32)
    mixed[known] += (colors[mask[known]] - mixed[known]) * numpy.float32(opacity)
    return (mixed + numpy.float32(0.5)).astype(numpy.uint8)


def _legend_places(names, across, top, font):
    """Left upper corners of the entries of a legend, row by row, and where it ends."""
    places, left = [], GAP
    for name in names:
        width = TITLE + round(font.getlength(name)) + 3 * GAP
        if left + width > across and left > GAP:
            left, top = GAP, top + TITLE + GAP
        places.append((left, top))
        left += width
    return places, top + (TITLE + GAP if places else 0)


def _cell(sample, masks, palette):
    """The image of one sample, with its mask beside it where asked for."""
    image = _scaled(Image.fromarray(sample.image))
    if not masks:
        return image
    if sample.mask is None:
        raise DataError("these data have no masks", fix="leave masks out of the sheet")
    covered = _scaled(Image.fromarray(overlay(sample.image, sample.mask, palette)))
    both = Image.new("RGB", (image.width * 2 + 1, image.height), PAPER)
    both.paste(image, (0, 0))
    both.paste(covered, (image.width + 1, 0))
    return both


def _scaled(image):
    """The image at a size that a person can see and that fits the sheet."""
    longer = max(image.size)
    if longer > CELL:
        size = [max(1, round(side * CELL / longer)) for side in image.size]
        return image.resize(size, Image.Resampling.LANCZOS)
    factor = max(1, CELL // longer)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
