"""The optimizers of Keras by configuration: defaults, arguments, exact resume, warm-up."""

import shutil

import keras
import numpy
import pytest

from kerasdl.core.errors import ConfigError
from kerasdl.engine import optimizers, schedules, step
from kerasdl.engine.averaging import Averaging
from kerasdl.runs import auto, checkpoint, runfolder
from kerasdl.runs import config as configuration
from kerasdl.runs.optimizers import OPTIMIZERS

STEPS = 3
RANDOM = numpy.random.default_rng(0)
IMAGES = RANDOM.normal(size=(2 * STEPS, 4, 4, 1)).astype("float32")
LABELS = RANDOM.integers(0, 3, 2 * STEPS)


def config(**values):
    given = {"task": "classification", "image_size": 8, "epochs": 2, "jit_compile": "off"}
    return configuration.Config(**{**given, **values})


class Run:
    """A tiny training in a run folder, with everything an optimizer acts on."""

    def __init__(self, path, settings):
        keras.utils.set_random_seed(5)
        inputs = keras.Input((4, 4, 1))
        x = keras.layers.Conv2D(2, 3)(inputs)
        x = keras.layers.Flatten()(keras.layers.BatchNormalization()(x))
        self.model = keras.Model(inputs, keras.layers.Dense(3)(x))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        rate = schedules.learning_rate(settings, STEPS)
        step.assemble(self.model, settings, loss, None, rate)
        self.settings, self.path = settings, path

    def train(self):
        """Trains from the newest checkpoint to the end; returns weights and optimizer."""
        settings, reduce = self.settings, []
        if settings.lr_schedule == "plateau":
            reduce = [schedules.plateau(settings, "loss", "min", STEPS)]
        with runfolder.acquire(self.path, settings, "x") as folder:
            average = Averaging(settings.ema_decay) if settings.ema_decay else None
            state = checkpoint.RunState(
                folder, 0, "loss", callbacks=reduce, average=average, epochs=settings.epochs
            )
            first = state.restore(self.model)
            self.model.fit(
                IMAGES, LABELS, 2, epochs=settings.epochs, initial_epoch=first, shuffle=False,
                verbose=0, callbacks=[*([average] if average else []), *reduce, state],
            )  # fmt: skip
            self.rates = [row["learning_rate"] for row in state.rows]
        variables = [*self.model.weights, *self.model.optimizer.variables]
        return [keras.ops.convert_to_numpy(each) for each in variables]


def assert_exact_resume(tmp_path, settings):
    """A run whose last epoch is lost ends with the same bytes again; returns the run."""
    whole = Run(tmp_path, settings).train()
    shutil.rmtree(runfolder.epoch_folder(tmp_path / "checkpoints", settings.epochs))
    resumed = Run(tmp_path, settings)
    for one, other in zip(whole, resumed.train(), strict=True):
        numpy.testing.assert_array_equal(one, other)
    return resumed


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_exact_resume_with_schedule_average_clipping_and_half_an_accumulation(tmp_path, name):
    """Three steps per epoch and two per update: a checkpoint holds half an accumulated gradient."""
    settings = config(
        optimizer=name,
        optimizer_args={"global_clipnorm": 0.5, "gradient_accumulation_steps": 2},
        lr_schedule="onecycle",
        ema_decay=0.5,
        decay_norm_and_bias=False,
    )
    assert_exact_resume(tmp_path, settings)


def test_warm_up_then_plateau_and_exact_resume_within_the_rule(tmp_path):
    """4 warm-up steps of 3 per epoch: the rates of the first step of each epoch by hand."""
    # The loss cannot improve at so small a rate on noise: the rule acts after every epoch it sees.
    settings = config(
        epochs=5, learning_rate=1e-30, warmup_epochs=4 / 3, plateau_factor=0.5, plateau_patience=1,
    )  # fmt: skip
    resumed = assert_exact_resume(tmp_path, settings)
    # Step 0: 1/4 of the rate. Step 3: 4/4. Epoch 2 is the first that ends after the warm-up: its
    # loss is the best so far. Then epochs 3 and 4 lower the rate.
    assert resumed.rates == pytest.approx([0.25e-30, 1e-30, 1e-30, 0.5e-30, 0.25e-30], rel=1e-5)


