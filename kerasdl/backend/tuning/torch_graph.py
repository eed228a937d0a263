"""torch: a model's forward pass as a list of PyTorch calls, without Keras' per-layer overhead.

Keras converts, checks and names the inputs of every layer at every step, about 0.3 ms per layer.
That is negligible next to a large convolution on CPU, but most of the step on a GPU. The tensors
also keep PyTorch's shape (batch, channels, height, width), paddings become part of convolutions,
ReLUs work in place, and all moving statistics are updated at once.
"""

import keras

from kerasdl.backend.tuning import torch_products
from kerasdl.backend.tuning.convolutions import borders


def forward(model, call):
    """`call` of a functional model made of the layers that kerasdl uses.

    Args:
        model: The model, its kernels arranged by `torch_layers.arrange_kernels`.
        call: Its method `call`.

    Returns:
        A function (inputs, training, mask) that computes the same, or `call` itself if the model
        has a layer or option that this module does not support.
    """
    try:
        program = _Program(model)
    except _Unknown:
        return call

    def planned(inputs, training=None, mask=None):
        # Keras infers shapes on the "meta" device, where the layers' own tensors are not.
        device = getattr(getattr(inputs, "device", None), "type", None)
        if mask is not None or device == "meta" or getattr(inputs, "ndim", 0) != 4:
            return call(inputs, training=training, mask=mask)
        return program(keras.ops.convert_to_tensor(inputs, model.inputs[0].dtype), bool(training))

    return planned


class _Unknown(Exception):
    """An unsupported layer or layer option."""


class _Program:
    """The steps of a model: (function, indices of its inputs, inputs not used later)."""

    def __init__(self, model):
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise _Unknown
        if isinstance(model, keras.Sequential):
            raise _Unknown  # its `layers` leave out the input
        self.norms = []
        if any(len(layer._inbound_nodes) != 1 for layer in model.layers):
            raise _Unknown  # a layer used more than once has no single output
        producers = {id(layer.output): layer for layer in model.layers}
        consumers = {}
        for layer in model.layers:
            for tensor in _inputs(layer):
                consumers.setdefault(id(tensor), []).append(layer)
        numbers, self.steps = {}, []
        for layer in model.layers:
            sources = [id(tensor) for tensor in _inputs(layer)]
            if len(set(sources)) < len(sources):
                raise _Unknown
            if isinstance(layer, keras.layers.InputLayer):
                numbers[id(layer.output)] = 0
                continue
            users = consumers.get(id(layer.output), [])
            if _margin(layer) and len(users) == 1 and _takes_margin(users[0]):
                numbers[id(layer.output)] = numbers[sources[0]]  # the convolution pads
                continue
            before = producers[sources[0]]
            alone = len(consumers[sources[0]]) == 1
            # Neither of these two needs its own output for the gradient.
            fresh = isinstance(before, (keras.layers.BatchNormalization, keras.layers.Add))
            margin = _margin(before) if alone and _takes_margin(layer) else 0
            function = self._function(layer, margin, fresh and alone)
            self.steps.append((function, [numbers[source] for source in sources]))
            numbers[id(layer.output)] = len(self.steps)
        self.last = numbers[id(model.outputs[0])]
        uses = [number for _, sources in self.steps for number in sources] + [self.last]
        # Tensors are released after their last use.
        last_use = {number: index for index, number in enumerate(uses)}
        position = 0
        for index, (function, sources) in enumerate(self.steps):
            done = {n for offset, n in enumerate(sources) if last_use[n] == position + offset}
            position += len(sources)
            self.steps[index] = (function, sources, done)

    def __call__(self, x, training):
        values = {0: x.permute(0, 3, 1, 2)}
        del x
        for number, (function, sources, done) in enumerate(self.steps, start=1):
            taken = [values.pop(n) if n in done else values[n] for n in sources]
            values[number] = function(training, *taken)
        self._move_statistics(training)
        found = values[self.last]
        return found.permute(0, 2, 3, 1) if found.ndim == 4 else found

    def _move_statistics(self, training):
        """Moves the statistics of all batch norms towards those of the batch."""
        norms = [norm for norm in self.norms if training and norm.layer.trainable]
        if not norms:
            return
        import torch

        with torch.no_grad():
            # PyTorch returns the unbiased variance, Keras stores the biased one. Not in place: the
            # backward pass checks that these are unmodified.
            variances = torch._foreach_mul([n.variance for n in norms], [n.biased for n in norms])
            moving = [n.layer.moving_mean.value for n in norms]
            moving += [n.layer.moving_variance.value for n in norms]
            batch = [n.mean for n in norms] + list(variances)
            for momentum in {n.layer.momentum for n in norms}:
                of = [n.layer.momentum == momentum for n in norms] * 2
                torch._foreach_lerp_(
                    [value for value, taken in zip(moving, of, strict=True) if taken],
                    [value for value, taken in zip(batch, of, strict=True) if taken],
                    1.0 - momentum,
                )

    def _function(self, layer, margin, overwrite):
        """The step of one layer: (training, input, ...) -> output."""
        if type(layer) is keras.layers.BatchNormalization:
            norm = _Norm(layer)
            self.norms.append(norm)
            return norm
        if type(layer) is keras.layers.Conv2D:
            return _convolution(layer, margin)
        if type(layer) not in _FUNCTIONS:
            raise _Unknown
        return _FUNCTIONS[type(layer)](layer, overwrite)


