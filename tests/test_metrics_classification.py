"""Classification scores against scikit-learn and hand counts."""

import keras
import numpy
import pytest
from sklearn.metrics import accuracy_score, recall_score, top_k_accuracy_score

from kerasdl import metrics
from kerasdl.core.errors import DataError
from kerasdl.metrics import classification

CLASSES = 8


def samples(count=60, classes=CLASSES, seed=0):
    random = numpy.random.default_rng(seed)
    probabilities = random.dirichlet(numpy.ones(classes), count)
    return random.integers(0, classes, count), probabilities


def test_accuracy_and_top_5_equal_scikit_learn_and_keras():
    labels, probabilities = samples()
    guess = probabilities.argmax(axis=1)
    assert classification.accuracy(labels, probabilities) == accuracy_score(labels, guess)
    top5_accuracy = classification.top_k_accuracy(labels, probabilities)
    expected = top_k_accuracy_score(labels, probabilities, k=5, labels=range(CLASSES))
    assert top5_accuracy == pytest.approx(expected)
    keras_top5_accuracy = keras.metrics.SparseTopKCategoricalAccuracy(k=5)
    keras_top5_accuracy.update_state(labels, probabilities.astype("float32"))
    assert top5_accuracy == pytest.approx(float(keras_top5_accuracy.result()))


def test_top_5_with_fewer_classes_and_with_ties():
    labels, probabilities = samples(classes=3)
    assert classification.top_k_accuracy(labels, probabilities) == 1.0
    # All equal: classes 0 to 4 are taken, so 5 of 8 labels are right.
    assert classification.top_k_accuracy(range(8), numpy.ones((8, 8))) == 5 / 8


def test_per_class_accuracy_is_recall():
    labels, probabilities = samples()
    labels[labels == 3] = 2
    guess = probabilities.argmax(axis=1)
    matrix = numpy.zeros((CLASSES, CLASSES))
    numpy.add.at(matrix, (labels, guess), 1)
    got = classification.per_class_accuracy(matrix)
    assert numpy.isnan(got[3])
    expected = recall_score(labels, guess, labels=range(CLASSES), average=None, zero_division=0)
    rest = numpy.arange(CLASSES) != 3
    numpy.testing.assert_allclose(got[rest], expected[rest])


def looped_calibration_error(labels, probabilities, bins=15):
    error = 0.0
    for index in range(bins):
        members = [
            (row.max(), row.argmax() == label)
            for label, row in zip(labels, probabilities, strict=True)
            if index / bins < row.max() <= (index + 1) / bins
        ]
        if members:
            confidence, right = numpy.mean(members, axis=0)
            error += len(members) / len(labels) * abs(right - confidence)
    return error


def test_calibration_error():
    labels, probabilities = samples(500)
    expected = looped_calibration_error(labels, probabilities)
    assert classification.calibration_error(labels, probabilities) == pytest.approx(expected)
    # Always sure: right three times of four, so the gap is 1/4.
    sure = numpy.eye(2)[[0, 0, 0, 0]]
    assert classification.calibration_error([0, 0, 0, 1], sure) == pytest.approx(0.25)
    # 80 % sure and right four times of five.
    right = numpy.tile([0.8, 0.2], (5, 1))
    assert classification.calibration_error([0, 0, 0, 0, 1], right) == pytest.approx(0.0)


def test_no_samples():
    for score in (classification.accuracy, classification.calibration_error):
        with pytest.raises(DataError, match="at least one sample"):
            score([], numpy.zeros((0, 3)))


def test_every_score_has_a_definition():
    names = (
        "loss accuracy top5_accuracy mean_iou iou/sky pixel_accuracy psnr ssim chroma_error delta_e"
    )
    for name in [*names.split(), "colorfulness_ratio", "calibration_error"]:
        assert metrics.definition(name)
    assert metrics.definition("seconds") is None


def test_recall_of_a_class_without_samples_divides_nothing_by_zero():
    with numpy.errstate(all="raise"):
        recall = classification.per_class_accuracy([[1, 1], [0, 0]])
    assert recall[0] == 0.5 and numpy.isnan(recall[1])