def test_the_rate_rises_with_every_step():
    rates = []

    class Seen(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            rate = self.model.optimizer.learning_rate
            rates.append(float(keras.ops.convert_to_numpy(rate)))

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.8), "mse")
    settings = config(epochs=3, learning_rate=0.8, warmup_epochs=2)
    callback = schedules.plateau(settings, "loss", "min", 2)
    model.fit(
        numpy.ones((4, 2)), numpy.ones(4), 2, epochs=3, verbose=0, callbacks=[callback, Seen()]
    )
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8])


def test_the_table_names_optimizers_of_keras():
    for spec in OPTIMIZERS.values():
        made = optimizers.build(config(optimizer=spec.name))
        assert isinstance(made, getattr(keras.optimizers, spec.keras_name))
        assert float(made.learning_rate) == pytest.approx(spec.learning_rate)


@pytest.mark.parametrize("recipe", ["study", "fast"])
def test_other_optimizers_have_their_own_rate_and_decay_unless_given(recipe):
    found = config(optimizer="adamw", recipe=recipe)
    assert (found.learning_rate, found.weight_decay) == (1e-3, 0.01)
    assert (found.momentum, found.nesterov) == (0.0, False)
    given = config(optimizer="adamw", recipe=recipe, learning_rate=0.5, weight_decay=0.25)
    assert (given.learning_rate, given.weight_decay) == (0.5, 0.25)
    # What a run folder holds is accepted again.
    assert configuration.Config(**configuration.as_dict(given)) == given


def test_the_recipe_auto_keeps_the_optimizer_that_was_chosen():
    facts = auto.Facts(images=100, height=32, width=32)
    given = {"task": "classification", "model": "resnet18", "optimizer": "lion"}
    found = {each.key: each.value for each in auto.decide(facts, given)}
    assert (found["learning_rate"], found["weight_decay"]) == (1e-4, 0.1)
    assert "momentum" not in found and "nesterov" not in found


@pytest.mark.parametrize("values", [{"momentum": 0.5}, {"nesterov": True}])
def test_keys_of_sgd_are_refused_for_others(values):
    with pytest.raises(ConfigError, match="is for optimizer sgd, not adam"):
        config(optimizer="adam", **values)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("adam", {"beta1": 0.5}, "unknown argument of optimizer 'adam' 'beta1' .*'beta_1'"),
        ("adam", {"learning_rate": 0.5}, "is the key 'learning_rate'"),
        ("adam", {"use_ema": True}, "is the key 'ema_decay'"),
        ("sgd", {"momentum": 0.5}, "is the key 'momentum'"),
        ("adam", {"beta_1": "0.5"}, "'optimizer_args.beta_1' must be a number, received '0.5'"),
        ("adam", {"amsgrad": 1}, "'optimizer_args.amsgrad' must be true or false, received 1"),
        ("lion", {"clipnorm": 1.0, "clipvalue": 1.0}, "Only one of"),
        ("adamw", {"gradient_accumulation_steps": 1}, "gradient_accumulation_steps"),
    ],
)
def test_wrong_arguments(name, arguments, message):
    with pytest.raises(ConfigError, match=message):
        optimizers.build(config(optimizer=name, optimizer_args=arguments))


def test_arguments_and_decay_reach_keras():
    made = optimizers.build(
        config(
            optimizer="rmsprop",
            weight_decay=0.25,
            optimizer_args={"momentum": 0.5, "rho": 0.75, "global_clipnorm": 2},
        )
    )
    assert (made.momentum, made.rho, made.global_clipnorm) == (0.5, 0.75, 2)
    assert made.weight_decay == 0.25
    # Muon trains convolutions and biases by its AdamW part, which has a decay of its own.
    assert optimizers.build(config(optimizer="muon")).adam_weight_decay == 0.01


def test_decay_of_kernels_only():
    kernel, bias = keras.Variable(numpy.ones((1, 1))), keras.Variable(numpy.ones(1))
    settings = config(
        optimizer="adamw", learning_rate=0.5, weight_decay=0.5, decay_norm_and_bias=False
    )
    made = optimizers.build(settings, [kernel, bias])
    made.apply([keras.ops.zeros((1, 1)), keras.ops.zeros(1)], [kernel, bias])
    # Without a gradient only the decay acts: 1 - 0.5 * 0.5.
    assert float(kernel.numpy()[0, 0]) == 0.75
    assert float(bias.numpy()[0]) == 1.0
