"""Encodings of images and masks that could be misread without a word."""

import struct
import zlib

import numpy
import PIL.Image
import pytest
from data_fixtures import class_folder, save
from test_real_world import (
    check,
    disc,
    discs,
    errors,
    lines_of,
    palette_png,
    paste,
    photo,
    refused,
    shares,
    true_share,
)


def png(path, values):
    """PNG of 16 bits per channel, which Pillow does not write."""

    def chunk(kind, body):
        body = kind + body
        return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))

    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("bits", "severity"), [(10, "error"), (12, "error"), (14, "warning")])
def test_a_range_that_is_not_used_is_told_in_any_number_of_channels(
    tmp_path, channels, bits, severity
):
    class_folder(tmp_path)
    for seed, path in enumerate(sorted(tmp_path.rglob("*.png"))):
        values = numpy.random.default_rng(seed).integers(0, 2**bits, (8, 8, channels), "uint16")
        values[0, 0] = 2**bits - 1
        values[..., 3:] = 65535
        png(path, values)
    found = [f for f in check(tmp_path).findings if f.kind == "range"]
    assert [f.severity for f in found] == [severity]
    assert f"up to {2**bits - 1} only" in found[0].what


def test_sixteen_bits_that_are_used_are_no_finding(tmp_path):
    class_folder(tmp_path)
    for path in tmp_path.rglob("*.png"):
        png(path, numpy.asarray(PIL.Image.open(path)).astype("uint16") * 257)
    assert not [f for f in check(tmp_path).findings if f.kind == "range"]


def test_training_masks_of_a_single_class_are_refused_whatever_the_others_hold(tmp_path):
    for split in ("train", "val"):
        for index in range(4):
            save(photo(index), tmp_path / f"images/{split}/{index}.jpg")
            mask = disc(index) * numpy.uint8(split == "val")
            save(mask, tmp_path / f"masks/{split}/{index}.png")
    assert "all 4 training masks hold class 0 only" in refused(tmp_path, "segmentation").what


@pytest.mark.parametrize("named", [False, True])
def test_colors_of_palettes_that_differ_keep_the_order_of_the_indices(tmp_path, named):
    colors = [0, 0, 0, 200, 0, 0, 0, 200, 0]  # red before green, against the order of the codes
    swapped = [0, 0, 0, 0, 200, 0, 200, 0, 0]
    discs(tmp_path)
    truth = []
    for index in range(12):
        mask = numpy.where(disc(index + 50), 2, disc(index)).astype("uint8")
        truth.append(mask)
        path = tmp_path / f"masks/{index}.png"
        if index == 5:
            palette_png(numpy.array([0, 2, 1], "uint8")[mask], swapped, path)
        else:
            palette_png(mask, colors, path)
    if named:
        (tmp_path / "classes.txt").write_text("background\nred\ngreen\n")
    line = lines_of(refused(tmp_path, "segmentation").fix)[0]
    assert line == 'mask_values = { "#000000" = 0, "#c80000" = 1, "#00c800" = 2 }'
    paste(tmp_path, line)
    assert not errors(check(tmp_path, "segmentation"))
    expected = [numpy.mean(numpy.array(truth) == index) for index in range(3)]
    assert shares(tmp_path).tolist() == pytest.approx(expected)


def test_white_of_8_and_of_16_bits_is_asked_about(tmp_path):
    def draw(index):
        white = 255 if index % 2 else 65535
        return disc(index).astype("uint8" if index % 2 else "uint16") * white

    discs(tmp_path, draw=draw)
    same, apart = lines_of(refused(tmp_path, "segmentation").fix)
    assert apart == "mask_values = { 0 = 0, 255 = 1, 65535 = 2 }"
    paste(tmp_path, same)
    assert not errors(check(tmp_path, "segmentation"))
    assert shares(tmp_path)[1] == pytest.approx(true_share())


def test_smoothed_masks_of_16_bits_lead_to_a_threshold(tmp_path):
    def draw(index):
        small = PIL.Image.fromarray(disc(index, inside=255)).resize((128, 96), 2)
        return numpy.asarray(small.resize((64, 48), 3)).astype("uint16") * 257

    discs(tmp_path, draw=draw)
    assert lines_of(refused(tmp_path, "segmentation").fix) == ["threshold = 128"]
    paste(tmp_path, "threshold = 128")
    assert not errors(check(tmp_path, "segmentation"))
    truth = numpy.mean([draw(index) >= 128 * 256 for index in range(12)])
    assert shares(tmp_path)[1] == pytest.approx(truth)


def test_a_color_that_is_transparent_in_places_is_asked_about(tmp_path):
    def draw(index):
        mask, other = disc(index), disc(index + 50)
        layers = numpy.zeros((48, 64, 4), "uint8")
        layers[..., 0] = 200
        layers[other == 1] = 0, 200, 0, 255
        layers[mask == 1] = 200, 0, 0, 255
        return layers

    discs(tmp_path, draw=draw)
    alpha, colors = lines_of(refused(tmp_path, "segmentation").fix)
    assert alpha == 'mask_channel = "alpha"'
    paste(tmp_path, alpha, "mask_values = { 0 = 0, 255 = 1 }")
    assert not errors(check(tmp_path, "segmentation"))
    either = [numpy.maximum(disc(index), disc(index + 50)) for index in range(12)]
    assert shares(tmp_path)[1] == pytest.approx(numpy.mean(either))
    (tmp_path / "dataset.toml").unlink()
    paste(tmp_path, colors)
    assert not errors(check(tmp_path, "segmentation"))
    green = numpy.mean([disc(i + 50) & (1 - disc(i)) for i in range(12)])
    assert shares(tmp_path)[0] == pytest.approx(green)  # #00c800 sorts first


def test_negative_values_of_masks_are_refused(tmp_path):
    def draw(index):
        mask = disc(index).astype("int32")
        mask[0] = -1
        return PIL.Image.fromarray(mask)

    discs(tmp_path, mask_name="{}.tif", draw=draw)
    assert "negative value -1" in refused(tmp_path, "segmentation").what
