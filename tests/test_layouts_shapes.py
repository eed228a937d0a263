"""Masks from annotations: the expected ones are written by hand, or made by another library."""

import base64
import io

import numpy
import PIL.Image
import pytest

from kerasdl.core.errors import DataError
from kerasdl.data.folder.layouts import shapes

_SQUARE = shapes.Polygons((shapes.rectangle(2, 1, 5, 3),))


def _rows(*rows):
    return [[int(character) for character in row] for row in rows]


def _drawn(shape, size=(4, 6), value=1):
    return shapes.draw([shapes.Region(shape, value)], size).tolist()


def test_rectangle_covers_the_pixels_between_its_corners():
    assert _drawn(_SQUARE) == _rows("000000", "001110", "001110", "000000")


def test_pixel_belongs_to_a_polygon_if_its_center_does():
    triangle = shapes.Polygons((shapes.polygon([0, 0, 4, 0, 0, 4]),))
    # Centers (c + 0.5, r + 0.5) with c + r + 1 < 4; those on the long edge (= 4) are outside.
    assert _drawn(triangle, (4, 4)) == _rows("1110", "1100", "1000", "0000")


def test_corners_within_a_pixel_move_no_border():
    moved = shapes.Polygons((shapes.rectangle(1.6, 0.6, 5.4, 3.4),))
    assert _drawn(moved) == _drawn(_SQUARE)


def test_polygon_that_leaves_the_image_is_cut_off():
    assert _drawn(shapes.Polygons((shapes.rectangle(-9, 2, 2, 99),))) == _rows(
        "000000", "000000", "110000", "110000"
    )
    assert not numpy.any(_drawn(shapes.Polygons((shapes.rectangle(7, 0, 9, 4),))))
    assert not numpy.any(_drawn(shapes.Polygons((shapes.rectangle(0, 5, 6, 9),))))


def test_concave_polygon_and_several_parts():
    letter = shapes.Polygons(
        (shapes.polygon([0, 0, 1, 0, 1, 3, 3, 3, 3, 4, 0, 4]), shapes.rectangle(4, 0, 6, 1))
    )
    assert _drawn(letter) == _rows("100011", "100000", "100000", "111000")


def test_relative_coordinates_count_from_the_size_of_the_image():
    half = shapes.Polygons((shapes.rectangle(0.5, 0, 1, 0.5),), relative=True)
    assert _drawn(half) == _rows("000111", "000111", "000000", "000000")


def test_later_region_covers_the_earlier_one():
    regions = [shapes.Region(_SQUARE, 1), shapes.Region(_SQUARE, 255)]
    assert set(shapes.draw(regions, (4, 6)).ravel().tolist()) == {0, 255}


def test_ellipse_and_its_turn():
    flat = shapes.Polygons((shapes.ellipse(3, 2, 3, 2),))
    # Row 0: (0.5 - 2)^2 / 4 = 0.5625, so |x - 3| < 3 * sqrt(0.4375) = 1.98: columns 1 to 4.
    assert _drawn(flat) == _rows("011110", "111111", "111111", "011110")
    upright = shapes.Polygons((shapes.ellipse(2, 3, 3, 2, degrees=90),))
    assert _drawn(upright, (6, 4)) == numpy.transpose(_drawn(flat)).tolist()


@pytest.mark.parametrize("seed", range(20))
def test_random_polygons_agree_with_scikit_image(seed):
    draw = pytest.importorskip("skimage.draw")
    corners = numpy.random.default_rng(seed).uniform(-5, 35, (7, 2))
    rows, columns = draw.polygon(corners[:, 1] - 0.5, corners[:, 0] - 0.5, (28, 30))
    expected = numpy.zeros((28, 30), "uint8")
    expected[rows, columns] = 1
    shape = shapes.Polygons((shapes.polygon(corners),))
    assert _drawn(shape, (28, 30)) == expected.tolist()


def test_area_is_that_of_the_shoelace_formula():
    assert shapes.area(shapes.polygon([0, 0, 4, 0, 4, 3])) == 6.0


def test_runs_down_the_columns_and_along_the_rows():
    counts = numpy.array([3, 2, 1, 2, 4], "int32")
    down = shapes.Runs(counts, "F", (0, 0, 4, 3))
    assert _drawn(down, (3, 4)) == _rows("0110", "0110", "0000")
    along = shapes.Runs(counts, "C", (1, 1, 4, 3))
    assert _drawn(along) == _rows("000000", "000010", "010110", "000000")


def test_runs_of_another_size_are_refused():
    shape = shapes.Runs(numpy.array([3, 2], "int32"), "F", (0, 0, 4, 3))
    with pytest.raises(DataError, match="add up to 5, not to 4x3"):
        _drawn(shape)


