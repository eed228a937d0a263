"""SGD with coupled weight decay against torch.optim.SGD and hand arithmetic."""

import keras
import numpy
import pytest

from kerasdl.backend.tuning import updates
from kerasdl.engine.optimizers import SGD

GRADIENTS = [[0.1, -0.2, 0.3], [0.2, 0.1, -0.1], [0.0, 0.0, 0.0], [-0.3, 0.2, 0.1]]
START = [1.0, -2.0, 0.5]


def steps(optimizer, gradients=GRADIENTS):
    variable = keras.Variable(numpy.array(START, "float32"))
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient, dtype="float32")], [variable])
    return keras.ops.convert_to_numpy(variable.value)


def test_hand_arithmetic():
    # g = 0.1 + 0.5 * 1 = 0.6, m = -0.06, v = 0.94;
    # g = 0.2 + 0.5 * 0.94 = 0.67, m = 0.9 * -0.06 - 0.067 = -0.121, v = 0.819.
    result = steps(SGD(0.1, momentum=0.9, weight_decay=0.5), GRADIENTS[:2])
    assert result[0] == pytest.approx(0.819, abs=1e-6)


def reference(values, gradients, rate, momentum, decays, nesterov):
    """What `torch.optim.SGD` makes of lists of arrays.

    Elsewhere than on torch by its documentation's formulas: CUDA builds of torch, imported by
    torch.optim beside TensorFlow, end the process (triton's library).
    """
    if keras.config.backend() == "torch":
        import torch

        parameters = [torch.nn.Parameter(torch.tensor(value)) for value in values]
        groups = [
            {"params": [parameter], "weight_decay": decay}
            for parameter, decay in zip(parameters, decays, strict=True)
        ]
        optimizer = torch.optim.SGD(groups, rate, momentum=momentum, nesterov=nesterov)
        for step in gradients:
            for parameter, gradient in zip(parameters, step, strict=True):
                parameter.grad = torch.tensor(gradient)
            optimizer.step()
        return [parameter.detach().numpy() for parameter in parameters]
    found = []
    for number, (value, decay) in enumerate(zip(values, decays, strict=True)):
        value, buffer = numpy.array(value, "float64"), None
        for step in gradients:
            gradient = step[number] + decay * value
            buffer = gradient if buffer is None else momentum * buffer + gradient
            value = value - rate * (gradient + momentum * buffer if nesterov else buffer)
        found.append(value)
    return found


@pytest.fixture(params=[False, True], ids=["cpu", "gpu"])
def on_gpu(request, monkeypatch):
    """Whether torch takes the update that never waits for the GPU; it computes anywhere."""
    if request.param and keras.config.backend() != "torch":
        pytest.skip("torch only")
    monkeypatch.setattr(updates, "on_gpu", lambda tensors: request.param)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 1e-40, 0.9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
def test_equals_torch(momentum, weight_decay, nesterov, on_gpu):
    if nesterov and not momentum:
        pytest.skip("torch refuses Nesterov without momentum")
    start = numpy.array(START, "float32")
    gradients = [[numpy.array(gradient, "float32")] for gradient in GRADIENTS]
    (expected,) = reference([start], gradients, 0.1, momentum, [weight_decay], nesterov)
    mine = steps(SGD(0.1, momentum, weight_decay, nesterov))
    numpy.testing.assert_allclose(mine, expected, atol=1e-6)


@pytest.mark.parametrize("nesterov", [False, True])
def test_any_order_in_memory_and_decay_of_kernels_only(nesterov, on_gpu):
    """A kernel kept in PyTorch's order, its gradient in Keras'; a vector that does not decay."""
    random = numpy.random.default_rng(0)
    values = [random.normal(size=shape).astype("float32") for shape in ((2, 3), (3,))]
    gradients = [[random.normal(size=v.shape).astype("float32") for v in values] for _ in range(3)]
    optimizer = SGD(0.1, 0.9, 0.3, nesterov, decay_norm_and_bias=False)
    variables = [keras.Variable(value) for value in values]
    optimizer.build(variables)
    if keras.config.backend() == "torch":
        for variable in (variables[0], optimizer.momentums[0]):
            variable.value.data = variable.value.data.t().contiguous().t()
    for step in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in step], variables)
    expected = reference(values, gradients, 0.1, 0.9, [0.3, 0.0], nesterov)
    for value, variable in zip(expected, variables, strict=True):
        mine = keras.ops.convert_to_numpy(variable.value)
        numpy.testing.assert_allclose(mine, value, atol=1e-6)


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
@pytest.mark.parametrize("compiling", [False, True])
def test_the_update_in_few_passes_is_taken(backend, compiling, monkeypatch):
    if keras.config.backend() != backend:
        pytest.skip(f"{backend} only")
    if compiling:
        if backend != "torch":
            pytest.skip("torch.compile joins the formulas itself")
        monkeypatch.setattr("torch.compiler.is_compiling", lambda: True)
    name = f"{backend}_momentum"
    function, taken = getattr(updates, name), []
    monkeypatch.setattr(updates, name, lambda *v: taken.append(function(*v)) or taken[-1])
    # g = 0.1 + 0.5 * 1 = 0.6, m = -0.06
    assert steps(SGD(0.1, momentum=0.9, weight_decay=0.5), GRADIENTS[:1])[0] == pytest.approx(0.94)
    assert taken == [not compiling]


