"""Confusion matrix and mean IoU against scikit-learn and hand counts."""

import keras
import numpy
import pytest
from sklearn.metrics import confusion_matrix as sklearn_confusion
from sklearn.metrics import jaccard_score

from kerasdl.core.errors import ConfigError, DataError
from kerasdl.losses import SparseCrossentropy
from kerasdl.metrics.confusion import CARRY, MeanIoU, confusion_matrix, scores_from_confusion

CLASSES = 5


def batch(seed=0, shape=(4, 9, 7), truths=CLASSES, guesses=CLASSES):
    random = numpy.random.default_rng(seed)
    truth = random.integers(0, truths, shape).astype("uint8")
    guess = random.integers(0, guesses, shape)
    return truth, numpy.eye(CLASSES, dtype="float32")[guess], guess


def plain(result):
    return {key: float(value) for key, value in result.items()}


@pytest.mark.parametrize("ignored", [(), (255, 254), (1,)])
@pytest.mark.parametrize("truths, guesses", [(5, 5), (1, 5), (5, 1), (1, 1)])
def test_equals_scikit_learn(truths, guesses, ignored):
    truth, logits, guess = batch(truths=truths, guesses=guesses)
    for value in ignored:
        truth[numpy.random.default_rng(value).random(truth.shape) < 0.2] = value
    counted = ~numpy.isin(truth, ignored)
    expected = sklearn_confusion(truth[counted], guess[counted], labels=range(CLASSES))
    got = keras.ops.convert_to_numpy(confusion_matrix(truth, logits, CLASSES, ignored))
    assert got.dtype.kind == "i"
    numpy.testing.assert_array_equal(got, expected)

    metric = MeanIoU(CLASSES, ignored)
    metric.update_state(truth, logits)
    numpy.testing.assert_array_equal(metric.matrix(), expected)
    occurring = numpy.union1d(truth[counted], guess[counted])
    mean_iou = jaccard_score(truth[counted], guess[counted], labels=occurring, average="macro")
    result = plain(metric.result())
    assert result["mean_iou"] == pytest.approx(mean_iou, rel=1e-6)
    assert result["pixel_accuracy"] == pytest.approx((truth == guess)[counted].mean(), rel=1e-6)
    names = [f"class {index}" for index in range(CLASSES)]
    scores = scores_from_confusion(expected, names)
    assert scores["mean_iou"] == pytest.approx(mean_iou)
    for index, name in enumerate(names):
        if index in occurring:
            iou = jaccard_score(truth[counted], guess[counted], labels=[index], average="macro")
            assert scores[f"iou/{name}"] == pytest.approx(iou)
        else:
            assert numpy.isnan(scores[f"iou/{name}"])


def test_hand_counts():
    scores = scores_from_confusion([[3, 1], [0, 4]], ["sky", "ground"])
    assert scores == pytest.approx(
        {"mean_iou": 0.775, "pixel_accuracy": 0.875, "iou/sky": 0.75, "iou/ground": 0.8}
    )
    nothing = scores_from_confusion(numpy.zeros((2, 2)), ["sky", "ground"])
    assert all(numpy.isnan(value) for value in nothing.values())


def test_nothing_but_ignored_labels_is_zero_and_a_perfect_score_is_one():
    metric = MeanIoU(CLASSES, (255,))
    truth, logits, guess = batch()
    metric.update_state(numpy.full_like(truth, 255), logits)
    assert plain(metric.result()) == {"mean_iou": 0.0, "pixel_accuracy": 0.0}
    metric.update_state(guess, logits)
    assert plain(metric.result()) == {"mean_iou": 1.0, "pixel_accuracy": 1.0}
    metric.reset_state()
    assert metric.matrix().sum() == 0


def test_a_label_that_is_no_class_is_not_dropped_silently():
    """Keras' MeanIoU drops label 255 without being told to: a typo in the classes stays unseen."""
    truth, logits, _ = batch()
    truth[0, 0, 0] = 200
    metric = MeanIoU(CLASSES, (255,))
    metric.update_state(truth, logits)
    assert numpy.isnan(plain(metric.result())["mean_iou"])
    with pytest.raises(DataError, match="1 labels are neither"):
        metric.matrix()


