"""Pages of files, held as bits or bytes; PDF; negatives and turned scans; memory."""

import re
import subprocess
import sys

import numpy as np
import pytest
from peak_memory import PEAK_MB
from PIL import Image, ImageOps

from veerjax.errors import InputError
from veerjax.logs.page import Page, turned
from veerjax.logs.scan import count_pages, read_page, read_scan, scan_pages

RANDOM = np.random.default_rng(7)
INK = RANDOM.random((60, 40)) < 0.2
GREY = RANDOM.integers(100, 256, (60, 40), dtype=np.uint8)
EMPTY_PDF = (
    b"%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[]/Count 0>>\nendobj\n"
    b"trailer\n<</Root 1 0 R/Size 3>>\n%%EOF\n"
)


def saved(path, image, **options):
    image.save(path, **options)
    return path


def page_of(grey, *, bits):
    data = np.packbits(grey > 0, axis=1) if bits else grey
    return Page(data=data, width=grey.shape[1], bits=bits)


@pytest.mark.parametrize("bits", [True, False])
def test_rows_and_columns_are_taken_as_from_an_array(bits):
    grey = np.where(RANDOM.random((30, 29)) < 0.5, 0, 255).astype(np.uint8)
    page = page_of(grey, bits=bits)
    assert (page.shape, page.size, len(page), page.ndim) == ((30, 29), 870, 30, 2)
    np.testing.assert_array_equal(page, grey)
    for top, bottom, left, right in RANDOM.integers(0, 31, (200, 4)).tolist():
        np.testing.assert_array_equal(page[top:bottom, left:right], grey[top:bottom, left:right])
        np.testing.assert_array_equal(page[top:bottom], grey[top:bottom])


@pytest.mark.parametrize("bits", [True, False])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_page_is_turned_as_pillow_turns_a_photograph(bits, orientation):
    grey = np.where(INK, 0, 255).astype(np.uint8)
    image = Image.fromarray(grey)
    image.getexif()[274] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(turned(page_of(grey, bits=bits), orientation), expected)


@pytest.mark.parametrize("suffix", ["tif", "png", "jpg"])
def test_the_orientation_of_a_file_is_honoured(tmp_path, suffix):
    shade = np.linspace(120, 250, 40 * 60).astype(np.uint8).reshape(60, 40)
    options = {"tiffinfo": {274: 3}} if suffix == "tif" else {"exif": exif(3)}
    grey = read_scan(saved(tmp_path / f"s.{suffix}", Image.fromarray(shade), **options))
    np.testing.assert_allclose(grey.astype(int), shade[::-1, ::-1], atol=0 if suffix != "jpg" else 4)


def exif(orientation):
    made = Image.Exif()
    made[274] = orientation
    return made


@pytest.mark.parametrize("image", [Image.fromarray(INK), Image.fromarray(255 - GREY)], ids=["bits", "grey"])
def test_a_negative_becomes_a_positive_and_says_so(tmp_path, image, caplog):
    grey = read_scan(saved(tmp_path / "s.tif", image))
    np.testing.assert_array_equal(grey, np.where(INK, 0, 255) if image.mode == "1" else GREY)
    assert "s.tif: most of the page is dark, as on a negative, so black and white were exchanged." in caplog.text


@pytest.mark.parametrize("share", [0.1, 0.31, 0.45])
def test_a_page_with_much_ink_is_no_negative(tmp_path, share, caplog):
    """31 % of the pixels of a real 1-bit scan are dark."""
    ink = RANDOM.random((100, 50)) < share
    np.testing.assert_array_equal(read_scan(saved(tmp_path / "s.tif", Image.fromarray(~ink))), np.where(ink, 0, 255))
    assert caplog.text == ""


def test_a_page_wider_than_tall_is_remarked(tmp_path):
    (remark,) = read_page(saved(tmp_path / "s.png", Image.new("L", (300, 100), 255))).remarks
    assert remark == "the page is 300 x 100 px, wider than tall; turn it if depth runs across"


def test_pages_are_read_when_they_are_asked_for(tmp_path):
    pages = [Image.fromarray(GREY), Image.fromarray(~INK), Image.fromarray(GREY[:30])]
    path = saved(tmp_path / "s.tif", pages[0], save_all=True, append_images=pages[1:])
    read = list(scan_pages(path))
    assert [(page.number, page.pages, page.bits) for page in read] == [(1, 3, False), (2, 3, True), (3, 3, False)]
    np.testing.assert_array_equal(read[1], np.where(INK, 0, 255))
    np.testing.assert_array_equal(read_scan(path, page=3), GREY[:30])
    lazy = scan_pages(path)
    next(lazy)
    path.unlink()
    with pytest.raises(InputError, match="there is no scan"):
        next(lazy)


@pytest.mark.parametrize("page", [0, 3, -1])
def test_a_page_that_is_not_there_is_refused(tmp_path, page):
    path = saved(tmp_path / "s.tif", Image.fromarray(GREY), save_all=True, append_images=[Image.fromarray(GREY)])
    with pytest.raises(InputError, match=rf"has 2 page\(s\), and page {page} is asked for; pages count from 1"):
        read_scan(path, page=page)


@pytest.fixture
def _pdfium():
    pytest.importorskip("pypdfium2")


