"""What the tasks score, from logits to the numbers of a report, by hand."""

import dataclasses
import math

import keras
import numpy
import pytest

import kerasdl
from kerasdl import losses, tasks
from kerasdl.data.base import Dataset, Sample
from kerasdl.engine.prediction import geometry, networks, outputs
from kerasdl.metrics.classification import calibration_bins, calibration_error
from kerasdl.metrics.color import ColorScores
from kerasdl.metrics.colors.lab import gray
from kerasdl.tasks import classification, colorization, segmentation
from kerasdl.tasks.prediction import Names, Settings
from kerasdl.tasks.prediction import classification as decoder
from kerasdl.tasks.scoring import class_counts, spread


def dataset(names, ignore_labels=()):
    return Dataset("hand", {}, tuple(names), ((0, 0, 0),) * len(names), ignore_labels)


def logits_of(*rows):
    """Logits whose softmax is the given rows of probabilities."""
    return numpy.log(numpy.array(rows, "float32"))


def scored(scorer, *batches):
    for batch in batches:
        scorer.update(*batch)
    return scorer.result()


# Classification


LABELS = numpy.array([0, 0, 0, 1, 1, 2], "int32")
PROBABILITIES = [
    (0.5, 0.25, 0.25),  # a cat
    (0.25, 0.5, 0.25),  # a cat taken for a dog
    (0.125, 0.75, 0.125),  # a cat taken for a dog
    (0.25, 0.625, 0.125),  # a dog
    (0.25, 0.25, 0.5),  # a dog taken for a bird
    (0.125, 0.125, 0.75),  # a bird
]


def classified():
    scorer = classification.Scorer(dataset(["cat", "dog", "bird"]), losses.build("crossentropy"))
    logits = logits_of(*PROBABILITIES)
    return scored(scorer, (LABELS[:4], logits[:4]), (LABELS[4:], logits[4:]))


def test_rows_of_the_confusion_matrix_are_the_truth():
    scores, _, extras = classified()
    assert extras["confusion_matrix"] == [[1, 2, 0], [0, 1, 1], [0, 0, 1]]
    recall = [scores[f"accuracy/{name}"] for name in ("cat", "dog", "bird")]
    assert recall == pytest.approx([1 / 3, 1 / 2, 1.0])  # precision would be 1, 1/3, 1/2
    assert scores["accuracy"] == pytest.approx(3 / 6)
    assert "top5_accuracy" not in scores


def test_loss_and_calibration_are_of_probabilities_after_one_softmax():
    scores, _, extras = classified()
    truth = (0.5, 0.25, 0.125, 0.625, 0.25, 0.75)
    assert scores["loss"] == pytest.approx(-numpy.log(truth).mean(), rel=1e-5)
    # Bins of 1/15: 0.5 lies in (7/15, 8/15], 0.625 in (9/15, 10/15], 0.75 in (11/15, 12/15].
    # Right and confidence: 0.5: 1 of 3 and 1.5; 0.625: 1 of 1; 0.75: 1 of 2 and 1.5.
    gaps = (1 - 1.5, 1 - 0.625, 1 - 1.5)
    assert scores["calibration_error"] == pytest.approx(sum(map(abs, gaps)) / 6, rel=1e-5)
    filled = [each for each in extras["calibration"] if each["count"]]
    assert [each["count"] for each in filled] == [3, 1, 2]
    assert [each["accuracy"] for each in filled] == pytest.approx([1 / 3, 1.0, 1 / 2])
    assert [each["confidence"] for each in filled] == pytest.approx([0.5, 0.625, 0.75])


def test_the_baseline_is_the_most_frequent_class():
    assert classified()[1] == {"accuracy": pytest.approx(3 / 6)}


def test_the_score_of_a_sample_is_the_probability_of_its_class():
    found = classification.sample_score(LABELS, logits_of(*PROBABILITIES), None)
    assert found == pytest.approx([0.5, 0.25, 0.125, 0.625, 0.25, 0.75])
    names = Names(("cat", "dog", "bird"), numpy.zeros((3, 3), "uint8"))
    said = decoder.summarize(logits_of(PROBABILITIES[3])[0], names, Settings(top=2))
    assert [name for name, _ in said.classes] == ["dog", "cat"]
    assert [value for _, value in said.classes] == pytest.approx([0.625, 0.25])


