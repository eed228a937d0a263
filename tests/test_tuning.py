"""The layers' exchanged methods compute what Keras' own do."""

import copy

import keras
import numpy
import pytest
from predict_elsewhere import narrow_stages

from kerasdl import losses, models
from kerasdl.backend import machine, tuning
from kerasdl.backend.tuning import jax_layers, torch_layers
from kerasdl.engine.optimizers import SGD
from kerasdl.tools.compare import exact

BACKEND = keras.config.backend()
# Side of the images and options; norms over very few values would magnify rounding.
NETWORKS = {"unet": (8, {"filters": 2, "depth": 1}), "fcn8": (32, {"stem": "small"})}


def numbers(*shape, seed=0):
    return numpy.random.default_rng(seed).random(shape, dtype="float32")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_tuned_network_has_the_same_values_and_learns_the_same(name, monkeypatch):
    monkeypatch.setattr("kerasdl.models.fcn.residual_stages", narrow_stages)
    side, options = NETWORKS[name]
    x = numbers(4, side, side, 3)

    def trained(tuned):
        keras.utils.set_random_seed(0)
        model = models.build(name, (side, side, 3), 2, **options)
        model.compile(SGD(0.001, 0.9, 1e-3), losses.build("crossentropy"), jit_compile=False)
        model.optimizer.build(model.trainable_variables)
        start = model.get_weights()
        if tuned:
            tuning.tune(model)
            tuning.tune(model)  # a second time changes nothing more
            for a, b in zip(start, model.get_weights(), strict=True):
                numpy.testing.assert_array_equal(a, b)
        for _ in range(2):
            model.train_on_batch(x, numpy.zeros((4, side, side), "int32"))
        return model, numpy.asarray(keras.ops.convert_to_numpy(model(x)))

    (plain, expected), (tuned, found) = trained(False), trained(True)
    for a, b in zip(plain.get_weights(), tuned.get_weights(), strict=True):
        numpy.testing.assert_allclose(b, a, atol=2e-4)
    numpy.testing.assert_allclose(found, expected, atol=1e-3)
    assert tuned.to_json() == plain.to_json()
    if BACKEND == "torch" and name == "unet":
        kernel = tuned.get_layer("down1_1_convolution").kernel.value
        assert kernel.permute(3, 0, 1, 2).is_contiguous()
        momenta = [v.value for v in tuned.optimizer.momentums if len(v.shape) == 4]
        assert all(each.permute(3, 0, 1, 2).is_contiguous() for each in momenta)


