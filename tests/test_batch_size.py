"""`--batch-size auto`: the search, with the errors that the backends raise on a full GPU."""

import math

import keras
import pytest

import kerasdl
from kerasdl.backend import precision
from kerasdl.core.errors import ConfigError, TrainingFailed
from kerasdl.data.pipeline.batches import Batches
from kerasdl.engine import batch_size, datasets, planning
from kerasdl.runs import config as configuration
from kerasdl.runs.auto import Times
from kerasdl.runs.config import Config
from kerasdl.tools.sweep import plan as sweep


def out_of_memory():
    """What the running backend raises if an allocation on a GPU fails."""
    if keras.config.backend() == "torch":
        import torch

        return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    if keras.config.backend() == "jax":
        import jax

        return jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to ...")
    import tensorflow

    return tensorflow.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


def attempts(capacity):
    """A training step that fits up to `capacity` images, and the sizes it was asked for."""
    asked = []

    def attempt(size):
        asked.append(size)
        if size > capacity:
            raise out_of_memory()

    return attempt, asked


@pytest.mark.parametrize(
    ("capacity", "most", "found", "tried"),
    [
        (100, 10_000, 64, [8, 16, 32, 64, 128]),
        (64, 10_000, 64, [8, 16, 32, 64, 128]),
        (8, 10_000, 8, [8, 16]),
        (3, 10_000, 2, [8, 4, 2]),  # 4 is not tried twice
        (10_000, 50, 32, [8, 16, 32]),
        (10_000, 5, 4, [4]),
        (1, 1, 1, [1]),
    ],
)
def test_the_largest_power_of_two_is_found(capacity, most, found, tried):
    attempt, asked = attempts(capacity)
    assert batch_size.largest(attempt, most) == found
    assert asked == tried


def test_other_errors_are_not_taken_for_a_full_memory():
    with pytest.raises(TrainingFailed, match="out of memory with a single image"):
        batch_size.largest(attempts(0)[0], 100)

    def broken(size):
        raise ValueError("shapes differ")

    with pytest.raises(ValueError, match="shapes differ"):
        batch_size.largest(broken, 100)


TINY = {"task": "segmentation", "model_args": {"filters": 2, "depth": 1}, "image_size": 32,
        "train_size": 20, "validation_size": 2, "test_size": 2, "epochs": 1}  # fmt: skip


@pytest.fixture
def gpu(monkeypatch):
    """As on a GPU with memory for 8 images; the sizes that were tried."""
    attempt, asked = attempts(8)

    def measure(config, dataset):
        attempt(config.batch_size)
        assert math.prod(config.image_size) == 32 * 32
        return Times(1.0, 1.0, 1.0, 1.0)

    monkeypatch.setattr(precision, "gpu_capability", lambda engine: (9, 0))
    monkeypatch.setattr(planning, "measure", measure)
    return asked


def test_a_run_keeps_the_size_that_was_found(gpu, tmp_path, caplog):
    config, engine = Config(**TINY, batch_size="auto"), keras.config.backend()
    dataset = datasets.load(config)
    with caplog.at_level("INFO", "kerasdl"):
        found, _ = planning.settle(config, dataset, engine, tmp_path)
    assert gpu == [8, 16] and found == Config(**TINY, batch_size=8)
    assert "batches of 8 (the largest power of two" in caplog.text
    # The recipe is asked again: the rate of `fast` follows from the size.
    fast = Config(**TINY, batch_size="auto", recipe="fast")
    assert planning.settle(fast, dataset, engine)[0].learning_rate == pytest.approx(0.1 * 8 / 128)
    gpu.clear()
    stored = Config(**TINY, batch_size=4)
    (tmp_path / "config.toml").write_text(configuration.dump(stored))
    assert planning.settle(config, dataset, engine, tmp_path)[0] == stored
    assert gpu == []


def test_what_cannot_be_decided_is_said(tmp_path):
    auto = {**TINY, "batch_size": "auto"}
    with pytest.raises(ConfigError, match="GPU, .* runs on the CPU here .--batch-size NUMBER"):
        kerasdl.train(Config(**auto), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="'batch_size' must be an integer or auto, received 'x'"):
        Config(batch_size="x")
    assert Config(batch_size="16").batch_size == 16
    for key, value in (("distribute", "data"), ("time_budget", 60)):
        with pytest.raises(ConfigError, match=f"batch size 'auto' with '{key}'"):
            Config(**auto, recipe="auto", **{key: value})
    with pytest.raises(ConfigError, match="batch size 'auto' cannot be used with sweep"):
        sweep.plan(TINY, ["batch_size=auto,8"], 1, tmp_path / "sweep")
    with pytest.raises(ConfigError, match="is for train, plan and lr-find"):
        Batches([], None, None, 0, 0)
