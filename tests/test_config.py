"""Rows G of the fault matrix: keys, types, ranges, precedence; all without Keras."""

import pathlib
import tomllib

import pytest

from kerasdl.cli.config import keys_page
from kerasdl.core import files
from kerasdl.core.errors import ConfigError
from kerasdl.runs import config as configuration


def test_defaults_are_the_recipe_of_the_report():
    config = configuration.Config()
    recipe = (config.learning_rate, config.weight_decay, config.batch_size, config.epochs)
    assert recipe == (0.1, 1e-5, 128, 20)
    assert (config.momentum, config.plateau_factor) == (0.9, 0.1)


@pytest.mark.parametrize(
    ("alias", "task", "model"),
    [
        ("classify", "classification", "resnet18"),
        ("segment", "segmentation", "unet"),
        ("colorize", "colorization", "unet"),
    ],
)
def test_alias_and_default_model(alias, task, model):
    config = configuration.Config(**{"task": alias})
    assert (config.task, config.model) == (task, model)


def test_toml_round_trip():
    values = {"task": "segment", "image_size": "48x64", "model_args": {"skips": [1, 2]}}
    config = configuration.Config(**{**values, "ignore_labels": [11, 255], "learning_rate": "1e-3"})
    assert config.image_size == (48, 64)
    assert config.learning_rate == 0.001
    assert configuration.Config(**tomllib.loads(configuration.dump(config))) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 3}, "unknown configuration key 'epoch' .*did you mean 'epochs'"),
        ({"task": "segmentatoin"}, "unknown task .*did you mean 'segmentation'"),
        ({"backend": "pytorch"}, "unknown backend 'pytorch' .*did you mean 'torch'"),
        ({"precision": "bfloat16"}, "unknown precision .*did you mean 'mixed_bfloat16'"),
        ({"epochs": "ten"}, "'epochs' must be an integer, received 'ten'"),
        ({"epochs": 2.5}, "'epochs' must be an integer, received 2.5"),
        ({"epochs": True}, "'epochs' must be an integer, received True"),
        ({"epochs": 0}, "'epochs' must be at least 1, received 0"),
        ({"batch_size": -1}, "'batch_size' must be at least 0, received -1"),
        ({"batch_size": "0"}, "'batch_size' must be at least 1, received 0"),
        ({"batch_size": "-3"}, "'batch_size' must be at least 1, received -3"),
        ({"batch_size": "many"}, "'batch_size' must be an integer or auto, received 'many'"),
        ({"learning_rate": 0}, "'learning_rate' must be above 0, received 0"),
        ({"learning_rate": float("nan")}, "'learning_rate' must be a finite number"),
        ({"momentum": 1.0}, "'momentum' must be below 1, received 1"),
        ({"image_size": "64 by 64"}, "'image_size' must be HEIGHTxWIDTH, such as 64x64"),
        ({"image_size": 4}, "'image_size' must be at least 8, received 4x4"),
        ({"model_args": "skips"}, "'model_args' must be a table, received 'skips'"),
        ({"ignore_labels": ["a"]}, "'ignore_labels' must be a list of integers"),
        ({"seed": 2**32}, "'seed' must be at most 4294967295"),
        ({"recipe": "fast", "model": ["a"]}, "'model' must be text"),
        ({"recipe": "fast", "loss": ["a"]}, "'loss' must be text"),
        ({"model": 0}, "'model' must be text, received 0"),
        ({"download": "yes"}, "'download' must be true or false, received 'yes'"),
    ],
)
def test_wrong_values_are_named(values, message):
    with pytest.raises(ConfigError, match=message) as caught:
        configuration.Config(**values)
    assert caught.value.exit_code == 2


def test_assignments_are_toml_or_text():
    values = configuration.override(
        {"model_args": {"filters": 8}},
        ["epochs=3", "model=unet", "model_args.skips=[1, 2]", "learning_rate=1e-3"],
    )
    assert values == {
        "epochs": 3,
        "model": "unet",
        "learning_rate": 0.001,
        "model_args": {"filters": 8, "skips": [1, 2]},
    }
    with pytest.raises(ConfigError, match="not of the form key=value"):
        configuration.override({}, ["epochs"])
    with pytest.raises(ConfigError, match="'epochs' is not a table"):
        configuration.override({"epochs": 3}, ["epochs.more=1"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = 1\nepochs = 2\n", "not valid TOML: Cannot overwrite a value"),
        ("epochs = 012\n", "not valid TOML"),
        ("epochs = \n", "not valid TOML: Invalid value .at line 1"),
    ],
)
def test_broken_files_are_named(text, message, tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        files.read_toml(path)
    assert str(path) in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="no such configuration file: .*none.toml"):
        files.read_toml(tmp_path / "none.toml")


def test_the_page_of_keys_is_that_of_the_code():
    page = pathlib.Path(__file__).parents[1] / "docs" / "configuration.md"
    assert page.read_text(encoding="utf-8") == keys_page(), "run: kerasdl config keys"


def test_a_config_is_complete_by_itself():
    made = configuration.Config(task="segment")
    assert (made.task, made.model, made.resize) == ("segmentation", "unet", "stretch")
    assert (made.loss, made.target) == ("crossentropy", "")
    colors = configuration.Config(task="colorization")
    assert (colors.model, colors.resize, colors.loss, colors.target) == (
        "unet",
        "crop",
        "l1",
        "rgb",
    )
    # What is set stays, also where it is a default that the recipe would replace.
    assert configuration.Config(recipe="fast", nesterov=False).nesterov is False
    assert configuration.Config(recipe="fast").nesterov is True
