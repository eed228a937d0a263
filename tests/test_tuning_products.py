"""Convolutions whose gradient of the kernel is a matrix product: the same as Keras' own."""

import keras
import numpy
import pytest

BACKEND = keras.config.backend()

# What the layer is, the sides of its input, and whether the product is used: the output has to
# have few pixels for its 64 channels of the input.
CASES = {
    "same": ({"padding": "same"}, (1, 2), True),
    "valid with stride": ({"strides": 2, "use_bias": False}, (4, 3), True),
    "uneven": ({"kernel_size": (3, 1), "strides": (1, 2), "activation": "relu"}, (4, 2), True),
    "large map": ({"padding": "same"}, (8, 8), False),
    "one by one": ({"kernel_size": 1}, (1, 1), False),
    "both sides differ": ({"padding": "same", "strides": 2}, (2, 2), False),
}


def numbers(*shape, seed=0):
    return numpy.random.default_rng(seed).random(shape, dtype="float32") - 0.5


def on_torch(layer, call, x):
    import torch

    layer.call = call
    x = torch.tensor(x, requires_grad=True)
    for weight in layer.trainable_weights:
        weight.value.grad = None
    y = layer(x)
    (y.float() * torch.tensor(numbers(*y.shape, seed=8))).sum().backward()
    gradients = [x.grad, *(weight.value.grad.clone() for weight in layer.trainable_weights)]
    return y.dtype, [value.detach().float().numpy() for value in (y, *gradients)]


def on_tensorflow(layer, call, x):
    import tensorflow

    layer.call = call
    x = tensorflow.constant(x)

    # As a step of training, with the number of images open.
    @tensorflow.function(input_signature=[tensorflow.TensorSpec((None, *x.shape[1:]))])
    def computed(x):
        with tensorflow.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
            weight = numbers(2, *y.shape[1:], seed=8)
            total = tensorflow.reduce_sum(tensorflow.cast(y, "float32") * weight)
        return [y, *tape.gradient(total, [x, *layer.trainable_weights])]

    values = computed(x)
    return values[0].dtype, [numpy.array(tensorflow.cast(v, "float32")) for v in values]


def tuned(layer, monkeypatch):
    """The layer's tuned call, a list that grows with each product, and what computes gradients."""
    used = []
    if BACKEND == "torch":
        from kerasdl.backend.tuning import torch_layers, torch_products

        function = torch_products._function
        monkeypatch.setattr(torch_products, "_function", lambda: used.append(1) or function())
        return torch_layers.convolution(layer, layer.call), used, on_torch
    from kerasdl.backend.tuning import tensorflow_layers

    product = tensorflow_layers._with_product
    monkeypatch.setattr(
        tensorflow_layers, "_with_product", lambda *values: used.append(1) or product(*values)
    )
    return tensorflow_layers.convolution(layer, layer.call), used, on_tensorflow


@pytest.mark.skipif(BACKEND == "jax", reason="not on JAX")
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_gradients(name, dtype, monkeypatch):
    options, sides, product = CASES[name]
    layer = keras.layers.Conv2D(**{"filters": 3, "kernel_size": 3, "dtype": dtype, **options})
    layer.build((None, *sides, 64))
    layer.set_weights([numbers(*w.shape, seed=seed) for seed, w in enumerate(layer.weights)])
    own = layer.call
    call, used, computed = tuned(layer, monkeypatch)
    x = numbers(2, *sides, 64, seed=9)
    (kind, expected), (found_kind, found) = computed(layer, own, x), computed(layer, call, x)
    assert bool(used) == product
    assert kind == found_kind
    close = 1e-5 if dtype == "float32" else 0.02
    for a, b in zip(expected, found, strict=True):
        numpy.testing.assert_allclose(b, a, rtol=close, atol=close * abs(a).max())


@pytest.mark.skipif(BACKEND == "jax", reason="not on JAX")
@pytest.mark.parametrize(("channels", "product"), [(4, True), (8, False)])
def test_one_by_one_kernels_of_few_channels_take_the_product(channels, product, monkeypatch):
    """oneDNN's own gradient for AVX2 corrupts the memory, crashes or never ends."""
    layer = keras.layers.Conv2D(8, 1, strides=2)
    layer.build((None, 6, 6, channels))
    call, used, computed = tuned(layer, monkeypatch)
    x = numbers(2, 6, 6, channels, seed=9)
    kind, (y, of_x, of_kernel, of_bias) = computed(layer, call, x)
    assert bool(used) == product
    # Each output is a product of one pixel and the kernel.
    upstream, pixels = numbers(*y.shape, seed=8), x[:, ::2, ::2]
    expected = numpy.einsum("bijc,bijf->cf", pixels, upstream)
    numpy.testing.assert_allclose(of_kernel[0, 0], expected, atol=1e-5)
    numpy.testing.assert_allclose(of_bias, upstream.sum((0, 1, 2)), atol=1e-5)


@pytest.mark.skipif(BACKEND != "torch", reason="torch only")
def test_small_maps_of_a_network_take_the_product(monkeypatch):
    """Three convolutions of the last stage, whose maps have 2x2 pixels and 128 channels."""
    from kerasdl import models
    from kerasdl.backend.tuning import torch_graph, torch_products

    model = models.build("resnet18", (64, 64, 3), 3, filters=16)
    row, used = torch_graph.forward(model, model.call), []
    function = torch_products._function
    monkeypatch.setattr(torch_products, "_function", lambda: used.append(1) or function())
    row(numbers(2, 64, 64, 3), training=True)
    assert len(used) == 3
    monkeypatch.setattr("torch.compiler.is_compiling", lambda: True)
    row(numbers(2, 64, 64, 3), training=True)
    assert len(used) == 3  # torch.compile gets operations that it knows
