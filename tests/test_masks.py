"""Rows 79 to 88 of the fault matrix for one mask, and what dataset.toml may say about masks."""

import struct
import tomllib
import zlib

import numpy
import PIL.Image
import pytest
from data_fixtures import data_error, image, mask, save

from kerasdl.core.errors import ConfigError
from kerasdl.data.folder import dataset_file, discover, mask_scan, masks
from kerasdl.data.folder.layouts import Reading, common
from kerasdl.data.folder.masks import MaskRule
from kerasdl.data.folder.tree import Tree


def dataset_toml(folder, text):
    """DatasetFile read from some lines of TOML."""
    (folder / "dataset.toml").write_text(text, encoding="utf-8")
    return dataset_file.read(folder)


def rule_from(folder, text, **options):
    reading = Reading(Tree(folder))
    discover.complete(reading, dataset_toml(folder, text))
    return masks.rule_for(reading, **options)


def fixed(error, folder, names=("a", "b")):
    """MaskRule after the fix of an error was pasted into dataset.toml, as a user would."""
    line = (
        error.fix.partition("dataset.toml: ")[2] or error.fix.rpartition("with your indices: ")[2]
    )
    assert line, f"no line to paste in: {error.fix}"
    tomllib.loads(line)
    return rule_from(folder, f"names = {list(names)}\n{line}\n")


@pytest.mark.parametrize("kind", ["L", "P", "I;16", "1", "RGB"])
def test_indices_come_back_from_every_encoding(tmp_path, kind):
    indices = mask(0, 6, 9, classes=2 if kind == "1" else 5)
    if kind == "P":
        stored = PIL.Image.fromarray(indices)
        stored = PIL.Image.frombytes("P", stored.size, indices.tobytes())
        stored.putpalette([128, 0, 0, 0, 128, 0, 7, 7, 7, 9, 9, 9, 1, 2, 3])
    elif kind == "I;16":
        stored = indices.astype("uint16")
    elif kind == "1":
        stored = indices.astype(bool)
    else:
        stored = indices if kind == "L" else indices[:, :, None].repeat(3, axis=2)
    path = save(stored, tmp_path / "mask.png")
    result = masks.read_mask(path, MaskRule(5))
    assert result.dtype == "uint8" and (result == indices).all()


@pytest.mark.parametrize(
    ("bits", "row", "expected"), [(2, [0x1B], [0, 1, 2, 3]), (4, [0x2F], [2, 15])]
)
def test_gray_of_two_and_four_bits_is_not_spread(tmp_path, bits, row, expected):
    def chunk(name, data):
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    head = struct.pack(">IIBBBBB", len(expected), 1, bits, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes([0, *row])))
    path = tmp_path / "mask.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b""))
    assert masks.read_mask(path, MaskRule(16)).tolist() == [expected]


def test_value_outside_the_classes(tmp_path):
    stored = mask(0, 8, 8, classes=3)
    stored[2, 2] = 7
    path = save(stored, tmp_path / "mask.png")
    error = data_error(masks.read_mask, path, MaskRule(3))
    assert error.path == path
    assert "7" in error.what and "0, 1, 2, 7" in error.what and "0 to 2" in error.what


def test_values_below_zero_and_beyond_16_bits_are_no_class():
    rule = MaskRule(classes=3, ignore=(65535,))
    unknown = masks.UNKNOWN
    expected = [unknown, 0, 2, unknown, 255, unknown]
    assert rule.targets([-1, 0, 2, 3, 65535, 65536]).tolist() == expected


def test_void_needs_its_ignore_label(tmp_path):
    stored = mask(0, 8, 8, classes=3)
    stored[0] = 255
    path = save(stored, tmp_path / "mask.png")
    error = data_error(masks.read_mask, path, MaskRule(3))
    assert "ignore_label = 255" in error.fix
    rule = fixed(error, tmp_path, "abc")
    assert rule.ignore_labels == (255,)
    assert (masks.read_mask(path, rule) == stored).all()


def test_several_ignore_labels_and_one_above_255(tmp_path):
    stored = numpy.array([[0, 1, 11, 60000]], "uint16")
    path = save(stored, tmp_path / "mask.png")
    rule = MaskRule(2, ignore=(11, 60000))
    assert masks.read_mask(path, rule).tolist() == [[0, 1, 11, 255]]
    assert rule.ignore_labels == (11, 255)


