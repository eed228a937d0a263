"""Every published configuration loads, names what exists and says how it was run."""

import importlib.util
import pathlib

import keras
import layout_sets
import pytest

from kerasdl import models, tasks
from kerasdl.core import files
from kerasdl.engine import datasets
from kerasdl.models import MODELS, blocks
from kerasdl.runs import config as configuration
from kerasdl.tools.reproduce import reproduction

CONFIGS = sorted((pathlib.Path(__file__).parents[1] / "configs").glob("*.toml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configs_load_and_build(path):
    config = configuration.Config(**files.read_toml(path))
    task = tasks.of(config)
    with blocks.undrawn():
        shape = (*config.image_size, task.channels)
        model = models.build(config.model, shape, 3, **config.model_args)
    assert isinstance(model, keras.Model)
    head = path.read_text().partition("\n\n")[0]
    assert f"kerasdl train {config.task} --config configs/{path.name}" in head


def test_the_script_for_a_gpu_runs_every_full_size_configuration(tmp_path):
    path = CONFIGS[0].parents[1] / "benchmarks" / "gpu_runs.py"
    specification = importlib.util.spec_from_file_location("gpu_runs", path)
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    full_size = {
        path.stem for path in CONFIGS if path.stem.endswith(("_cifar10", "_camvid", "_fast"))
    }
    assert {name for name, _, _ in script.RUNS} == full_size
    assert len({script.title(run) for run in script.RUNS}) == len(script.RUNS)
    for run in script.RUNS:
        values = files.read_toml(script.CONFIGS / f"{run[0]}.toml")
        words = script.command(run, "data", tmp_path, trial=True)
        trial = [words[number + 1] for number, word in enumerate(words) if word == "--set"]
        config = configuration.Config(**configuration.override(values, trial))
        assert (config.epochs, config.batch_size, config.precision) == (1, 2, "float32")


@pytest.mark.parametrize("name", ["segmentation_unet_resnet18_pets", "segmentation_fcn8_voc"])
def test_configurations_of_other_data_read_their_published_layout(name, tmp_path):
    values = files.read_toml(CONFIGS[0].parent / f"{name}.toml")
    data = layout_sets.voc(tmp_path / "VOC2012")
    if "pets" in name:
        data = layout_sets.pets(tmp_path / "pets")
    dataset = datasets.load(configuration.Config(**{**values, "data": str(data)}))
    assert len(dataset.class_names) == (3 if "pets" in name else 21)
    assert {"train", "test" if "pets" in name else "validation"} <= set(dataset.splits)


def test_the_recipes_of_the_reproduction_are_valid():
    for network in reproduction.VARIANTS:
        for quick in (False, True) if network in reproduction.QUICK_VARIANTS else (False,):
            config = reproduction._config(network, 1, quick, {"data": "scenes"})
            assert (config.seed, config.recipe) == (1, "auto" if quick else "study")
            assert quick or (config.learning_rate, config.weight_decay) == (0.1, 1e-5)
            assert config.task in MODELS[config.model].tasks
    assert reproduction._config("unet", 0, False, {}).epochs == 20