@pytest.mark.usefixtures("_pdfium")
@pytest.mark.parametrize("dpi", [100, 200, 300])
def test_a_scan_in_a_pdf_keeps_its_pixels(tmp_path, dpi):
    image = Image.fromarray(~INK)
    path = saved(tmp_path / "s.pdf", image, resolution=dpi, save_all=True, append_images=[image.rotate(180)])
    assert count_pages(path) == 2
    np.testing.assert_array_equal(read_scan(path, page=1), np.where(INK, 0, 255))
    np.testing.assert_array_equal(read_scan(path, page=2), np.where(INK, 0, 255)[::-1, ::-1])


@pytest.mark.usefixtures("_pdfium")
def test_every_size_in_a_pdf_keeps_its_pixels(tmp_path):
    for _ in range(25):
        height, width = RANDOM.integers(30, 800, 2)
        ink = RANDOM.random((height, max(width, height // 2))) < 0.2
        path = saved(
            tmp_path / "s.pdf", Image.fromarray(~ink), resolution=int(RANDOM.choice([100, 150, 200, 300, 600]))
        )
        np.testing.assert_array_equal(read_scan(path), np.where(ink, 0, 255))


@pytest.mark.usefixtures("_pdfium")
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_photograph_in_a_pdf_is_close(tmp_path, mode):
    shade = np.linspace(120, 250, 40 * 60).astype(np.uint8).reshape(60, 40)
    grey = read_scan(saved(tmp_path / "s.pdf", Image.fromarray(shade).convert(mode), resolution=200))
    np.testing.assert_allclose(grey.astype(int), shade, atol=4)


@pytest.mark.usefixtures("_pdfium")
def test_a_broken_pdf_is_refused_in_a_sentence(tmp_path):
    path = saved(tmp_path / "s.pdf", Image.fromarray(GREY))
    whole = path.read_bytes()
    for content in (b"%PDF-1.4\n", whole[: len(whole) // 2], whole.replace(b"/Root", b"/Rook")):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"s\.pdf is a damaged PDF; save it again\.$"):
            read_scan(path)
    path.write_bytes(EMPTY_PDF)
    with pytest.raises(InputError, match=r"s\.pdf is a (PDF without pages|damaged PDF)"):
        read_scan(path)
    locked = b"/Encrypt <</Filter/Standard/V 1/R 2/O(%b)/U(%b)/P -4>> /ID[<00><00>] /Root" % (b"o" * 32, b"u" * 32)
    path.write_bytes(whole.replace(b"/Root", locked))
    with pytest.raises(InputError, match=r"s\.pdf is encrypted; save it without a password\.$"):
        read_scan(path)


@pytest.mark.usefixtures("_pdfium")
def test_a_pdf_over_the_limit_is_refused_before_it_is_rendered(tmp_path):
    path = saved(tmp_path / "s.pdf", Image.fromarray(~INK), resolution=300)
    with pytest.raises(InputError, match=r"40 x 60 px, 0 million pixels, above the limit of 0\.002 million"):
        read_scan(path, max_pixels=2000)
    path.write_bytes(re.sub(rb"/MediaBox \[[^\]]*\]", b"/MediaBox [0 0 14400 9000]", path.read_bytes()))
    with pytest.raises(InputError, match=r"60000 x 37500 px, 2250 million pixels, above the limit of 500 million"):
        read_scan(path)


@pytest.mark.usefixtures("_pdfium")
def test_a_picture_in_a_pdf_that_does_not_decode_is_refused(tmp_path):
    path = saved(tmp_path / "s.pdf", Image.fromarray(GREY))
    path.write_bytes(path.read_bytes().replace(b"\xff\xd8\xff", b"\0\0\0"))
    with pytest.raises(InputError, match=r"s\.pdf, page 1: nothing of its picture can be decoded; save it again\."):
        read_scan(path)


def test_without_its_reader_a_pdf_is_refused_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    path = saved(tmp_path / "s.pdf", Image.fromarray(GREY))
    with pytest.raises(InputError, match=r"pypdfium2 is not installed; run: pip install 'veerjax\[pdf\]'"):
        read_scan(path)


MEMORY = f"""
import sys
import numpy, PIL.Image, PIL.TiffImagePlugin
from veerjax.logs.scan import read_page
{PEAK_MB}
before = peak_mb()
page = read_page(sys.argv[1])
assert page.shape == (100_000, 1_700) and not page.remarks
print(peak_mb() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "most_mb"), [(1_000, 90), (100_000, 290)], ids=["strips", "a single strip"])
def test_a_long_strip_takes_its_bits_and_a_band(tmp_path, rows, most_mb):
    """1,700 x 100,000 are 21 MB as bits and 170 MB as bytes."""
    ink = np.zeros((100_000, 1_700), bool)
    ink[np.arange(len(ink)), (800 + 300 * np.sin(np.arange(len(ink)) / 50)).astype(int)] = True
    ink[::30] = ink[:, ::75] = True
    path = saved(tmp_path / "s.tif", Image.fromarray(~ink), compression="group4", tiffinfo={278: rows})
    done = subprocess.run([sys.executable, "-c", MEMORY, path], capture_output=True, text=True, check=True)
    assert 20 < float(done.stdout) < most_mb
