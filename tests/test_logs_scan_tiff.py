"""TIFF of every compression, pixel kind, polarity and cut reads as the same picture, and damage is found."""

import io
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from tiff_files import FILL_ORDER, PHOTOMETRIC, STRIP_COUNTS, assembled, coded, entry, strips, tiles, with_tag

from veerjax.errors import InputError
from veerjax.logs.scan import count_pages, read_page, read_scan, scan_pages
from veerjax.logs.tiff import DOUBTFUL

RANDOM = np.random.default_rng(11)
HEIGHT, WIDTH = 90, 61
ROW = np.arange(HEIGHT)[:, None]
INK = np.abs(np.arange(WIDTH) - 30 - 20 * np.sin(ROW / 7)) < 2
SMOOTH = (200 - 120 * np.exp(-((np.arange(WIDTH) - 30 - 20 * np.sin(ROW / 15)) ** 2) / 60)).astype(np.uint8)
NOISE = RANDOM.integers(100, 256, (HEIGHT, WIDTH), dtype=np.uint8)
LOSSLESS = ("raw", "tiff_lzw", "packbits", "tiff_deflate")
BLACK_AND_WHITE = (*LOSSLESS, "group3", "group4")


def palette_picture():
    image = Image.fromarray(NOISE // 16).convert("P")
    image.putpalette([level for index in range(256) for level in (index, 255 - index, (7 * index) % 256)])
    return image


PICTURES = {
    "bits": Image.fromarray(~INK),
    "grey": Image.fromarray(NOISE),
    "palette": palette_picture(),
    "colour": Image.fromarray(RANDOM.integers(100, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)),
    "deep": Image.fromarray(NOISE.astype(np.uint16) * 257),
}
GREYS = {name: np.asarray(PICTURES[name].convert("L")) for name in ("bits", "grey", "palette", "colour")}
GREYS["deep"] = NOISE
CASES = [(kind, how) for kind in PICTURES for how in (BLACK_AND_WHITE if kind == "bits" else LOSSLESS)]


def written(tmp_path, content):
    path = tmp_path / "s.tif"
    path.write_bytes(content)
    return path


@pytest.fixture(params=[1, 2**23], ids=["a band a strip", "one band"])
def _cut(request, monkeypatch):
    monkeypatch.setattr("veerjax.logs.tiff.BAND_PIXELS", request.param)


@pytest.mark.usefixtures("_cut")
@pytest.mark.parametrize("rows", [None, 16])
@pytest.mark.parametrize(("kind", "compression"), CASES)
def test_every_kind_and_compression_in_strips_has_its_exact_levels(tmp_path, kind, compression, rows):
    path = written(tmp_path, coded(PICTURES[kind], compression, rows=rows))
    page = read_page(path)
    assert (page.bits, page.remarks) == (kind == "bits", ())
    np.testing.assert_array_equal(page, GREYS[kind])


@pytest.mark.usefixtures("_cut")
@pytest.mark.parametrize(("kind", "compression"), [case for case in CASES if case[0] != "deep"])
def test_every_kind_and_compression_in_tiles_has_its_exact_levels(tmp_path, kind, compression):
    page = read_page(written(tmp_path, tiles(PICTURES[kind], compression, 32)))
    assert page.remarks == ()
    np.testing.assert_array_equal(page, GREYS[kind])


@pytest.mark.parametrize(("kind", "compression"), [case for case in CASES if case[0] in ("bits", "grey", "deep")])
def test_where_white_is_zero_the_levels_are_the_same(tmp_path, kind, compression):
    pixels = np.asarray(PICTURES[kind])
    negative = ~pixels if kind == "bits" else np.iinfo(pixels.dtype).max - pixels
    content = with_tag(coded(Image.fromarray(negative), compression, rows=16), PHOTOMETRIC, 0)
    page = read_page(written(tmp_path, content))
    assert page.remarks == ()
    np.testing.assert_array_equal(page, GREYS[kind])


@pytest.mark.usefixtures("_cut")
@pytest.mark.parametrize("cut", [lambda image: coded(image, "jpeg", rows=16), lambda image: tiles(image, "jpeg", 32)])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_in_tiff_is_close(tmp_path, cut, mode):
    grey = read_scan(written(tmp_path, cut(Image.fromarray(SMOOTH).convert(mode))))
    assert np.abs(grey.astype(int) - SMOOTH).mean() < 3


@pytest.mark.parametrize("kind", ["grey", "colour"])
@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate"])
def test_differences_along_the_row_are_summed_up(tmp_path, kind, compression):
    path = written(tmp_path, coded(PICTURES[kind], compression, rows=16, t317=2))
    np.testing.assert_array_equal(read_scan(path), GREYS[kind])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("kind", ["grey", "deep", "colour"])
@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_byte_orders_large_files_and_separate_planes(tmp_path, order, big, kind, planes):
    path = tmp_path / "s.tif"
    pixels = np.asarray(PICTURES[kind])
    options: dict[str, Any] = {"photometric": "minisblack"}
    if kind == "colour":
        options = {"planarconfig": planes, "photometric": "rgb"}
    pixels = np.moveaxis(pixels, 2, 0) if kind == "colour" and planes == "separate" else pixels
    tifffile.imwrite(path, pixels, byteorder=order, bigtiff=big, rowsperstrip=16, **options)
    np.testing.assert_array_equal(read_scan(path), GREYS[kind])


@pytest.mark.parametrize(("compression", "number"), [("group3", 3), ("group4", 4)])
def test_bytes_that_begin_with_their_last_bit_are_turned(tmp_path, compression, number):
    content = coded(PICTURES["bits"], compression, rows=16)
    backwards = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
    pieces = [content[offset : offset + count].translate(backwards) for offset, count in strips(content)]
    tags = {256: [WIDTH], 257: [HEIGHT], 258: [1], 259: [number], 262: [1], FILL_ORDER: [2], 277: [1], 278: [16]}
    page = read_page(written(tmp_path, assembled([(tags, pieces)])))
    assert page.remarks == ()
    np.testing.assert_array_equal(page, GREYS["bits"])


def test_group_3_in_two_dimensions_is_read(tmp_path):
    page = read_page(written(tmp_path, coded(PICTURES["bits"], "group3", rows=16, t292=1)))
    assert page.remarks == ()
    np.testing.assert_array_equal(page, GREYS["bits"])


def test_transparency_in_tiff_is_paper(tmp_path):
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 3] = 0, 255, 0
    np.testing.assert_array_equal(read_scan(written(tmp_path, coded(Image.fromarray(rgba), "raw"))), [[255, 0, 255]])


