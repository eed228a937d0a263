"""Expensive metrics are skipped in training steps and measured in validation, on every backend."""

import keras
import numpy
import pytest

from kerasdl.metrics.base import (
    ExpensiveMetricsInValidationOnly,
    ImageMean,
    gated_names,
    open_gates,
)
from kerasdl.metrics.confusion import MeanIoU
from kerasdl.metrics.psnr import PSNR
from kerasdl.metrics.ssim import SSIM


class Counting(ImageMean):
    """Mean of the truth that counts in Python how often its work was really done."""

    def __init__(self):
        super().__init__(self.count, "counting")
        self.calls = []

    def count(self, y_true, y_pred):
        scores = keras.ops.mean(y_true, axis=(1, 2, 3))
        backend = keras.backend.backend()
        if backend == "tensorflow":
            import tensorflow

            def note(values):
                self.calls.append(len(values))
                return values

            counted = tensorflow.numpy_function(note, [scores], tensorflow.float32)
            return keras.ops.reshape(counted, (-1,))
        if backend == "jax":
            import jax

            jax.debug.callback(lambda values: self.calls.append(len(values)), scores)
        elif scores.device.type != "meta":  # Keras builds models with tensors without values
            self.calls.append(len(scores))
        return scores


def model_and_data(metrics):
    inputs = keras.Input((12, 12, 3))
    outputs = keras.layers.Conv2D(3, 1)(inputs)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.01), "mae", metrics=metrics)
    images = numpy.random.default_rng(0).random((10, 12, 12, 3), dtype="float32")
    return model, images


def flush():
    if keras.backend.backend() == "jax":
        import jax

        jax.effects_barrier()


def test_the_work_is_done_in_validation_only():
    metric = Counting()
    model, images = model_and_data([metric])
    model.predict(images[:1], verbose=0)
    metric.calls.clear()
    history = model.fit(
        images,
        images,
        batch_size=4,
        epochs=2,
        validation_data=(images[:6], images[:6]),
        validation_batch_size=4,
        callbacks=[ExpensiveMetricsInValidationOnly([metric])],
        verbose=0,
    ).history
    flush()
    # Two validations of 6 images in batches of 4 and 2; not one training step.
    assert sorted(metric.calls) == [2, 2, 4, 4]
    assert history["counting"] == [0.0, 0.0]
    assert history["val_counting"] == pytest.approx([images[:6].mean()] * 2, rel=1e-5)
    # Afterwards the gate is open again.
    logs = model.evaluate(images, images, batch_size=4, verbose=0, return_dict=True)
    assert logs["counting"] == pytest.approx(images.mean(), rel=1e-5)


def test_without_the_callback_training_is_measured_too():
    metric = Counting()
    model, images = model_and_data([metric])
    history = model.fit(images, images, batch_size=4, verbose=0).history
    assert history["counting"] == pytest.approx([images.mean()], rel=1e-5)


def test_switching_with_all_metrics():
    metrics = [PSNR(), SSIM()]
    model, images = model_and_data(metrics)
    callback = ExpensiveMetricsInValidationOnly([*metrics, keras.metrics.Mean()])
    history = model.fit(
        images,
        images,
        batch_size=4,
        epochs=2,
        validation_data=(images, images),
        callbacks=[callback],
        verbose=0,
    ).history
    logs = model.evaluate(images, images, verbose=0, return_dict=True)
    for name in ("psnr", "ssim"):
        assert history[name] == [0.0, 0.0]
        assert history[f"val_{name}"][-1] == pytest.approx(logs[name], rel=1e-5)
        assert logs[name] != 0


def test_reset_keeps_the_gate_and_closing_it_is_reversible():
    metric = PSNR()
    images = numpy.zeros((2, 4, 4, 3), "float32")
    open_gates([metric], False)
    metric.reset_state()
    metric.update_state(images, images)
    assert float(metric.result()) == 0.0
    open_gates([metric])
    metric.update_state(images, images + 0.1)
    assert float(metric.result()) == pytest.approx(20.0, abs=1e-3)
    metric.reset_state()
    assert float(metric.result()) == 0.0


def test_names_of_the_gated_values():
    metrics = [MeanIoU(3), PSNR(name="peak"), SSIM(gated=False), keras.metrics.Mean()]
    assert gated_names(metrics) == ("mean_iou", "pixel_accuracy", "peak")
    callback = ExpensiveMetricsInValidationOnly(metrics)
    callback.on_epoch_begin(0)
    assert [int(metric.gate.numpy()) for metric in metrics[:3]] == [0, 0, 1]


def test_a_monitor_in_mode_auto_knows_the_direction():
    """Keras raises at the end of the first epoch for metrics that do not tell it."""
    model, images = model_and_data([PSNR()])
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="val_psnr", mode="auto", patience=1)
    model.fit(images, images, validation_data=(images, images), callbacks=[plateau], verbose=0)
    assert plateau.monitor_op(2.0, 1.0)


def test_variables_are_float32_or_integers_under_mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        metrics = [PSNR(), SSIM(), MeanIoU(3)]
        model, images = model_and_data(metrics[:2])
        model.evaluate(images, images, verbose=0)
    finally:
        keras.config.set_dtype_policy(before)
    for metric in metrics:
        assert {variable.dtype for variable in metric.variables} <= {"float32", "int32"}
