"""U-Net, FCN and ResNet-18 against the papers' networks in NumPy, weights by the layers' names.

Everything is padded on both sides by half the kernel, as the papers and PyTorch do; sizes are even,
where padding one side only gives another result.
"""

import math

import keras
import numpy
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from kerasdl import models
from kerasdl.models import resnet


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """ResNet-18 with few filters, so that NumPy is fast."""
    monkeypatch.setattr(resnet, "STAGE_FILTERS", (64, 4, 6, 8))


class Reference:
    """Layers in float64, each with the weights of the Keras layer of that name.

    Args:
        model: The Keras network, whose weights become random.
    """

    def __init__(self, model):
        generator = numpy.random.default_rng(5)
        for layer in model.layers:
            layer.set_weights([self._drawn(generator, value) for value in layer.get_weights()])
        self.weights = {
            layer.name: [numpy.array(value, "float64") for value in layer.get_weights()]
            for layer in model.layers
            if layer.weights
        }
        self.unused = set(self.weights)

    @staticmethod
    def _drawn(generator, value):
        if value.ndim == 1:  # all positive, because some of them are variances
            return generator.uniform(0.3, 1.5, value.shape)
        deviation = math.sqrt(2 / math.prod(value.shape[:3]))
        return generator.normal(0.0, deviation, value.shape)

    def of(self, name):
        self.unused.discard(name)
        return self.weights[name]

    def convolution(self, x, name, stride=1):
        kernel, *bias = self.of(name)
        half = kernel.shape[0] // 2
        x = numpy.pad(x, ((0, 0), (half, half), (half, half), (0, 0)))
        windows = sliding_window_view(x, kernel.shape[:2], axis=(1, 2))[:, ::stride, ::stride]
        return numpy.einsum("bhwcij,ijco->bhwo", windows, kernel, optimize=True) + sum(bias)

    def norm(self, x, name):
        scale, offset, mean, variance = self.of(name)
        return (x - mean) / numpy.sqrt(variance + 1e-5) * scale + offset

    def block(self, x, name, stride=1, relu=True):
        """Convolution, batch normalization and ReLU."""
        x = self.norm(self.convolution(x, f"{name}_convolution", stride), f"{name}_norm")
        return numpy.maximum(x, 0.0) if relu else x

    def transposed(self, x, name, stride, crop=0):
        """Every input pixel adds its kernel to the output, `stride` apart."""
        kernel, *bias = self.of(name)  # (height, width, outputs, inputs)
        size, (count, height, width, _) = kernel.shape[0], x.shape
        shape = ((height - 1) * stride + size, (width - 1) * stride + size)
        out = numpy.zeros((count, *shape, kernel.shape[2]))
        for row in range(height):
            for column in range(width):
                patch = numpy.einsum("bc,ijoc->bijo", x[:, row, column], kernel)
                top, left = row * stride, column * stride
                out[:, top : top + size, left : left + size] += patch
        inner = slice(crop, -crop or None)
        return out[:, inner, inner] + sum(bias)

    def residual(self, x, small=False):
        """Stages 1 to 4 of ResNet-18: figure 2 and table 1 of He et al. 2015."""
        found = {"stem": self.block(x, "stem", 1 if small else 2)}
        x = found["stem"] if small else pooled(found["stem"], 3, 2, 1)
        for stage in (1, 2, 3, 4):
            for number in (1, 2):
                name = f"stage{stage}_block{number}"
                stride = 2 if stage > 1 and number == 1 else 1
                inner = self.block(self.block(x, f"{name}_1", stride), f"{name}_2", relu=False)
                if f"{name}_shortcut_convolution" in self.weights:
                    x = self.block(x, f"{name}_shortcut", stride, relu=False)
                x = numpy.maximum(x + inner, 0.0)
            found[f"stage{stage}"] = x
        return found


def pooled(x, size, stride, half=0):
    x = numpy.pad(x, ((0, 0), (half, half), (half, half), (0, 0)), constant_values=-numpy.inf)
    windows = sliding_window_view(x, (size, size), axis=(1, 2))[:, ::stride, ::stride]
    return windows.max(axis=(-2, -1))


def equal(model, reference, expected, x):
    """Asserts that the network gives the expected outputs and has no layer besides."""
    assert not reference.unused
    found = model.predict_on_batch(x)
    assert found.shape == expected.shape
    scale = numpy.abs(expected).max()
    assert expected.std() > 0.01 * scale > 0  # not a comparison of constants
    assert numpy.abs(found - expected).max() < 1e-4 * scale


def noise(height, width, channels):
    return numpy.random.default_rng(2).random((2, height, width, channels), dtype="float32")


def u_net(reference, x, levels, skips):
    """Figure 1 of Ronneberger et al. 2015."""
    encoder = {}
    for level in range(1, levels + 1):
        x = reference.block(reference.block(x, f"down{level}_1"), f"down{level}_2")
        encoder[level] = x
        x = pooled(x, 2, 2)
    x = reference.block(reference.block(x, "bottom_1"), "bottom_2")
    for level in range(levels, 0, -1):
        x = reference.transposed(x, f"up{level}_upsample", 2)
        if level in skips:
            x = numpy.concatenate([encoder[level], x], axis=-1)
        x = reference.block(reference.block(x, f"up{level}_1"), f"up{level}_2")
    return reference.convolution(x, "logits")


