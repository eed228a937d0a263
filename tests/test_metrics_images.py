"""PSNR, SSIM and color scores against scikit-image, Keras and plain loops."""

import keras
import numpy
import pytest
import skimage.color
import skimage.data
import skimage.metrics

from kerasdl.core.errors import ConfigError, DataError
from kerasdl.metrics import color
from kerasdl.metrics.psnr import PSNR
from kerasdl.metrics.psnr import psnr as plain_psnr
from kerasdl.metrics.ssim import SSIM
from kerasdl.metrics.ssim import _radius as window_radius
from kerasdl.metrics.ssim import ssim as plain_ssim


def compiled(function):
    """The function as a training step runs it; on JAX also far quicker than op by op."""
    if keras.backend.backend() != "jax":
        return function
    import jax

    return jax.jit(function)


psnr, ssim, keras_ssim = map(compiled, (plain_psnr, plain_ssim, keras.ops.image.ssim))


def images(height=24, width=33, count=3, noise=0.1, seed=0):
    random = numpy.random.default_rng(seed)
    photo = skimage.data.astronaut()[::8, ::8] / 255  # 64x64
    truth = numpy.stack([photo[i : i + height, i : i + width] for i in range(count)])
    prediction = numpy.clip(truth + random.normal(0, noise, truth.shape), 0, 1)
    return truth.astype("float32"), prediction.astype("float32")


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def skimage_ssim(truth, prediction):
    return skimage.metrics.structural_similarity(
        truth.astype(float),
        prediction.astype(float),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
        channel_axis=-1,
    )


def looped_ssim(truth, prediction):
    """Mean SSIM of one image, window by window, in float64."""
    size = min(11, *(side - 1 + side % 2 for side in truth.shape[:2]))
    steps = numpy.arange(size) - size // 2
    window = numpy.exp(-(steps[:, None] ** 2 + steps**2) / (2 * 1.5**2))
    window /= window.sum()
    values = []
    for top in range(truth.shape[0] - size + 1):
        for left in range(truth.shape[1] - size + 1):
            for channel in range(truth.shape[2]):
                place = (slice(top, top + size), slice(left, left + size), channel)
                x, y = truth[place].astype(float), prediction[place].astype(float)
                mean_x, mean_y = (window * x).sum(), (window * y).sum()
                variance_x = (window * (x - mean_x) ** 2).sum()
                variance_y = (window * (y - mean_y) ** 2).sum()
                covariance = (window * (x - mean_x) * (y - mean_y)).sum()
                values.append(
                    (2 * mean_x * mean_y + 1e-4)
                    * (2 * covariance + 9e-4)
                    / ((mean_x**2 + mean_y**2 + 1e-4) * (variance_x + variance_y + 9e-4))
                )
    return numpy.mean(values)


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.3])
def test_psnr_and_ssim_equal_scikit_image_and_keras(noise):
    truth, prediction = images(noise=noise)
    prediction[1] = 1 - prediction[1]
    for index, (peak, similarity) in enumerate(
        zip(array(psnr(truth, prediction)), array(ssim(truth, prediction)), strict=True)
    ):
        error = numpy.mean((truth[index].astype(float) - prediction[index]) ** 2)
        assert peak == pytest.approx(-10 * numpy.log10(max(error, 1e-10)), abs=1e-3)
        if error > 1e-10:
            expected = skimage.metrics.peak_signal_noise_ratio(
                truth[index], prediction[index], data_range=1.0
            )
            assert peak == pytest.approx(expected, abs=1e-3)
        expected = skimage_ssim(truth[index], prediction[index])
        assert similarity == pytest.approx(expected, abs=1e-5)
    numpy.testing.assert_allclose(
        array(ssim(truth, prediction)), array(keras_ssim(truth, prediction)), atol=1e-4
    )


@pytest.mark.parametrize("height, width", [(8, 8), (8, 20), (10, 9), (12, 11), (1, 1)])
def test_ssim_of_small_images_takes_the_largest_odd_window(height, width):
    truth, prediction = images(height, width, noise=0.2)
    expected = [looped_ssim(x, y) for x, y in zip(truth, prediction, strict=True)]
    numpy.testing.assert_allclose(array(ssim(truth, prediction)), expected, atol=1e-5)


def test_identical_flat_and_out_of_range_images():
    truth, _ = images()
    assert array(psnr(truth, truth)) == pytest.approx([100.0] * 3)
    assert array(ssim(truth, truth)) == pytest.approx([1.0] * 3, abs=1e-6)
    flat = numpy.full((1, 16, 16, 3), 0.5, "float32")
    assert array(ssim(flat, flat)) == pytest.approx([1.0], abs=1e-6)
    # Two flat images differ in luminance only: (2 * 0.5 * 0.25 + C1) / (0.3125 + C1).
    expected = (0.25 + 1e-4) / (0.3125 + 1e-4)
    assert array(ssim(flat, flat / 2)) == pytest.approx([expected], abs=1e-4)
    assert array(psnr(flat, flat - 0.1)) == pytest.approx([20.0], abs=1e-4)
    beyond = numpy.where(truth > 0.5, 1.5, truth).astype("float32")
    within = numpy.clip(beyond, 0, 1)
    numpy.testing.assert_allclose(array(psnr(truth, beyond)), array(psnr(truth, within)))
    numpy.testing.assert_allclose(array(ssim(truth, beyond)), array(ssim(truth, within)))