def test_variables_of_another_precision():
    variable = keras.Variable(numpy.array([1.0]), dtype="float16")
    optimizer = SGD(0.5, 0.5, 0.5)
    for _ in range(2):
        optimizer.apply([keras.ops.convert_to_tensor([1.0], dtype="float16")], [variable])
    # g = 1.5, m = -0.75, v = 0.25; g = 1.125, m = -0.375 - 0.5625, v = -0.6875
    assert float(keras.ops.convert_to_numpy(variable.value)[0]) == -0.6875


def test_keras_own_weight_decay_is_another_method():
    mine = steps(SGD(0.1, momentum=0.9, weight_decay=0.05))
    theirs = steps(keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.05))
    assert numpy.abs(mine - theirs).max() > 1e-3


def test_clipping_comes_before_the_decay_as_in_torch():
    # The gradient of norm 5 is clipped to norm 1; the decay 0.5 v is added whole.
    optimizer = SGD(1.0, weight_decay=0.5, global_clipnorm=1.0)
    result = steps(optimizer, [[3.0, 0.0, 4.0]])
    numpy.testing.assert_allclose(result, [1 - 0.6 - 0.5, -2 + 1, 0.5 - 0.8 - 0.25], atol=1e-6)


def model_and_data():
    inputs = keras.Input((4,))
    outputs = keras.layers.Dense(1)(keras.layers.BatchNormalization()(inputs))
    model = keras.Model(inputs, outputs)
    random = numpy.random.default_rng(0)
    model.layers[-1].set_weights([random.normal(size=(4, 1)), numpy.zeros(1)])
    images = random.normal(size=(16, 4)).astype("float32")
    return model, images, images.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("options", [{}, {"gradient_accumulation_steps": 2}])
def test_fit_equals_a_loss_with_the_penalty_written_out(options):
    """The decay is the gradient of wd/2 sum(v^2), on every trainable variable."""
    decayed, images, targets = model_and_data()
    decayed.compile(SGD(0.1, 0.9, 0.1, **options), "mse")
    decayed.fit(images, targets, batch_size=8, epochs=3, shuffle=False, verbose=0)

    penalized, images, targets = model_and_data()
    half = keras.regularizers.L2(0.05)
    for layer in penalized.layers[1:]:
        for variable in layer.trainable_variables:
            variable.regularizer = half
    penalized.compile(keras.optimizers.SGD(0.1, 0.9, **options), "mse")
    penalized.fit(images, targets, batch_size=8, epochs=3, shuffle=False, verbose=0)
    for one, other in zip(decayed.get_weights(), penalized.get_weights(), strict=True):
        numpy.testing.assert_allclose(one, other, atol=1e-5)


def test_saved_model_keeps_decay_and_momentum(tmp_path):
    model, images, targets = model_and_data()
    model.compile(SGD(0.1, 0.9, 0.1), "mse")
    model.fit(images, targets, batch_size=8, epochs=2, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again.optimizer, SGD)
    assert again.optimizer.get_config()["weight_decay"] == 0.1
    for one in (model, again):
        one.fit(images, targets, batch_size=8, epochs=2, shuffle=False, verbose=0)
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        numpy.testing.assert_array_equal(one, other)


def test_loss_scaling_of_half_precision_leaves_the_decay_alone():
    weights = []
    for scaled in (False, True):
        model, images, targets = model_and_data()
        optimizer = SGD(0.1, 0.9, 0.1)
        if scaled:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1024.0)
        model.compile(optimizer, "mse")
        model.fit(images, targets, batch_size=8, epochs=2, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        numpy.testing.assert_allclose(one, other, atol=1e-6)


def test_one_variable_decays_by_hand():
    """The step of a single variable, which not every backend takes in training."""
    optimizer, variable = SGD(0.1, weight_decay=0.2), keras.Variable([2.0])
    optimizer.build([variable])
    optimizer.update_step(keras.ops.convert_to_tensor([1.0]), variable, 0.1)
    # 2 - 0.1 (1 + 0.2 * 2)
    assert float(keras.ops.convert_to_numpy(variable)[0]) == pytest.approx(1.86)
