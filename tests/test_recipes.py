"""Recipes: what they set, what stays, which pieces go together; all without Keras."""

import tomllib

import pytest

from kerasdl.core.errors import ConfigError
from kerasdl.data.pipeline.transforms import OFF
from kerasdl.engine import datasets, stages
from kerasdl.runs import config as configuration
from kerasdl.runs import recipes


def fast(**values):
    return configuration.Config(**{"task": "classification", "recipe": "fast", **values})


def test_report_sets_nothing():
    plain = configuration.Config(**{"task": "classification"})
    assert plain == configuration.Config(**{"task": "classification", "recipe": "study"})
    assert (plain.lr_schedule, plain.nesterov, plain.decay_norm_and_bias) == (
        "plateau",
        False,
        True,
    )
    assert (plain.label_smoothing, plain.ema_decay, plain.warmup_epochs) == (0.0, 0.0, 0.0)
    assert (plain.progressive_sizes, plain.test_time_flip, plain.augment_args) == ((), False, {})


def test_fast_sets_what_the_user_did_not():
    config = fast(epochs=10, ema_decay=0.5, augment_args={"crop": 0.2})
    assert (config.lr_schedule, config.warmup_epochs, config.nesterov) == ("onecycle", 2.0, True)
    assert (config.epochs, config.ema_decay) == (10, 0.5)
    assert config.augment_args == {"flip": False, "crop": 0.2}
    assert config.label_smoothing == 0.1


def test_only_long_trainings_erase():
    photographs = {"data": "photographs"}
    assert fast(epochs=19, **photographs).augment_args == {}
    assert fast(epochs=20, augment_args={"crop": 0.2}, **photographs).augment_args == {
        "random_erasing": 0.25,
        "crop": 0.2,
    }
    without = {"augment_args": {"random_erasing": 0.0}, **photographs}
    assert fast(epochs=20, **without).augment_args == {"random_erasing": 0.0}
    # A plateau can be given more epochs, so nothing else may depend on them.
    assert fast(epochs=20, lr_schedule="plateau", **photographs).augment_args == {}


@pytest.mark.parametrize("task", ["classification", "segmentation", "colorization"])
def test_drawn_images_are_not_moved(task):
    drawn = configuration.Config(**{"task": task, "recipe": "fast"})
    settings = datasets.augmentation(drawn).settings
    assert settings == {**OFF, "flip": task != "classification"}
    assert configuration.Config(**{"task": task, "recipe": "fast", "data": "x"}).augment_args == {}
    assert configuration.Config(**{"task": task}).augment_args == {}
    none = configuration.Config(**{"task": task, "recipe": "fast", "augment": "none"})
    assert none.augment_args == {}


# The coarsest map has to have two pixels on a side at the smaller sizes, too: strides of 8 with
# the small stem, 16 for U-Net of four levels, 32 else. Epochs: 6 / mean((size / 100)^2).
GROWING = [
    ({"image_size": 32}, (50, 75), 10),  # 6 / ((0.25 + 0.5625 + 1) / 3) = 9.9
    ({"image_size": "40x32"}, (50, 75), 10),
    ({"image_size": 41}, (), 6),
    ({"image_size": 28}, (75,), 8),  # 21 / 8; 6 / ((0.5625 + 1) / 2) = 7.7
    ({"image_size": [63, 64]}, (), 6),
    ({"image_size": 32, "model_args": {"stem": "imagenet"}}, (), 6),
    ({"image_size": 64, "model_args": {"stem": "small"}}, (50, 75), 10),
    ({"image_size": "128x96"}, (75,), 8),
    ({"image_size": (128, 160)}, (50, 75), 10),
    ({"task": "segmentation", "image_size": 64}, (50, 75), 10),
    ({"task": "segmentation", "image_size": 32, "model_args": {"depth": 3}}, (50, 75), 10),
    ({"task": "segmentation", "model_args": {"depth": 10**12}}, (), 6),
    ({"task": "segment", "model": "fcn8", "image_size": 64}, (), 6),
    ({"image_size": 32, "early_stopping_patience": 3}, (), 6),
    ({"image_size": 32, "progressive_sizes": []}, (), 6),
    ({"image_size": 16, "progressive_sizes": [50]}, (50,), 10),  # 6 / ((0.25 + 1) / 2) = 9.6
    ({"image_size": 16, "progressive_sizes": 50}, (50,), 10),
    ({"image_size": 32, "epochs": 3}, (50, 75), 3),
]


@pytest.mark.parametrize(("values", "sizes", "epochs"), GROWING)
def test_sizes_and_epochs(values, sizes, epochs):
    config = fast(**values)
    assert (config.progressive_sizes, config.epochs) == (sizes, epochs)