def test_palette_index_counts_not_its_color(tmp_path):
    stored = PIL.Image.frombytes("P", (4, 1), bytes([0, 1, 2, 3]))
    stored.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
    path = save(stored, tmp_path / "mask.png")
    assert masks.read_mask(path, MaskRule(4)).tolist() == [[0, 1, 2, 3]]
    # With a table of colors only, the user means the colors.
    rule = rule_from(
        tmp_path,
        'mask_values = { "#800000" = 0, "#008000" = 1, "#000000" = "ignore", "128,128,0" = 2 }',
    )
    assert masks.read_mask(path, rule).tolist() == [[255, 0, 1, 2]]


def test_color_table(tmp_path):
    colors = numpy.array([[[0, 0, 0], [220, 20, 60], [0, 0, 142]]], "uint8")
    path = save(colors, tmp_path / "mask.png")
    palette = 'names = ["a", "b", "c"]\npalette = ["#000000", [0, 0, 142], "#DC143C"]\n'
    assert masks.read_mask(path, rule_from(tmp_path, palette)).tolist() == [[0, 2, 1]]
    colors[0, 2] = (0, 0, 143)
    path = save(colors, tmp_path / "other.png")
    error = data_error(masks.read_mask, path, rule_from(tmp_path, palette))
    assert error.path == path and "#00008f" in error.what and "#00008f" in error.fix


def test_colors_without_a_table(tmp_path):
    colors = numpy.array([[[0, 0, 0], [128, 0, 0]]], "uint8")
    path = save(colors, tmp_path / "mask.png")
    error = data_error(masks.read_mask, path, MaskRule(2))
    assert "stored as colors" in error.fix
    assert masks.read_mask(path, fixed(error, tmp_path)).tolist() == [[0, 1]]


def test_a_photograph_is_no_mask(tmp_path):
    path = save(image(0, 40, 40), tmp_path / "mask.png")
    error = data_error(masks.read_mask, path, MaskRule(2))
    assert "photograph" in error.fix and len(str(error)) < 600


def test_jpeg_mask(tmp_path):
    path = tmp_path / "mask.png"
    save(mask(0), path, format="JPEG")
    error = data_error(masks.read_mask, path, MaskRule(2))
    assert error.path == path and "JPEG" in error.what and "PNG" in error.fix


def test_black_and_white_mask(tmp_path):
    path = save(mask(0) * 255, tmp_path / "mask.png")
    error = data_error(masks.read_mask, path, MaskRule(2))
    assert "mask_values = { 0 = 0, 255 = 1 }" in error.fix and "binary" in error.fix
    assert (masks.read_mask(path, fixed(error, tmp_path)) == mask(0)).all()


def test_classes_counted_from_one(tmp_path):
    path = save(mask(0, classes=3) + 1, tmp_path / "mask.png")
    error = data_error(masks.read_mask, path, MaskRule(3))
    assert "counted from 1" in error.fix
    assert (masks.read_mask(path, fixed(error, tmp_path, "abc")) == mask(0, classes=3)).all()


def test_spread_gray_values(tmp_path):
    path = save(mask(0, classes=4) * 60, tmp_path / "mask.png")
    error = data_error(masks.read_mask, path, MaskRule(4))
    assert (masks.read_mask(path, fixed(error, tmp_path, "abcd")) == mask(0, classes=4)).all()


def test_a_stray_value_never_leads_to_a_new_numbering(tmp_path):
    # As many values as classes, but 1 is a class already: renumbering would mix up the classes.
    path = save(numpy.array([[0, 1, 37]], "uint8"), tmp_path / "mask.png")
    error = data_error(masks.read_mask, path, MaskRule(3))
    assert "37 = " not in error.fix and "name all classes" in error.fix


def test_values_not_named_in_mask_values_are_errors(tmp_path):
    path = save(numpy.array([[0, 1, 255]], "uint8"), tmp_path / "mask.png")
    rule = rule_from(tmp_path, "mask_values = { 255 = 1, 0 = 0 }")
    error = data_error(masks.read_mask, path, rule)
    assert error.what.startswith("mask holds 1 ") and "add to mask_values" in error.fix


def test_float_and_damaged_masks(tmp_path):
    save(numpy.ones((4, 4), "float32"), tmp_path / "a.tif")
    assert "float" in data_error(masks.read_mask, tmp_path / "a.tif", MaskRule(2)).what
    (tmp_path / "b.png").write_bytes(b"no image")
    assert data_error(masks.read_mask, tmp_path / "b.png", MaskRule(2)).path == tmp_path / "b.png"
    save(numpy.array([[0, 70000]], "int32"), tmp_path / "c.tif")
    assert "70000" in data_error(masks.read_mask, tmp_path / "c.tif", MaskRule(2)).what