def test_a_caption_names_the_truth_only_where_it_was_missed():
    data = dataset(["cat", "dog", "bird"])
    shown = [2, 4, 5]
    found = classification.captions(
        LABELS[shown], logits_of(*(PROBABILITIES[place] for place in shown)), data
    )
    assert found == ["cat taken for dog 75%", "dog taken for bird 50%", "bird 75%"]
    # A class needs the whole image at the trained size.
    assert decoder.DECODER.paint is None


@pytest.mark.parametrize(
    ("label", "logits", "counts"),
    [
        # exp(-200) is 0 in float32, as are those of all classes but the first two.
        (6, [200, 0, -1, -2, -3, -4, 50], 1),
        (4, [200, 0, -1, -2, -3, -4, 50], 0),
        (3, [200, 0, -1, -2, -3, -4, 50], 1),
        (5, [0, 0, 0, 0, 0, 0, 0], 0),  # of equal ones the first five
        (4, [0, 0, 0, 0, 0, 0, 0], 1),
    ],
)
def test_top_5_ranks_logits(label, logits, counts):
    scorer = classification.Scorer(dataset("abcdefg"), losses.build("crossentropy"))
    labels = numpy.array([label], "int32")
    scores, _, _ = scored(scorer, (labels, numpy.array([logits], "float32")))
    assert scores["top5_accuracy"] == counts


# Calibration


def two_classes(*confidences):
    return numpy.array([(value, 1 - value) for value in confidences])


def test_gaps_of_both_signs_do_not_cancel_across_bins_but_within_one():
    # Right at 0.6 (gap 0.4), wrong at 0.9 (gap -0.9).
    assert calibration_error([0, 1], two_classes(0.6, 0.9)) == pytest.approx((0.4 + 0.9) / 2)
    # Right and wrong in the bin (14/15, 1]: gap 1 - 0.95 - 0.97 = -0.92 of both together.
    assert calibration_error([0, 1], two_classes(0.95, 0.97)) == pytest.approx(0.92 / 2)


def test_there_are_fifteen_bins():
    # 0.62 and 0.68 lie on both sides of 10/15, and in one of ten bins.
    assert calibration_error([0, 1], two_classes(0.62, 0.68)) == pytest.approx((0.38 + 0.68) / 2)
    assert len(calibration_bins([0], two_classes(0.6))) == 15


@pytest.mark.parametrize(("confidence", "number"), [(0.5, 1), (0.51, 2), (0.75, 2), (1.0, 3)])
def test_a_bin_has_its_upper_edge(confidence, number):
    bins = calibration_bins([0], two_classes(confidence), bins=4)
    assert [each["count"] for each in bins] == [int(each == number) for each in range(4)]
    assert (bins[number]["low"], bins[number]["high"]) == (number / 4, (number + 1) / 4)
    # The edge and what lies below it are one bin: 0.75 is right, 0.625 is wrong.
    assert calibration_error([0, 1], two_classes(0.75, 0.625), bins=4) == pytest.approx(0.375 / 2)


def test_values_of_the_bins_by_hand():
    bins = calibration_bins([0, 1, 0], two_classes(0.625, 0.75, 0.875), bins=4)
    assert bins[2] == {"low": 0.5, "high": 0.75, "count": 2, "confidence": 0.6875, "accuracy": 0.5}
    assert bins[3] == {"low": 0.75, "high": 1.0, "count": 1, "confidence": 0.875, "accuracy": 1.0}
    assert bins[0] == {"low": 0.0, "high": 0.25, "count": 0, "confidence": 0.0, "accuracy": 0.0}


# Segmentation: three classes, of which the last is ignored, and 255.


MASKS = numpy.array([[[0, 0, 0, 1, 1, 2, 255, 0]]], "int32")
GUESS = numpy.array([[[0, 1, 0, 1, 2, 2, 0, 0]]])


