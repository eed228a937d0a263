"""The learning rate range test: the suggestion on curves known by formula, weights restored."""

import json

import keras
import numpy
import PIL.Image
import pytest
from test_cli import kerasdl  # noqa: F401

from kerasdl.core.errors import ConfigError, TrainingFailed
from kerasdl.engine import range_test


class OneBatch:
    """y = 2 x in one batch."""

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return numpy.ones((4, 1), "float32"), numpy.full((4, 1), 2.0, "float32")

    def set_epoch(self, epoch):
        pass


def model():
    made = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    made.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=False)
    made.set_weights([numpy.zeros((1, 1))])
    return made


def test_the_loss_of_each_step_at_its_rate_and_the_weights_restored():
    made = model()
    # w = 0: loss 4, gradient -4; w = 0.25 * 4 = 1: loss 1, gradient -2; w = 1 + 0.5 * 2: loss 0.
    assert range_test._losses(made, OneBatch(), [0.25, 0.5, 0.5]) == pytest.approx([4.0, 1.0, 0.0])
    assert float(made.get_weights()[0][0, 0]) == 0.0


def test_it_ends_when_the_loss_diverges():
    # Each step multiplies w - 2 by 1 - 2 rate = -19: the second loss is 361 times the first.
    losses = range_test._losses(model(), OneBatch(), [10.0] * 5)
    assert losses == pytest.approx([4.0, 4.0 * 361])


def test_the_suggestion_is_where_the_loss_falls_fastest():
    # A step down around rate 1e-2 and up after 1e0: the slope of tanh is largest in its middle.
    rates = numpy.logspace(-5, 1, 121)
    place = numpy.log10(rates)
    losses = 2.0 - numpy.tanh(3 * (place + 2)) + 50 * numpy.maximum(place, 0)
    found = range_test.found(list(rates), list(losses))
    # The moving average of 0.9 lags behind by about nine steps of 0.05 decades.
    assert -2.0 <= numpy.log10(found.suggestion) <= -1.4
    assert numpy.log10(found.lowest) <= 0.1


def test_no_suggestion_for_a_loss_that_only_rises():
    found = range_test.found([0.1, 1.0, 10.0, 100.0], [1.0, 2.0, 3.0, 4.0])
    assert found.suggestion is None


def test_smoothing_by_hand():
    # (0.1 * 4) / 0.1 = 4; (0.9 * 0.4 + 0.1 * 2) / (1 - 0.81) = 0.56 / 0.19
    assert range_test._smooth([4.0, 2.0]) == pytest.approx([4.0, 0.56 / 0.19])


def test_wrong_limits_and_a_loss_that_is_never_finite():
    with pytest.raises(ConfigError, match="must rise"):
        range_test.run(None, None, 1.0, 0.1, 100)
    with pytest.raises(ConfigError, match="at least 10 steps"):
        range_test.run(None, None, 0.1, 1.0, 9)
    with pytest.raises(TrainingFailed, match="not finite from learning rate 0.1"):
        range_test.found([0.1], [1.0])


def test_the_command_writes_its_plot_where_told(kerasdl, tmp_path):  # noqa: F811
    words = ["lr-find", "segmentation", "--image-size", "8", "--batch-size", "4"]
    for assignment in ("train_size=4", "model_args.filters=1", "model_args.depth=1"):
        words += ["--set", assignment]
    code, out, _ = kerasdl(
        *words, "--low", "1e-5", "--high", "1e-3", "--steps", "11", "--out", "a.png", "--json"
    )
    document = json.loads(out)
    assert code == 0 and document["plot"] == "a.png"
    # 11 steps over two decades: every fifth one is a decade later.
    assert document["rates"][::5] == pytest.approx([1e-5, 1e-4, 1e-3])
    assert len(document["losses"]) == len(document["smoothed"]) == 11
    assert document["lowest"] in document["rates"]
    with PIL.Image.open(tmp_path / "a.png") as plot:
        assert plot.format == "PNG" and numpy.ptp(numpy.asarray(plot.convert("L"))) > 100