@pytest.mark.skipif(BACKEND != "torch", reason="torch only")
@pytest.mark.parametrize(("training", "trainable"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_fused_norm(training, trainable, dtype):
    import torch

    layer = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-2, dtype=dtype)
    layer.build((None, 3, 5, 4))
    layer.set_weights([numbers(4, seed=seed) + 0.5 for seed in range(4)])
    layer.trainable = trainable
    other = copy.deepcopy(layer)
    other.call = torch_layers.fused_norm(other, other.call)
    results = []
    for each in (layer, other):
        x = torch.tensor(numbers(2, 3, 5, 4, seed=9), requires_grad=True)
        y = each(x, training=training)
        (y.float() * torch.tensor(numbers(2, 3, 5, 4, seed=8))).sum().backward()
        gradients = [x.grad, each.gamma.value.grad, each.beta.value.grad]
        assert (gradients[1] is not None) == trainable
        statistics = each.get_weights()
        results.append((y.dtype, y.detach().float().numpy(), gradients, statistics))
    (kind, values, gradients, statistics), (other_kind, *found) = results
    assert kind == other_kind
    numpy.testing.assert_allclose(
        found[0], values, atol=1e-5 if dtype != "mixed_bfloat16" else 2e-2
    )
    for a, b in zip(gradients, found[1], strict=True):
        if a is not None:
            numpy.testing.assert_allclose(b, a, atol=2e-5 if dtype != "mixed_bfloat16" else 2e-2)
    for a, b in zip(statistics, found[2], strict=True):
        numpy.testing.assert_allclose(b, a, atol=1e-6)


@pytest.mark.skipif(BACKEND != "torch", reason="torch only")
def test_the_variance_that_is_kept_is_the_biased_one():
    layer = keras.layers.BatchNormalization(momentum=0.5)
    layer.build((None, 1, 1, 1))
    layer.call = torch_layers.fused_norm(layer, layer.call)
    layer(numpy.array([1.0, 3.0], "float32").reshape(2, 1, 1, 1), training=True)
    # mean (0 + 2) / 2; variance of 1 and 3 is 1 (biased) or 2: (1 + 1) / 2
    assert [float(weight[0]) for weight in layer.get_weights()[2:]] == [1.0, 1.0]
    # A single value has no variance; PyTorch refuses it, Keras gives 0.
    layer(numpy.full((1, 1, 1, 1), 1.0, "float32"), training=True)
    assert [float(weight[0]) for weight in layer.get_weights()[2:]] == [1.0, 0.5]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorFlow only")
@pytest.mark.parametrize(("training", "trainable"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_fused_norm_on_tensorflow(training, trainable, dtype):
    import tensorflow

    from kerasdl.backend.tuning import tensorflow_layers

    layer = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-2, dtype=dtype)
    layer.build((None, 3, 5, 4))
    layer.trainable = trainable
    own = layer.call
    x = tensorflow.constant(numbers(2, 3, 5, 4, seed=9))
    results = []
    for call in (own, tensorflow_layers.fused_norm(layer, own)):
        layer.call = call
        layer.set_weights([numbers(4, seed=seed) + 0.5 for seed in range(4)])
        with tensorflow.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=training)
            total = tensorflow.reduce_sum(
                tensorflow.cast(y, "float32") * numbers(2, 3, 5, 4, seed=8)
            )
        gradients = tape.gradient(total, [x, *layer.trainable_weights])
        results.append([numpy.array(tensorflow.cast(v, "float32")) for v in (y, *gradients)])
        results[-1] += layer.get_weights()
        assert y.dtype == ("float32" if dtype == "float32" else "bfloat16")
    for a, b in zip(*results, strict=True):
        numpy.testing.assert_allclose(b, a, atol=2e-5 if dtype == "float32" else 2e-2)
    moved = not numpy.array_equal(results[1][-1], numbers(4, seed=3) + 0.5)
    assert moved == (training and trainable)
    called = []
    layer.call = tensorflow_layers.fused_norm(
        layer, lambda x, training, mask: called.append(True) or own(x, training, mask)
    )
    layer(x, training=training)
    assert bool(called) == (not moved)  # Keras' own elsewhere


# Network, sides that are padded and cropped, options.
OWN = {
    **{name: (name, (38, 34), {}) for name in ("resnet18", "fcn32", "fcn8", "unet")},
    "unet-resnet18": ("unet-resnet18", (38, 34), {}),
    "resnet18 with small maps": ("resnet18", (64, 64), {"filters": 16}),
}


@pytest.mark.skipif(BACKEND != "torch", reason="torch only")
@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("dtype", ["float64", "mixed_bfloat16"])
def test_a_network_as_a_row_of_calls(name, dtype):
    """Sides that are padded and cropped; outputs, gradients and statistics are those of the layers.

    In float64, because rounding turns rectifiers on and off, and few of them change a gradient by a
    hundredth; in half precision gradients have only roughly the same direction.
    """
    import torch

    from kerasdl.backend.tuning import torch_graph

    network, sides, options = OWN[name]
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(dtype)
    try:
        model = models.build(network, (*sides, 3), 3, **options)
    finally:
        keras.config.set_dtype_policy("float32")
    generator = numpy.random.default_rng(0)
    start = [
        value + generator.normal(0, 0.02, value.shape).astype("float32")
        for value in model.get_weights()
    ]
    own = model.call
    row = torch_graph.forward(model, own)
    assert row is not own
    if dtype == "float64":  # the norm of Keras has float32 values in it
        tuning.exchange(model, {keras.layers.BatchNormalization: exact.norm})

    def computed(call):
        model.call = call
        model.set_weights(start)
        for weight in model.trainable_weights:
            weight.value.grad = None
        x = numbers(4, *sides, 3)
        answer = model(x, training=False).detach().clone()
        y = model(x, training=True)
        assert y.dtype == torch.float32  # as the heads are under every precision
        (y * torch.tensor(numbers(*y.shape, seed=1))).mean().backward()
        gradients = [weight.value.grad.clone().ravel() for weight in model.trainable_weights]
        statistics = [torch.tensor(w.numpy()) for w in model.non_trainable_weights]
        return answer, y.detach(), torch.cat(gradients).double(), torch.cat(statistics)

    (*outputs, gradient, statistics), (*found, found_gradient, found_statistics) = map(
        computed, (own, row)
    )
    close = 1e-4 if dtype == "float64" else 0.08
    for expected, value in zip((*outputs, gradient), (*found, found_gradient), strict=True):
        distance = float((value - expected).norm() / expected.norm())
        assert distance < (close if value is not found_gradient or close < 0.01 else 0.7)
    if dtype != "float64":  # exact.norm moves none
        assert float((found_statistics - statistics).norm() / statistics.norm()) < close


@pytest.mark.skipif(BACKEND != "torch", reason="torch only")
def test_statistics_in_the_row():
    from kerasdl.backend.tuning import torch_graph

    inputs = keras.Input((1, 2, 1))
    model = keras.Model(inputs, keras.layers.BatchNormalization(momentum=0.5)(inputs))
    model.call = torch_graph.forward(model, model.call)
    start = model.get_weights()
    model(numpy.array([numpy.inf, 1], "float32").reshape(1, 1, 2, 1), training=True)
    model.set_weights(start)  # and a batch that is not finite leaves nothing behind
    model(numpy.array([1, 3], "float32").reshape(1, 1, 2, 1), training=True)
    # mean (0 + 2) / 2; variance of 1 and 3 is 1 (biased) or 2: (1 + 1) / 2
    assert [w.tolist() for w in model.get_weights()[2:]] == [[1.0], [1.0]]


@pytest.mark.skipif(BACKEND != "torch", reason="torch only")
def test_the_row_runs_once_per_step(monkeypatch):
    """And not a first time to find out shapes, which Keras does without values."""
    from kerasdl.backend.tuning import torch_graph

    model = models.build("unet", (8, 8, 3), 2, filters=2, depth=1)
    model.compile(SGD(0.001), losses.build("crossentropy"))
    model.optimizer.build(model.trainable_variables)
    row, passes = torch_graph._Program.__call__, []
    monkeypatch.setattr(
        torch_graph._Program, "__call__", lambda *values: passes.append(1) or row(*values)
    )
    tuning.tune(model)
    model.fit(numbers(6, 8, 8, 3), numpy.zeros((6, 8, 8), "int32"), batch_size=2, verbose=0)
    assert len(passes) == 3


@pytest.mark.skipif(BACKEND != "torch", reason="torch only")
def test_a_norm_of_one_value_in_the_row():
    from kerasdl.backend.tuning import torch_graph

    inputs = keras.Input((1, 1, 2))
    model = keras.Model(inputs, keras.layers.BatchNormalization(momentum=0.5)(inputs))
    weights = [[2, 2], [3, 4], [0, 0], [1, 1]]  # gamma, beta, mean, variance
    model.set_weights([numpy.array(each, "float32") for each in weights])
    model.call = torch_graph.forward(model, model.call)
    y = model(numpy.array([5.0, 7.0], "float32").reshape(1, 1, 1, 2), training=True)
    assert y.ravel().tolist() == [3.0, 4.0]
    y.sum().backward()
    gradients = [weight.value.grad.tolist() for weight in model.trainable_weights]
    assert gradients == [[0.0, 0.0], [1.0, 1.0]]
    assert [w.tolist() for w in model.get_weights()[2:]] == [[2.5, 3.5], [0.5, 0.5]]


@pytest.mark.skipif(BACKEND != "torch", reason="torch only")
@pytest.mark.parametrize("name", ["dropout", "softmax", "two outputs", "twice", "wide", "again"])
def test_networks_with_anything_else_stay_with_keras(name):
    from kerasdl.backend.tuning import torch_graph

    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(2, 1, activation="softmax" if name == "softmax" else None)(inputs)
    x = keras.layers.Dropout(0.5)(x) if name == "dropout" else x
    x = keras.layers.Add()([x, x]) if name == "twice" else x
    x = keras.layers.Dense(3)(x) if name == "wide" else x
    if name == "again":
        layer = keras.layers.ReLU()
        x = layer(layer(x))
    model = keras.Model(inputs, [x, inputs] if name == "two outputs" else x)
    assert torch_graph.forward(model, model.call) == model.call


LAYERS = {
    "same": (keras.layers.Conv2D, (2, 3), {"padding": "same", "activation": "relu"}),
    "valid with stride": (keras.layers.Conv2D, (2, 3), {"strides": 2, "use_bias": False}),
    "one by one": (keras.layers.Conv2D, (2, 1), {}),
    "upsampled": (keras.layers.Conv2DTranspose, (2, 2), {"strides": 2, "activation": "relu"}),
    "overlapping": (keras.layers.Conv2DTranspose, (2, 4), {"strides": 3, "use_bias": False}),
    "pooled": (keras.layers.MaxPooling2D, (2,), {}),
    "overlapping windows": (keras.layers.MaxPooling2D, (3,), {"strides": 2}),
}


@pytest.mark.skipif(BACKEND != "torch", reason="torch only")
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_layers_on_a_view(name, dtype):
    import torch

    kind, arguments, options = LAYERS[name]
    layer = kind(*arguments, **options, dtype=dtype)
    layer.build((None, 7, 5, 3))
    layer.set_weights(
        [numbers(*weight.shape, seed=seed) - 0.5 for seed, weight in enumerate(layer.weights)]
    )
    own = layer.call
    results = []
    for call in (own, torch_layers.CALLS[kind](layer, own)):
        assert results == [] or call is not own
        layer.call = call
        x = torch.tensor(numbers(2, 7, 5, 3, seed=9), requires_grad=True)
        for weight in layer.trainable_weights:
            weight.value.grad = None
        y = layer(x)
        (y.float() * torch.tensor(numbers(*y.shape, seed=8))).sum().backward()
        gradients = [x.grad, *(weight.value.grad for weight in layer.trainable_weights)]
        results.append([y.detach().float(), *(gradient.clone() for gradient in gradients)])
    for expected, found in zip(*results, strict=True):
        assert expected.dtype == found.dtype
        close = 1e-5 if dtype == "float32" else 0.03
        numpy.testing.assert_allclose(found, expected, rtol=close, atol=close)


@pytest.mark.skipif(BACKEND != "torch", reason="torch only")
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (keras.layers.Conv2D, {"padding": "same", "strides": 2}),
        (keras.layers.Conv2D, {"padding": "same", "kernel_size": 2}),
        (keras.layers.Conv2D, {"dilation_rate": 2}),
        (keras.layers.Conv2D, {"groups": 2}),
        (keras.layers.Conv2DTranspose, {"padding": "same", "strides": 2}),
        (keras.layers.Conv2DTranspose, {"strides": 4}),
    ],
)
def test_other_layers_are_left_alone_on_torch(kind, options):
    layer = kind(**{"filters": 2, "kernel_size": 3, **options})
    call = layer.call
    assert torch_layers.CALLS[kind](layer, call) is call