def test_ssim_of_bfloat16_images_is_computed_in_float32():
    """`keras.ops.image.ssim` computes in the type of its input: 0.5 instead of 0.95."""
    truth, prediction = images(noise=0.03)
    low = keras.ops.cast(prediction, "bfloat16")
    rounded = array(keras.ops.cast(low, "float32"))
    expected = [skimage_ssim(x, y) for x, y in zip(truth, rounded, strict=True)]
    numpy.testing.assert_allclose(array(ssim(truth, low)), expected, atol=1e-5)


@pytest.mark.parametrize("metric, function", [(PSNR, psnr), (SSIM, ssim)])
def test_metric_is_the_mean_over_images_with_a_partial_batch(metric, function):
    """`keras.ops.psnr` takes one error over the batch, so it depends on the batch size."""
    truth, prediction = images(count=7, noise=0.05)
    prediction[0] = truth[0]
    expected = array(function(truth, prediction)).astype(float).mean()
    inputs = keras.Input(truth.shape[1:])
    model = keras.Model(inputs, keras.layers.Activation("linear")(inputs))
    model.compile(loss="mae", metrics=[metric()])
    for size in (7, 3):
        logs = model.evaluate(prediction, truth, batch_size=size, verbose=0, return_dict=True)
        assert logs[metric().name] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("metric", [PSNR, SSIM])
def test_nothing_measured_configuration_and_sample_weights(metric):
    assert float(metric().result()) == 0.0
    made = metric(name="mine", gated=False)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
    assert again.get_config() == made.get_config() == {"name": "mine", "gated": False}
    truth, prediction = images()
    with pytest.raises(ConfigError, match="sample weights"):
        made.update_state(truth, prediction, sample_weight=numpy.ones(3))


def test_ssim_of_images_whose_size_is_unknown_when_the_graph_is_built():
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.layers.Activation("linear")(inputs))
    model.compile(loss="mae", metrics=[SSIM()])
    for height, width in ((8, 20), (20, 8), (24, 33)):
        truth, prediction = images(height, width)
        logs = model.evaluate(prediction, truth, verbose=0, return_dict=True)
        expected = numpy.mean([looped_ssim(x, y) for x, y in zip(truth, prediction, strict=True)])
        assert logs["ssim"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("sizes, radius", [((9, 30), 4), ((30, 8), 3), ((40, 40), 5)])
def test_window_of_images_whose_size_is_a_tensor(sizes, radius):
    height, width = map(keras.ops.convert_to_tensor, sizes)
    assert int(window_radius(height, width)) == window_radius(*sizes) == radius


def color_scores(*pairs):
    scores = color.ColorScores()
    for truth, prediction in pairs:
        scores.update(truth, prediction)
    return scores.result()


def test_color_errors_equal_a_loop_over_scikit_image():
    truth, prediction = images(4, 5, count=1)
    lab = skimage.color.rgb2lab(truth[0].astype(float))
    other = skimage.color.rgb2lab(prediction[0].astype(float))
    pixels = list(zip(lab.reshape(-1, 3), other.reshape(-1, 3), strict=True))
    found = color_scores((truth, prediction))
    distances = [numpy.hypot(p[1] - q[1], p[2] - q[2]) for p, q in pixels]
    assert found["chroma_error"] == pytest.approx(numpy.mean(distances))
    assert found["ab_error"] == pytest.approx(numpy.abs(lab - other)[..., 1:].mean())
    differences = [skimage.color.deltaE_ciede2000(p, q) for p, q in pixels]
    assert found["delta_e"] == pytest.approx(numpy.mean(differences))


def test_out_of_gamut_counts_pixels_that_clipping_changes():
    image = numpy.full((1, 2, 2, 3), 0.5)
    image[0, 0, 0, 1] = 1.01
    image[0, 1, 1] = (-0.01, 1.5, 0.0)
    image[0, 0, 1] = (-0.001, 1.001, 0.0)  # half a step of 8 bits is 0.00196
    assert color.out_of_gamut(image) == pytest.approx([0.5])


def test_colorfulness_by_hand():
    # Half red, half blue: rg = 255 or 0, yb = 127.5 or -255; deviations 127.5 and 191.25,
    # means 127.5 and -63.75.
    halves = numpy.zeros((4, 4, 3))
    halves[:2, :, 0] = 1
    halves[2:, :, 2] = 1
    expected = numpy.hypot(127.5, 191.25) + 0.3 * numpy.hypot(127.5, 63.75)
    assert color.colorfulness(halves) == pytest.approx(expected)
    assert color.colorfulness(numpy.full((4, 4, 3), 0.3)) == pytest.approx(0.0, abs=1e-9)


def test_color_scores_of_batches_of_any_size():
    truth, prediction = images(count=5)
    gray = numpy.repeat(truth.mean(axis=-1, keepdims=True), 3, axis=-1)
    found = color_scores((truth[:3], prediction[:3]), (truth[3:], prediction[3:]))
    each = [color_scores((truth[i : i + 1], prediction[i : i + 1])) for i in range(5)]
    for name in ("chroma_error", "ab_error", "delta_e"):
        assert found[name] == pytest.approx(numpy.mean([scores[name] for scores in each]))
    expected = color.colorfulness(prediction).mean() / color.colorfulness(truth).mean()
    assert found["colorfulness_ratio"] == pytest.approx(expected)

    assert color_scores((truth, truth)) == pytest.approx(
        {"chroma_error": 0.0, "ab_error": 0.0, "delta_e": 0.0, "colorfulness_ratio": 1.0}
    )
    assert color_scores((truth, gray))["colorfulness_ratio"] == pytest.approx(0.0, abs=1e-5)
    assert numpy.isnan(color_scores((gray, truth))["colorfulness_ratio"])
    with pytest.raises(DataError, match="at least one image"):
        color.ColorScores().result()
