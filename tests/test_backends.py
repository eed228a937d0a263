"""One model file, three backends, the same answer; and one program under three names."""

import os
import pathlib
import subprocess
import sys

import keras
import numpy
import predict_elsewhere
import pytest

from kerasdl import backend, models
from kerasdl.core.errors import ConfigError
from kerasdl.runs import modelfile, sidecar

NETWORKS = {
    "resnet18": ("resnet18", (32, 32, 3), {"filters": 8}),
    "fcn32": ("fcn32", (32, 40, 3), {}),
    "fcn16": ("fcn16", (33, 32, 3), {}),
    "fcn8": ("fcn8", (32, 32, 3), {}),
    "unet": ("unet", (37, 40, 3), {"filters": 4}),
    "plain": ("unet", (32, 32, 1), {"filters": 4, "skips": "none"}),
}


@pytest.mark.process
def test_a_model_file_answers_alike_on_the_next_backend(tmp_path, monkeypatch):
    """Of two backends or three; the suite is run on each, so that all are compared in a ring."""
    monkeypatch.setattr("kerasdl.models.fcn.residual_stages", predict_elsewhere.narrow_stages)
    generator = numpy.random.default_rng(0)
    inputs, expected = {}, {}
    for name, (network, shape, options) in NETWORKS.items():
        model = models.build(network, shape, 5, **options)
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                # Statistics as after some training, not the identity that a fresh layer is.
                size = layer.gamma.shape
                layer.set_weights([generator.uniform(0.5, 1.5, size) for _ in range(4)])
        x = inputs[name] = generator.random((2, *shape), dtype="float32")
        expected[name] = keras.ops.convert_to_numpy(model(x, training=False))
        (tmp_path / name).mkdir()
        modelfile.save_inference_model(model, tmp_path / name / "best.keras")
        facts = {"task": "segmentation", "model": network, "model_args": options, "outputs": 5}
        size = {"image_size": list(shape[:2]), "channels": shape[2]}
        sidecar.write(tmp_path / name, {**facts, **size, "precision": "float32"})
    numpy.savez(tmp_path / "inputs.npz", **inputs)
    installed = list(backend.installed())
    other = installed[(installed.index(keras.config.backend()) + 1) % len(installed)]
    subprocess.run(
        [sys.executable, predict_elsewhere.__file__, tmp_path],
        env={**os.environ, "KERAS_BACKEND": other},
        check=True,
    )
    outputs = numpy.load(tmp_path / f"outputs-{other}.npz")
    for name, truth in expected.items():
        assert numpy.abs(outputs[name] - truth).max() <= 1e-4 * max(1, numpy.abs(truth).max())
        # Where two classes are closer than the tolerance, either is right.
        best = numpy.sort(truth, axis=-1)
        clear = best[..., -1] - best[..., -2] > 2e-4
        same = outputs[name].argmax(axis=-1) == truth.argmax(axis=-1)
        assert same[clear].all()


@pytest.mark.once
@pytest.mark.process
def test_one_program_under_three_names():
    root = pathlib.Path(__file__).parents[1]
    script = pathlib.Path(sys.executable).with_name("kerasdl")
    commands = [[sys.executable, "-m", "kerasdl"], [sys.executable, root / "cli.py"]]
    if script.exists():
        commands.append([script])
    said = {
        subprocess.run(
            [*command, "--version"], capture_output=True, text=True, check=True, cwd=root
        ).stdout
        for command in commands
    }
    assert len(said) == 1
    assert said.pop().startswith("kerasdl, version ")


def test_another_backend_in_the_same_process_is_refused():
    other = next(name for name in backend.BACKENDS if name != keras.config.backend())
    with pytest.raises(ConfigError, match="Keras already runs on|is not installed"):
        backend.choose(other)


def test_the_variable_decides_where_nothing_is_asked_for(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "thaeno")
    with pytest.raises(ConfigError, match="unknown backend 'thaeno'"):
        backend.choose("auto")


def test_environment_names_versions_and_devices():
    found = backend.environment()
    assert found["versions"]["keras"] == keras.__version__
    assert found["backend"] == keras.config.backend()
    assert found["devices"]


@pytest.mark.process
@pytest.mark.skipif(keras.config.backend() != "torch", reason="a start of torch")
def test_training_on_torch_starts_without_its_compiler(tmp_path):
    program = (
        "import sys\n"
        "from kerasdl.cli.main import main\n"
        "from kerasdl.engine import run\n"
        "def trains(*arguments):\n"
        "    import keras\n"
        "    def fit(model, *given, **options):\n"
        "        slow = {'torch._dynamo', 'sympy', 'scipy', 'matplotlib', 'skimage', 'pandas'}\n"
        "        print(sorted(slow & sys.modules.keys()))\n"
        "        import torch._dynamo\n"
        "        print(callable(torch._dynamo.reset))\n"
        "        sys.exit(7)\n"
        "    keras.Model.fit = fit\n"
        "    real(*arguments)\n"
        "real, run._train = run._train, trains\n"
        "main(['train', 'segment', '--image-size', '16', '--set', 'train_size=4', "
        "'--set', 'model_args.filters=2', '--set', 'model_args.depth=1', '--out', sys.argv[1]])"
    )
    command = [sys.executable, "-c", program, tmp_path / "run"]
    found = subprocess.run(command, capture_output=True, text=True)
    assert (found.returncode, found.stdout.split("\n")[:2]) == (7, ["[]", "True"]), found.stderr


@pytest.mark.process
@pytest.mark.skipif(keras.config.backend() == "tensorflow", reason="it is the chosen backend")
def test_seeding_and_saving_import_no_tensorflow(tmp_path):
    # `keras.utils.set_random_seed` imports it wherever it is installed, and so does saving.
    program = (
        "import random, sys; from kerasdl import backend; backend.choose(); backend.prepare(3)\n"
        "import keras; model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])\n"
        f"model.save({str(tmp_path / 'model.keras')!r})\n"
        "backend.set_seed(3); assert random.random() == random.Random(3).random()\n"
        "sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