class _Norm:
    """Batch norm; leaves mean and unbiased variance of the batch in `mean` and `variance`."""

    def __init__(self, layer):
        if layer.axis not in (-1, 3) or not layer.scale or not layer.center or layer.renorm:
            raise _Unknown
        if "_moments" in vars(layer):
            raise _Unknown  # replicas exchange their moments in Keras' own method
        self.layer = layer
        self.gamma, self.beta = layer.gamma.value, layer.beta.value
        self.dtype = _dtype(layer)

    def __call__(self, training, x):
        import torch

        layer = self.layer
        x = x.to(self.dtype)
        if not (training and layer.trainable):
            mean, variance = layer.moving_mean.value, layer.moving_variance.value
            return torch.nn.functional.batch_norm(
                x, mean, variance, self.gamma, self.beta, False, 0.0, layer.epsilon
            )
        values = x.numel() // x.shape[1]
        if values < 2:  # no unbiased variance, and PyTorch rejects it; x - mean is 0
            self.mean, self.biased = x.detach().float().flatten(), 1.0
            self.variance = torch.zeros_like(self.mean)
            rest = x * 0 * self.gamma[:, None, None] + self.beta[:, None, None]
            return rest.to(self.dtype)
        self.biased = (values - 1) / values
        # New tensors each time: non-finite values of one batch would otherwise persist.
        self.mean, self.variance = torch.zeros_like(self.gamma), torch.ones_like(self.gamma)
        return torch.nn.functional.batch_norm(
            x, self.mean, self.variance, self.gamma, self.beta, True, 1.0, layer.epsilon
        )


class _Weighted:
    """A layer with a kernel and an optional bias, in the layer's precision."""

    def __init__(self, layer, function, padding=None):
        if getattr(layer, "data_format", "channels_last") != "channels_last":
            raise _Unknown
        if layer.activation not in _ACTIVATIONS:
            raise _Unknown
        self.activation = _ACTIVATIONS[layer.activation]
        # The tensors themselves: training writes into them and never replaces them.
        self.kernel = layer.kernel.value
        self.bias = layer.bias.value if layer.use_bias else None
        self.dtype, self.function = _dtype(layer), function
        self.options = () if padding is None else (tuple(layer.strides), padding)

    def __call__(self, training, x):
        kernel = self.kernel.to(self.dtype)
        kernel = kernel.permute(3, 2, 0, 1) if kernel.ndim == 4 else kernel.t()
        bias = None if self.bias is None else self.bias.to(self.dtype)
        return self.activation(self.function(x.to(self.dtype), kernel, bias, *self.options))


