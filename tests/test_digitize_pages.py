"""`veerjax digitize` reads every page of a scan; a calibration holds for the page that it names."""

import json
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scan_files import calibration, drawn_track
from tiff_files import COMPRESSION, with_tag

from veerjax.cli import main
from veerjax.jobs.reader import ClassicalReader
from veerjax.logs.scan import read_page
from veerjax.tracing.trace import Trace

STRIP = drawn_track().image


class DarkestColumns(ClassicalReader):
    """Takes the darkest column of each row for curve 1, and the next one for curve 2; compiles nothing."""

    def trace(self, working):
        x = np.argsort(working, axis=1)[None, :, :2].transpose(0, 2, 1) + 0.5
        there = np.ones(x.shape, bool)
        found: dict[str, Any] = {"x": x, "lo": x, "hi": x, "presence": there, "occluded": ~there}
        return Trace(**found, confidence=jnp.ones(x.shape))


@pytest.fixture(autouse=True)
def _nothing_is_compiled(monkeypatch):
    monkeypatch.setattr("veerjax.jobs.digitize.ClassicalReader", DarkestColumns)


def pages(path, *images, **options):
    first, *rest = (Image.fromarray(image) for image in images)
    first.save(path, save_all=True, append_images=rest, **options)
    return path


def digitized(scans, out, *options):
    return main(["digitize", *map(str, scans), "--out", str(out), "--tracer", "classical", *map(str, options)])


def summary(out):
    return json.loads((out / "summary.json").read_text())["scans"]


def names(out):
    return {path.name for path in out.iterdir()} - {"summary.json"}


def written(*stems, las=()):
    return {f"{stem}.{end}" for stem in stems for end in ("pixels.csv", "overlay.png")} | {
        f"{stem}.{end}" for stem in las for end in ("las", "csv", "json", "crossings.json")
    }


def calibrated(tmp_path, page=None):
    path = tmp_path / "s.toml"
    path.write_text(("" if page is None else f"page = {page}\n") + calibration())
    return path


def test_every_page_has_its_files_and_its_line(tmp_path):
    out = tmp_path / "out"
    assert digitized([pages(tmp_path / "a.tif", STRIP, STRIP[::-1]), pages(tmp_path / "b.png", STRIP)], out) == 0
    assert names(out) == written("a.p1", "a.p2", "b")
    assert [(line["name"], line["status"], line["rows"]) for line in summary(out)] == [
        ("a.p1", "accepted", 320),
        ("a.p2", "accepted", 320),
        ("b", "accepted", 320),
    ]
    assert (out / "a.p1.pixels.csv").read_text() == (out / "b.pixels.csv").read_text()
    assert (out / "a.p2.pixels.csv").read_text() != (out / "b.pixels.csv").read_text()


def test_a_calibration_holds_for_the_page_that_it_names(tmp_path):
    scan, out = pages(tmp_path / "a.tif", STRIP, STRIP), tmp_path / "out"
    assert digitized([scan], out, "--calibration", calibrated(tmp_path, page=2)) == 0
    assert names(out) == written("a.p1", "a.p2", las=["a.p2"])
    single = pages(tmp_path / "b.tif", STRIP)
    assert digitized([single], tmp_path / "b", "--calibration", calibrated(tmp_path)) == 0
    assert names(tmp_path / "b") == written("b", las=["b"])


@pytest.mark.parametrize(("page", "sentence"), [
    (None, r"has 2 pages, and their depths differ; write `page = 1` in the calibration to say which one it is of."),
    (3, "the calibration is of page 3, and"),
    (0, "page is 0; pages count from 1."),
    ('"one"', "page is 'one'; write the number of a page, such as 1."),
])  # fmt: skip
def test_a_calibration_of_no_page_is_refused_and_nothing_is_written(tmp_path, capsys, page, sentence):
    scan, out = pages(tmp_path / "a.tif", STRIP, STRIP), tmp_path / "out"
    assert digitized([scan], out, "--calibration", calibrated(tmp_path, page)) == 2
    assert sentence in capsys.readouterr().err
    assert not out.exists()


def test_a_damaged_page_fails_and_the_others_are_read(tmp_path, capsys):
    scan = pages(tmp_path / "a.tif", STRIP, STRIP, compression="packbits")
    scan.write_bytes(with_tag(scan.read_bytes(), COMPRESSION, 5))
    assert digitized([scan], tmp_path / "out") == 1
    assert names(tmp_path / "out") == written("a.p2")
    failed, read = summary(tmp_path / "out")
    assert (failed["name"], failed["status"], read["status"]) == ("a.p1", "failed", "accepted")
    assert failed["reasons"][0] in capsys.readouterr().err
    scan = pages(tmp_path / "b.tif", STRIP, compression="packbits")
    scan.write_bytes(with_tag(scan.read_bytes(), COMPRESSION, 5))
    assert digitized([scan], tmp_path / "none") == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    assert "b.tif cannot be read as an image: it is damaged within rows 0 to 319 (" in said
    assert not (tmp_path / "none").exists()


def test_what_is_odd_about_a_page_is_said_and_to_be_reviewed(tmp_path, capsys):
    assert digitized([pages(tmp_path / "a.png", 255 - STRIP)], tmp_path / "out") == 0
    (line,) = summary(tmp_path / "out")
    assert line["status"] == "review"
    assert line["reasons"] == ["most of the page is dark, as on a negative, so black and white were exchanged"]
    assert f"a.png, page 1: {line['reasons'][0]}." in capsys.readouterr().err
    digitized([pages(tmp_path / "b.png", STRIP)], tmp_path / "b")
    pixels = [(tmp_path / folder).read_text() for folder in ("out/a.pixels.csv", "b/b.pixels.csv")]
    assert pixels[0] == pixels[1]


def test_a_scan_that_has_the_name_of_a_page_is_refused(tmp_path, capsys):
    scans = [pages(tmp_path / "a.tif", STRIP), pages(tmp_path / "a.p2.png", STRIP)]
    assert digitized(scans, tmp_path / "out") == 2
    assert "a.p2.png would write the same files a.p2.* as a page of" in capsys.readouterr().err


def test_a_page_held_as_bits_is_read_as_its_grey_levels_are(tmp_path):
    page = read_page(pages(tmp_path / "a.tif", STRIP > 128, compression="group4"))
    assert page.bits
    (bits,) = DarkestColumns().digitize(page)
    (grey,) = DarkestColumns().digitize(np.asarray(page))
    np.testing.assert_array_equal(bits.x, grey.x)
