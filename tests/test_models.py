"""One table for all networks; ResNet-18 against the paper and an independent implementation."""

import math
import threading

import keras
import numpy
import pytest

from kerasdl import models
from kerasdl.core.errors import ConfigError
from kerasdl.models import blocks
from kerasdl.models.blocks import Bilinear
from kerasdl.models.u_net import kept_skips
from kerasdl.runs import sidecar
from kerasdl.runs.modelfile import open_model, save_inference_model
from kerasdl.tools.summary import macs

# name, options, stride of the coarsest layer.
TABLE = [
    ("resnet18", {}, 32),
    ("resnet18", {"stem": "small"}, 8),
    ("resnet18", {"filters": 4}, 32),
    ("fcn32", {}, 32),
    ("fcn16", {}, 32),
    ("fcn8", {}, 32),
    ("unet", {"filters": 4}, 16),
    ("unet", {"filters": 4, "skips": "none"}, 16),
    ("unet", {"filters": 4, "skips": [1, 3], "depth": 3}, 8),
]


def trainable(model):
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


@pytest.mark.parametrize(("name", "options", "coarsest"), TABLE)
def test_every_network(name, options, coarsest):
    model = models.build(name, (64, 64, 3), 12, **options)
    expected = (None, 12) if name == "resnet18" else (None, 64, 64, 12)
    assert model.output_shape == expected
    assert model.output.dtype == "float32"
    sides = [layer.output.shape[1] for layer in model.layers if len(layer.output.shape) == 4]
    assert 64 // min(sides) == coarsest
    assert models.stride(name, options, (64, 64)) == coarsest
    outputs = keras.ops.convert_to_numpy(model(numpy.zeros((1, 64, 64, 3), "float32")))
    assert numpy.isfinite(outputs).all()
    kinds = {type(layer).__module__.partition(".")[0] for layer in model.layers}
    assert kinds == {"keras"}  # no custom layer


@pytest.mark.parametrize("name", ["fcn32", "fcn8", "unet"])
@pytest.mark.parametrize("size", [(8, 8), (33, 65), (50, 37)])
def test_any_size_comes_back(name, size):
    options = {"filters": 4} if name == "unet" else {}
    model = models.build(name, (*size, 1), 3, **options)
    outputs = model(numpy.zeros((1, *size, 1), "float32"))
    assert outputs.shape == (1, *size, 3)


def test_resnet18_has_the_published_number_of_parameters():
    model = models.build("resnet18", (224, 224, 3), 1000)
    assert trainable(model) == 11_689_512
    # He et al. 2015, table 1: 1.8e9 FLOPs (multiply-adds) for ResNet-18 at 224x224.
    assert macs(model) == pytest.approx(1.8e9, rel=0.02)


