"""What `auto` means here, what a processor cannot do, and that float32 stays where it must."""

import importlib.metadata

import keras
import numpy
import pytest

from kerasdl import backend, losses, models
from kerasdl.backend import machine, precision, recommendation
from kerasdl.core.errors import ConfigError
from kerasdl.engine import run
from kerasdl.engine.optimizers import SGD
from kerasdl.runs import config as configuration

BACKEND = keras.config.backend()
# A side of 9 is no multiple of any stride, so every network pads and crops.
NETWORKS = {
    "resnet18": ("resnet18", (9, 8, 3), {}),
    "fcn8": ("fcn8", (9, 8, 3), {"stem": "small"}),
    "unet": ("unet", (9, 8, 3), {"filters": 2, "depth": 1}),
}


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """An empty settings folder, and a processor without bfloat16."""
    monkeypatch.setenv("KERASDL_SETTINGS", str(tmp_path))
    monkeypatch.setattr(precision, "gpu_capability", lambda name: None)
    monkeypatch.setattr(machine, "bfloat16_in_hardware", lambda: False)
    return tmp_path


@pytest.fixture
def policy():
    """Sets the policy of new layers until the end of the test."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("flag", ["avx512_bf16", "amx_bf16"])
def test_bfloat16_is_read_from_the_flags(flag):
    assert machine.bfloat16_in_hardware(f"processor : 0\nflags\t\t: fpu avx2 {flag} sse")
    assert not machine.bfloat16_in_hardware("processor : 0\nflags\t\t: fpu avx512f avx512_vnni")
    assert machine.bfloat16_in_hardware("Features\t: fp asimd bf16")
    assert not machine.bfloat16_in_hardware("")


def test_the_machine_is_called_by_its_processor():
    assert machine.cpu_name("model name\t: AMD  EPYC 7763\nmodel name\t: other") == "AMD EPYC 7763"


@pytest.mark.parametrize(
    ("name", "capability", "hardware", "expected"),
    [
        ("tensorflow", None, True, "mixed_bfloat16"),
        ("torch", None, True, "mixed_bfloat16"),
        ("jax", None, True, "float32"),  # slower there than float32
        ("tensorflow", None, False, "float32"),
        ("jax", (8, 0), False, "mixed_bfloat16"),
        ("torch", (7, 5), True, "float32"),  # the GPU computes, not the processor
    ],
)
def test_auto_without_a_measurement(settings, monkeypatch, name, capability, hardware, expected):
    monkeypatch.setattr(precision, "gpu_capability", lambda name: capability)
    monkeypatch.setattr(machine, "bfloat16_in_hardware", lambda: hardware)
    assert precision.resolve("auto", name) == expected


@pytest.mark.parametrize(
    ("trained", "name", "capability", "hardware", "expected"),
    [
        ("float32", "torch", (8, 0), True, "float32"),
        ("mixed_bfloat16", "torch", (8, 0), False, "mixed_bfloat16"),
        ("mixed_bfloat16", "torch", None, True, "mixed_bfloat16"),
        ("mixed_bfloat16", "torch", None, False, "float32"),  # trained on a GPU, used on a laptop
        ("mixed_bfloat16", "tensorflow", (7, 5), True, "float32"),
        ("mixed_float16", "torch", (7, 5), False, "mixed_float16"),
        ("mixed_float16", "torch", None, True, "float32"),
    ],
)
def test_no_precision_is_emulated_in_prediction(
    monkeypatch, trained, name, capability, hardware, expected
):
    monkeypatch.setattr(precision, "gpu_capability", lambda name: capability)
    monkeypatch.setattr(machine, "bfloat16_in_hardware", lambda: hardware)
    assert precision.for_inference(trained, name) == expected


def test_auto_follows_the_recommendation_of_this_machine_only(settings, monkeypatch):
    entry = {"backend": "torch", "precisions": {"torch": "mixed_bfloat16"}}
    assert recommendation.write(entry) == settings / "benchmark.json"
    assert recommendation.read() == entry
    assert precision.resolve("auto", "torch") == "mixed_bfloat16"
    assert precision.resolve("auto", "jax") == "float32"
    assert precision.resolve("float32", "torch") == "float32"
    monkeypatch.setattr(machine, "description", lambda: "another machine")
    assert recommendation.read() == {}
    recommendation.write({"backend": "jax", "precisions": {}})
    monkeypatch.undo()
    monkeypatch.setenv("KERASDL_SETTINGS", str(settings))
    assert recommendation.read() == entry  # the other machine's entry did not replace it


@pytest.mark.parametrize("text", ["{", "[]", '{"machines": 3}', '{"machines": {}}'])
def test_a_damaged_recommendation_is_none(settings, text):
    (settings / "benchmark.json").write_text(text)
    assert recommendation.read() == {}


def test_a_recommendation_of_something_unknown_is_none(settings, caplog):
    recommendation.write({"backend": "thaeno", "precisions": {}})
    assert recommendation.read() == {}
    assert "kerasdl benchmark rewrites it" in caplog.text


def test_the_backend_follows_recommendation_and_variable(settings, monkeypatch):
    monkeypatch.setattr(backend, "installed", lambda: [*({BACKEND, "jax"})])
    recommendation.write({"backend": BACKEND, "precisions": {}})
    monkeypatch.delenv("KERAS_BACKEND")
    assert backend.choose("auto") == BACKEND
    recommendation.write({"backend": "tensorflow", "precisions": {}})
    monkeypatch.setattr(backend, "installed", lambda: [BACKEND])  # not among them, or itself
    monkeypatch.delenv("KERAS_BACKEND")
    assert backend.choose("auto") == BACKEND


def test_float16_is_refused_on_processors(settings, monkeypatch):
    with pytest.raises(ConfigError, match="'mixed_float16' needs a GPU.*use mixed_bfloat16"):
        precision.resolve("mixed_float16", BACKEND)
    monkeypatch.setattr(precision, "gpu_capability", lambda name: (7, 0))
    assert precision.resolve("mixed_float16", BACKEND) == "mixed_float16"


def test_a_run_that_has_begun_keeps_its_precision(settings, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    folder.mkdir()
    auto = configuration.Config(**{"precision": "auto"})
    assert run.as_stored(auto, BACKEND, folder).precision == "float32"
    (folder / "config.toml").write_text('precision = "mixed_bfloat16"\n')
    assert run.as_stored(auto, BACKEND, folder).precision == "mixed_bfloat16"
    assert run.as_stored(auto, BACKEND, folder, overwrite=True).precision == "float32"
    # A precision by name is what it says; `claim` then refuses the folder.
    assert run.as_stored(configuration.Config(**{}), BACKEND, folder).precision == "float32"


def test_a_run_that_has_begun_keeps_its_backend(settings, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        backend, "choose", lambda name, deterministic: asked.append(name) or BACKEND
    )
    monkeypatch.setattr(backend, "installed", lambda: ["jax", "torch"])
    (tmp_path / "config.toml").write_text("")
    auto, named = configuration.Config(**{}), configuration.Config(**{"backend": "jax"})
    for stored in ("torch", "tensorflow"):  # the latter has been uninstalled since
        (tmp_path / "environment.json").write_text(f'{{"backend": "{stored}"}}')
        monkeypatch.delenv("KERAS_BACKEND", raising=False)
        run.chosen_backend(auto, tmp_path)
    run.chosen_backend(named, tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", "jax")  # `choose` reads it
    run.chosen_backend(auto, tmp_path)
    assert asked == ["torch", "auto", "jax", "auto"]


@pytest.mark.parametrize("name", ["mixed_bfloat16", "mixed_float16"])
def test_outputs_losses_and_metrics_stay_float32(policy, name):
    policy(name)
    for network, shape, options in NETWORKS.values():
        model = models.build(network, shape, 2, **options)
        assert model.output.dtype == "float32"
        assert {weight.dtype for weight in model.weights} == {"float32"}
        inner = [layer.compute_dtype for layer in model.layers if "convolution" in layer.name]
        assert set(inner) == {name.removeprefix("mixed_")}
    for loss in ("crossentropy", "dice", "focal", "crossentropy+dice"):
        value = losses.build(loss)(numpy.zeros((1, 2, 2), int), numpy.ones((1, 2, 2, 2), "float16"))
        assert keras.backend.standardize_dtype(value.dtype) == "float32"
    from kerasdl.metrics.confusion import MeanIoU
    from kerasdl.metrics.psnr import PSNR
    from kerasdl.metrics.ssim import SSIM

    for metric in (MeanIoU(2), PSNR(), SSIM()):
        assert not {v.dtype for v in metric.variables} & {"float16", "bfloat16"}


def test_float16_gradients_are_scaled_and_the_scale_survives_a_file(policy, tmp_path):
    policy("mixed_float16")

    def compiled():
        inputs = keras.Input((4,))
        small = keras.initializers.Constant(0.1)  # larger weights can overflow at the first scale
        hidden = keras.layers.Dense(3, kernel_initializer=small)(inputs)
        outputs = keras.layers.Dense(2, kernel_initializer=small, dtype="float32")(hidden)
        model = keras.Model(inputs, outputs)
        model.compile(SGD(0.1, 0.9, 0.01), keras.losses.MeanSquaredError())
        return model

    x, y = numpy.ones((2, 4), "float32"), numpy.zeros((2, 2), "float32")
    first = compiled()
    assert type(first.optimizer).__name__ == "LossScaleOptimizer"
    assert type(first.optimizer.inner_optimizer) is SGD
    before = float(first.evaluate(x, y, verbose=0))
    for _ in range(3):
        first.train_on_batch(x, y)
    assert float(first.evaluate(x, y, verbose=0)) < before
    assert float(keras.ops.convert_to_numpy(first.optimizer.dynamic_scale)) == 2.0**15
    assert int(first.optimizer.step_counter) == 3
    first.save(tmp_path / "model.keras")
    second = compiled()
    second.optimizer.build(second.trainable_variables)
    second.load_weights(tmp_path / "model.keras")
    assert int(second.optimizer.iterations) == int(first.optimizer.iterations) == 3
    assert int(second.optimizer.step_counter) == 3
    for model in (first, second):  # and the next step is the same
        model.train_on_batch(x, y)
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        numpy.testing.assert_array_equal(a, b)


WITHOUT_YNNPACK = "--xla_cpu_experimental_ynn_fusion_type=-individual_convolution"


@pytest.mark.parametrize(
    ("plugins", "deterministic", "before", "after"),
    [
        ((), True, None, WITHOUT_YNNPACK),
        ((), True, "--own", "--own"),
        (("jax_plugins",), True, None, "--xla_gpu_deterministic_ops=true"),
        (("jax_plugins",), True, "--own", "--own"),
        (("jax_plugins",), False, None, None),
    ],
)
def test_jax_gets_the_flags_of_its_device(
    settings, monkeypatch, plugins, deterministic, before, after
):
    import importlib.util
    import os
    import sys
    import types

    found = (*backend.BACKENDS, *plugins)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name in found or None)
    without = {name: each for name, each in sys.modules.items() if name not in ("jax", "keras")}
    monkeypatch.setattr(backend, "sys", types.SimpleNamespace(modules=without))
    monkeypatch.setenv("KERAS_BACKEND", BACKEND)  # put back at the end
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.10.2")
    if before is not None:
        monkeypatch.setenv("XLA_FLAGS", before)
    assert backend.choose("jax", deterministic) == "jax"
    assert os.environ.get("XLA_FLAGS") == after
    os.environ.pop("XLA_FLAGS", None)


@pytest.mark.parametrize(
    ("jaxlib", "known"), [("0.8.3", False), ("0.9.0.1", True), ("0.12.0", True), ("0.13", False)]
)
def test_an_unknown_flag_would_end_the_process(jaxlib, known, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: jaxlib)
    assert backend.jax_flags(True, True) == (WITHOUT_YNNPACK if known else "")
