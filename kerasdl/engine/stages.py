"""Progressive resizing: which epochs are trained at which size.

Source: Howard 2018 (DAWNBench, fast.ai); Tan and Le 2021, "EfficientNetV2", section 4.
"""

import dataclasses

MULTIPLE = 8  # sizes are rounded to it
LEAST = 8


@dataclasses.dataclass(frozen=True)
class Stage:
    """Epochs `first` to `end - 1`, counted from 0, at one size (height, width)."""

    first: int
    end: int
    image_size: tuple[int, int]


def stages(config):
    """The stages of a run, in order; the last one has the full size.

    With k sizes in `progressive_sizes` there are k + 1 stages of equal length, the first epoch of
    stage i being floor(i epochs / (k + 1)). A stage without an epoch is left out.
    """
    fractions = (*config.progressive_sizes, 100)
    bounds = [number * config.epochs // len(fractions) for number in range(len(fractions) + 1)]
    return [
        Stage(first, end, at(config.image_size, fraction))
        for fraction, first, end in zip(fractions, bounds, bounds[1:], strict=False)
        if end > first
    ]


def at(image_size, percent):
    """A percentage of a size, rounded to multiples of 8; the size itself for 100."""
    if percent == 100:
        return tuple(image_size)
    return tuple(
        min(side, max(LEAST, round(side * percent / 100 / MULTIPLE) * MULTIPLE))
        for side in image_size
    )


def at_epoch(config, epoch):
    """The stage that `epoch`, counted from 0, belongs to; the last one for epochs after its end."""
    found = stages(config)
    return next((stage for stage in found if epoch < stage.end), found[-1])
