"""Augmentation: hand-checked, joint for image and mask, a function of (seed, epoch, sample)."""

import numpy
import pytest

from kerasdl.core.errors import ConfigError
from kerasdl.data.pipeline import geometry
from kerasdl.data.pipeline.transforms import OFF, Augmentation, uniforms
from kerasdl.engine.datasets import augmentation as configured
from kerasdl.runs.config import Config

GEOMETRIC = [
    {"flip": True},
    {"crop": 3},
    {"flip": True, "crop": 0.25},
    {"scale": 0.5},
    {"rotate": 30},
    {"flip": True, "crop": 4, "scale": 0.9, "rotate": 180},
]


def augmentation(masks=True, ignore_labels=(), **strengths):
    return Augmentation(strengths, masks=masks, ignore_labels=ignore_labels)


def table(count, seed=0, turn=0):
    return uniforms(seed, turn, numpy.arange(count), Augmentation.columns)


def fixed(count=1, **columns):
    """Table of 0.5 (no move, no turn, no scaling, no flip) with some columns set."""
    names = ["flip", "down", "right", "scale", "rotate", "brightness", "contrast", "saturation"]
    names += ["random_erasing", "area", "aspect", "top", "left"]
    values = numpy.full((count, Augmentation.columns), 0.5)
    for name, value in columns.items():
        values[:, names.index(name)] = value
    return values


def gray(rows):
    """Batch of one image whose three channels are the given rows, and the rows as its mask."""
    mask = numpy.array(rows, dtype=numpy.uint8)[None]
    return numpy.repeat(mask[..., None], 3, axis=3), mask


ROWS = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]


def apply(rows, columns, **strengths):
    images, masks = augmentation(**strengths).apply(*gray(rows), fixed(**columns))
    assert (images == masks[..., None]).all()
    return masks[0].tolist()


def test_flip_mirrors_left_and_right():
    assert apply(ROWS, {"flip": 0.49}, flip=True) == [row[::-1] for row in ROWS]
    assert apply(ROWS, {"flip": 0.5}, flip=True) == ROWS


def test_flip_keeps_the_channels_in_their_order():
    images = numpy.arange(12, dtype=numpy.uint8).reshape(1, 2, 2, 3)
    flipped, masks = augmentation(flip=True).apply(images, None, fixed(flip=0.0))
    assert masks is None
    assert flipped[0].tolist() == [[[3, 4, 5], [0, 1, 2]], [[9, 10, 11], [6, 7, 8]]]


def test_crop_moves_the_window_over_the_flipped_border():
    # 1 pixel of border: the random number 0 moves the window up and left, 0.99 down and right.
    assert apply(ROWS, {"down": 0.0, "right": 0.0}, crop=1) == [
        [6, 5, 6, 7],
        [2, 1, 2, 3],
        [6, 5, 6, 7],
    ]
    assert apply(ROWS, {"down": 0.99, "right": 0.5}, crop=1) == [ROWS[1], ROWS[2], ROWS[1]]


def test_crop_fills_with_black_and_the_ignore_label():
    augment = augmentation(crop=1, fill="zero", ignore_labels=(255,))
    images, masks = augment.apply(*gray(ROWS), fixed(down=0.0, right=0.99))
    assert masks[0].tolist() == [[255, 255, 255, 255], [2, 3, 4, 255], [6, 7, 8, 255]]
    assert images[0, ..., 1].tolist() == [[0, 0, 0, 0], [2, 3, 4, 0], [6, 7, 8, 0]]


def test_crop_is_a_share_of_each_side_below_one():
    # A quarter of 4 rows is 1, of 8 columns 2.
    mask = numpy.arange(32).reshape(4, 8)
    moved = apply(mask.tolist(), {"down": 0.99, "right": 0.99}, crop=0.25)
    assert moved[0][:6] == mask[1, 2:].tolist()


def test_crop_moves_by_less_than_half_the_image():
    assert apply([[0, 1, 2]], {"down": 0.5, "right": 0.0}, crop=5) == [[1, 0, 1]]
    assert apply([[0, 1, 2, 3, 4]], {"right": 0.99}, crop=0.5) == [[2, 3, 4, 3, 2]]
    assert apply([[7]], {"down": 0.0, "right": 0.0}, crop=2) == [[7]]