@pytest.mark.skipif(BACKEND != "jax", reason="JAX only")
@pytest.mark.parametrize(
    ("size", "stride", "height", "width"), [(2, 2, 5, 3), (4, 2, 3, 4), (3, 2, 4, 3), (16, 8, 2, 1)]
)
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_transposed_convolution(size, stride, height, width, padding, dtype):

    layer = keras.layers.Conv2DTranspose(
        2, size, stride, padding=padding, activation="tanh", dtype=dtype
    )
    layer.build((None, height, width, 3))
    layer.set_weights([numbers(size, size, 2, 3) - 0.5, numbers(2)])
    x = numbers(2, height, width, 3, seed=1)
    before = layer.call
    layer.call = jax_layers.transposed_convolution(layer, before)
    assert layer.call is not before
    assert_same_gradients(layer, before, x, 1e-5 if dtype == "float32" else 0.05)


def assert_same_gradients(layer, call, x, close):
    """Values and gradients of a layer are those with its method `call` in place."""
    import jax

    weight = numbers(*layer.compute_output_shape(x.shape), seed=2)
    variables = [variable.value for variable in layer.trainable_variables]

    def value(variables, x):
        y, _ = layer.stateless_call(variables, [], x)
        return (y.astype("float32") * weight).sum()

    found = jax.value_and_grad(value, (0, 1))(variables, x)
    layer.call = call
    expected = jax.value_and_grad(value, (0, 1))(variables, x)
    for a, b in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        assert a.dtype == b.dtype
        numpy.testing.assert_allclose(b, a, rtol=close, atol=close * abs(numpy.asarray(a)).max())