def segmented(masks=MASKS, guess=GUESS):
    data = dataset(["sky", "house", "void"], (255, 2))
    scorer = segmentation.Scorer(data, losses.build("crossentropy", data.ignore_labels))
    logits = numpy.eye(3, dtype="float32")[guess]
    return scored(scorer, *((masks[:, :, part], logits[:, :, part])
                            for part in (slice(0, 4), slice(4, 8))))  # fmt: skip


def test_ignored_classes_are_in_no_score_of_a_segmentation():
    scores, baseline, extras = segmented()
    assert extras["confusion_matrix"] == [[3, 1, 0], [0, 1, 1], [0, 0, 0]]
    # sky: 3 of 3 + 1; house: 1 of 2 + 1; void: guessed once, never right.
    iou = {"iou/sky": 3 / 4, "iou/house": 1 / 3, "iou/void": 0.0}
    assert {name: scores[name] for name in iou} == pytest.approx(iou)
    assert scores["mean_iou"] == pytest.approx((3 / 4 + 1 / 3 + 0) / 3)
    assert scores["pixel_accuracy"] == pytest.approx(4 / 6)
    # Painted sky: its IoU is 4 of all 6 pixels, that of the house 0; void occurs nowhere.
    assert baseline == pytest.approx({"mean_iou": 4 / 6 / 2, "pixel_accuracy": 4 / 6})


def test_the_baseline_takes_the_most_frequent_class_of_the_truth():
    """Not that of the predictions, and not the rarest."""
    masks = numpy.array([[[1, 1, 1, 0, 0, 0, 0, 0]]], "int32")
    _, baseline, _ = segmented(masks, numpy.ones_like(masks))
    assert baseline == pytest.approx({"mean_iou": 5 / 8 / 2, "pixel_accuracy": 5 / 8})


def test_ignored_pixels_are_in_no_sample_s_score():
    data = dataset(["sky", "house", "void"], (255, 2))
    masks = numpy.concatenate([MASKS, MASKS, numpy.full_like(MASKS, 255)])
    guess = numpy.concatenate([GUESS, numpy.zeros_like(GUESS), GUESS])
    found = segmentation.sample_score(masks, numpy.eye(3, dtype="float32")[guess], data)
    assert found == pytest.approx([4 / 6, 4 / 6, 1.0])  # the last has no pixel that counts


def test_logits_are_upsampled_before_the_largest_is_taken():
    # Four columns from two: 4 and 0, at quarters 3 and 1, for sky; 0 and 1, at quarters 0.25 and
    # 0.75, for the house. Classes upsampled would be half and half.
    logits = numpy.array([[[4.0, 0.0], [0.0, 1.0]]], "float32")
    pixels = numpy.zeros((1, 4, 3), "uint8")
    names = Names(("sky", "house"), numpy.array([(9, 9, 9), (200, 0, 0)], "uint8"))
    shown = outputs.Shown(pixels, geometry.Plan((1, 2)), None)
    training = geometry.Training((1, 2), "stretch")
    facts = networks.Facts("segmentation", names, "", 2, training, False)
    computing = outputs.Computing(None, facts, geometry.Tiling(), Settings())
    found = computing.finish(shown, logits)
    assert found.mask.tolist() == [[0, 0, 0, 1]]
    assert found.fractions == {"sky": 0.75, "house": 0.25}


def test_masks_are_drawn_in_the_colors_of_their_classes():
    colors = numpy.array([(9, 8, 7), (200, 0, 50), (1, 2, 3)], "uint8")
    data = dataclasses.replace(
        dataset(["sky", "house", "void"], (255, 2)), palette=tuple(map(tuple, colors.tolist()))
    )
    images = numpy.arange(256, dtype="uint8")[:24].reshape(1, 1, 8, 3) * 10
    x, y = segmentation.prepare(images, None, MASKS)
    drawn = segmentation.render(x, y, numpy.eye(3, dtype="float32")[GUESS], data)
    numpy.testing.assert_array_equal(drawn[0], images)
    expected = numpy.where((MASKS == 255)[..., None], 255, colors[numpy.minimum(MASKS, 2)])
    numpy.testing.assert_array_equal(drawn[1], expected)
    numpy.testing.assert_array_equal(drawn[2], colors[GUESS])
    assert segmentation.captions(MASKS, numpy.eye(3)[GUESS], data) == ["66.7% of pixels correct"]


