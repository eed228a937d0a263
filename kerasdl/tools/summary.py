"""The size of each model: parameters and multiply-accumulate operations."""

import math

import rich.console
import rich.markup
import rich.table

from kerasdl import models
from kerasdl.models import MODELS
from kerasdl.tasks import TASKS


def summary(image_size, outputs):
    """One row per model.

    Args:
        image_size: (height, width).
        outputs: Number of classes.

    Returns:
        Dicts with `model`, `label`, `tasks`, `parameters` (trainable), `macs` (multiply-accumulate
        operations of the convolutions and dense layers for one image), `output_stride` (input
        pixels per side per pixel of the coarsest feature map) and `options` (name -> values).
    """
    rows = []
    for name, spec in MODELS.items():
        model = models.build(name, (*image_size, 3), outputs)
        rows.append(
            {
                "model": name,
                "label": spec.label,
                "tasks": list(spec.tasks),
                "parameters": sum(math.prod(w.shape) for w in model.trainable_weights),
                "macs": macs(model),
                "output_stride": models.stride(name, {}, image_size),
                "options": {option.name: option.values for option in spec.options},
            }
        )
    return rows


def macs(model):
    """Multiply-accumulates of one forward pass for one image: convolutions and dense layers.

    A kernel of K weights is applied once per output position, K H' W'; that of a transposed
    convolution once per input position.
    """
    total = 0
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "Conv2D":
            total += math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:3])
        elif kind == "Conv2DTranspose":
            total += math.prod(layer.kernel.shape) * math.prod(layer.input.shape[1:3])
        elif kind == "Dense":
            total += math.prod(layer.kernel.shape)
    return total


def show(rows, image_size, outputs):
    """Prints the rows as a table."""
    console = rich.console.Console()
    height, width = image_size
    table = rich.table.Table(
        title=f"models for {height}x{width} images and {outputs} outputs", title_justify="left"
    )
    for heading in ("model", "parameters", "MACs", "output stride", "options"):
        numeric = heading in ("parameters", "MACs", "output stride")
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        options = "\n".join(f"{name}: {values}" for name, values in row["options"].items())
        table.add_row(
            row["model"],
            f"{row['parameters']:,}",
            f"{row['macs'] / 1e6:,.0f} M",
            str(row["output_stride"]),
            rich.markup.escape(options),
        )
    console.print(table)
    for task in TASKS:
        able = [row["model"] for row in rows if task in row["tasks"]]
        console.print(f"{task}: {', '.join(able)}", highlight=False)
