"""What a run says about its training, from documents made by hand: bad runs, and good ones."""

import pytest
from report_fixtures import run_document

from kerasdl.report import advice, sections


def rows(losses, val_losses=None, **columns):
    """A history of these losses; further columns are lists of the same length."""
    columns |= {"loss": losses, **({"val_loss": val_losses} if val_losses else {})}
    return [
        {"epoch": place + 1, **{name: values[place] for name, values in columns.items()}}
        for place in range(len(losses))
    ]


FALLEN = [2.0, 1.5, 1.2, 1.1, 1.05, 1.03, 1.02, 1.01, 1.01, 1.0, 1.0, 1.0]


def document(matrix=((40, 10), (10, 40)), score=0.8, baseline=0.5, history=None, **config):
    """A classifier's run; 12 epochs of 100 steps unless the configuration says otherwise."""
    history = history or rows(FALLEN, FALLEN)
    config = {"epochs": len(history), "batch_size": 10, "steps_per_epoch": 0,
              "loss": "crossentropy", "class_weights": "none", "learning_rate": 0.1,
              "weights": "", "augment": "auto",
              "time_budget": 0.0, "image_size": [64, 64], **config}  # fmt: skip
    names = [f"class{place}" for place in range(len(matrix))]
    scores = {"accuracy": score, "loss": 0.5}
    scores |= {f"accuracy/{name}": row[place] / sum(row) if sum(row) else None
               for place, (name, row) in enumerate(zip(names, matrix, strict=True))}  # fmt: skip
    return {
        "scores": {"task": "classification", "scores": scores, "baseline": {"accuracy": baseline},
                   "class_names": names, "confusion_matrix": [list(row) for row in matrix]},
        "history": history, "config": config, "samples": {"train": 1000},
    }  # fmt: skip


def colors(history=None, **scores):
    made = document(history=history, loss="l1")
    made["scores"] = {"task": "colorization", "baseline": {"psnr": 23.5, "ssim": 0.8},
                      "scores": scores, "class_names": []}  # fmt: skip
    return made


def test_good_runs_hear_of_no_problem():
    assert advice.problems(document()) == []
    # Perfect: few steps, training loss far below, both still falling fast in relation.
    falling = [2.0 * 0.7**epoch for epoch in range(12)]
    good = document(((50, 0), (1, 49)), 0.99, history=rows([v / 3 for v in falling], falling),
                    batch_size=1000)  # fmt: skip
    assert advice.lines(good) == []
    # The history of a U-Net on CamVid, trained by the recipe auto: noise at the end.
    val = [2.11, 1.77, 1.37, 1.32, 1.11, 1.30, 1.06, 1.03, 1.00, 0.89, 0.84, 0.76, 0.68, 0.68,
           0.66, 0.62, 0.587, 0.588, 0.611, 0.616, 0.600, 0.591]  # fmt: skip
    loss = [2.39, 1.93, 1.64, 1.44, 1.36, 1.34, 1.25, 1.23, 1.15, 1.08, 1.04, 1.01, 0.97, 0.96,
            0.88, 0.85, 0.80, 0.78, 0.75, 0.72, 0.70, 0.68]  # fmt: skip
    assert advice.problems(document(history=rows(loss, val))) == []
    assert advice.problems(colors(psnr=23.0, ssim=0.81, colorfulness_ratio=0.7)) == []


def test_one_epoch_of_a_trial_is_too_few_steps_and_no_trend():
    short = document(history=rows([2.0], [1.9]))
    # 400 / 100 steps per epoch: 4 epochs.
    assert advice.problems(short) == [
        "too few steps: 100, where 400 are usual; try --epochs 4, or a smaller --batch-size "
        "(it was 10)"
    ]


def test_too_few_steps_are_no_reason_to_warn_where_others_made_the_model():
    history = rows([1.0], [1.0])
    assert advice.problems(document(history=history, weights="imagenet")) == []
    assert advice.problems(document(history=history, epochs=30)) == []  # stopped early
    assert advice.problems(document(history=history, batch_size=1)) == []  # 1000 steps
    assert advice.problems(document(history=history, steps_per_epoch=200)) == []
    found = advice.problems(document(history=history, time_budget=60.0, batch_size=20))
    assert "try --time 480s" in found[0]  # 50 of 400 steps


@pytest.mark.parametrize("weighted", [False, True])
def test_outputs_of_one_class_are_called_collapsed(weighted):
    found = advice.problems(
        document(((60, 0, 0), (30, 0, 0), (10, 0, 0)), 0.6, 0.6,
                 class_weights="auto" if weighted else "none")
    )  # fmt: skip
    # Once: neither the baseline nor the missed classes are told again.
    weights = "" if weighted else "--class-weights auto or "
    assert found == [
        "the outputs collapsed: only one of 3 classes is found, class0; try "
        f"{weights}--learning-rate 0.01 (it was 0.1)"
    ]
    nothing = document(((0, 60, 0), (30, 0, 0), (0, 10, 0)), 0.0, 0.6)
    assert "none of 3 classes is found" in advice.problems(nothing)[0]


def test_a_handful_of_test_images_proves_no_collapse():
    assert advice.problems(document(((4, 0), (4, 0)), 0.6)) == []
    assert advice.problems(document(((50, 0), (4, 0)), 0.95, 0.9)) == []