# Colorization


RED = numpy.zeros((1, 8, 8, 3), "float32") + numpy.array([1.0, 0.0, 0.0], "float32")


def decibel(*errors):
    """PSNR of constant errors of the channels."""
    return -10 * math.log10(sum(error**2 for error in errors) / len(errors))


def colored(truth, outputs, target="rgb"):
    scorer = colorization.Scorer(None, losses.build("l1", target=target), target)
    return scored(scorer, (truth, outputs))


def test_luma_by_hand():
    colors = numpy.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.25, 1]], "float32")
    expected = [0.299, 0.587, 0.114, 0.1495 + 0.14675 + 0.114]
    assert gray(colors)[:, 0] == pytest.approx(expected)
    x, y = colorization.prepare((RED * 255).astype("uint8"), None, None, "rgb")
    assert x[..., 0] == pytest.approx(0.299)
    numpy.testing.assert_allclose(y, RED)


def test_the_baseline_of_a_red_image_is_its_luma():
    scores, baseline, _ = colored(RED, RED)
    assert baseline["psnr"] == pytest.approx(decibel(0.701, 0.299, 0.299), rel=1e-5)
    assert baseline["colorfulness_ratio"] == pytest.approx(0.0, abs=1e-4)
    assert (scores["psnr"], scores["loss"]) == (pytest.approx(100.0), pytest.approx(0.0))
    # Red in CIELAB is (53.24, 80.09, 67.20), http://www.brucelindbloom.com; gray has no chroma.
    assert baseline["chroma_error"] == pytest.approx(math.hypot(80.09, 67.20), rel=1e-3)
    assert baseline["ab_error"] == pytest.approx((80.09 + 67.20) / 2, rel=1e-3)


def test_what_lies_outside_srgb_is_counted_before_it_is_clipped():
    outputs = RED.copy()
    outputs[:, :4, :, 0] = 1.5  # half of the image; clipped it is the truth
    scores, baseline, _ = colored(RED, outputs)
    assert (scores["out_of_gamut"], baseline["out_of_gamut"]) == (0.5, 0.0)
    assert scores["psnr"] == pytest.approx(100.0)
    assert scores["chroma_error"] == pytest.approx(0.0, abs=1e-4)
    assert scores["loss"] == pytest.approx(0.5 * 0.5 / 3)  # of what the network put out


def test_the_score_of_a_colorized_sample_is_its_psnr():
    truth = numpy.concatenate([RED, RED])
    outputs = numpy.concatenate([RED - numpy.float32([0.1, 0, 0]), RED * 2])
    found = colorization.sample_score(truth, outputs, None)
    assert found == pytest.approx([decibel(0.1, 0, 0), 100.0], rel=1e-4)


def test_colors_beyond_srgb_are_scored_as_they_are_shown():
    scores = ColorScores()
    scores.update(RED, RED * 3 - 1)  # (2, -1, -1) is shown as red
    assert scores.result() == pytest.approx(
        {"chroma_error": 0.0, "ab_error": 0.0, "delta_e": 0.0, "colorfulness_ratio": 1.0}
    )


@pytest.mark.parametrize(("strength", "is_gray"), [(0.009, True), (0.011, False), (0.09, False)])
def test_an_image_is_gray_up_to_a_hundredth(strength, is_gray):
    # Red above the others by d of 255: rg = d, yb = d / 2, so 0.3 sqrt(1 + 1/4) d.
    difference = strength / (0.3 * math.sqrt(1.25)) / 255
    image = numpy.full((1, 8, 8, 3), 0.5) + [difference, 0, 0]
    scores = ColorScores()
    scores.update(image, image)
    ratio = scores.result()["colorfulness_ratio"]
    assert math.isnan(ratio) if is_gray else ratio == pytest.approx(1.0)