@pytest.mark.parametrize("label", [-1, -CLASSES])
def test_a_negative_label_is_no_class_counted_from_the_end(label):
    truth, logits, guess = batch()
    truth = truth.astype("int32")
    truth[0, 0, 0] = label
    metric = MeanIoU(CLASSES)
    metric.update_state(truth, logits)
    assert numpy.isnan(plain(metric.result())["mean_iou"])
    with pytest.raises(DataError, match="1 labels are neither"):
        metric.matrix()
    matrix = keras.ops.convert_to_numpy(confusion_matrix(truth, logits, CLASSES))
    rest = numpy.arange(truth.size) > 0
    expected = sklearn_confusion(truth.ravel()[rest], guess.ravel()[rest], labels=range(CLASSES))
    numpy.testing.assert_array_equal(matrix, expected)
    ignoring = MeanIoU(CLASSES, (label,))
    ignoring.update_state(truth, logits)
    numpy.testing.assert_array_equal(ignoring.matrix(), expected)


def test_counts_beyond_int32_and_float32_are_exact():
    metric = MeanIoU(2)
    metric.low.assign([CARRY - 1, 0, 0, 2**24, 0])
    metric.high.assign([4, 0, 0, 0, 0])
    metric.update_state(numpy.array([0, 0, 1]), numpy.eye(2, dtype="float32")[[0, 0, 1]])
    numpy.testing.assert_array_equal(metric.matrix(), [[5 * CARRY + 1, 0], [0, 2**24 + 1]])
    assert plain(metric.result())["mean_iou"] == pytest.approx(1.0)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_through_evaluate_with_a_partial_batch_in_mixed_precision(policy):
    truth, logits, guess = batch(shape=(7, 6, 6))
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        inputs = keras.Input((6, 6, CLASSES))
        # Mixed policies must not touch counts; the output stays low precision on purpose.
        model = keras.Model(inputs, keras.layers.Activation("linear")(inputs))
        metric = MeanIoU(CLASSES)
        model.compile(loss=SparseCrossentropy(), metrics=[metric])
        logs = model.evaluate(logits, truth, batch_size=3, verbose=0, return_dict=True)
    finally:
        keras.config.set_dtype_policy(before)
    expected = sklearn_confusion(truth.ravel(), guess.ravel(), labels=range(CLASSES))
    numpy.testing.assert_array_equal(metric.matrix(), expected)
    scores = scores_from_confusion(expected, range(CLASSES))
    assert logs["mean_iou"] == pytest.approx(scores["mean_iou"], rel=1e-6)
    assert logs["pixel_accuracy"] == pytest.approx(scores["pixel_accuracy"], rel=1e-6)


def test_one_matrix_over_the_split_does_not_depend_on_the_batch_size():
    truth, logits, _ = batch(shape=(10, 5, 5), truths=3)
    results = []
    for size in (10, 3):
        metric = MeanIoU(CLASSES)
        for start in range(0, 10, size):
            metric.update_state(truth[start : start + size], logits[start : start + size])
        results.append(plain(metric.result()))
    assert results[0] == results[1]


def test_saved_configuration_and_sample_weights():
    metric = MeanIoU(CLASSES, (255, 254), gated=False)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert again.get_config() == metric.get_config()
    truth, logits, _ = batch()
    with pytest.raises(ConfigError, match="sample weights"):
        metric.update_state(truth, logits, sample_weight=truth)


@pytest.mark.filterwarnings("error")
def test_scores_of_nothing_are_undefined_without_a_warning():
    found = scores_from_confusion([[0, 0], [0, 0]], ["a", "b"])
    assert len(found) == 4 and all(map(numpy.isnan, found.values()))


def test_scores_count_what_was_carried():
    metric = MeanIoU(2)
    metric.low.assign([CARRY // 2, 0, 0, 0, 0])
    metric.high.assign([3, 1, 0, 4, 0])
    # 3.5, 1, 0 and 4 times 2**24 pixels.
    found = {name: float(value) for name, value in metric.result().items()}
    assert found["mean_iou"] == pytest.approx((3.5 / 4.5 + 4 / 5) / 2)
    assert found["pixel_accuracy"] == pytest.approx(7.5 / 8.5)