@pytest.mark.parametrize("compression", ["group3", "group4"])
def test_damaged_fax_strips_are_refused_or_remarked(tmp_path, compression, capfd):
    """Of 300 damages of a larger picture, one coded back to what it was read from: so may one here."""
    content, silent = coded(PICTURES["bits"], compression, rows=40), 0
    ends = strips(content)
    for _ in range(60):
        offset, count = ends[RANDOM.integers(len(ends))]
        damaged = bytearray(content)
        damaged[offset + RANDOM.integers(count)] ^= int(RANDOM.integers(1, 256))
        try:
            page = read_page(written(tmp_path, bytes(damaged)))
        except InputError as error:
            assert "it is damaged within rows" in str(error)  # noqa: PT017
            continue
        silent += not any(DOUBTFUL in said for said in page.remarks) and not np.array_equal(page, GREYS["bits"])
    assert silent <= 2
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("compression", LOSSLESS)
def test_a_strip_that_decodes_short_is_refused_with_its_rows(tmp_path, compression, capfd):
    content = coded(PICTURES["grey"], compression, rows=HEIGHT)
    content = with_tag(content, STRIP_COUNTS, strips(content)[0][1] // 2)
    with pytest.raises(InputError, match=r"damaged within rows 0 to 89 \(.+\); save it again from its source\.$"):
        read_scan(written(tmp_path, content))
    assert capfd.readouterr().err == ""


def test_damaged_deflate_strips_are_refused(tmp_path):
    content = coded(PICTURES["grey"], "tiff_deflate", rows=40)
    for _ in range(40):
        offset, count = strips(content)[RANDOM.integers(3)]
        damaged = bytearray(content)
        damaged[offset + RANDOM.integers(2, count)] ^= int(RANDOM.integers(1, 256))
        with pytest.raises(InputError, match=r"it is damaged within rows"):
            read_scan(written(tmp_path, bytes(damaged)))


def test_a_fax_strip_that_ends_early_is_no_blank_tail(tmp_path):
    content = coded(PICTURES["bits"], "group4", rows=HEIGHT)
    for part in (0.2, 0.5, 0.8):
        short = with_tag(content, STRIP_COUNTS, int(strips(content)[0][1] * part))
        try:
            remarks = read_page(written(tmp_path, short)).remarks
        except InputError as error:
            remarks = (str(error),)
        assert remarks


def test_strips_that_are_missing_or_empty_are_refused(tmp_path):
    tags = {256: [4], 257: [8], 258: [8], 259: [1], 262: [1], 277: [1], 278: [2]}
    rows = [bytes(8)] * 4
    assert read_scan(written(tmp_path, assembled([(tags, rows)]))).shape == (8, 4)
    with pytest.raises(InputError, match="it has 3 of the 4 strips or tiles of its rows"):
        read_scan(written(tmp_path, assembled([(tags, rows[:3])])))
    with pytest.raises(InputError, match="some of its rows have no data"):
        read_scan(written(tmp_path, assembled([(tags, [*rows[:3], b""])])))
    with pytest.raises(InputError, match="its strips or tiles have no pixels"):
        read_scan(written(tmp_path, assembled([(tags | {278: [0]}, rows)])))
    with pytest.raises(InputError, match=r"of the kind of TIFF 6\.0, long withdrawn"):
        read_scan(written(tmp_path, assembled([(tags | {259: [6]}, rows)])))


def test_pages_that_are_declared_and_not_there_are_refused(tmp_path):
    file = io.BytesIO()
    PICTURES["grey"].save(file, format="TIFF", save_all=True, append_images=[PICTURES["grey"]] * 2)
    content = file.getvalue()
    assert count_pages(written(tmp_path, content)) == 3
    for part in (0.5, 0.9, 0.99):
        with pytest.raises(InputError, match=r"is truncated: it declares (tags|pixels) up to byte \d+ but ends at \d+"):
            list(scan_pages(written(tmp_path, content[: int(len(content) * part)])))
    tags = {256: [4], 257: [2], 258: [8], 259: [1], 262: [1], 277: [1], 278: [2]}
    circle = bytearray(assembled([(tags, [bytes(8)])]))
    circle[-4:] = circle[4:8]
    with pytest.raises(InputError, match="its list of pages runs in a circle"):
        count_pages(written(tmp_path, bytes(circle)))


def test_thumbnails_and_masks_are_no_pages(tmp_path):
    tags = {256: [4], 257: [2], 258: [8], 259: [1], 262: [1], 277: [1], 278: [2]}
    light, dark = [bytes([200] * 8)], [bytes([150] * 8)]
    content = assembled([(tags | {254: [1]}, light), (tags, dark), (tags | {254: [4]}, light), (tags, light)])
    path = written(tmp_path, content)
    assert count_pages(path) == 2
    assert [read_scan(path, page=page).max() for page in (1, 2)] == [150, 200]


def test_the_directory_of_a_test_file_is_found():
    content = coded(PICTURES["grey"], "raw")
    assert content[entry(content, 256) : entry(content, 256) + 2] == bytes([WIDTH, 0])
