"""What each network costs: parameters and multiply-accumulate operations."""

import math

import rich.console
import rich.table

from kerasdl import models, tasks

OPTIONS = {
    "resnet18": "stem=auto|imagenet|small",
    "fcn32": "stem=imagenet|small",
    "fcn16": "stem=imagenet|small",
    "fcn8": "stem=imagenet|small",
    "unet": "skips=all|none|[1, 3], filters, depth",
    "unet-resnet18": "skips=all|none|[1, 3], filters, stem=imagenet|small",
}


def summary(image_size, outputs):
    """One row per network.

    Args:
        image_size: (height, width).
        outputs: Number of classes.

    Returns:
        Dicts with `model`, `tasks`, `parameters` (trainable), `operations` (multiply-accumulates
        of the convolutions and dense layers for one image), `stride` (input pixels per pixel of
        the coarsest layer) and `options`.
    """
    rows = []
    for name in models.MODELS:
        model = models.build(name, (*image_size, 3), outputs)
        rows.append(
            {
                "model": name,
                "tasks": [task for task in tasks.TASKS if name in tasks.get(task).models],
                "parameters": sum(math.prod(w.shape) for w in model.trainable_weights),
                "operations": operations(model),
                "stride": stride(model),
                "options": OPTIONS[name],
            }
        )
    return rows


def operations(model):
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


def stride(model):
    """Product of all strides down to the coarsest layer."""
    heights = [layer.output.shape[1] for layer in model.layers if len(layer.output.shape) == 4]
    return 2 ** round(math.log2(max(heights) / min(heights)))


def show(rows, image_size, outputs):
    """Prints the rows as a table."""
    console = rich.console.Console()
    table = rich.table.Table(
        title=f"networks for {image_size[0]}x{image_size[1]} images and {outputs} outputs",
        title_justify="left",
    )
    for heading in ("network", "parameters", "operations", "coarsest", "options"):
        numeric = heading in ("parameters", "operations", "coarsest")
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(
            row["model"],
            f"{row['parameters']:,}",
            f"{row['operations'] / 1e6:,.0f} M",
            f"1/{row['stride']}",
            row["options"].replace("[", r"\["),
        )
    console.print(table)
    for task in tasks.TASKS:
        able = [row["model"] for row in rows if task in row["tasks"]]
        console.print(f"{task}: {', '.join(able)}", highlight=False)
