"""torch: convolutions and pooling without copies of their input, and PyTorch's own batch norm.

Keras' tensors have the channels last in their shape, PyTorch's first in the shape and, in the
order that is fast on processors, last in memory. Converting between them only needs a view, but
Keras copies every input to channels first, and back again for a convolution.
"""

import keras

from kerasdl.backend.tuning import torch_products
from kerasdl.backend.tuning.convolutions import borders


def arrange_kernels(model):
    """Stores kernels and their momenta in torch's memory layout; no value changes.

    Keras' kernels are (height, width, inputs, outputs). PyTorch needs (outputs, inputs, height,
    width), channels last in memory, and Keras transposes every kernel at every step and its
    gradient back. Stored in PyTorch's layout from the start, the transpose is only a view.
    """
    kernels = {
        id(layer.kernel)
        for layer in model.layers
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Conv2DTranspose))
    }
    trained = model.trainable_variables
    variables = [variable for variable in trained if id(variable) in kernels]
    shapes = {tuple(variable.shape) for variable in variables}
    optimizer = getattr(model, "optimizer", None)  # absent before `compile`
    of_optimizer = optimizer.variables if optimizer else ()
    slots = [each for each in of_optimizer if tuple(each.shape) in shapes]
    for variable in (*variables, *slots):
        tensor = variable.value
        tensor.data = tensor.data.permute(3, 0, 1, 2).contiguous().permute(1, 2, 3, 0)


def convolution(layer, call):
    """`Conv2D.call` on a view of its input, where Keras copies it twice."""
    padding = borders(layer)
    if padding is None:
        return call

    def tuned(inputs):
        kernel = keras.ops.convert_to_tensor(layer.kernel).permute(3, 2, 0, 1)
        bias = keras.ops.convert_to_tensor(layer.bias) if layer.use_bias else None
        outputs = torch_products.conv2d(
            inputs.permute(0, 3, 1, 2), kernel, bias, layer.strides, padding
        )
        return layer.activation(outputs.permute(0, 2, 3, 1))

    return tuned


def transposed_convolution(layer, call):
    """`Conv2DTranspose.call` on a view of its input; only where the output is not cropped."""
    import torch

    regular = (
        layer.padding == "valid"
        and layer.data_format == "channels_last"
        and tuple(layer.dilation_rate) == (1, 1)
        and layer.output_padding is None
        and all(size >= step for size, step in zip(layer.kernel_size, layer.strides, strict=True))
    )
    if not regular:
        return call

    def tuned(inputs):
        kernel = keras.ops.convert_to_tensor(layer.kernel).permute(3, 2, 0, 1)
        bias = keras.ops.convert_to_tensor(layer.bias) if layer.use_bias else None
        outputs = torch.nn.functional.conv_transpose2d(
            inputs.permute(0, 3, 1, 2), kernel, bias, layer.strides
        )
        return layer.activation(outputs.permute(0, 2, 3, 1))

    return tuned


def pooling(layer, call):
    """`MaxPooling2D.call` on a view of its input."""
    import torch

    if layer.padding != "valid" or layer.data_format != "channels_last":
        return call

    def tuned(inputs):
        outputs = torch.nn.functional.max_pool2d(
            inputs.permute(0, 3, 1, 2), layer.pool_size, layer.strides
        )
        return outputs.permute(0, 2, 3, 1)

    return tuned


def fused_norm(layer, call):
    """`BatchNormalization.call` by PyTorch's fused operation instead of Keras' ten or so."""
    import torch

    def fused(inputs, training=None, mask=None):
        values = inputs.numel() // inputs.shape[layer.axis]
        plain = layer.scale and layer.center and not layer.renorm and mask is None
        # Replicas exchange their moments in a method that Keras' own `call` uses.
        if not plain or values < 2 or "_moments" in vars(layer):
            return call(inputs, training=training, mask=mask)
        x = inputs.to(torch.promote_types(inputs.dtype, torch.float32)).movedim(layer.axis, 1)
        mean, variance, gamma, beta = (
            weight.value.to(x.dtype)
            for weight in (layer.moving_mean, layer.moving_variance, layer.gamma, layer.beta)
        )
        if training and layer.trainable:
            batch_mean, batch_variance = torch.zeros_like(mean), torch.ones_like(variance)
            x = torch.nn.functional.batch_norm(
                x, batch_mean, batch_variance, gamma, beta, True, 1.0, layer.epsilon
            )
            # Keras stores the biased variance.
            batch_variance = batch_variance * ((values - 1) / values)
            rest = 1.0 - layer.momentum
            layer.moving_mean.assign(mean * layer.momentum + batch_mean * rest)
            layer.moving_variance.assign(variance * layer.momentum + batch_variance * rest)
        else:
            x = torch.nn.functional.batch_norm(
                x, mean, variance, gamma, beta, False, 0.0, layer.epsilon
            )
        return keras.ops.cast(x.movedim(1, layer.axis), layer.compute_dtype)

    return fused


CALLS = {
    keras.layers.BatchNormalization: fused_norm,
    keras.layers.Conv2D: convolution,
    keras.layers.Conv2DTranspose: transposed_convolution,
    keras.layers.MaxPooling2D: pooling,
}
