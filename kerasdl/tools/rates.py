"""A learning rate range test from a configuration."""

from kerasdl import backend
from kerasdl.backend import precision
from kerasdl.runs.config import changed


def find(config, low, high, steps):
    """The `kerasdl.engine.range_test.RangeTest` of a configuration on this machine.

    Raises:
        ConfigError: The limits or the optimizer's arguments are wrong.
        DataError: The data cannot be used.
        TrainingFailed: The loss is not finite at the lowest rate, or memory does not suffice.
    """
    engine = backend.choose(config.backend, config.deterministic)
    from kerasdl.engine import datasets, failures, planning, range_test

    config = changed(config, precision=precision.resolve(config.precision, engine))
    dataset = datasets.load(config)
    datasets.require_training(dataset, config)
    config, _ = planning.settle(config, dataset, engine)
    with failures.training_errors(None, config.batch_size, config.image_size):
        return range_test.run(config, dataset, low, high, steps)
