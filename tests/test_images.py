"""Rows 60 to 75 and 87 of the fault matrix: one image file at a time."""

import os
import struct
import zlib

import numpy
import PIL.Image
import pytest
from data_fixtures import content, data_error, image, save

from kerasdl.data import images

# An image whose four corners differ, so that each of the eight orientations is another array.
UPRIGHT = numpy.array([[[10], [20], [30]], [[40], [50], [60]]], "uint8").repeat(3, axis=2)


def png(bits, kind, rows, width, height):
    """PNG bytes with any bit depth and color type; `rows` with their filter bytes."""

    def chunk(name, data):
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    head = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "gif", "jpg"])
def test_all_formats_are_read_as_rgb(tmp_path, suffix):
    flat = numpy.full((5, 7, 3), (200, 100, 50), "uint8")
    options = {"lossless": True} if suffix == "webp" else {}
    path = save(flat, tmp_path / f"a.{suffix}", **options)
    image = images.read_image(path)
    assert image.dtype == "uint8" and image.shape == (5, 7, 3)
    assert abs(image.astype(int) - flat).max() <= (6 if suffix in ("jpg", "gif") else 0)


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9])
def test_truncated_jpeg_is_refused(tmp_path, keep):
    whole = content(image(1, 64, 64), "JPEG")
    path = tmp_path / "cut.jpg"
    path.write_bytes(whole[: int(keep * len(whole))])
    error = data_error(images.read_image, path)
    assert error.path == path and "damaged" in error.what and "replace" in error.fix


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
def test_truncated_png_is_refused(tmp_path, keep):
    whole = content(image(1, 64, 64), "PNG")
    path = tmp_path / "cut.png"
    path.write_bytes(whole[: int(keep * len(whole))])
    assert data_error(images.read_image, path).path == path


@pytest.mark.parametrize("place", [20, 45, 100, 500, 700, -20])
def test_png_with_a_flipped_bit_is_refused(tmp_path, place):
    # Stored without compression a changed pixel still decodes; only the checksum tells.
    damaged = bytearray(content(image(1, 16, 16), "PNG", compress_level=0))
    damaged[place] ^= 1
    path = tmp_path / "flipped.png"
    path.write_bytes(damaged)
    assert data_error(images.read_image, path).path == path


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"just some words\n", "text"),
        (b'<?xml version="1.0"?>\n<svg width="3"></svg>', "SVG"),
        (b"<!DOCTYPE html><html>404</html>", "HTML"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"\x00\x00\x00\x20ftypheic", "HEIC"),
    ],
)
def test_what_is_no_image_is_named(tmp_path, data, said):
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    error = data_error(images.read_image, path)
    assert error.path == path and said in error.what


def test_content_decides_not_the_suffix(tmp_path):
    path = tmp_path / "really_png.jpg"
    path.write_bytes(content(UPRIGHT, "PNG"))
    assert (images.read_image(path) == UPRIGHT).all()
    assert images.read_header(path).format == "PNG"


@pytest.mark.parametrize("kind", ["EPS", "PDF", "ICO", "TGA", "SGI"])
def test_other_formats_never_reach_their_parser(tmp_path, kind):
    path = tmp_path / "a.png"
    path.write_bytes(content(image(0), kind))
    assert "not an image of a known format" in data_error(images.read_image, path).what


@pytest.mark.parametrize("start", [b"8BPS\x00\x01", b"SIMPLE  =                    T"])
def test_photoshop_and_fits_are_refused(tmp_path, start):
    path = tmp_path / "a.jpg"
    path.write_bytes(start + bytes(2000))
    assert "it is" in data_error(images.read_image, path).what