def test_resnet18_with_a_quarter_of_the_filters():
    model = models.build("resnet18", (32, 32, 3), 10, filters=16)
    # Kernels between two stages have a quarter of inputs and of outputs.
    kernel = model.get_layer("stage4_block2_2_convolution").kernel
    assert tuple(kernel.shape) == (3, 3, 128, 128)
    stages = [(16, 16, 1)] + [(width // 2, width, 2) for width in (32, 64, 128)]
    expected = 9 * 3 * 16 + 2 * 16 + 128 * 10 + 10
    for before, width, strides in stages:
        expected += 9 * before * width + 27 * width * width + 8 * width
        expected += before * width + 2 * width if strides > 1 else 0
    assert trainable(model) == expected


def test_resnet18_has_the_output_sizes_of_the_paper():
    model = models.build("resnet18", (224, 224, 3), 1000)
    sizes = {  # He et al. 2015, table 1
        "stem_relu": (112, 112, 64),
        "stage1_block2_relu": (56, 56, 64),
        "stage2_block2_relu": (28, 28, 128),
        "stage3_block2_relu": (14, 14, 256),
        "stage4_block2_relu": (7, 7, 512),
        "pool": (512,),
    }
    for layer, size in sizes.items():
        assert model.get_layer(layer).output.shape[1:] == size


def test_stem_follows_the_input_size():
    def coarsest(side, **options):
        model = models.build("resnet18", (side, side, 3), 10, **options)
        return model.get_layer("stage4_block2_relu").output.shape[1]

    assert coarsest(32) == 4
    assert coarsest(64) == 2
    assert coarsest(32, stem="imagenet") == 1


def test_he_initialization():
    model = models.build("resnet18", (64, 64, 3), 10)
    kernel = model.get_layer("stage4_block2_2_convolution").get_weights()[0]
    # He et al. 2015 (rectifiers), equation 10: standard deviation sqrt(2 / fan_in).
    assert kernel.std() == pytest.approx(math.sqrt(2 / (9 * 512)), rel=0.02)


def test_resnet18_equals_an_independent_implementation():
    """The same weights in keras-cv's ResNet give the same features.

    keras-cv pads strided convolutions with "same", that is on one side only for even sizes. With
    65 pixels every stage has an odd size (65, 33, 17, 9, 5, 3), where both paddings agree.
    """
    keras_cv = pytest.importorskip("keras_cv", exc_type=ImportError)
    own = models.build("resnet18", (65, 65, 3), 10)
    own = keras.Model(own.input, own.get_layer("stage4_block2_relu").output)
    oracle = keras_cv.models.ResNetBackbone(
        stackwise_filters=[64, 128, 256, 512],
        stackwise_blocks=[2, 2, 2, 2],
        stackwise_strides=[1, 2, 2, 2],
        include_rescaling=False,
        input_shape=(65, 65, 3),
        block_type="basic_block",
    )
    generator = numpy.random.default_rng(0)
    pairs = _same_convolutions(own, oracle)
    assert len(pairs) == 20
    for mine, theirs in pairs:
        shape = mine.kernel.shape
        kernel = generator.normal(0, math.sqrt(2 / math.prod(shape[:3])), shape)
        mine.set_weights([kernel])
        theirs.set_weights([kernel])
        norm = [generator.uniform(0.5, 1.5, shape[-1]) for _ in range(4)]
        _next_layer(mine).set_weights(norm)
        _next_layer(theirs).set_weights(norm)
    x = generator.random((2, 65, 65, 3), dtype="float32")
    mine, theirs = own.predict_on_batch(x), oracle.predict_on_batch(x)
    scale = numpy.abs(theirs).max()
    assert scale > 0.1  # not a comparison of zeros
    assert numpy.abs(mine - theirs).max() / max(scale, 1.0) < 1e-4


def _same_convolutions(own, oracle):
    """Pairs of convolutions in the same place: the n-th of each kernel shape."""
    rest = [layer for layer in oracle.layers if isinstance(layer, keras.layers.Conv2D)]
    pairs = []
    for mine in own.layers:
        if isinstance(mine, keras.layers.Conv2D):
            theirs = next(x for x in rest if tuple(x.kernel.shape) == tuple(mine.kernel.shape))
            rest.remove(theirs)
            pairs.append((mine, theirs))
    assert not rest
    return pairs


def _next_layer(layer):
    following = layer._outbound_nodes[0].operation
    assert isinstance(following, keras.layers.BatchNormalization)
    return following


def test_fcn_starts_as_bilinear_enlargement():
    model = models.build("fcn32", (64, 64, 3), 2)
    kernel = model.get_layer("logits").get_weights()[0]
    layer = keras.layers.Conv2DTranspose(2, 64, strides=32, padding="same", use_bias=False)
    layer.build((None, 4, 4, 2))
    layer.set_weights([kernel])
    ramp = numpy.arange(4, dtype="float32")[None, :, None, None] * numpy.ones((1, 1, 4, 2), "f4")
    out = keras.ops.convert_to_numpy(layer(ramp))[0, :, 64, 0]
    # Half-pixel bilinear: output row i stands at (i + 0.5) / 32 - 0.5 of the input.
    inner = numpy.arange(16, 112)
    assert out[inner] == pytest.approx((inner + 0.5) / 32 - 0.5, abs=1e-5)


def test_a_bilinear_kernel_takes_each_channel_from_that_of_its_number():
    kernel = keras.ops.convert_to_numpy(Bilinear()((2, 2, 3, 2)))  # 3 outputs, 2 inputs
    expected = numpy.zeros((2, 2, 3, 2))
    expected[:, :, 0, 0] = expected[:, :, 1, 1] = 0.25  # one half in each direction
    numpy.testing.assert_allclose(kernel, expected)


def test_kept_skips():
    assert kept_skips("all", 3) == (1, 2, 3)
    assert kept_skips("none", 3) == ()
    assert kept_skips([3, 1, 1], 4) == (1, 3)
    for bad in ("some", [0], [5], 1):
        with pytest.raises(ConfigError, match="'skips' must be"):
            kept_skips(bad, 4)


def test_skips_change_the_graph_and_nothing_else():
    with_skips = models.build("unet", (32, 32, 1), 3, filters=4)
    without = models.build("unet", (32, 32, 1), 3, filters=4, skips=())
    concatenations = [x for x in with_skips.layers if isinstance(x, keras.layers.Concatenate)]
    assert len(concatenations) == 4
    assert not any(isinstance(x, keras.layers.Concatenate) for x in without.layers)
    # Each skip adds as many input channels as the level has filters to one 3x3 convolution.
    assert trainable(with_skips) - trainable(without) == sum(9 * f * f for f in (4, 8, 16, 32))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("unet", {"filter": 3}, "unknown option of model 'unet' 'filter'.*did you mean 'filters'"),
        ("unet", {"depth": 40}, "option 'depth' is 40"),  # pads to 2**40 pixels
        ("unet", {"filters": 0}, "'filters' must be an integer of 1 or more"),
        ("resnet18", {"filters": 2.0}, "'filters' must be an integer of 1 or more"),
        ("unet-resnet18", {"filters": 0}, "'filters' must be an integer of 1 or more"),
        ("resnet18", {"stem": "big"}, "'stem' must be one of"),
        # Else one run would be another model for images of another size.
        ("fcn8", {"stem": "auto"}, "'stem' must be one of imagenet, small"),
        ("resnet", {}, "unknown model 'resnet'.*did you mean 'resnet18'"),
    ],
)
def test_wrong_options(name, options, message):
    with pytest.raises(ConfigError, match=message):
        models.build(name, (32, 32, 3), 3, **options)


