"""The recipe `auto`: settings from facts about data and machine, by hand."""

import math

import pytest
from data_fixtures import mask_folder

import kerasdl
from kerasdl.runs import auto


def decided(facts, **given):
    given = {"task": "segmentation", "model": "unet", **given}
    return {each.key: each.value for each in auto.decide(auto.Facts(*facts), given)}


def test_camvid_on_processors():
    found = decided((367, 360, 480, 11, 60.0))
    # 112 * 112 / (360 * 480) = 0.0726, its root 0.2694: 97.0 x 129.3, to multiples of 16.
    assert found["image_size"] == [96, 128]
    # 367 / 40 = 9.2, the power of two below is 8; 46 steps per epoch; 1000 / 46 = 21.7.
    assert (found["batch_size"], found["steps_per_epoch"], found["epochs"]) == (8, 0, 22)
    assert found["warmup_epochs"] == pytest.approx(4.4)
    # The average looks back over 5 % of 22 * 46 = 1012 steps: 1 - 1 / 50.6.
    assert found["ema_decay"] == pytest.approx(0.9802, abs=1e-4)
    assert found["class_weights"] == "auto"


def test_few_images_get_several_passes_per_epoch():
    found = decided((20, 64, 64, 2, 3.0))
    # Batches of 4, 5 steps per pass; at most 60 epochs make up 1000 steps: 17 each.
    assert (found["batch_size"], found["steps_per_epoch"], found["epochs"]) == (4, 17, 59)
    assert "class_weights" not in found  # 3 times as many pixels is no imbalance
    assert found["image_size"] == [64, 64]


@pytest.mark.parametrize("images", [1, 7, 100, 4000, 50_000, 1_200_000])
@pytest.mark.parametrize("task", ["classification", "segmentation", "colorization"])
@pytest.mark.parametrize("gpu", [False, True])
def test_every_size_of_data_gets_enough_steps(images, task, gpu):
    model = {"classification": "resnet18"}.get(task, "unet")
    found = decided((images, 480, 640, 5, 1.0, gpu), task=task, model=model)
    steps = found["steps_per_epoch"] or math.ceil(images / found["batch_size"])
    assert found["epochs"] * steps >= 800
    assert auto.LEAST_EPOCHS <= found["epochs"] <= auto.MOST_EPOCHS
    assert 0.9 < found["ema_decay"] < 1
    assert all(side % auto.MULTIPLE == 0 and side >= 32 for side in found["image_size"])
    assert ("label_smoothing" in found) == (task == "classification")


def test_what_the_user_set_stays_and_is_what_the_rest_follows_from():
    found = decided((367, 360, 480, 11, 60.0), batch_size=16, epochs=5, lr_schedule="plateau")
    assert not {"batch_size", "epochs", "lr_schedule", "warmup_epochs"} & set(found)
    # 5 epochs of 23 steps: 1 - 1 / 5.75.
    assert found["ema_decay"] == pytest.approx(1 - 1 / 5.75, abs=1e-4)
    assert "ema_decay" in decided((367, 360, 480, 11, 60.0)) and found["learning_rate"] == 0.1


def test_a_run_on_a_folder_of_images_is_settled_and_resumes(tmp_path, caplog):
    root = mask_folder(tmp_path / "photos", 12, names=("ground", "thing"))
    values = {"task": "segmentation", "data": str(root), "epochs": 1, "steps_per_epoch": 2,
              "model_args": {"filters": 2, "depth": 1}, "batch_size": 4}  # fmt: skip
    config = kerasdl.Config(**values)
    assert config.recipe == "auto" and kerasdl.Config(task="segmentation").recipe == "study"
    with caplog.at_level("INFO", "kerasdl"):
        run = kerasdl.train(config, tmp_path / "run", quiet=True)
    assert "images of 32x32 (the size of the images (32x32))" in caplog.text
    stored = kerasdl.Run(run).config
    assert (stored.recipe, stored.image_size, stored.batch_size) == ("auto", (32, 32), 4)
    assert (stored.lr_schedule, stored.nesterov, stored.epochs) == ("onecycle", True, 1)
    # The same command finds its finished run; what the run stored is complete by itself.
    caplog.clear()
    with caplog.at_level("INFO", "kerasdl"):
        kerasdl.train(config, tmp_path / "run", quiet=True)
        kerasdl.train(stored, tmp_path / "run", quiet=True)
    assert caplog.text.count("already finished") == 2