@pytest.mark.parametrize("seed", range(8))
def test_compressed_runs_are_those_of_pycocotools(seed):
    coco = pytest.importorskip("pycocotools.mask")
    generator = numpy.random.default_rng(seed)
    size = tuple(generator.integers(1, 90, 2).tolist())
    blocks = generator.integers(0, 2, (9, 9)).repeat(11, 0).repeat(11, 1)
    expected = blocks[: size[0], : size[1]].astype("uint8")
    code = coco.encode(numpy.asfortranarray(expected))
    shape = shapes.CompressedRuns(code["counts"], size)
    assert _drawn(shape, size) == expected.tolist()
    assert shape.area() == expected.sum()


def test_compressed_runs_by_hand():
    # 3, 2, 1 as they are, then 2 - 2 = 0 and 4 - 1 = 3: characters 48 + number.
    assert shapes.decode_counts(b"32103").tolist() == [3, 2, 1, 2, 4]
    # 40 = 8 + 32: the low five bits 8 with the sign that another follows, then 1.
    assert shapes.decode_counts(bytes((48 + 32 + 8, 48 + 1))).tolist() == [40]


@pytest.mark.parametrize("text", [b"X", b"zzzz", b"!", b"0001O"])
def test_damaged_compressed_runs_are_refused(text):
    with pytest.raises(DataError, match="compressed run lengths|add up to"):
        _drawn(shapes.CompressedRuns(text, (3, 4)))


def test_bitmap_lies_at_its_corner_and_may_hang_over():
    stream = io.BytesIO()
    PIL.Image.fromarray(numpy.array(_rows("10", "11")).astype("uint8") * 255).save(stream, "PNG")
    code = base64.b64encode(stream.getvalue()).decode()
    assert _drawn(shapes.Bitmap(code, (4, 1))) == _rows("000000", "000010", "000011", "000000")
    assert _drawn(shapes.Bitmap(code, (-1, 3))) == _rows("000000", "000000", "000000", "000000")
    assert _drawn(shapes.Bitmap(code, (-1, 2))) == _rows("000000", "000000", "000000", "100000")
    with pytest.raises(DataError, match="bitmap of a region cannot be read"):
        _drawn(shapes.Bitmap("no base64!", (0, 0)))


def _bits(*fields):
    text = "".join(f"{value:0{width}b}" for value, width in fields)
    text += "0" * (-len(text) % 8)
    return bytes(int(text[place : place + 8], 2) for place in range(0, len(text), 8))


def test_brush_of_label_studio_is_the_alpha_channel():
    head = [(16, 32), (7, 5), (2, 4), (3, 4), (3, 4), (3, 4)]
    # 2x2 pixels RGBA: 7 zeros, one 255 (alpha of pixel 1), then 4 + 4 values written one by one.
    runs = [
        (1, 1),
        (0, 2),
        (6, 3),
        (0, 8),
        (1, 1),
        (1, 2),
        (0, 4),
        (255, 8),
        (0, 1),
        (2, 2),
        (7, 4),
    ]
    single = [(value, 8) for value in (1, 2, 3, 0, 4, 5, 6, 9)]
    shape = shapes.Brush(_bits(*head, *runs, *single), (2, 2))
    assert _drawn(shape, (2, 2)) == [[0, 1], [0, 1]]


def test_brush_that_ends_early_or_fits_another_image_is_refused():
    head = [(16, 32), (7, 5), (2, 4), (3, 4), (3, 4), (3, 4)]
    with pytest.raises(DataError, match="end early"):
        shapes.decode_brush(_bits(*head), 16)
    with pytest.raises(DataError, match="hold 16 values, the image 64"):
        shapes.decode_brush(_bits(*head), 64)
    with pytest.raises(DataError, match="exceed the image"):
        two_then_sixteen = [(1, 1), (0, 2), (1, 3), (0, 8), (1, 1), (1, 2), (15, 4)]
        shapes.decode_brush(_bits(*head, *two_then_sixteen), 16)


@pytest.mark.parametrize(
    ("points", "problem"),
    [
        ([[0, 0], [1, 1]], "polygon with 2 points"),
        ([0, 0], "polygon with 1 point,"),
        ([0, 0, 1, 1, 2], "no list of x, y pairs"),
        (["a", 0, 1, 1, 2, 2], "no list of x, y pairs"),
        ([0, 0, 1, float("nan"), 2, 2], "no number"),
        ([0, 0, 1e300, 1, 2, 2], "no number"),
        ([0, 0, 10**400, 1, 2, 2], "no list of x, y pairs"),
    ],
)
def test_what_is_no_polygon_is_refused(points, problem):
    with pytest.raises(DataError, match=problem):
        shapes.polygon(points)
