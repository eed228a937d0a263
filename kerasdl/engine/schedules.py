"""Learning rate schedules: functions of the step, and the plateau rule with a warm-up before it.

An exact resume needs only the step, and of the plateau rule its counters, which a checkpoint keeps.
"""

import math

import keras


@keras.saving.register_keras_serializable("kerasdl")
class WarmupDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to the peak rate, then decay to zero at the last step.

    Step t of T, W of them warm-up, r the peak rate:

    rate(t) = r (t + 1) / W for t < W, else with p = (t - W) / (T - W)
    "onecycle": r (1 - p);  "cosine": r (1 + cos(pi p)) / 2;  0 for t >= T.

    Args:
        shape: "onecycle" or "cosine".
        peak: r.
        steps: T, total number of steps.
        warmup_steps: W, below T.

    Source: Smith and Topin 2019, "Super-Convergence" (one cycle, without the momentum cycle);
    Loshchilov and Hutter 2017, "SGDR" (cosine, one period); Goyal et al. 2017 (warm-up).
    """

    def __init__(self, shape, peak, steps, warmup_steps=0):
        super().__init__()
        if shape not in ("onecycle", "cosine"):
            raise ValueError(f"shape must be 'onecycle' or 'cosine', received {shape!r}")
        if not 0 <= warmup_steps < steps:
            raise ValueError(f"{warmup_steps} steps of warm-up exceed all {steps} steps")
        self.shape = shape
        self.peak = float(peak)
        self.steps = int(steps)
        self.warmup_steps = int(warmup_steps)

    def __call__(self, step):
        """The rate of a step, counted from 0; float32."""
        ops = keras.ops
        step = ops.cast(step, "float32")
        rise = (step + 1.0) / max(self.warmup_steps, 1)
        progress = (step - self.warmup_steps) / (self.steps - self.warmup_steps)
        progress = ops.clip(progress, 0.0, 1.0)
        if self.shape == "cosine":
            fall = 0.5 * (1.0 + ops.cos(math.pi * progress))
        else:
            fall = 1.0 - progress
        return self.peak * ops.where(step < self.warmup_steps, rise, fall)

    def get_config(self):
        return {
            "shape": self.shape,
            "peak": self.peak,
            "steps": self.steps,
            "warmup_steps": self.warmup_steps,
        }


class WarmupThenPlateau(keras.callbacks.ReduceLROnPlateau):
    """Linear warm-up to the initial rate, then `ReduceLROnPlateau`.

    In step t < W the rate is r (t + 1) / W. The rule sees the epochs that end after step W.

    Args:
        peak: r.
        warmup_steps: W.
        steps_per_epoch: Steps of an epoch.
        **options: Those of `keras.callbacks.ReduceLROnPlateau`.
    """

    def __init__(self, peak, warmup_steps, steps_per_epoch, **options):
        super().__init__(**options)
        self.peak = float(peak)
        self.warmup_steps = int(warmup_steps)
        self.steps_per_epoch = int(steps_per_epoch)
        self._first = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._first = epoch * self.steps_per_epoch
        self._warm_up(0)

    def on_train_batch_begin(self, batch, logs=None):
        if batch:
            self._warm_up(batch)

    def _warm_up(self, batch):
        step = self._first + batch
        if step < self.warmup_steps:
            self.model.optimizer.learning_rate = self.peak * (step + 1) / self.warmup_steps

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) * self.steps_per_epoch > self.warmup_steps:
            super().on_epoch_end(epoch, logs)


def plateau(config, monitor, mode, steps_per_epoch):
    """The callback that lowers the learning rate of a configuration on a plateau."""
    options = {
        "monitor": monitor,
        "mode": mode,
        "factor": config.plateau_factor,
        "patience": config.plateau_patience,
        # An absolute min_delta would be wrong for one loss or another.
        "min_delta": 0.0,
    }
    warmup = round(config.warmup_epochs * steps_per_epoch)
    if not warmup:
        return keras.callbacks.ReduceLROnPlateau(**options)
    return WarmupThenPlateau(config.learning_rate, warmup, steps_per_epoch, **options)


def learning_rate(config, steps_per_epoch):
    """The learning rate for the optimizer: a number with "plateau", else a schedule."""
    if config.lr_schedule == "plateau":
        return config.learning_rate
    steps = config.epochs * steps_per_epoch
    warmup = min(round(config.warmup_epochs * steps_per_epoch), steps - 1)
    return WarmupDecay(config.lr_schedule, config.learning_rate, steps, warmup)
