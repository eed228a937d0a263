"""Tiles: where they lie, how they are blended, and that resizing in parts is resizing."""

import numpy
import pytest
from PIL import Image

from kerasdl.core.errors import ConfigError, DataError
from kerasdl.engine.prediction import geometry, resampling, tiles
from kerasdl.engine.prediction.geometry import Plan, Tiling, Training
from kerasdl.tasks.prediction import enlarging


def noise(*shape):
    return numpy.random.default_rng(0).integers(0, 256, shape).astype("uint8")


def test_tiles_cover_a_side_evenly():
    assert tiles.starts(10, 4, 0.25) == [0, 3, 6]
    assert tiles.starts(11, 4, 0.25) == [0, 2, 5, 7]  # no gap of more than 3, the last ends at 11
    assert tiles.starts(4, 4, 0.5) == tiles.starts(3, 4, 0.5) == [0]
    assert tiles.starts(8, 4, 0.0) == [0, 4]


def test_weights_by_hand():
    # Distances to the edges are 1/2, 3/2, 3/2, 1/2; tiles from 0 and 2 share the pixels 2 and 3.
    left, right = tiles.weights([0, 2], 4)
    assert left.tolist() == [1, 1, 0.75, 0.25]
    assert right.tolist() == [0.25, 0.75, 1, 1]


def blended(apply, size, tile, overlap, channels=3, batch=3, **kwargs):
    """The whole blended image, from pixels whose red is the row and whose green is the column."""
    rows, columns = numpy.indices(size)
    pixels = numpy.stack([rows, columns, rows * 0], axis=-1).astype("uint8")
    grid = tiles.Grid(size, tile, overlap, **kwargs)

    def read(rows, columns):
        return resampling.region(pixels, size, rows, columns)

    bands = []
    for top, values in grid.blended(apply, read, batch):
        assert top == sum(map(len, bands))
        bands.append(values.copy())
    return numpy.concatenate(bands)


@pytest.mark.parametrize("size", [(9, 14), (4, 5), (3, 30), (17, 2)])
def test_a_network_that_repeats_its_input_repeats_the_image(size):
    found = blended(lambda batch: batch.astype("float32"), size, (4, 5), 0.3)
    rows, columns = numpy.indices(size)
    numpy.testing.assert_allclose(found[..., 0], rows, atol=1e-4)
    numpy.testing.assert_allclose(found[..., 1], columns, atol=1e-4)


def test_tiles_that_disagree_are_mixed_by_the_distance_to_their_edges():
    # Each tile answers with its own first column, in two tiles of 4 columns, from 0 and 2.
    def first_column(batch):
        return numpy.broadcast_to(batch[:, :1, :1, 1:2], (*batch.shape[:3], 1)).astype("float32")

    found = blended(first_column, (4, 6), (4, 4), 0.5)
    numpy.testing.assert_allclose(found[..., 0], [[0, 0, 0.5, 1.5, 2, 2]] * 4)
    # The other way round, rows: none is lost where the rows of tiles move on.
    found = blended(
        lambda batch: numpy.broadcast_to(batch[:, :1, :1, :1], (*batch.shape[:3], 1)).astype(float),
        (6, 4), (4, 4), 0.5,
    )  # fmt: skip
    numpy.testing.assert_allclose(found[:, 0, 0], [0, 0, 0.5, 1.5, 2, 2])


def test_only_the_tiles_of_the_needed_columns_are_computed():
    grid = tiles.Grid((4, 40), (4, 8), 0.25, columns=(20, 24))
    assert (grid.lefts, grid.left, grid.right) == ([16, 21], 16, 29)
    whole = blended(lambda batch: batch.astype("float32"), (4, 40), (4, 8), 0.25)
    part = blended(lambda batch: batch.astype("float32"), (4, 40), (4, 8), 0.25, columns=(20, 24))
    numpy.testing.assert_allclose(part[:, 4:8], whole[:, 20:24])


@pytest.mark.parametrize("size", [(30, 41), (15, 20), (61, 90), (7, 200), (30, 20)])
def test_a_region_is_that_part_of_the_resized_image(size):
    pixels = noise(30, 41, 3)
    whole = numpy.asarray(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BILINEAR))
    for rows, columns in (((0, size[0]), (0, size[1])), ((3, 7), (5, 19)), ((5, 6), (2, 20))):
        part = resampling.region(pixels, size, rows, columns).astype(int)
        assert numpy.abs(part - whole[slice(*rows), slice(*columns)]).max() <= 1  # rounding
    over = resampling.region(pixels, size, (size[0] - 2, size[0] + 3), (0, 3))
    assert (over[2:] == over[1]).all() and over.shape == (5, 3, 3)