def test_the_rate_of_fast_grows_with_the_batch():
    assert fast().learning_rate == 0.1  # 128 images
    assert fast(batch_size=32).learning_rate == 0.025
    assert fast(batch_size=32, learning_rate=0.5).learning_rate == 0.5


PIECES = (
    {"lr_schedule": "plateau"},
    {"lr_schedule": "cosine"},
    {"warmup_epochs": 0.0},
    {"nesterov": False},
    {"label_smoothing": 0.0},
    {"decay_norm_and_bias": True},
    {"ema_decay": 0.0},
    {"augment_args": {"flip": True, "crop": 0.2}},
    {"progressive_sizes": [50]},
    {"test_time_flip": False},
)


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: next(iter(piece)))
def test_each_piece_can_be_switched_alone(piece):
    # The number of epochs follows from the sizes, which have a test of their own.
    whole, without = (configuration.as_dict(fast(epochs=6, **values)) for values in ({}, piece))
    changed = {key: value for key, value in without.items() if value != whole[key]}
    if piece.get("lr_schedule") == "plateau":
        changed.pop("warmup_epochs")  # a plateau has no warm-up
    assert changed == piece


def test_what_is_stored_is_what_is_read():
    config = fast(augment_args={"random_erasing": 0.0}, progressive_sizes=[])
    assert configuration.Config(**tomllib.loads(configuration.dump(config))) == config


@pytest.mark.parametrize("task", ["segmentation", "colorization"])
def test_fast_suits_every_task(task):
    config = configuration.Config(**{"task": task, "recipe": "fast", "data": "photographs"})
    assert (config.label_smoothing, config.augment_args) == (0.0, {})


def test_fast_with_another_loss_or_early_stopping():
    assert fast(loss="focal").label_smoothing == 0.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"recipe": "quick"}, "unknown recipe 'quick'"),
        ({"lr_schedule": "cosin"}, "unknown lr_schedule 'cosin' .*did you mean 'cosine'"),
        ({"lr_schedule": "cosine", "warmup_epochs": 20}, "must be below 'epochs' = 20"),
        ({"label_smoothing": 0.1, "loss": "focal"}, "not apply to loss 'focal'"),
        ({"label_smoothing": 0.1, "task": "colorize"}, "not apply to loss 'l1'"),
        ({"label_smoothing": 1.0}, "'label_smoothing' must be below 1"),
        ({"ema_decay": -0.1}, "'ema_decay' must be at least 0"),
        ({"progressive_sizes": [75, 50]}, "must increase, from 10 to 99"),
        ({"progressive_sizes": [100]}, "must increase, from 10 to 99"),
        ({"recipe": "fast", "progressive_sizes": ["a"]}, "'progressive_sizes'"),
        (
            {"progressive_sizes": [50], "early_stopping_patience": 1},
            "before it reaches the full size",
        ),
        ({"freeze": True}, "'freeze' without weights"),
    ],
)
def test_what_does_not_go_together_is_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        configuration.Config(**values)


def test_stages_share_the_epochs_and_end_at_the_full_size():
    config = configuration.Config(
        **{"epochs": 8, "progressive_sizes": [50, 75], "image_size": "64x48", "task": "classify"}
    )
    # 8 epochs in 3 parts: 0-1, 2-4, 5-7; 75 % of 48 is 36, to multiples of 8: 32 (36 is halfway).
    assert [(s.first, s.end, s.image_size) for s in stages.stages(config)] == [
        (0, 2, (32, 24)),
        (2, 5, (48, 32)),
        (5, 8, (64, 48)),
    ]
    assert [stages.at_epoch(config, epoch).first for epoch in (0, 1, 2, 7, 8)] == [0, 0, 2, 5, 5]


@pytest.mark.parametrize("epochs", [1, 2, 3, 20])
def test_no_stage_is_empty_and_none_is_missing(epochs):
    found = stages.stages(configuration.Config(**{"epochs": epochs, "progressive_sizes": [50, 75]}))
    assert [stage.first for stage in found] == [0, *(stage.end for stage in found[:-1])]
    assert (found[-1].end, found[-1].image_size) == (epochs, (64, 64))
    assert all(stage.end > stage.first for stage in found)


def test_only_a_plateau_can_go_on_with_more_epochs():
    assert configuration.can_extend(configuration.Config(**{}))
    assert not configuration.can_extend(configuration.Config(**{"lr_schedule": "cosine"}))
    assert not configuration.can_extend(configuration.Config(**{"progressive_sizes": [50]}))


def test_every_key_of_the_recipe_is_a_key():
    assert set(recipes.FAST) <= set(configuration.as_dict(configuration.Config(**{})))