def test_mask_is_turned_as_its_own_tag_says(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # stored lying on its side: turn clockwise
    stored = numpy.array([[0, 1, 2]], "uint8")
    path = save(stored, tmp_path / "mask.png", exif=exif)
    assert masks.read_mask(path, MaskRule(3)).tolist() == [[0], [1], [2]]


def test_default_palette_is_that_of_pascal_voc():
    # Development kit of the PASCAL VOC challenge: background, aeroplane, bicycle, bird ... 8.
    assert masks.default_palette(9) == (
        (0, 0, 0),
        (128, 0, 0),
        (0, 128, 0),
        (128, 128, 0),
        (0, 0, 128),
        (128, 0, 128),
        (0, 128, 128),
        (128, 128, 128),
        (64, 0, 0),
    )
    assert len(set(masks.default_palette(255))) == 255


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        # Two areas and four values of which each is one column wide.
        ([0, 0, 0, 50, 100, 150, 200, 255, 255, 255], "6 values, of which 4 occur along edges"),
        ([0, 0, 0, 50, 100, 150, 255, 255, 255], None),  # few may be thin classes
        ([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 6, 6, 6], None),  # so may one of seven
    ],
)
def test_interpolated_masks_have_many_values_along_edges_only(columns, said):
    found = [mask_scan.values_of(numpy.tile(numpy.array(columns, "uint8"), (9, 1)), "m")]
    finding = mask_scan.interpolated_finding(found, MaskRule())
    assert finding is None if said is None else said in finding.what


def test_class_counts_by_hand():
    rule = MaskRule(3, ignore=(255,))
    stored = numpy.array([[0, 0, 2], [255, 2, 2]], "uint8")
    counts = mask_scan.class_counts(mask_scan.values_of(stored, "m"), rule, 3)
    assert counts.tolist() == [2, 0, 3, 1]
    stored[0, 0] = 9
    assert mask_scan.class_counts(mask_scan.values_of(stored, "m"), rule, 3) is None


# dataset.toml itself


def test_names_as_list_and_as_table(tmp_path):
    assert dataset_toml(tmp_path, 'names = ["a", "b"]').names == ("a", "b")
    assert dataset_toml(tmp_path, 'names = { 1 = "b", 0 = "a" }').names == ("a", "b")
    table = "[names]\n" + "\n".join(f'{index} = "n{index}"' for index in range(12))
    assert dataset_toml(tmp_path, table).names[10:] == ("n10", "n11")


def test_classes_txt_and_its_void_line(tmp_path):
    (tmp_path / "classes.txt").write_text("Sky\n\nRoad \nUnlabelled\n")
    file = dataset_file.read(tmp_path)
    assert file.names == ("Sky", "Road") and file.ignore == (2,)
    file = dataset_toml(tmp_path, 'names = ["x", "y", "void"]')
    assert file.names == ("x", "y", "void") and file.ignore == ()


def test_keys_of_an_ultralytics_file(tmp_path):
    file = dataset_toml(
        tmp_path,
        'path = "."\ntrain = "images/train"\nval = "images/val"\nignore_label = 255\n'
        'names = { 0 = "road", 1 = "car" }\nlabel_mapping = { 7 = 0, 26 = 1, 0 = 255 }\n',
    )
    assert file.folders == {"train": "images/train", "validation": "images/val"}
    assert file.values == {7: 0, 26: 1, 0: "ignore"} and file.ignore == (255,)


def test_classes_by_name_in_mask_values(tmp_path):
    file = dataset_toml(tmp_path, 'names = ["a", "b"]\nmask_values = { 9 = "b", 4 = "void" }')
    assert file.values == {9: 1, 4: "ignore"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('nmaes = ["a"]', "did you mean 'names'"),
        ("names = 3", "'names' must be"),
        ('names = ["a", "a"]', "given twice"),
        ('names = { 0 = "a", 2 = "b" }', "0 to 1"),
        ("ignore_label = -1", "'ignore_label'"),
        ('ignore_label = "void"', "'ignore_label'"),
        ('palette = ["red"]', "'palette'"),
        ('names = ["a"]\npalette = ["#000000", "#ffffff"]', "2 colors for 1 classes"),
        ("mask_values = { 0 = 300 }", "no class"),
        ('names = ["a"]\nmask_values = { 0 = 3 }', "0 to 0"),
        ("mask_values = { red = 0 }", "neither a value nor a color"),
        ("mask_values = 3", "must be a table"),
        ('train = "../elsewhere"', "within the data folder"),
        ('train = "/etc"', "within the data folder"),
        ("license = 3", "'license' must be text"),
        ("names = [", "not valid TOML"),
    ],
)
def test_wrong_dataset_toml_names_file_and_key(tmp_path, text, said):
    with pytest.raises(ConfigError, match="dataset.toml") as caught:
        dataset_toml(tmp_path, text)
    assert said in str(caught.value) and caught.value.exit_code == 2