def _convolution(layer, margin):
    zeros = borders(layer)
    if zeros is None:
        raise _Unknown
    return _Weighted(layer, torch_products.conv2d, tuple(side + margin for side in zeros))


def _transposed_convolution(layer, overwrite):
    rest = [size - stride for size, stride in zip(layer.kernel_size, layer.strides, strict=True)]
    regular = layer.padding in ("same", "valid") and layer.output_padding is None and min(rest) >= 0
    if layer.padding == "same" and any(cut % 2 for cut in rest):
        regular = False
    if not regular or tuple(layer.dilation_rate) != (1, 1):
        raise _Unknown
    padding = tuple(cut // 2 if layer.padding == "same" else 0 for cut in rest)
    import torch

    return _Weighted(layer, torch.nn.functional.conv_transpose2d, padding)


def _dense(layer, overwrite):
    if len(layer.input.shape) != 2:
        raise _Unknown
    import torch

    return _Weighted(layer, torch.nn.functional.linear)


def _relu(layer, overwrite):
    if layer.max_value is not None or layer.negative_slope or layer.threshold:
        raise _Unknown
    return (lambda training, x: x.relu_()) if overwrite else (lambda training, x: x.relu())


def _add(layer, overwrite):
    return lambda training, first, *others: sum(others, first)


def _concatenate(layer, overwrite):
    if layer.axis not in (-1, 3):
        raise _Unknown
    import torch

    return lambda training, *parts: torch.cat(parts, dim=1)


def _pooling(layer, overwrite):
    if layer.padding != "valid" or layer.data_format != "channels_last":
        raise _Unknown
    import torch

    size, strides = tuple(layer.pool_size), tuple(layer.strides)
    return lambda training, x: torch.nn.functional.max_pool2d(x, size, strides)


def _mean(layer, overwrite):
    if layer.keepdims or layer.data_format != "channels_last":
        raise _Unknown
    return lambda training, x: x.mean(dim=(2, 3))


def _pad(layer, overwrite):
    if layer.data_format != "channels_last":
        raise _Unknown
    import torch

    (top, bottom), (left, right) = layer.padding
    return lambda training, x: torch.nn.functional.pad(x, (left, right, top, bottom))


def _crop(layer, overwrite):
    if layer.data_format != "channels_last":
        raise _Unknown
    (top, bottom), (left, right) = layer.cropping
    dtype = _dtype(layer)
    return lambda training, x: x[:, :, top : x.shape[2] - bottom, left : x.shape[3] - right].to(
        dtype
    )


_ACTIVATIONS = {keras.activations.linear: lambda x: x, keras.activations.relu: lambda x: x.relu()}
_FUNCTIONS = {
    keras.layers.Add: _add,
    keras.layers.Concatenate: _concatenate,
    keras.layers.Conv2DTranspose: _transposed_convolution,
    keras.layers.Cropping2D: _crop,
    keras.layers.Dense: _dense,
    keras.layers.GlobalAveragePooling2D: _mean,
    keras.layers.MaxPooling2D: _pooling,
    keras.layers.ReLU: _relu,
    keras.layers.ZeroPadding2D: _pad,
}


def _inputs(layer):
    """The tensors a layer takes; none for the input itself."""
    if isinstance(layer, keras.layers.InputLayer):
        return []
    return layer.input if isinstance(layer.input, list) else [layer.input]


def _margin(layer):
    """Zeros that a padding layer adds on each of the four sides; 0 if not the same on all."""
    if type(layer) is not keras.layers.ZeroPadding2D or layer.data_format != "channels_last":
        return 0
    sides = {side for pair in layer.padding for side in pair}
    return sides.pop() if len(sides) == 1 else 0


def _takes_margin(layer):
    return type(layer) is keras.layers.Conv2D and layer.padding == "valid"


def _dtype(layer):
    import torch

    return getattr(torch, layer.compute_dtype)
