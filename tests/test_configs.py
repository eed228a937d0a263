"""Every published configuration loads, names what exists and says how it was run."""

import pathlib

import keras
import pytest

from kerasdl import config as configuration
from kerasdl import models, reproduction, tasks

CONFIGS = sorted((pathlib.Path(__file__).parents[1] / "configs").glob("*.toml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configs_load_and_build(path):
    config = configuration.make(configuration.read(path))
    task = tasks.get(config.task)
    assert config.model in task.models
    model = models.build(config.model, (*config.image_size, task.channels), 3, **config.model_args)
    assert isinstance(model, keras.Model)
    head = path.read_text().partition("\n\n")[0]
    assert f"kerasdl train {config.task} --config configs/{path.name}" in head


def test_the_recipes_of_the_reproduction_are_valid():
    for network in reproduction.NETWORKS:
        for quick in (False, True):
            config = reproduction._config(network, 1, quick, {"data": "scenes"})
            assert (config.seed, config.learning_rate, config.weight_decay) == (1, 0.1, 1e-5)
            assert config.model in tasks.get(config.task).models
    assert reproduction._config("unet", 0, False, {}).epochs == 20
