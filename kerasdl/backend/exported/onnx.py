"""ONNX files, written by torch from a Keras model on the torch backend."""

import warnings

INPUT, OUTPUT = "image", "outputs"
OPSET = 18


def write(model, size, path):
    """Writes a model with dynamic batch and, where the size is None, dynamic height and width.

    Args:
        model: A `keras.Model` for one input (H, W, C).
        size: (height, width), or (None, None).
        path: The file.
    """
    import torch

    axes = {0: "batch"} if None not in size else {0: "batch", 1: "height", 2: "width"}
    outputs = axes if len(model.output_shape) == 4 else {0: "batch"}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # Keras compares shapes in Python, which is meant
        torch.onnx.export(
            forward(model, registered=True),
            (example(model, size),),
            str(path),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: axes, OUTPUT: outputs},
            opset_version=OPSET,
            # The other exporter takes 15 times as long and splits the file in two.
            dynamo=False,
        )


def forward(model, registered):
    """A torch module that calls a Keras model.

    Args:
        model: The model; its weights are no longer trainable afterwards.
        registered: Whether the weights are parameters of the module. The other exporter of torch
            takes them for constants in any case, and would store parameters as well.
    """
    import torch

    model.requires_grad_(False)

    class Forward(torch.nn.Module):
        """One image batch in, one output out."""

        def __init__(self):
            super().__init__()
            self.model = model if registered else None

        def forward(self, image):
            return model(image, training=False)

    return Forward()


def example(model, size):
    """An input for tracing; no side is a size that a constant in a model could be mistaken for."""
    import torch

    height, width = (64 if side is None else side for side in size)
    return torch.zeros(2, height, width, model.input_shape[-1])