def test_gray_images_are_told_with_the_loss_that_helps():
    found = advice.problems(colors(psnr=25.0, colorfulness_ratio=0.04))
    assert found == [
        "the outputs collapsed to gray: they are 4 % as colorful as the truth; try --epochs 24, "
        "or --target ab with --loss chroma or bins"
    ]
    made = colors(psnr=25.0, colorfulness_ratio=0.04)
    made["config"]["loss"] = "chroma"
    assert "loss=" not in advice.problems(made)[0]


def test_a_score_below_the_baseline_is_told():
    found = advice.problems(document(score=0.45))
    assert found[0].startswith(
        "no better than the baseline (most frequent class): accuracy 45.00 and 50.00 %; try "
    )
    # Colors can cost PSNR: it is enough to be better in one of the scores.
    assert "gray image" in advice.problems(colors(psnr=20.0, ssim=0.7, colorfulness_ratio=1))[0]


def test_a_loss_that_still_falls_asks_for_epochs():
    # A line from 0.8 to 0.6 over the last quarter, 3 of 12 epochs: 25 %.
    losses = [2.0, 1.8, 1.6, 1.5, 1.4, 1.3, 1.2, 1.0, 0.9, 0.8, 0.7, 0.6]
    assert advice.problems(document(history=rows(losses, losses))) == [
        "the loss was still falling, by 25 % in the last 3 epochs; try --epochs 24"
    ]
    assert "--time 120s" in advice.problems(
        document(history=rows(losses, losses), time_budget=60.0)
    )[0]  # fmt: skip
    # Not where validation has stopped to follow, where it ended early, or in a trial.
    assert advice.problems(document(history=rows(losses, FALLEN))) == []
    assert advice.problems(document(history=rows(losses, losses), epochs=40)) == []
    assert advice.problems(document(history=rows(losses[-7:], losses[-7:]), batch_size=5)) == []


def test_memorized_training_images_are_told():
    val = [2.0, 1.5, 1.2, 1.1, 1.2, 1.3, 1.4, 1.5, 1.5, 1.6, 1.6, 1.6]
    loss = [2.0, 1.5, 1.2, 1.0, 0.9, 0.8, 0.7, 0.6, 0.55, 0.52, 0.51, 0.5]
    assert advice.problems(document(history=rows(loss, val), augment="none")) == [
        "validation is far below training (loss 1.6 and 0.5); try more training images, or "
        "--set augment=auto, or fewer --epochs (epoch 4 of 12 was the best)"
    ]
    # With a time budget, epochs cannot be set. The best epoch is that of the monitored score.
    scores = rows(loss, val, val_accuracy=[0.1] * 8 + [0.4, 0.3, 0.3, 0.3])
    timed = document(history=scores, time_budget=60.0)
    assert "or a shorter --time (epoch 4 of 12" in advice.problems(timed)[0]
    timed = document(history=scores, time_budget=60.0, monitor="val_accuracy")
    assert "--time" not in advice.problems(timed)[0]
    close = rows(FALLEN, FALLEN, accuracy=[0.98] * 12, val_accuracy=[0.7] * 12)
    assert "(accuracy 70.00 and 98.00)" in advice.problems(document(history=close))[0]
    close = rows(FALLEN, FALLEN, accuracy=[0.88] * 12, val_accuracy=[0.7] * 12)
    assert advice.problems(document(history=close)) == []


def test_classes_never_found_are_named():
    matrix = [[0] * 7 for _ in range(7)]
    for place in range(7):
        matrix[place][0 if place > 2 else place] = 20
    found = advice.problems(document(matrix, 0.8, 0.1))
    assert found == [
        "never found: class3, class4, class5 and 1 more; try more training images with class3, "
        "class4, class5, or --class-weights auto"
    ]
    # What too few steps explain needs no other reason.
    short = advice.problems(
        document(matrix, 0.3, 0.1, history=rows(FALLEN, FALLEN), batch_size=128)
    )
    assert len(short) == 1 and short[0].startswith("too few steps")


def test_next_steps_are_two_lines_at_most_and_none_for_a_perfect_run():
    made = document(((90, 10), (17, 3)), 0.775, 0.5)
    made["median_size"] = [360, 480]
    # Recall 15 % is below half of the mean, 52.5 %; 64 * 1.41 = 90.5, to multiples of 16: 96.
    assert advice.lines(made) == [
        "to try next: more training images with class1 (accuracy 15.0 %)",
        "to try next: larger images: --image-size 96x96 (they are 360x480)",
    ]
    made = document()
    made["median_size"] = [64, 80]
    # Epoch 10 of 12 had the lowest loss first, which is not among the last tenth.
    assert advice.lines(made) == []
    made["history"][-1]["val_loss"] = 0.99
    assert advice.lines(made) == [
        "to try next: more time: --epochs 24 (epoch 12 of 12 was the best)"
    ]
    made["scores"]["scores"]["accuracy"] = 0.98
    assert advice.lines(made) == []


def test_a_page_says_it_for_one_run_and_is_silent_for_several():
    made = run_document()
    made["scores"]["scores"]["accuracy"] = 0.05
    assert "no better than the baseline" in sections.run_section([made]).advice[0]
    assert sections.run_section([made, run_document(seed=1)]).advice == []