def test_every_shift_is_equally_likely():
    count = 4000
    mask = numpy.broadcast_to(numpy.arange(9, dtype=numpy.uint8), (count, 9, 9))
    images = numpy.repeat(mask[..., None], 3, axis=3)
    _, masks = augmentation(crop=2, fill="zero", ignore_labels=(99,)).apply(
        images, mask, table(count)
    )
    shifts = numpy.bincount(masks[:, 4, 4])[2:7]
    assert shifts.sum() == count
    assert abs(shifts - count / 5).max() < 5 * (count * 0.2 * 0.8) ** 0.5  # five sigma


def test_scale_by_two_shows_the_middle_half():
    mask = numpy.repeat(numpy.arange(8, dtype=numpy.uint8)[None], 8, axis=0)
    # strength 0.9 at 0.99.. is nearly 1 / 1.9 in the input: 8 / 1.9 = 4.2 columns are seen
    seen = apply_mask(mask, {"scale": 0.999999}, scale=0.9)
    assert seen[0].tolist() == [2, 2, 3, 3, 4, 4, 5, 5]
    # the other end: 1.9 times as much is seen, the rest is the flipped border
    seen = apply_mask(mask, {"scale": 0.0}, scale=0.9)
    assert seen[0, 2:6].tolist() == [1, 3, 4, 6]


def apply_mask(mask, columns, **strengths):
    images = numpy.repeat(mask[None, ..., None], 3, axis=3)
    return augmentation(**strengths).apply(images, mask[None], fixed(**columns))[1][0]


def test_half_a_turn_reverses_rows_and_columns_and_a_quarter_transposes():
    mask = numpy.arange(25, dtype=numpy.uint8).reshape(5, 5)
    assert (apply_mask(mask, {"rotate": 0.0}, rotate=180) == mask[::-1, ::-1]).all()
    turned = apply_mask(mask, {"rotate": 0.0}, rotate=90)
    assert (turned == numpy.rot90(mask, 1)).all() or (turned == numpy.rot90(mask, -1)).all()


