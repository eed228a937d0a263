"""The training step as a CUDA graph, with a recorder that works without a GPU."""

import logging

import keras
import numpy
import pytest

if keras.config.backend() != "torch":
    pytest.skip("torch only", allow_module_level=True)
import torch

from kerasdl.backend.tuning import torch_capture

pytestmark = pytest.mark.backend


def captured(recorder=None):
    """A captured step, its loss the sum of the inputs, and the sums it computed call by call."""
    seen = []

    def step(data):
        (x, y, weight) = data[0]
        seen.append(float(x.sum()))
        return {"loss": x.sum()}

    def record(step, batch):
        logs = {"loss": torch.zeros(())}

        def replay():
            logs["loss"].copy_(batch[0].sum())

        return replay, logs

    return torch_capture.CapturedStep(step, lambda step, data: step(data), recorder or record), seen


def batch(value, size=2):
    return [(torch.full((size, 3), float(value)), torch.zeros(size), None)]


def test_after_a_few_steps_the_recording_runs_on_each_new_batch():
    step, seen = captured()
    losses = [step(batch(value))["loss"] for value in range(6)]
    # Each batch has six equal values; the logs of earlier steps keep theirs.
    assert [float(loss) for loss in losses] == [0, 6, 12, 18, 24, 30]
    assert seen == [0, 6, 12]


def test_metrics_with_several_values():
    step, _ = captured(lambda step, batch: (lambda: None, {"iou": {"mean": torch.ones(())}}))
    for value in range(4):
        logs = step(batch(value))
    assert float(logs["iou"]["mean"]) == 1


def test_a_batch_of_another_shape_runs_call_by_call():
    step, seen = captured()
    for value in range(4):
        step(batch(value))
    assert float(step(batch(5, size=1))["loss"]) == 15
    assert float(step(batch(7))["loss"]) == 42
    assert seen == [0, 6, 12, 15]


def test_a_step_that_cannot_be_recorded_goes_on_call_by_call(caplog):
    def refuse(step, batch):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    step, seen = captured(refuse)
    with caplog.at_level(logging.WARNING, "kerasdl"):
        losses = [float(step(batch(value))["loss"]) for value in range(6)]
    assert losses == [0, 6, 12, 18, 24, 30] == seen
    assert [record.getMessage() for record in caplog.records] == [
        "the training step cannot be a CUDA graph and runs call by call: operation not permitted "
        "when stream is capturing"
    ]


def test_without_memory_for_a_recording_steps_run_call_by_call():
    def fill(step, batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    step, seen = captured(fill)
    assert [float(step(batch(value))["loss"]) for value in range(6)] == seen
    assert len(seen) == 6


def test_arrays_are_recorded_too():
    """As `train_on_batch` passes them, by which steps are measured."""
    step, seen = captured()
    arrays = [[(numpy.full((2, 3), value, "float32"), numpy.zeros(2), None)] for value in range(5)]
    assert [float(step(each)["loss"]) for each in arrays] == [0, 6, 12, 18, 24]
    assert seen == [0, 6, 12]


@pytest.mark.parametrize("value", [2, 2.5, True, (3, 4), ((1.5, 2), (3, 4)), ()])
def test_numbers_become_the_same_tensors_without_a_copy(value):
    options = {"dtype": torch.float32} if numpy.size(value) != 1 else {}
    expected = torch.as_tensor(value, **options)
    with torch_capture._constants():
        found = torch.as_tensor(value, **options)
    assert found.dtype == expected.dtype
    assert torch.equal(found, expected)


def test_without_a_gpu_nothing_is_captured():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    torch_capture.capture(model)
    assert model.train_function is None