@pytest.mark.parametrize(("option", "skips"), [("all", (1, 2)), ("none", ()), ([2], (2,))])
def test_u_net_is_that_of_the_paper(option, skips):
    model = models.build("unet", (16, 24, 3), 4, filters=3, depth=2, skips=option)
    reference, x = Reference(model), noise(16, 24, 3)
    equal(model, reference, u_net(reference, x.astype("float64"), 2, skips), x)


def test_what_is_padded_is_cut_off_again_where_it_was_added():
    # 9 to 12 rows: 1 above and 2 below; 14 to 16 columns: 1 on each side.
    model = models.build("unet", (9, 14, 3), 4, filters=3, depth=2)
    reference, x = Reference(model), noise(9, 14, 3)
    padded = numpy.pad(x.astype("float64"), ((0, 0), (1, 2), (1, 1), (0, 0)))
    equal(model, reference, u_net(reference, padded, 2, (1, 2))[:, 1:-2, 1:-1], x)


@pytest.mark.parametrize("size", [(9, 16), (8, 14)])
def test_what_is_padded_in_one_direction_only_is_cut_off(size):
    assert models.build("unet", (*size, 3), 4, filters=2, depth=1).output_shape[1:3] == size
    assert models.build("unet", (*size, 3), 4, filters=2, depth=2).output_shape[1:3] == size


def test_parameters_of_a_u_net_by_hand():
    model = models.build("unet", (8, 8, 1), 3, filters=2, depth=1)
    norm = 2  # scale and offset of every filter
    down = (9 * 1 * 2 + norm * 2) + (9 * 2 * 2 + norm * 2)
    bottom = (9 * 2 * 4 + norm * 4) + (9 * 4 * 4 + norm * 4)
    up = (2 * 2 * 4 * 2 + 2) + (9 * 4 * 2 + norm * 2) + (9 * 2 * 2 + norm * 2)
    logits = 2 * 3 + 3
    assert (down, bottom, up, logits) == (62, 232, 150, 9)
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    assert trainable == 62 + 232 + 150 + 9


@pytest.mark.parametrize("small", [False, True])
def test_resnet18_pads_both_sides(small):
    side = 16 if small else 64
    model = models.build("resnet18", (side, side, 3), 5, stem="small" if small else "imagenet")
    reference, x = Reference(model), noise(side, side, 3)
    pooled_features = reference.residual(x.astype("float64"), small)["stage4"].mean(axis=(1, 2))
    kernel, bias = reference.of("logits")
    equal(model, reference, pooled_features @ kernel + bias, x)


@pytest.mark.parametrize(("name", "finer"), [("fcn32", 0), ("fcn16", 1), ("fcn8", 2)])
def test_fcn_is_that_of_the_paper(name, finer):
    """Scores of stage 4, at twice the size plus those of stage 3, again plus those of stage 2."""
    model = models.build(name, (64, 32, 3), 3)
    reference, x = Reference(model), noise(64, 32, 3)
    features = reference.residual(x.astype("float64"))
    scores = reference.block(features["stage4"], "scores_stage4", relu=False)
    for stage in ("stage3", "stage2")[:finer]:
        scores = reference.transposed(scores, f"{stage}_upsample", 2, crop=1)
        scores = scores + reference.block(features[stage], f"scores_{stage}", relu=False)
    factor = 32 // 2**finer
    expected = reference.transposed(scores, "logits", factor, crop=factor // 2)
    equal(model, reference, expected, x)
    # What follows a batch norm and is upsampled has its shift already.
    assert not any(getattr(layer, "use_bias", False) for layer in model.layers)


def test_u_net_on_resnet18_joins_the_encoder_s_features():
    model = models.build("unet-resnet18", (16, 24, 3), 3, stem="small", filters=2)
    reference, x = Reference(model), noise(16, 24, 3)
    features = reference.residual(x.astype("float64"), small=True)
    x_up = features["stage4"]
    for level in (3, 2, 1):
        x_up = reference.transposed(x_up, f"up{level}_upsample", 2)
        x_up = numpy.concatenate([features[f"stage{level}"], x_up], axis=-1)
        x_up = reference.block(reference.block(x_up, f"up{level}_1"), f"up{level}_2")
    equal(model, reference, reference.convolution(x_up, "logits"), x)


@pytest.mark.parametrize("name", ["resnet18", "fcn8", "unet"])
def test_statistics_move_by_a_tenth_per_batch(name):
    options = {"filters": 2, "depth": 1} if name == "unet" else {}
    model = models.build(name, (32, 32, 3), 2, **options)
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    first = norms[0]
    before = keras.Model(model.input, first.input)
    x = noise(32, 32, 3)
    features = keras.ops.convert_to_numpy(before(x)).astype("float64")
    model(x, training=True)
    mean = keras.ops.convert_to_numpy(first.moving_mean)
    numpy.testing.assert_allclose(mean, 0.1 * features.mean(axis=(0, 1, 2)), rtol=1e-3, atol=1e-6)
    assert {(norm.momentum, norm.epsilon) for norm in norms} == {(0.9, 1e-5)}
