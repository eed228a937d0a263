"""Runs every command in clean installations with one backend, or with one runtime and no Keras.

    python benchmarks/lean_install.py [jax torch onnx] [--models FOLDER] [--work FOLDER]

Makes a virtual environment per backend, installs this checkout with only that extra and the
versions of constraints.txt, asserts that no other backend came with it, and runs the commands.
The data are tiny. For `onnx` there is neither Keras nor a backend; it predicts with the files
classification.onnx, segmentation.onnx and colorization.onnx in the folder of models, which
`kerasdl export` made elsewhere.
Prints its own command, date, versions and machine, then one line per command with its exit code
and seconds; exits 1 if any differs from what is expected.
"""

import argparse
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time
import venv

import checkout

import kerasdl
from kerasdl.backend import machine

ROOT = pathlib.Path(__file__).resolve().parents[1]
BACKENDS = ("tensorflow", "jax", "torch")
TINY = [
    "--image-size", "32", "--epochs", "1", "--batch-size", "8",
    *(word for pair in ("train_size=16", "validation_size=8", "test_size=8")
      for word in ("--set", pair)),
]  # fmt: skip
SEGMENT = [*TINY, "--set", "model_args.filters=4", "--set", "model_args.depth=2"]
COMMANDS = (
    (["--version"], 0),
    (["doctor"], 0),
    (["models", "--image-size", "32"], 0),
    (["config", "show", "segmentation"], 0),
    (["data", "check", "scenes", "--task", "segmentation"], 0),
    (["data", "show", "scenes", "--count", "4", "--out", "sheet.png"], 0),
    (["train", "segmentation", *SEGMENT, "--out", "runs/unet"], 0),
    (["train", "segmentation", *SEGMENT, "--out", "runs/unet"], 0),  # nothing left to do
    (["evaluate", "segmentation", "--run", "runs/unet"], 0),
    (["predict", "segmentation", "sheet.png", "--run", "runs/unet", "--out", "masks"], 0),
    (["train", "colorization", *SEGMENT, "--out", "runs/color"], 0),
    (["predict", "colorization", "sheet.png", "--run", "runs/color", "--out", "colors"], 0),
    (["train", "classification", *TINY, "--set", "model_args.stem=imagenet",
      "--out", "runs/resnet"], 0),
    (["predict", "classification", "sheet.png", "--run", "runs/resnet"], 0),
    # Commands that need a missing package fail with one line.
    (["train", "segmentation", "--backend", "tensorflow"], 2),
    (["train", "segmentation", "--data", "tfds:cmaterdb"], None),
)  # fmt: skip


# Without Keras: what the exported files are for, and one line for everything else.
PREDICT = (
    (["--version"], 0),
    (["predict", "classification", "sheet.png", "--run", "MODELS/classification.onnx"], 0),
    (["predict", "segmentation", "sheet.png", "--run", "MODELS/segmentation.onnx"], 0),
    (["predict", "segmentation", "sheet.png", "--run", "MODELS/segmentation.onnx",
      "--tile", "64", "--overwrite"], 0),
    (["predict", "colorization", "sheet.png", "--run", "MODELS/colorization.onnx",
      "--out", "colors"], 0),
    (["predict", "classification", "sheet.png", "--run", "MODELS/segmentation.onnx"], 2),
    (["predict", "segmentation", "sheet.png", "--run", "sheet.png"], 4),
    (["train", "segmentation"], 2),
    (["report", "."], None),
)  # fmt: skip


def python(environment):
    folder = "Scripts" if os.name == "nt" else "bin"
    return pathlib.Path(environment) / folder / "python"


def install(backend, work):
    """A virtual environment with this checkout and one extra; returns its Python."""
    environment = work / f"with-{backend}"
    venv.create(environment, with_pip=True, clear=True)
    interpreter = python(environment)
    constraints = ROOT / "constraints.txt"
    command = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
               "-c", constraints, f"{ROOT}[{backend}]"]  # fmt: skip
    subprocess.run(command, check=True)
    return interpreter


def others_installed(interpreter, backend):
    """Names of the other backends that can be imported there; must be none."""
    unwanted = [name for name in BACKENDS if name != backend]
    if backend not in BACKENDS:
        unwanted += ["keras", "scipy", "skimage", "matplotlib", "h5py"]
    code = f"import importlib.util as u\nprint(*(n for n in {unwanted} if u.find_spec(n)))"
    run = subprocess.run([interpreter, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.split()


def run_commands(interpreter, folder, commands):
    """Runs commands in a folder; returns the number with unexpected results."""
    folder.mkdir(parents=True, exist_ok=True)
    drop = ("KERAS_BACKEND", "PYTHONPATH")
    environment = {key: value for key, value in os.environ.items() if key not in drop}
    wrong = 0
    for words, expected in commands:
        began = time.monotonic()
        run = subprocess.run(
            [interpreter, "-m", "kerasdl", *words],
            cwd=folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        seconds = time.monotonic() - began
        ok = run.returncode == expected
        if expected is None:  # any one-line error that is not a defect
            ok = run.returncode in (2, 3, 4) and run.stderr.strip().startswith("error: ")
        wrong += not ok
        print(f"  {'ok' if ok else 'WRONG'}  {run.returncode}  {seconds:5.1f} s  "
              f"kerasdl {' '.join(words[:2])}", flush=True)  # fmt: skip
        if not ok or run.returncode:
            print("      " + (run.stderr.strip().splitlines() or ["nothing said"])[-1][:300])
    return wrong


def photo(folder):
    """An image to predict."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    Image.radial_gradient("L").resize((240, 180)).convert("RGB").save(folder / "sheet.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("backends", nargs="*", default=["jax", "torch"])
    parser.add_argument("--models", type=pathlib.Path, help="exported files, for onnx")
    parser.add_argument("--work", type=pathlib.Path, help="default: a temporary folder")
    arguments = parser.parse_args()
    print("python benchmarks/lean_install.py", *sys.argv[1:])
    print(f"{time.strftime('%Y-%m-%d')}, commit {checkout.commit()}, "
          f"kerasdl {kerasdl.__version__}, Python {platform.python_version()}, "
          f"{machine.description()}", flush=True)  # fmt: skip
    wrong = 0
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or pathlib.Path(temporary)
        for backend in arguments.backends:
            interpreter = install(backend, work)
            others = others_installed(interpreter, backend)
            print(f"[{backend}]: unwanted packages installed: {', '.join(others) or 'none'}")
            wrong += bool(others)
            commands = COMMANDS
            if backend not in BACKENDS:
                models = str(arguments.models.absolute())
                commands = [([w.replace("MODELS", models) for w in words], code)
                            for words, code in PREDICT]  # fmt: skip
                photo(work / f"runs-{backend}")
            wrong += run_commands(interpreter, work / f"runs-{backend}", commands)
    print("all as expected" if not wrong else f"{wrong} not as expected")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
