"""Every kind of scan becomes grey on white, and what is no scan is refused in a sentence."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from veerjax.errors import InputError
from veerjax.logs.scan import read_scan

RANDOM = np.random.default_rng(3)
INK = RANDOM.random((60, 40)) < 0.2
GREY = RANDOM.integers(0, 256, (60, 40), dtype=np.uint8)


def tiff(width, height, *, photometric=1, bits=8, pixels=b"", strip_bytes=None):
    """An uncompressed TIFF whose directory stands before its pixels, as in many scans."""
    short, long, start = 3, 4, 8 + 2 + 9 * 12 + 4
    tags = [
        (256, long, width),
        (257, long, height),
        (258, short, bits),
        (259, short, 1),
        (262, short, photometric),
        (273, long, start),
        (277, short, 1),
        (278, long, max(height, 1)),
        (279, long, len(pixels) if strip_bytes is None else strip_bytes),
    ]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0) + pixels


def png_without_pixels(width, height):
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def saved(path, image, **options):
    image.save(path, **options)
    return path


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_lzw", "packbits", "tiff_deflate", "raw"])
def test_one_bit_pages_of_every_compression_are_black_on_white(tmp_path, compression):
    path = saved(tmp_path / "s.tif", Image.fromarray(~INK), compression=compression)
    grey = read_scan(path)
    assert grey.dtype == np.uint8
    np.testing.assert_array_equal(grey, np.where(INK, 0, 255))


@pytest.mark.parametrize(("photometric", "bits", "pixels"), [
    (0, 1, b"\xf0"), (1, 1, b"\x0f"),
    (0, 8, b"\xff" * 4 + b"\0" * 4), (1, 8, b"\0" * 4 + b"\xff" * 4),
    (0, 16, b"\xff" * 8 + b"\0" * 8), (1, 16, b"\0" * 8 + b"\xff" * 8),
])  # fmt: skip
def test_both_polarities_read_alike(tmp_path, photometric, bits, pixels):
    path = tmp_path / "s.tif"
    path.write_bytes(tiff(8, 1, photometric=photometric, bits=bits, pixels=pixels))
    np.testing.assert_array_equal(read_scan(path), [[0] * 4 + [255] * 4])


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_grey_levels_are_kept(tmp_path, suffix):
    np.testing.assert_array_equal(read_scan(saved(tmp_path / f"s.{suffix}", Image.fromarray(GREY))), GREY)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_become_eight(tmp_path, suffix):
    path = saved(tmp_path / f"s.{suffix}", Image.fromarray(GREY.astype(np.uint16) * 257))
    np.testing.assert_array_equal(read_scan(path), GREY)


def test_a_palette_is_looked_up(tmp_path):
    image = Image.new("P", (40, 60))
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.putdata(INK.astype(np.uint8).ravel().tolist())
    np.testing.assert_array_equal(read_scan(saved(tmp_path / "s.png", image)), np.where(INK, 0, 255))
    np.testing.assert_array_equal(read_scan(saved(tmp_path / "s.gif", image)), np.where(INK, 0, 255))


def test_colour_becomes_luma(tmp_path):
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    grey = read_scan(saved(tmp_path / "s.png", Image.fromarray(colours)))
    np.testing.assert_allclose(grey.astype(int), [[76, 150, 29, 255]], atol=1)


def test_what_is_transparent_is_paper(tmp_path):
    black = np.zeros((1, 3, 4), np.uint8)
    black[0, :, 3] = 0, 128, 255
    np.testing.assert_array_equal(read_scan(saved(tmp_path / "s.png", Image.fromarray(black))), [[255, 127, 0]])
    grey = Image.merge("LA", [Image.new("L", (3, 1), 0), Image.fromarray(black[..., 3])])
    np.testing.assert_array_equal(read_scan(saved(tmp_path / "g.png", grey)), [[255, 127, 0]])
    one = Image.new("P", (2, 1))
    one.putpalette([0, 0, 0, 0, 0, 0])
    one.putdata([0, 1])
    np.testing.assert_array_equal(read_scan(saved(tmp_path / "p.png", one, transparency=1)), [[0, 255]])


def test_a_long_transparent_strip_is_composited_whole(tmp_path):
    rgba = RANDOM.integers(0, 256, (2500, 3, 4), dtype=np.uint8)
    grey = read_scan(saved(tmp_path / "s.png", Image.fromarray(rgba)))
    alpha = rgba[..., 3] / 255
    expected = 255 - alpha * (255 - rgba[..., :3] @ [0.299, 0.587, 0.114])
    np.testing.assert_allclose(grey, expected, atol=0.51)


def test_the_real_strip_is_read(real_data):
    grey = read_scan(real_data / "kgs_strip_300dpi.png")
    assert grey.shape == (2600, 224)
    assert grey.mean() > 100


def test_of_several_pages_the_first_is_read_with_a_warning(tmp_path, caplog):
    pages = [Image.fromarray(GREY), Image.fromarray(255 - GREY), Image.fromarray(GREY)]
    path = saved(tmp_path / "s.tif", pages[0], save_all=True, append_images=pages[1:])
    np.testing.assert_array_equal(read_scan(path), GREY)
    assert "has 3 pages; only the first is read" in caplog.text


def test_missing_files_folders_and_empty_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="there is no scan"):
        read_scan(tmp_path / "none.tif")
    with pytest.raises(InputError, match="is a folder; give the scan itself"):
        read_scan(tmp_path)
    (tmp_path / "empty.tif").touch()
    with pytest.raises(InputError, match=r"empty\.tif is empty"):
        read_scan(tmp_path / "empty.tif")


@pytest.mark.parametrize(("content", "sentence"), [
    (b"just some text\n", r"s\.tif cannot be read as an image .*: give a whole TIFF, PNG, JPEG or PDF file\."),
    (b"\x89PNG\r\n\x1a\n", r"s\.tif cannot be read as an image .*: give a whole TIFF, PNG, JPEG or PDF file\."),
    (b"II*\0", r"s\.tif is truncated: it declares tags up to byte 8 but ends at 4\."),
    (b"II*\0\0\0\0\0", r"s\.tif cannot be read as an image: it holds no page; give a whole TIFF\."),
])  # fmt: skip
def test_what_is_no_image_is_refused(tmp_path, content, sentence):
    (tmp_path / "s.tif").write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read_scan(tmp_path / "s.tif")


@pytest.mark.parametrize("compression", ["group4", "tiff_lzw", "packbits", "tiff_deflate", "raw"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.9, 0.97, 0.999])
def test_a_truncated_tiff_is_refused_and_no_decoder_speaks(tmp_path, capfd, compression, part):
    ink = RANDOM.random((700, 300)) < 0.1
    path = saved(tmp_path / "s.tif", Image.fromarray(~ink), compression=compression)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(InputError, match=r"s\.tif (is truncated|cannot be read as an image)") as refusal:
        read_scan(path)
    assert "\n" not in str(refusal.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kept", [0, 100, 2399])
def test_a_tiff_that_declares_more_than_it_holds_is_refused(tmp_path, kept):
    path = tmp_path / "s.tif"
    path.write_bytes(tiff(40, 60, pixels=GREY.tobytes()[:kept], strip_bytes=2400))
    with pytest.raises(InputError, match=r"is truncated: it declares pixels up to byte \d+ but ends at \d+"):
        read_scan(path)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_other_truncated_images_are_refused(tmp_path, suffix):
    path = saved(tmp_path / f"s.{suffix}", Image.fromarray(GREY))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"cannot be read as an image .*truncated"):
        read_scan(path)


@pytest.mark.parametrize("content", [tiff(0, 10), tiff(10, 0), png_without_pixels(0, 10), png_without_pixels(10, 0)])
def test_an_image_without_pixels_is_refused(tmp_path, content):
    (tmp_path / "s.img").write_bytes(content)
    with pytest.raises(InputError, match=r"without pixels|at least one pixel"):
        read_scan(tmp_path / "s.img")


def test_an_image_over_the_limit_is_refused_before_it_is_decoded(tmp_path):
    path = tmp_path / "s.tif"
    path.write_bytes(tiff(100_000, 20_000, bits=1))
    with pytest.raises(InputError, match="100000 x 20000 px, 2000 million pixels, above the limit of 500 million"):
        read_scan(path)
    with pytest.raises(InputError, match=r"above the limit of 0\.002 million; cut it into sections or raise"):
        read_scan(saved(tmp_path / "g.png", Image.fromarray(GREY)), max_pixels=2000)


def test_an_image_above_pillows_own_limit_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    np.testing.assert_array_equal(read_scan(saved(tmp_path / "s.png", Image.fromarray(GREY))), GREY)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_32_bit_numbers_are_refused(tmp_path):
    path = saved(tmp_path / "s.tif", Image.fromarray(GREY.astype(np.float32)))
    with pytest.raises(InputError, match="holds 32-bit numbers; save it as 8-bit or 16-bit grey"):
        read_scan(path)