@pytest.mark.skipif(BACKEND != "jax", reason="JAX only")
@pytest.mark.parametrize(
    "options",
    [
        {"output_padding": 1},
        {"strides": 3, "kernel_size": 2},
        {"strides": 1, "kernel_size": 9},  # 81 sums: XLA would compile for long
    ],
)
def test_other_transposed_convolutions_are_left_alone(options):
    options = {"filters": 1, "kernel_size": 3, "strides": 2, "padding": "same", **options}
    layer = keras.layers.Conv2DTranspose(**options)
    call = layer.call
    assert jax_layers.transposed_convolution(layer, call) is call


@pytest.mark.skipif(BACKEND != "jax", reason="JAX only")
@pytest.mark.parametrize(
    ("size", "strides", "padding", "height", "width"),
    [
        (3, 1, "same", 2, 2),
        (3, 1, "same", 1, 5),
        (3, 2, "valid", 5, 4),
        ((5, 3), (2, 1), "valid", 6, 4),
        (7, 2, "valid", 9, 8),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_convolution_of_a_small_map(size, strides, padding, height, width, dtype):
    import jax

    layer = keras.layers.Conv2D(4, size, strides, padding, activation="tanh", dtype=dtype)
    layer.build((None, height, width, 3))
    kernel, bias = layer.get_weights()
    layer.set_weights([numbers(*kernel.shape) - 0.5, numbers(*bias.shape)])
    x = numbers(2, height, width, 3, seed=1)
    before = layer.call
    layer.call = jax_layers.convolution(layer, before)
    assert layer.call is not before
    assert "dot_general" in str(jax.make_jaxpr(layer)(x))
    assert_same_gradients(layer, before, x, 1e-5 if dtype == "float32" else 0.05)


@pytest.mark.skipif(BACKEND != "jax", reason="JAX only")
@pytest.mark.parametrize("kind", [keras.layers.Conv2D, keras.layers.Conv2DTranspose])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_integers_are_not_multiplied_by_a_kernel_of_integers(kind, dtype):
    layer = kind(2, 3, padding="same", dtype=dtype)
    layer.build((None, 2, 2, 3))
    x = numpy.arange(12, dtype="uint8").reshape(1, 2, 2, 3)
    expected = layer(x.astype("float32"))
    layer.call = jax_layers.CALLS[kind](layer, layer.call)
    found = layer(x)
    assert found.dtype == expected.dtype
    close = 1e-5 if dtype == "float32" else 0.05
    numpy.testing.assert_allclose(
        found.astype("float32"), expected.astype("float32"), rtol=close, atol=close
    )


@pytest.mark.skipif(BACKEND != "jax", reason="JAX only")
@pytest.mark.parametrize("options", [{"kernel_size": 1}, {"dilation_rate": 2}, {"kernel_size": 9}])
def test_other_convolutions_are_left_alone(options):
    layer = keras.layers.Conv2D(**{"filters": 2, "kernel_size": 3, "padding": "same", **options})
    call = layer.call
    assert jax_layers.convolution(layer, call) is call


@pytest.mark.skipif(BACKEND != "jax", reason="JAX only")
def test_a_map_larger_than_the_kernel_stays_with_keras():
    import jax

    layer = keras.layers.Conv2D(2, 3, padding="same")
    layer.build((None, 8, 8, 3))
    layer.call = jax_layers.convolution(layer, layer.call)
    assert "conv_general_dilated" in str(jax.make_jaxpr(layer)(numbers(1, 8, 8, 3)))


@pytest.mark.skipif(BACKEND != "jax", reason="JAX only")
@pytest.mark.parametrize(
    ("size", "strides", "padding", "shape"),
    [
        (2, 2, "valid", (2, 6, 4, 3)),
        (2, 2, "valid", (2, 7, 5, 3)),  # the last row and column are in no window
        (2, 2, "same", (2, 7, 5, 3)),
        (3, 2, "valid", (2, 7, 9, 3)),
        (3, 2, "same", (2, 6, 7, 3)),
        ((2, 3), (2, 3), "valid", (1, 4, 6, 2)),
        (2, 3, "valid", (1, 8, 8, 2)),  # gaps between windows
        (3, 1, "same", (1, 4, 5, 2)),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_a_window_passes_its_gradient_to_its_first_largest_pixel(
    size, strides, padding, shape, dtype
):
    import jax

    layer = keras.layers.MaxPooling2D(size, strides, padding, dtype=dtype)
    before = layer.call
    layer.call = jax_layers.max_pooling(layer, before)
    assert layer.call is not before
    x = numpy.random.default_rng(0).integers(-3, 2, shape).astype("float32")  # many are equal
    y, of_input = jax.vjp(layer, x)
    weight = numpy.random.default_rng(1).integers(-9, 9, y.shape).astype(y.dtype)
    expected, largest = pooled_by_hand(x, numpy.asarray(weight, "float32"), layer)
    numpy.testing.assert_array_equal(numpy.asarray(y, "float32"), largest)
    numpy.testing.assert_array_equal(numpy.asarray(of_input(weight)[0], "float32"), expected)
    layer.call = before
    numpy.testing.assert_array_equal(of_input(weight)[0], jax.vjp(layer, x)[1](weight)[0])


@pytest.mark.skipif(BACKEND != "jax", reason="JAX only")
def test_a_window_with_nan_passes_no_gradient():
    import jax

    layer = keras.layers.MaxPooling2D(2)
    layer.call = jax_layers.max_pooling(layer, layer.call)
    x = numpy.array([[numpy.nan, 5, 1, 2], [1, 2, 3, 4]], "float32").reshape(1, 2, 4, 1)
    y, of_input = jax.vjp(layer, x)
    assert numpy.isnan(y[0, 0, 0, 0]) and y[0, 0, 1, 0] == 4
    gradient = numpy.asarray(of_input(numpy.ones_like(y))[0])
    assert gradient.reshape(2, 4).tolist() == [[0, 0, 0, 0], [0, 0, 0, 1]]


def pooled_by_hand(x, weight, layer):
    """The gradient of sum(weight * pooled) and the pooled values, window by window."""
    gradient, largest = numpy.zeros_like(x), numpy.zeros_like(weight)
    _, height, width, _ = x.shape
    before = [0, 0]
    if layer.padding == "same":
        for axis, side in enumerate((height, width)):
            step, size = layer.strides[axis], layer.pool_size[axis]
            before[axis] = max((-(-side // step) - 1) * step + size - side, 0) // 2
    for n, row, column, c in numpy.ndindex(*weight.shape):
        top = row * layer.strides[0] - before[0]
        left = column * layer.strides[1] - before[1]
        window = [
            (i, j)
            for i in range(max(0, top), min(height, top + layer.pool_size[0]))
            for j in range(max(0, left), min(width, left + layer.pool_size[1]))
        ]
        first = max(window, key=lambda place: x[n, *place, c])  # the first of several
        gradient[n, *first, c] += weight[n, row, column, c]
        largest[n, row, column, c] = x[n, *first, c]
    return gradient, largest


@pytest.mark.skipif(BACKEND != "jax", reason="JAX only")
def test_pooling_of_channels_first_is_left_alone():
    layer = keras.layers.MaxPooling2D(2, data_format="channels_first")
    call = layer.call
    assert jax_layers.max_pooling(layer, call) is call


@pytest.mark.parametrize(
    ("environment", "own"),
    [
        ({}, False),
        ({"HOME": "/malloc"}, False),
        ({"MALLOC_ARENA_MAX": "2"}, True),
        ({"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=1"}, True),
        ({"GLIBC_TUNABLES": "glibc.rtld.nns=2"}, False),
    ],
)
def test_the_users_own_settings_of_the_allocator_are_left_alone(environment, own):
    assert machine._allocator_is_set(environment) is own
