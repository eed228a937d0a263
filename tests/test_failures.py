import errno
import math

import keras
import pytest

from kerasdl.core.errors import DataError, TrainingFailed, WriteError
from kerasdl.engine.callbacks import StopOnBadLoss
from kerasdl.engine.failures import training_errors


def backend_error():
    """Out of memory as the backend under test raises it."""
    if keras.config.backend() == "tensorflow":
        import tensorflow

        return tensorflow.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
    if keras.config.backend() == "torch":
        import torch

        return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    import jax

    return jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes.")


@pytest.mark.parametrize(
    "make",
    [
        backend_error,
        lambda: MemoryError(),
        lambda: RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
    ],
)
def test_out_of_memory_names_what_to_make_smaller(make):
    with pytest.raises(TrainingFailed) as caught:
        with training_errors("runs/a", batch_size=128, image_size=(64, 96)):
            raise make()
    assert caught.value.exit_code == 5
    assert str(caught.value) == (
        "out of memory: runs/a "
        "(try a smaller --batch-size, now 128 or a smaller --image-size, now 64x96)"
    )


@pytest.mark.parametrize(
    ("number", "fix"), [(errno.ENOSPC, "free some space"), (errno.EROFS, "writable folder")]
)
def test_a_full_or_read_only_disk_is_not_a_defect(number, fix):
    with pytest.raises(WriteError, match=f"the error.: runs/a/figure.png .*{fix}"):
        with training_errors("runs/a"):
            raise OSError(number, "the error", "runs/a/figure.png")


def test_out_of_memory_for_a_image():
    with pytest.raises(TrainingFailed, match="out of memory.*try smaller images"):
        with training_errors("runs/a"):
            raise MemoryError


@pytest.mark.parametrize("error", [ValueError("shapes"), DataError("bad", "a.png"), KeyError(1)])
def test_other_errors_pass_unchanged(error):
    with pytest.raises(type(error)) as caught:
        with training_errors("runs/a", 1, (8, 8)):
            raise error
    assert caught.value is error


@pytest.mark.parametrize("loss", [math.nan, math.inf])
@pytest.mark.parametrize("last", [False, True])
def test_a_loss_that_is_not_finite_ends_training_and_names_its_batch(loss, last):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.25), "mse")
    guard = StopOnBadLoss()
    guard.set_model(model)
    guard.on_epoch_begin(4)
    guard.on_train_batch_end(1, {"loss": 3.0})
    guard.on_train_batch_end(2, {"loss": loss})
    with pytest.raises(
        TrainingFailed, match="in epoch 5, batch 3, at learning rate 0.25"
    ) as caught:
        guard.on_epoch_end(4, {}) if last else guard.on_train_batch_end(3, {"loss": 3.0})
    assert caught.value.exit_code == 5
    assert "the last finished epoch" in caught.value.fix


def test_a_first_epoch_that_fails_promises_nothing_kept():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.25), "mse")
    guard = StopOnBadLoss()
    guard.set_model(model)
    guard.on_epoch_begin(0)
    guard.on_train_batch_end(0, {"loss": math.nan})
    with pytest.raises(TrainingFailed) as caught:
        guard.on_epoch_end(0, {})
    assert caught.value.fix == "try a smaller --learning-rate"