@pytest.mark.parametrize("image", [(24, 36), (50, 70), (9, 11), (24, 70)])
@pytest.mark.parametrize("heights", [(24,), (5, 1, 18), (8, 8, 8)])
def test_bands_are_enlarged_as_the_whole_is(monkeypatch, image, heights):
    monkeypatch.setattr(resampling, "CHUNK_PIXELS", 4 * image[1])  # several chunks
    size = (24, 36)
    values = numpy.random.default_rng(0).normal(size=(*size, 2)).astype("float32")
    tops = numpy.cumsum((0, *heights))
    bands = [
        resampling.Band(top, values[top : top + height])
        for top, height in zip(tops, heights, strict=False)
    ]
    expected = [
        numpy.asarray(
            Image.fromarray(values[..., i].copy()).resize(image[::-1], resampling.BILINEAR)
        )
        for i in range(2)
    ]
    for columns in ((0, image[1]), (3, 9)):
        found = numpy.full((2, image[0], columns[1] - columns[0]), numpy.nan, "float32")
        for rows, part, box in resampling.enlarged(bands, size, image, columns):
            shape = (rows[1] - rows[0], columns[1] - columns[0])
            found[:, slice(*rows)] = enlarging.bilinear(part, box, shape)
        numpy.testing.assert_allclose(found, numpy.stack(expected)[..., slice(*columns)], atol=1e-5)


@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize("size", [(31, 47), (24, 36), (9, 50), (90, 37)])
def test_the_largest_is_that_of_the_interpolated_values(smooth, size):
    logits = numpy.random.default_rng(0).normal(size=(24, 36, 5))
    if smooth:
        rows, columns = numpy.indices((24, 36))
        logits = numpy.stack(
            [numpy.sin(rows / 7 + i) + numpy.cos(columns / 9 * i) for i in range(5)], -1
        )
    logits = logits.astype("float32")
    box = (0.0, 0.0, 36.0, 24.0)
    found = enlarging.largest(logits, box, size)
    values = enlarging.bilinear(logits, box, size)
    highest = numpy.take_along_axis(values, found[None].astype(int), 0)[0]
    numpy.testing.assert_allclose(highest, values.max(axis=0), atol=1e-5)
    part = enlarging.largest(logits, (9.0, 6.0, 18.0, 12.0), (12, 18))
    assert (part == enlarging.largest(logits, box, (48, 72))[12:24, 18:36]).all()


TRAINED = Training((64, 96), "crop")
STRETCHED = Training((64, 64), "stretch", (320, 480))


@pytest.mark.parametrize(
    ("image", "training", "expected"),
    [
        ((128, 192), TRAINED, Plan((64, 96))),  # just twice as large
        ((129, 192), TRAINED, Plan((129, 192), (64, 96))),
        ((2, 2000), TRAINED, Plan((2, 2000), (64, 96))),
        ((10, 100), TRAINED, Plan((64, 640), (64, 96))),  # too long to be shown whole
        ((320, 480), STRETCHED, Plan((64, 64))),
        # Training took a fifth of the height and 2/15 of the width.
        ((3200, 480), STRETCHED, Plan((640, 64), (64, 64))),
        ((1000, 1500), Training((64, 96), "crop", (320, 480)), Plan((200, 300), (64, 96))),
        ((1000, 1500), Training((64, 96), "crop", whole=True), Plan((64, 96))),
    ],
)  # fmt: skip
def test_large_images_are_tiled_at_the_scale_of_training(image, training, expected):
    assert geometry.plan(image, training, None, Tiling()) == expected


def test_plans_that_the_user_chose():
    large = (640, 960)
    assert geometry.plan(large, TRAINED, None, Tiling("none")) == Plan((64, 96))
    assert geometry.plan(large, STRETCHED, None, Tiling((32, 40))) == Plan((128, 128), (32, 40))
    assert geometry.plan(large, STRETCHED, None, Tiling((32, 40), scale=0.5)) == Plan(
        (320, 480), (32, 40)
    )
    with pytest.raises(DataError, match="2x2000 would be shown to the network at 64x64000"):
        geometry.plan((2, 2000), TRAINED, None, Tiling("none"))


def test_a_network_of_one_size_gets_tiles_of_that_size():
    fixed = (64, 96)
    assert geometry.plan((64, 96), TRAINED, fixed, Tiling()) == Plan((64, 96))
    assert geometry.plan((64, 120), TRAINED, fixed, Tiling()) == Plan((64, 120), fixed)
    for tiling, image in ((Tiling("none"), (64, 120)), (Tiling((32, 32)), (64, 96))):
        with pytest.raises(ConfigError, match="takes images of 64x96 only.*--dynamic"):
            geometry.plan(image, TRAINED, fixed, tiling)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tile": "big"}, "auto, none or a size"),
        ({"tile": (4, 4)}, "8 or more pixels"),
        ({"overlap": 1.0}, "overlap must be from 0 to 0.9"),
        ({"scale": float("nan")}, "scale must be"),
        ({"tile": "none", "scale": 1.0}, "whole images are shown at the training size"),
    ],
)
def test_impossible_tiles(values, message):
    with pytest.raises(ConfigError, match=message):
        Tiling(**values)


def test_batches_fit_in_memory():
    assert tiles.batch_size((256, 256), 21) == 8
    assert tiles.batch_size((256, 256), 150) == 1  # 150 floats per pixel: 38 MiB for each image
    assert tiles.batch_size((2048, 2048), 3) == 1
    assert tiles.panels((100, 700), (50, 350), (64, 64), 2) == [(0, 700)]
    assert tiles.panels((6048, 8064), (6048, 8064), (256, 256), 21) == [
        (0, 2688), (2688, 5376), (5376, 8064),
    ]  # fmt: skip