@pytest.mark.parametrize("size", [(6, 9), (50, 47)])  # below and above geometry.SMALL
@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("outside", [None, 0, 200])
def test_shifted_is_a_window_of_the_padded_image(size, channels, outside):
    random = numpy.random.default_rng(0)
    images = random.integers(0, 256, (40, *size, *channels), dtype=numpy.uint8)
    pads = [(side - 1) // 2 for side in size]
    down, right = (random.integers(-pad, pad + 1, 40) for pad in pads)
    flips = random.random(40) < 0.5
    moved = geometry.shifted(images, flips, down, right, outside)
    border = [(0, 0), *((pad, pad) for pad in pads), (0, 0)][: images.ndim]
    how = {"mode": "reflect"} if outside is None else {"constant_values": outside}
    padded = numpy.pad(images, border, **how)
    for index, found in enumerate(moved):
        top, left = pads[0] + down[index], pads[1] + right[index]
        expected = padded[index, top : top + size[0], left : left + size[1]]
        expected = expected[:, ::-1] if flips[index] else expected
        numpy.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("fill", [{"fill": "reflect"}, {"fill": "zero", "ignore_labels": (99,)}])
def test_resampling_agrees_with_slicing_for_flips_and_shifts(fill):
    # A scale strength so small that it moves no pixel sends the same work through the other path.
    random = numpy.random.default_rng(0)
    masks = random.integers(0, 256, (32, 12, 16), dtype=numpy.uint8)
    images = numpy.repeat(masks[..., None], 3, axis=3)
    sliced = augmentation(flip=True, crop=3, **fill).apply(images, masks, table(32))
    warped = augmentation(flip=True, crop=3, scale=1e-9, **fill).apply(images, masks, table(32))
    assert (sliced[1] == warped[1]).all()
    assert numpy.abs(sliced[0].astype(int) - warped[0]).max() <= 1  # Pillow cuts fractions off


@pytest.mark.parametrize("strengths", GEOMETRIC)
@pytest.mark.parametrize("axis", [0, 1])
def test_image_and_mask_stay_together(strengths, axis):
    # Both hold the place (row or column), the image five times it. The image is interpolated
    # and the mask takes the nearest pixel: half a pixel apart at most; misalignment adds to it.
    places = numpy.arange(48, dtype=numpy.uint8)
    mask = numpy.broadcast_to(places[:, None] if axis == 0 else places, (48, 48))
    masks = numpy.repeat(mask[None], 16, axis=0)
    images = numpy.repeat(5 * masks[..., None], 3, axis=3)
    images, moved = augmentation(**strengths).apply(images, masks, table(16))
    difference = images / 5 - moved[..., None]
    if strengths.keys() <= {"flip", "crop"}:
        assert (difference == 0).all()
    else:
        # and 1/5 for the fraction Pillow cuts off, half of which is a bias
        assert numpy.abs(difference).max() <= 0.5 + 0.2
        assert abs(difference.mean() + 0.1) < 0.02
    assert (moved != masks).any() or (axis == 0 and strengths == {"flip": True})


@pytest.mark.parametrize("strengths", GEOMETRIC)
def test_no_new_mask_value_appears(strengths):
    random = numpy.random.default_rng(1)
    masks = random.choice(numpy.array([0, 3, 200, 255], numpy.uint8), (16, 20, 24))
    images = numpy.repeat(masks[..., None], 3, axis=3)
    _, moved = augmentation(**strengths).apply(images, masks, table(16))
    assert set(numpy.unique(moved)) <= {0, 3, 200, 255}


@pytest.mark.parametrize(
    "strengths",
    [*GEOMETRIC, {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4}, {"random_erasing": 0.7}],
)
def test_a_sample_does_not_depend_on_its_batch(strengths):
    random = numpy.random.default_rng(2)
    images = random.integers(0, 256, (12, 16, 16, 3), dtype=numpy.uint8)
    masks = images[..., 0].copy()
    augment = augmentation(**strengths)
    values = table(12, seed=5, turn=3)
    together = augment.apply(images, masks, values)
    order = random.permutation(12)
    shuffled = augment.apply(images[order], masks[order], values[order])
    for one, other in zip(together, shuffled, strict=True):
        assert (one[order] == other).all()
    for index in range(12):
        alone = augment.apply(images[[index]], masks[[index]], values[[index]])
        assert (alone[0][0] == together[0][index]).all()
        assert (alone[1][0] == together[1][index]).all()


def test_inputs_stay_as_they_are():
    random = numpy.random.default_rng(3)
    images = random.integers(0, 256, (8, 16, 16, 3), dtype=numpy.uint8)
    masks = images[..., 0].copy()
    before = images.copy(), masks.copy()
    for strengths in (*GEOMETRIC, {"random_erasing": 1.0}, {"brightness": 0.5}):
        augmentation(**strengths).apply(images, masks, table(8))
    assert (images == before[0]).all() and (masks == before[1]).all()


def test_order_of_the_bytes_in_memory_does_not_matter():
    images = numpy.random.default_rng(6).integers(0, 256, (8, 16, 12, 3), dtype=numpy.uint8)
    turned = numpy.asfortranarray(images)
    for strengths in (*GEOMETRIC, {"random_erasing": 1.0}, {"contrast": 0.5}, {"saturation": 0.5}):
        augment = augmentation(**strengths)
        found = augment.apply(turned, turned[..., 1], table(8))
        expected = augment.apply(images, images[..., 1], table(8))
        assert (found[0] == expected[0]).all() and (found[1] == expected[1]).all()


def test_strengths_of_zero_change_nothing():
    images = numpy.random.default_rng(4).integers(0, 256, (8, 16, 16, 3), dtype=numpy.uint8)
    masks = images[..., 0]
    found = augmentation().apply(images, masks, table(8))
    assert (found[0] == images).all() and (found[1] == masks).all()


def test_middle_of_every_range_changes_nothing():
    images = numpy.random.default_rng(5).integers(0, 256, (2, 16, 16, 3), dtype=numpy.uint8)
    strengths = dict(flip=True, crop=4, scale=0.5, rotate=45.0)
    strengths |= dict(brightness=0.5, contrast=0.5, saturation=0.5)
    found = augmentation(**strengths).apply(images, images[..., 0], fixed(2))
    assert (found[0] == images).all() and (found[1] == images[..., 0]).all()


def colors(pixels, columns, **strengths):
    images = numpy.array([[pixels]], dtype=numpy.uint8)
    return augmentation(masks=False, **strengths).apply(images, None, fixed(**columns))[0][0, 0]


def test_brightness_multiplies():
    # 0.5 strength at 0: factor 0.5
    assert colors([[100, 50, 255]], {"brightness": 0.0}, brightness=0.5).tolist() == [[50, 25, 128]]
    found = colors([[100, 50, 255]], {"brightness": 0.999999}, brightness=0.5)
    assert found.tolist() == [[150, 75, 255]]


def test_contrast_moves_towards_the_mean_gray():
    # two gray pixels 40 and 80: mean 60; factor 0.5 leaves half of the distance
    found = colors([[40] * 3, [80] * 3], {"contrast": 0.0}, contrast=0.5)
    assert found.tolist() == [[50] * 3, [70] * 3]


def test_saturation_of_zero_is_rec_601_gray():
    # 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2
    found = colors([[200, 100, 50]], {"saturation": 0.0}, saturation=1.0)
    assert found.tolist() == [[124, 124, 124]]


def test_color_leaves_the_mask_alone():
    images, masks = gray(ROWS)
    augment = augmentation(brightness=1.0, contrast=1.0, saturation=1.0, random_erasing=1.0)
    changed, same = augment.apply(images, masks, table(1))
    assert (same == masks).all()
    assert (changed != images).any()


def test_erasing_covers_a_rectangle_with_the_mean_color():
    images = numpy.zeros((1, 20, 20, 3), dtype=numpy.uint8)
    images[:, :10] = (100, 50, 20)
    # smallest area 0.02 * 400 = 8 pixels, aspect 0.3: round(sqrt(2.4)) x round(sqrt(26.7)) = 2 x 5
    values = fixed(random_erasing=0.0, area=0.0, aspect=0.0, top=0.0, left=0.999)
    found, _ = augmentation(masks=False, random_erasing=0.5).apply(images, None, values)
    changed = (found != images).any(axis=3)
    rows, columns = numpy.nonzero(changed[0])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (0, 1, 15, 19)
    assert found[0, 0, 19].tolist() == [50, 25, 10]
    untouched, _ = augmentation(masks=False, random_erasing=0.5).apply(
        images, None, fixed(random_erasing=0.5)
    )
    assert (untouched == images).all()


def test_the_largest_erased_area_is_a_third():
    images = numpy.zeros((1, 20, 20, 3), dtype=numpy.uint8)
    images[:, :10] = 200
    # 0.02 + 0.31 of 400 pixels are 132; aspect 0.3 * 11 ** 0.5 = 0.995: 11 x 12
    values = fixed(random_erasing=0.0, area=1.0, aspect=0.5, top=0.0, left=0.0)
    found, _ = augmentation(masks=False, random_erasing=0.5).apply(images, None, values)
    rows, columns = numpy.nonzero((found == 100).all(axis=3)[0])
    assert (rows.max(), columns.max(), len(rows)) == (10, 11, 132)


@pytest.mark.parametrize("size", [(20, 40), (40, 20)])
def test_an_erased_rectangle_reaches_the_last_corner(size):
    images = numpy.zeros((1, *size, 3), dtype=numpy.uint8)
    images[:, 0] = 200
    values = fixed(random_erasing=0.0, area=0.0, aspect=0.5, top=0.999, left=0.999)
    found, _ = augmentation(masks=False, random_erasing=0.5).apply(images, None, values)
    rows, columns = numpy.nonzero((found != images).any(axis=3)[0])
    # 0.02 * 800 = 16 pixels of aspect 0.995: 4 x 4.
    ends = (rows.min(), rows.max(), columns.min(), columns.max())
    assert ends == (size[0] - 4, size[0] - 1, size[1] - 4, size[1] - 1)


def test_uniforms_are_a_function_of_their_coordinates():
    whole = uniforms(1, 2, numpy.arange(50), 13)
    assert whole.shape == (50, 13)
    assert (uniforms(1, 2, [7, 3], 13) == whole[[7, 3]]).all()
    assert (uniforms(1, 2, [7], 5) == whole[7, :5]).all()
    for other in (uniforms(2, 2, numpy.arange(50), 13), uniforms(1, 3, numpy.arange(50), 13)):
        assert not (other == whole).any()


def test_uniforms_match_splitmix64():
    # An independent SplitMix64 in plain integers; its first output for seed 0 is published as
    # 0xE220A8397B1DCDAF (Vigna, splitmix64.c).
    def mix(state):
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
        return state ^ (state >> 31)

    golden = 0x9E3779B97F4A7C15
    assert mix(golden) == 0xE220A8397B1DCDAF
    for seed, turn, sample, column in ((0, 0, 0, 0), (3, 1, 9, 4), (2**63 + 5, 7, 10**6, 12)):
        state = mix((mix(seed) + turn * golden) % 2**64)
        state = mix((state + sample * golden) % 2**64)
        expected = (mix((state + (column + 1) * golden) % 2**64) >> 11) / 2**53
        assert uniforms(seed, turn, [sample], column + 1)[0, column] == expected


def test_uniforms_are_uniform_and_uncorrelated():
    values = numpy.concatenate([uniforms(0, turn, numpy.arange(2000), 13) for turn in range(3)])
    assert 0 <= values.min() and values.max() < 1
    counts = numpy.stack([numpy.histogram(column, 10, (0, 1))[0] for column in values.T])
    chi_squared = ((counts - 600) ** 2 / 600).sum(axis=1)
    assert chi_squared.max() < 35  # 9 degrees of freedom: exceeded once in 16000 columns
    correlation = numpy.corrcoef(values.T) - numpy.eye(13)
    assert numpy.abs(correlation).max() < 5 / 6000**0.5
    assert abs(numpy.corrcoef(values[:-1, 0], values[1:, 0])[0, 1]) < 5 / 6000**0.5


def test_defaults_by_task():
    moved = {**OFF, "flip": True, "crop": 0.125}
    for task in ("classification", "colorization"):
        assert configured(Config(task=task)).settings == moved
    found = configured(Config(task="segmentation")).settings
    assert found == {**moved, "brightness": 0.1, "contrast": 0.1}


def test_configuration_switches_off_and_adjusts():
    assert configured(Config(augment="none")) is None
    found = configured(Config(task="colorization", augment_args={"flip": False, "rotate": 10}))
    assert found.settings == {**OFF, "crop": 0.125, "rotate": 10}


@pytest.mark.parametrize(
    ("task", "arguments", "message"),
    [
        ("classification", {"flipp": True}, "did you mean 'flip'"),
        ("classification", {"flip": 1}, "'flip' must be true or false, received 1"),
        ("classification", {"rotate": 181}, "'rotate' must be a number from 0 to 180"),
        ("classification", {"scale": -0.1}, "'scale' must be a number from 0 to 0.9"),
        ("classification", {"crop": float("nan")}, "'crop' must be a number"),
        (
            "classification",
            {"random_erasing": True},
            "'random_erasing' must be a number from 0 to 1",
        ),
        ("classification", {"brightness": "0.2"}, "received '0.2'"),
        ("classification", {"fill": "black"}, "'reflect' or 'zero'"),
        ("segmentation", {"fill": "zero"}, "needs an ignore label"),
        ("colorization", {"saturation": 0.1}, "colors that are to be learned"),
        ("colorization", {"random_erasing": 0.1}, "colors that are to be learned"),
    ],
)
def test_wrong_settings_are_refused(task, arguments, message):
    with pytest.raises(ConfigError, match=message):
        configured(Config(task=task, augment_args=arguments))