# What is stored so that a viewer that applies the tag shows UPRIGHT (EXIF 2.3, tag 0x0112).
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.transpose(1, 0, 2),
    6: UPRIGHT.transpose(1, 0, 2)[::-1],
    7: UPRIGHT[::-1, ::-1].transpose(1, 0, 2),
    8: UPRIGHT.transpose(1, 0, 2)[:, ::-1],
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_exif_orientation_is_applied(tmp_path, orientation, suffix):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    stored = numpy.ascontiguousarray(STORED[orientation])
    path = save(stored, tmp_path / f"turned.{suffix}", exif=exif)
    assert (images.read_image(path) == UPRIGHT).all()
    header = images.read_header(path)
    assert header.orientation == orientation and header.size == (2, 3)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_does_not_spoil_the_image(tmp_path):
    path = save(image(3), tmp_path / "a.jpg", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert images.read_image(path).shape == (32, 32, 3)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_gray_keeps_its_256_levels(tmp_path, suffix):
    ramp = (numpy.arange(256, dtype="uint16") << 8 | 0x7F).reshape(16, 16)
    path = save(ramp, tmp_path / f"ramp.{suffix}")
    image = images.read_image(path)
    assert (image == numpy.arange(256).reshape(16, 16, 1)).all()


def test_sixteen_bit_color_png(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(16, 2, b"\x00" + bytes([1, 200, 3, 200, 5, 200]), 1, 1))
    assert images.read_image(path).tolist() == [[[1, 3, 5]]]


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_images_without_a_known_range_are_refused(tmp_path, dtype):
    path = save(numpy.ones((4, 4), dtype), tmp_path / "a.tif")
    error = data_error(images.read_image, path)
    assert "range" in error.what and "8-bit" in error.fix


def test_cmyk_jpeg(tmp_path):
    # Cyan 0, magenta 255, yellow 255, black 0 is red.
    flat = PIL.Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    image = images.read_image(save(flat, tmp_path / "a.jpg", quality=95))
    assert abs(image.astype(int) - (255, 0, 0)).max() <= 3


def test_palette_gray_and_one_bit(tmp_path):
    palette = PIL.Image.new("P", (2, 1))
    palette.putpalette([0, 0, 0, 9, 8, 7])
    palette.putpixel((1, 0), 1)
    assert images.read_image(save(palette, tmp_path / "p.png")).tolist() == [[[0] * 3, [9, 8, 7]]]
    gray = numpy.array([[0, 77]], "uint8")
    assert images.read_image(save(gray, tmp_path / "l.png")).tolist() == [[[0] * 3, [77] * 3]]
    bits = numpy.array([[False, True]])
    assert images.read_image(save(bits, tmp_path / "b.png")).tolist() == [[[0] * 3, [255] * 3]]


def test_transparency_is_laid_over_white(tmp_path):
    # Half opaque: 0.5 * value + 0.5 * 255, with alpha 128 / 255.
    colors = numpy.array([[[100, 0, 200, 255], [100, 0, 200, 128], [100, 0, 200, 0]]], "uint8")
    expected = [[100, 0, 200], [177, 127, 227], [255, 255, 255]]
    image = images.read_image(save(colors, tmp_path / "rgba.png"))[0]
    assert abs(image.astype(int) - expected).max() <= 1
    gray = numpy.array([[[100, 255], [100, 0]]], "uint8")
    image = images.read_image(save(PIL.Image.fromarray(gray, "LA"), tmp_path / "la.png"))
    assert image.tolist() == [[[100] * 3, [255] * 3]]


def test_palette_with_transparency(tmp_path):
    palette = PIL.Image.new("P", (2, 1))
    palette.putpalette([50, 60, 70, 9, 8, 7])
    palette.putpixel((1, 0), 1)
    path = save(palette, tmp_path / "p.png", transparency=0)
    assert images.read_image(path).tolist() == [[[255] * 3, [9, 8, 7]]]
    assert images.read_header(path).transparent


def test_fully_transparent_is_white(tmp_path):
    path = save(PIL.Image.new("RGBA", (4, 4), (10, 20, 30, 0)), tmp_path / "a.png")
    assert (images.read_image(path) == 255).all()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_an_animation(tmp_path, kind):
    frames = [PIL.Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    options = {"save_all": True, "append_images": frames[1:]}
    options |= {"lossless": True} if kind == "WEBP" else {}
    path = save(frames[0], tmp_path / "a.png", format=kind, **options)
    assert (images.read_image(path) == (255, 0, 0)).all()
    assert images.read_header(path).frames == 2


def test_decompression_bomb(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(1, 0, b"\x00", 30000, 30000))
    error = data_error(images.read_image, path)
    assert "too large" in error.what and "89478485" in error.what


@pytest.mark.filterwarnings("ignore:Image size")
def test_the_range_where_pillow_only_warns(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(1, 0, b"\x00", 10000, 10000))
    assert "too large" in data_error(images.read_image, path).what
    assert "too large" in data_error(images.read_header, path).what


def test_limit_of_the_caller(tmp_path):
    path = save(image(0, 20, 20), tmp_path / "a.png")
    assert images.read_image(path, 400).shape == (20, 20, 3)
    assert "20x20" in data_error(images.read_image, path, 399).what


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1)])
def test_extreme_shapes(tmp_path, size):
    path = save(image(0, *size), tmp_path / "a.png")
    found = images.read_image(path)
    assert found.shape == (*size, 3)
    for how in ("crop", "stretch"):
        assert images.resize_image(found, (32, 24), how).shape == (32, 24, 3)
        assert images.resize_mask(found[:, :, 0], (32, 24), how).shape == (32, 24)