@pytest.mark.parametrize("precision", ["mixed_bfloat16"])
def test_outputs_stay_float32(precision):
    keras.config.set_dtype_policy(precision)
    try:
        for name in ("resnet18", "fcn8", "unet"):
            assert models.build(name, (32, 32, 3), 3).output.dtype == "float32"
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(("name", "options", "coarsest"), TABLE)
def test_model_files_of_all_networks_are_accepted(name, options, coarsest, tmp_path):
    model = models.build(name, (32, 32, 3), 2, **options)
    save_inference_model(model, tmp_path / "best.keras")
    facts = {"task": "segmentation", "model": name, "model_args": options, "outputs": 2}
    sidecar.write(
        tmp_path, {**facts, "channels": 3, "image_size": [32, 32], "precision": "float32"}
    )
    loaded, _ = open_model(tmp_path / "best.keras")
    x = numpy.random.default_rng(0).random((1, 32, 32, 3), dtype="float32")
    assert numpy.array_equal(*(keras.ops.convert_to_numpy(each(x)) for each in (model, loaded)))


@pytest.mark.parametrize(
    ("stem", "skips", "heights"),
    [
        ("imagenet", "all", {"up4": 4, "up3": 8, "up2": 16, "up1": 32}),
        ("small", "all", {"up3": 16, "up2": 32, "up1": 64}),
        ("imagenet", [2], {"up2": 16}),
        ("small", "none", {}),
    ],
)
def test_unet_on_resnet18_joins_each_size_once(stem, skips, heights):
    model = models.build("unet-resnet18", (64, 64, 3), 3, stem=stem, skips=skips, filters=2)
    joined = {
        layer.name.removesuffix("_skip"): layer.output.shape[1]
        for layer in model.layers
        if isinstance(layer, keras.layers.Concatenate)
    }
    assert joined == heights
    assert model.output_shape == (None, 64, 64, 3)


def test_weights_are_drawn_again_after_two_threads_left_them_at_zero():
    """The second thread enters the block before the first one leaves it."""
    entered, begun = threading.Event(), threading.Event()

    def second():
        begun.set()
        with blocks.undrawn():
            entered.set()

    other = threading.Thread(target=second)
    with blocks.undrawn():
        other.start()
        begun.wait()
        entered.wait(0.1)
    other.join()
    layer = keras.layers.Dense(3)
    layer.build((None, 4))
    assert keras.ops.convert_to_numpy(layer.kernel).any()


def test_unet_on_resnet18_refuses_other_options():
    with pytest.raises(ConfigError, match="option 'stem' must be one of imagenet, small"):
        models.build("unet-resnet18", (64, 64, 3), 3, stem="auto")
    with pytest.raises(ConfigError, match="a list of levels 1 to 3"):
        models.build("unet-resnet18", (64, 64, 3), 3, stem="small", skips=[4])


@pytest.mark.parametrize("stem", ["imagenet", "small"])
@pytest.mark.parametrize("name", models.MODELS)
def test_a_model_for_any_size_equals_the_one_for_a_fixed_size(name, stem):
    options = {"filters": 2} if "filters" in models.option_names(name) else {}
    if "stem" in models.option_names(name):
        options["stem"] = stem
    elif stem == "small":
        pytest.skip("the model has no stem")
    fixed = models.build(name, (64, 32, 3), 4, **options)
    free = models.build(name, (None, None, 3), 4, **options)
    assert [weight.shape for weight in free.weights] == [weight.shape for weight in fixed.weights]
    free.set_weights(fixed.get_weights())
    x = numpy.random.default_rng(0).random((2, 64, 32, 3), "float32")
    expected = keras.ops.convert_to_numpy(fixed(x, training=False))
    found = keras.ops.convert_to_numpy(free(x, training=False))
    assert found.shape == expected.shape
    numpy.testing.assert_allclose(found, expected, atol=1e-5 * numpy.abs(expected).max())
