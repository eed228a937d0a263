"""torch: convolutions on small feature maps, with the kernel gradient as a matrix product.

Where the kernel is much larger than the map, PyTorch's own gradient (oneDNN on CPU) takes two to
four times as long: 512 channels on 2x2 pixels, as in the last stage of ResNet-18.
"""

import functools

from kerasdl.backend.tuning.convolutions import output_sides, takes_product

# The product is used where the input has at least this many channels per output pixel.
CHANNELS_PER_PIXEL = 32


def conv2d(x, kernel, bias, strides, padding):
    """`torch.nn.functional.conv2d`; the kernel gradient is computed the faster way."""
    import torch

    plain = (
        torch.compiler.is_compiling()  # cannot trace an operation with a custom gradient
        or x.device.type != "cpu"
        or not kernel.requires_grad
    )
    if not plain:
        _, channels, *size = kernel.shape
        map_size = output_sides(x.shape[2:], padding, size, strides)
        plain = not takes_product(channels, size, map_size, CHANNELS_PER_PIXEL)
    if plain:
        return torch.nn.functional.conv2d(x, kernel, bias, strides, padding)
    outputs = _function().apply(x, kernel, tuple(strides), tuple(padding))
    return outputs if bias is None else outputs + bias[:, None, None]


@functools.cache
def _function():
    """The operation with its gradient, defined here because torch is imported lazily."""
    import torch

    class Convolution(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, kernel, strides, padding):
            ctx.save_for_backward(x, kernel)
            ctx.options = strides, padding
            return torch.nn.functional.conv2d(x, kernel, None, strides, padding)

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, upstream):
            x, kernel = ctx.saved_tensors
            (step, across), (up, left) = ctx.options
            of_inputs = None
            if ctx.needs_input_grad[0]:
                of_inputs = torch.nn.grad.conv2d_input(x.shape, kernel, upstream, *ctx.options)
            filters, channels, height, width = kernel.shape
            padded = torch.nn.functional.pad(x.permute(0, 2, 3, 1), (0, 0, left, left, up, up))
            # (batch, rows, columns, channels, height, width): what each output pixel saw.
            seen = padded.unfold(1, height, step).unfold(2, width, across)
            seen = seen.permute(0, 1, 2, 4, 5, 3).reshape(-1, height * width * channels)
            product = upstream.permute(1, 0, 2, 3).reshape(filters, -1) @ seen
            of_kernel = product.view(filters, height, width, channels).permute(0, 3, 1, 2)
            return of_inputs, of_kernel, None, None

    return Convolution