def test_missing_file(tmp_path):
    error = data_error(images.read_image, tmp_path / "gone.png")
    assert error.path == tmp_path / "gone.png" and "no such file" in error.what


def test_a_pipe_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "not a regular file" in data_error(images.read_image, tmp_path / "pipe.jpg").what


def test_headers_decode_no_pixel(tmp_path):
    whole = content(image(1, 48, 64), "JPEG")
    path = tmp_path / "cut.jpg"
    path.write_bytes(whole[: len(whole) // 2])
    assert images.read_header(path).size == (48, 64)


def test_stretch_is_antialiased():
    # Every second column white: a shrunken image must be gray, not black or white.
    stripes = numpy.zeros((8, 16, 3), "uint8")
    stripes[:, ::2] = 255
    small = images.resize_image(stripes, (4, 4), "stretch")
    assert abs(small.astype(int) - 127).max() <= 16


def test_crop_takes_the_center():
    # 2x6, three blocks of two columns; a square of 2x2 is the middle block.
    blocks = numpy.repeat(numpy.array([[10, 20, 30]], "uint8"), 2, axis=1).repeat(2, axis=0)
    colored = blocks[:, :, None].repeat(3, axis=2)
    assert (images.resize_image(colored, (2, 2), "crop") == 20).all()
    assert (images.resize_mask(blocks, (2, 2), "crop") == 20).all()
    tall = numpy.ascontiguousarray(blocks.T)
    assert (images.resize_mask(tall, (4, 4), "crop") == 20).all()


def test_the_same_size_is_the_same_image():
    same = image(5, 9, 11)
    assert (images.resize_image(same, (9, 11), "crop") == same).all()


def test_nearest_by_hand():
    mask = numpy.array([[1, 2, 3, 4]], "uint8").repeat(4, axis=0)
    assert images.resize_mask(mask, (2, 2), "stretch").tolist() == [[2, 4], [2, 4]]
    assert images.resize_mask(mask.T, (2, 2), "stretch").tolist() == [[2, 2], [4, 4]]
    assert images.resize_mask(mask, (4, 8), "stretch")[0].tolist() == [1, 1, 2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize("how", ["crop", "stretch"])
@pytest.mark.parametrize("size", [(7, 5), (33, 21), (64, 64), (1, 1)])
def test_no_new_value_appears(how, size):
    mask = numpy.random.default_rng(0).choice([0, 7, 255], (20, 31)).astype("uint8")
    resized = images.resize_mask(mask, size, how)
    assert resized.shape == size and resized.dtype == "uint8"
    assert set(numpy.unique(resized)) <= {0, 7, 255}


@pytest.mark.parametrize("how", ["crop", "stretch"])
def test_image_and_mask_stay_aligned(how):
    mask = numpy.zeros((60, 90), "uint8")
    mask[20:50, 30:70] = 1
    image = (mask * 255)[:, :, None].repeat(3, axis=2)
    small_mask = images.resize_mask(mask, (30, 30), how)
    small_image = images.resize_image(image, (30, 30), how)[:, :, 0]
    certain = (small_image == 0) | (small_image == 255)
    assert ((small_image == 255) == (small_mask == 1))[certain].all() and certain.mean() > 0.7


def test_how_must_be_known():
    with pytest.raises(ValueError, match="fit"):
        images.resize_image(image(), (8, 8), "fit")


def test_netpbm_images_are_read(tmp_path):
    save(UPRIGHT, tmp_path / "a.ppm")
    assert (images.read_image(tmp_path / "a.ppm") == UPRIGHT).all()
    (tmp_path / "gray.pgm").write_bytes(b"P5 3 1 255\n\x00\x07\xff")
    assert images.read_image(tmp_path / "gray.pgm")[0].tolist() == [[0] * 3, [7] * 3, [255] * 3]
    (tmp_path / "short.ppm").write_bytes(b"P6 30 10 255\n\x00\x07\xff")
    assert "damaged" in data_error(images.read_image, tmp_path / "short.ppm").what