def deep_png(path, channels):
    """Writes a PNG of 16 bits per channel; channels uint16 (height, width, 2 to 4)."""

    def chunk(name, data):
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    height, width, count = channels.shape
    kind = {2: 4, 3: 2, 4: 6}[count]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in channels)
    body = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    body += chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def deep_tiff(path, channels):
    """The same as TIFF."""
    height, width, count = channels.shape
    values = {256: width, 257: height, 258: 0, 262: 2, 273: 0, 277: count, 278: height, 279: 0}
    bits, data = 8 + 2 + 12 * len(values) + 4, channels.astype("<u2").tobytes()
    values |= {258: bits, 273: bits + 2 * count, 279: len(data)}
    entries = [
        struct.pack("<HHII", tag, 3 if tag == 258 else 4, count if tag == 258 else 1, value)
        for tag, value in values.items()
    ]
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + b"".join(entries) + bytes(4)
    path.write_bytes(head + struct.pack("<H", 16) * count + data)
    return path


@pytest.mark.parametrize("write", [deep_png, deep_tiff])
def test_indices_in_three_channels_of_16_bits_are_not_class_0(tmp_path, write):
    indices = mask(0, 6, 9, classes=5)
    path = write(tmp_path / "mask.png", indices[:, :, None].repeat(3, 2).astype("uint16"))
    assert (masks.read_mask(path, MaskRule(5)) == indices).all()
    assert (masks.read_stored(path) == indices).all()


@pytest.mark.parametrize("count", [3, 4])
def test_colors_of_8_bits_in_16_keep_their_class(tmp_path, count):
    indices = mask(0, 6, 9, classes=2)
    table = numpy.array([[0, 0, 0, 255], [200, 0, 7, 255]], "uint16")[:, :count]
    path = deep_png(tmp_path / "mask.png", table[indices] * 257)
    rule = MaskRule(2, colors={(0, 0, 0): 0, (200, 0, 7): 1})
    assert (masks.read_mask(path, rule) == indices).all()


@pytest.mark.parametrize(
    ("colors", "rule"),
    [
        ([[0, 0, 0], [1, 0, 0]], MaskRule(2)),
        ([[0, 0, 0], [1, 1, 1]], MaskRule(2, colors={(0, 0, 0): 0, (1, 1, 1): 1})),
        ([[0, 0, 0], [1, 1, 1]], MaskRule(2, channel="red")),
        ([[9, 0], [9, 1]], MaskRule(2, channel="alpha")),
        ([[0, 65535], [1, 65535]], MaskRule(2)),
    ],
)
def test_colors_that_need_16_bits_are_refused(tmp_path, colors, rule):
    path = deep_png(tmp_path / "mask.png", numpy.array(colors, "uint16")[mask(0, 6, 9)])
    error = data_error(masks.read_mask, path, rule)
    assert "16 bits per channel" in error.what and "8 bits" in error.fix


def test_black_and_white_of_16_bits_in_three_channels(tmp_path):
    indices = mask(0, 6, 9)
    for white in (1, 255 * 257):
        gray = indices.astype("uint16") * white
        deep_png(tmp_path / "mask.png", gray[:, :, None].repeat(3, 2))
        assert (common.FileMask(str(tmp_path), "mask.png").read() == indices).all()


@pytest.mark.parametrize("head", [b"P5 3 1 255", b"P2 3 1 255", b"P5 3 1 4", b"P2 3 1 65535"])
def test_a_pgm_holds_its_indices_or_is_refused(tmp_path, head):
    path = tmp_path / "mask.pgm"
    path.write_bytes(head + (b"\n0 1 2 " if b"P2" in head else b"\n\x00\x01\x02"))
    if head.endswith(b"255"):
        assert masks.read_mask(path, MaskRule(3)).tolist() == [[0, 1, 2]]
    else:
        assert "would be scaled" in data_error(masks.read_mask, path, MaskRule(3)).what
