"""Metrics too expensive for every training step, and the gate that skips them there."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras

from kerasdl.core.errors import ConfigError
from kerasdl.core.registry import load
from kerasdl.core.types import Tensor


class GatedMetric(keras.metrics.Metric):
    """A sum over samples that is kept only while its gate is open.

    A subclass gives `accumulators` (its variables) and `increments` (a pure function of the
    batch); the base adds one to the other, or skips the work while the gate is closed. The gate
    is a variable, so that compiled steps follow it: the condition is part of the graph on
    TensorFlow and of the jitted step on JAX. `reset_state` does not change the gate.

    Args:
        name: Name in the logs.
        gated: Whether `ExpensiveMetricsInValidationOnly` may close the gate.

    Raises:
        ConfigError: Sample weights were given; none of these scores has a weighted definition.
    """

    # Higher is better; read by Keras callbacks in mode "auto".
    _direction = "up"

    def __init__(self, name: str, gated: bool = True):
        super().__init__(name=name, dtype="float32")
        self.gated = bool(gated)
        self.gate = self.add_variable(
            (), "ones", dtype="int32", aggregation="only_first_replica", name="gate"
        )
        self._measures = True

    @property
    def accumulators(self) -> Sequence[keras.Variable]:
        """Variables that `increments` adds to, in the same order."""
        raise NotImplementedError

    @property
    def result_names(self) -> tuple[str, ...]:
        """Names of the values in the logs."""
        return (self.name,)

    def increments(self, y_true: Tensor, y_pred: Tensor) -> Sequence[Tensor]:
        """What a batch adds: tensors with the shapes and types of `accumulators`."""
        raise NotImplementedError

    def accumulate(self, increments: Sequence[Tensor]) -> None:
        """Adds the increments to the accumulators."""
        for variable, increment in zip(self.accumulators, increments, strict=True):
            variable.assign_add(increment)

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        if sample_weight is not None:
            raise ConfigError(
                f"metric '{self.name}' takes no sample weights",
                fix="compile it as metrics=, not weighted_metrics=",
            )
        ops = keras.ops
        if keras.config.backend() == "torch":
            # PyTorch runs call by call, and reading the variable would wait for the GPU.
            if self._measures:
                self.accumulate(self.increments(y_true, y_pred))
            return
        increments = ops.cond(
            self.gate > 0,
            lambda: tuple(self.increments(y_true, y_pred)),
            # Assigning inside a branch would leak tracers on JAX, so a closed gate adds zeros.
            lambda: tuple(ops.zeros(v.shape, dtype=v.dtype) for v in self.accumulators),
        )
        self.accumulate(increments)

    def reset_state(self) -> None:
        for variable in self.accumulators:
            variable.assign(keras.ops.zeros(variable.shape, dtype=variable.dtype))

    def open_gate(self, is_open: bool) -> None:
        """Starts (True) or stops (False) measuring."""
        self._measures = bool(is_open)
        self.gate.assign(int(is_open))

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "gated": self.gated}


@keras.saving.register_keras_serializable("kerasdl")
class ImageMean(GatedMetric):
    """Mean over images of a score per image; 0 while nothing has been measured.

    Args:
        per_image: Function (truth, prediction) -> scores (B,), or a reference "module:function".
        name: Name in the logs.
        gated: Whether `ExpensiveMetricsInValidationOnly` may close the gate.
    """

    def __init__(
        self, per_image: str | Callable[[Tensor, Tensor], Tensor], name: str, gated: bool = True
    ):
        super().__init__(name, gated)
        self.reference = per_image
        self.per_image = load(per_image)
        self.total = self.add_variable((), "zeros", dtype="float32", name="total")
        self.images = self.add_variable((), "zeros", dtype="int32", name="images")

    @property
    def accumulators(self) -> Sequence[keras.Variable]:
        return self.total, self.images

    def increments(self, y_true: Tensor, y_pred: Tensor) -> Sequence[Tensor]:
        scores = self.per_image(y_true, y_pred)
        if len(scores.shape) != 1:
            raise ConfigError(
                f"metric '{self.name}' has values of shape {tuple(scores.shape)}",
                fix="per_image returns one value per image, shape (B,)",
            )
        return keras.ops.sum(scores), keras.ops.sum(keras.ops.ones_like(scores, dtype="int32"))

    def result(self) -> Tensor:
        return keras.ops.divide_no_nan(self.total, keras.ops.cast(self.images, "float32"))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "per_image": self.reference}


class ExpensiveMetricsInValidationOnly(keras.callbacks.Callback):
    """Closes the gates of the expensive metrics in training and opens them for validation.

    The training logs then hold 0 for these metrics, which is meaningless: drop the columns
    `gated_names(metrics)`. The gates reopen when training ends; after an exception in training,
    call `open_gates(metrics)` before measuring with the same model.

    Args:
        metrics: The metrics given to `compile`; those without a gate are ignored.
    """

    def __init__(self, metrics: Iterable[keras.metrics.Metric]):
        super().__init__()
        self.metrics = _gated(metrics)

    # Keras calls these two before or after `reset_metrics`, but always before the JAX trainer
    # copies the variables into its own state.
    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        open_gates(self.metrics, False)

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        open_gates(self.metrics, True)

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        open_gates(self.metrics, True)


def open_gates(metrics: Iterable[keras.metrics.Metric], is_open: bool = True) -> None:
    """Opens or closes the gates of the metrics that have one."""
    for metric in _gated(metrics):
        metric.open_gate(is_open)


def gated_names(metrics: Iterable[keras.metrics.Metric]) -> tuple[str, ...]:
    """Names in the training logs that mean nothing while the gates are closed."""
    return tuple(name for metric in _gated(metrics) for name in metric.result_names)


def _gated(metrics: Iterable[keras.metrics.Metric]) -> list[GatedMetric]:
    return [metric for metric in metrics if isinstance(metric, GatedMetric) and metric.gated]
