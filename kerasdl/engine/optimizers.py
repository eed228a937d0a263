"""The optimizer of a configuration; SGD with the weight decay of the published recipes."""

import inspect

import keras

from kerasdl.backend.tuning import updates
from kerasdl.core.errors import ConfigError, first_line, suggest
from kerasdl.runs.optimizers import OPTIMIZERS

# Arguments that are keys of a configuration, or belong to something that kerasdl does itself.
KEYS = {
    "learning_rate": "learning_rate",
    "weight_decay": "weight_decay",
    "momentum": "momentum",
    "nesterov": "nesterov",
    "use_ema": "ema_decay",
    "ema_momentum": "ema_decay",
    "ema_overwrite_frequency": "ema_decay",
}

# On torch this is the subclass that updates all variables in a few fused calls: for ResNet-18 on
# CPU six times faster than one variable at a time, as a subclass of `keras.optimizers.SGD` would.
FastestSGD = type(keras.optimizers.SGD())


def build(config, variables=(), learning_rate=None):
    """The optimizer of a configuration.

    Args:
        config: A `kerasdl.runs.config.Config`.
        variables: The variables that it will train.
        learning_rate: A Keras schedule instead of the configuration's rate, or None.

    Raises:
        ConfigError: `optimizer_args` names an argument that the optimizer does not have, or has a
            value that it does not take.
    """
    spec = OPTIMIZERS[config.optimizer]
    known = _arguments(spec)
    for name, value in config.optimizer_args.items():
        _check(config.optimizer, name, value, known)
    options = {"weight_decay": config.weight_decay, **config.optimizer_args}
    if spec.momentum:
        options |= {"momentum": config.momentum, "nesterov": config.nesterov}
        options["decay_norm_and_bias"] = config.decay_norm_and_bias
    elif not config.weight_decay and known["weight_decay"] is None:
        options["weight_decay"] = None  # 0 would multiply every variable by 1
    if "adam_weight_decay" in known:
        options.setdefault("adam_weight_decay", config.weight_decay)
    rate = config.learning_rate if learning_rate is None else learning_rate
    kind = SGD if spec.momentum else getattr(keras.optimizers, spec.keras_name)
    try:
        made = kind(rate, **options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"'optimizer_args' of {spec.name}: {first_line(error)}") from error
    if not config.decay_norm_and_bias:
        made.exclude_from_weight_decay([each for each in variables if len(each.shape) < 2])
    return made


def _arguments(spec):
    """Names and defaults of the arguments of an optimizer of Keras."""
    parameters = inspect.signature(getattr(keras.optimizers, spec.keras_name).__init__).parameters
    return {
        name: each.default
        for name, each in parameters.items()
        if name not in ("self", "name") and each.kind is not inspect.Parameter.VAR_KEYWORD
    }


def _check(optimizer, name, value, known):
    """Raises ConfigError for an argument that an optimizer does not have, or of a wrong type."""
    owned = {key for key in KEYS if key in known}
    if OPTIMIZERS[optimizer].momentum is False:
        owned -= {"momentum", "nesterov"}
    if name in owned:
        raise ConfigError(
            f"'optimizer_args.{name}' is the key '{KEYS[name]}'", fix=f"--set {KEYS[name]}=..."
        )
    free = [each for each in known if each not in owned]
    if name not in free:
        raise suggest(f"argument of optimizer '{optimizer}'", name, free)
    default = known[name]
    kinds = {bool: (bool,), int: (int, float), float: (int, float)}.get(type(default))
    if kinds and type(value) not in kinds:
        noun = "true or false" if isinstance(default, bool) else "a number"
        raise ConfigError(f"'optimizer_args.{name}' must be {noun}, received {value!r}")


@keras.saving.register_keras_serializable("kerasdl")
class SGD(FastestSGD):
    """SGD with momentum and coupled weight decay, as `torch.optim.SGD`.

    g = gradient + weight_decay v;  m = momentum m - learning_rate g;  v = v + m
    (with `nesterov`, v = v + momentum m - learning_rate g), for every trainable variable v.

    The decay is part of the gradient, so it is accumulated by the momentum. Keras' own
    `SGD(weight_decay=)` is another method: it shrinks the variable separately from the momentum
    ("decoupled", Loshchilov and Hutter 2019), which is not what published SGD recipes use. As in
    torch, gradient clipping and accumulation come first, and every trainable variable decays,
    biases and normalization too,
    unless `decay_norm_and_bias` is False: then only variables of two or more axes, the kernels.

    Args:
        learning_rate: Step size, or a Keras schedule.
        momentum: In [0, 1).
        weight_decay: Coefficient of the decay; 0 for none.
        nesterov: Nesterov momentum.
        decay_norm_and_bias: Whether biases and the scales and offsets of normalization decay too.
        name: Name of the optimizer.
        **options: Further options of `keras.optimizers.SGD`.

    Source: Krizhevsky et al. 2012, "ImageNet Classification", section 5; torch.optim.SGD; without
    decay of biases and normalization: He et al. 2019, "Bag of Tricks", section 3.1.
    """

    def __init__(
        self,
        learning_rate=0.01,
        momentum=0.0,
        weight_decay=0.0,
        nesterov=False,
        decay_norm_and_bias=True,
        name="SGD",
        **options,
    ):
        super().__init__(
            learning_rate=learning_rate,
            momentum=float(momentum),
            nesterov=nesterov,
            name=name,
            **options,
        )
        # Not `self.weight_decay`, which Keras would apply decoupled.
        self.coupled_weight_decay = float(weight_decay)
        self.decay_norm_and_bias = bool(decay_norm_and_bias)

    def update_step(self, gradient, variable, learning_rate):
        """One step of one variable; Keras calls it after unscaling, accumulation and clipping."""
        decay = self._decay_of(variable)
        if self.momentum and keras.config.backend() == "tensorflow":
            momenta = self.momentums[self._get_variable_index(variable)].value
            if updates.tensorflow_momentum(
                gradient, variable, momenta, learning_rate, self.momentum, decay, self.nesterov
            ):
                return
        if decay:
            decay = keras.ops.cast(decay, variable.dtype)
            gradient = keras.ops.cast(gradient, variable.dtype) + decay * variable
        super().update_step(gradient, variable, learning_rate)

    def _parallel_update_step(self, grads, variables, learning_rate):
        """The same for all variables at once; Keras calls it instead, on torch only."""
        decays = [self._decay_of(each) for each in variables]
        values = [each.value for each in variables]
        momenta = None
        if self.momentum:
            places = [self._get_variable_index(each) for each in variables]
            momenta = [self.momentums[place].value for place in places]
        options = (momenta, learning_rate, self.momentum, decays, self.nesterov)
        if updates.on_gpu(values):
            updates.torch_update(grads, values, *options)
        elif not (momenta and updates.torch_momentum(grads, values, *options)):
            grads = updates.torch_decayed(grads, values, decays)
            super()._parallel_update_step(grads, variables, learning_rate)

    def _decay_of(self, variable):
        decays = self.decay_norm_and_bias or len(variable.shape) > 1
        return self.coupled_weight_decay if decays else 0.0

    def get_config(self):
        own = {
            "weight_decay": self.coupled_weight_decay,
            "decay_norm_and_bias": self.decay_norm_and_bias,
        }
        return {**super().get_config(), **own}