def test_a_task_scores_with_its_own_target():
    """Scorer, sample score and metrics of `ab` read (L, a, b) / 100."""
    task = tasks.of(kerasdl.Config(task="colorization", target="ab", image_size=8))
    images = (RED * 255).astype("uint8")
    x, y = task.prepare(images, None, None)
    assert x[..., 0] == pytest.approx(0.5324, rel=1e-3)
    scorer = task.scorer(None, losses.build("l1", target="ab"))
    scores, baseline, _ = scored(scorer, (y, y[..., 1:]))
    assert scores["psnr"] > 60 and task.sample_score(y, y[..., 1:], None)[0] > 60
    assert baseline["psnr"] == pytest.approx(decibel(0.701, 0.299, 0.299), rel=1e-3)
    (metric,) = task.metrics(None)
    metric.update_state(y, y[..., 1:])
    assert float(keras.ops.convert_to_numpy(metric.result()["psnr"])) > 60


# What is scored does not depend on the batches, and the baseline not on the truth


class Labeled:
    """A split of which only the labels are known."""

    def __init__(self, labels=(), masks=()):
        self.known, self.masks = labels, masks

    def __len__(self):
        return len(self.known) or len(self.masks)

    def __getitem__(self, index):
        return Sample(None, None, self.masks[index])

    def labels(self):
        return numpy.array(self.known) if len(self.known) else None


def test_the_baseline_is_chosen_on_the_training_split():
    train = {"train": Labeled([1, 1, 0])}  # most frequent: class 1; of the labels scored: class 0
    data = dataclasses.replace(dataset(["cat", "dog", "bird"]), splits=train)
    scorer = classification.Scorer(data, losses.build("crossentropy"))
    assert scored(scorer, (LABELS, logits_of(*PROBABILITIES)))[1]["accuracy"] == 2 / 6
    masks = numpy.array([[[1, 1], [1, 0]]], "uint8")
    data = dataclasses.replace(
        dataset(["sky", "sea"], (255,)),
        splits={"train": Labeled(masks=[*masks, numpy.full((9, 9), 255, "uint8")])},
    )
    scorer = segmentation.Scorer(data, losses.build("crossentropy"))
    truth = numpy.array([[[0, 0], [0, 1]]], "int32")
    logits = numpy.zeros((1, 2, 2, 2), "float32")
    assert scored(scorer, (truth, logits))[1]["pixel_accuracy"] == 1 / 4


def test_classes_are_counted_in_evenly_spaced_masks():
    assert [spread(5, 3), spread(3, 9), spread(1, 4)] == [[0, 2, 4], [0, 1, 2], [0]]
    masks = numpy.array([[[0, 1], [1, 3]], [[1, 1], [255, 3]]], "uint8")
    assert class_counts(Labeled(masks=masks), 3, True, (255,)).tolist() == [1, 4, 0]
    assert class_counts(Labeled(masks=masks), 4, True, (3,)).tolist() == [1, 4, 0, 0]
    assert class_counts(Labeled([2, 2, 0, 7]), 4, False).tolist() == [1, 0, 2, 0]


@pytest.mark.parametrize("name", ["crossentropy", "focal", "dice", "crossentropy+dice"])
def test_the_loss_does_not_depend_on_the_batches(name):
    generator = numpy.random.default_rng(0)
    truth = generator.integers(0, 3, (4, 2, 2)).astype("int32")
    truth[0, 0] = truth[1, :, 1] = truth[2] = 9  # ignored: 2, 2 and all 4 pixels
    logits = generator.normal(0, 2, (4, 2, 2, 3)).astype("float32")
    found = []
    for parts in ([slice(0, 4)], [slice(0, 1), slice(1, 4)]):
        scorer = segmentation.Scorer(dataset("abc", (9,)), losses.build(name, (9,)))
        batches = [(truth[part], logits[part]) for part in parts]
        found.append(scored(scorer, *batches)[0]["loss"])
    assert found[0] == pytest.approx(found[1], rel=1e-6)
    alone = [float(losses.build(name, (9,))(truth[i : i + 1], logits[i : i + 1])) for i in range(4)]
    assert found[0] == pytest.approx((alone[0] + alone[1] + alone[3]) / 3, rel=1e-6)
