"""`veerjax digitize` on broken scans and calibrations: one sentence, exit 2 and no file; or a reason to review."""

import io
import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from bent_strips import LOG, bent_strip
from PIL import Image
from tiff_files import COMPRESSION, STRIP_COUNTS, assembled, coded, strips, with_tag

from veerjax.cli import main
from veerjax.jobs.reader import ClassicalReader
from veerjax.tracing.trace import Trace

TRACK_PX, LEFT_PX, ROWS = 250, 40, 600
RIGHT_PX = LEFT_PX + TRACK_PX
RANDOM = np.random.default_rng(4)


def drawn() -> np.ndarray:
    """A track on four decades in the left of a page, so that no turn of it looks like another."""
    options: dict[str, Any] = {"margin_px": LEFT_PX, "lines": LOG, "thick_px": 1.0, "pitch_px": 10.0, "bits": True}
    track = bent_strip(height=ROWS, track_px=TRACK_PX, drift=lambda row: 0 * row, **options).image
    return np.concatenate([track, np.full((ROWS, 90), 255, np.uint8)], axis=1)


GREY = drawn()
BITS = Image.fromarray(GREY > 128)
DEPTH = 'depth = { unit = "ft", anchors = [[0, 5000], [600, 5060]] }'
EDGES = f"left_px = {LEFT_PX}\nright_px = {RIGHT_PX}"
CURVE = 'class = 1\nmnemonic = "RT"\nunit = "OHMM"\nleft = 1\nright = 10000\nscale = "log"'
CALIBRATION = f"{DEPTH}\n[[track]]\n{EDGES}\n[[track.curve]]\n{CURVE}\n"
GRID = "left_division = {}\nright_division = {}\ngrid = {{ divisions = 4, left_px = 40, right_px = 290 }}"


class StraightCurves(ClassicalReader):
    """Takes both curves to run straight down, so that nothing is compiled."""

    def trace(self, working: np.ndarray) -> Trace:
        x = np.multiply.outer([[0.4, 0.6]], np.full(len(working), working.shape[1]))
        there = np.ones(x.shape, bool)
        parts = {"x": x, "lo": x, "hi": x, "presence": there, "confidence": 1.0 * there, "occluded": ~there}
        return Trace(**cast(dict[str, Any], parts))


@pytest.fixture(autouse=True)
def _nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("veerjax.jobs.digitize.ClassicalReader", StraightCurves)


def digitized(folder: Path, scan: bytes, *options: str, calibration: str = CALIBRATION, name: str = "s.tif") -> int:
    (folder / name).write_bytes(scan)
    (folder / "s.toml").write_text(calibration, encoding="utf-8")
    command = ["digitize", str(folder / name), "--calibration", str(folder / "s.toml"), "--out", str(folder / "out")]
    return main([*command, "--tracer", "classical", *options])


def reasons(folder: Path) -> str:
    (line,) = json.loads((folder / "out" / "summary.json").read_text())["scans"]
    assert line["status"] == "review"
    return "; ".join(line["reasons"])


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def damaged(content: bytes, *, place: float, count: int = 20) -> bytes:
    """The file with zeros in the middle strip, at a place of it."""
    every = strips(content)
    offset, size = every[len(every) // 2]
    at = offset + int(place * size)
    return content[:at] + bytes(count) + content[at + count :]


GROUP_4 = coded(BITS, "group4", rows=64)
PIXELS = {256: [10], 257: [10], 258: [8], 259: [1], 262: [1], 277: [1], 278: [10]}
SCANS = {
    "nothing": (b"", "s.tif is empty"),
    "text": (b"just some text\n", "cannot be read as an image"),
    "a header": (b"II*\0", "is truncated"),
    "half of Group 4": (half(GROUP_4), "is truncated"),
    "half of LZW": (half(coded(BITS, "tiff_lzw", rows=64)), "is truncated"),
    "half of PNG": (half(saved(BITS, "PNG")), "truncated"),
    "half of JPEG": (half(saved(BITS.convert("L"), "JPEG")), "truncated"),
    "no pixels": (assembled([(PIXELS | {256: [0]}, [b"abc"])]), "0 x 10 px; a scan needs at least one pixel"),
    "fewer pixels than declared": (with_tag(GROUP_4, 257, 60_000), "strips or tiles of its rows"),
    "4 Gpx of bits": (with_tag(with_tag(GROUP_4, 256, 65_000), 257, 65_000), "above the limit of 500 million"),
    "32 bits": (saved(Image.fromarray(GREY.astype(np.float32)), "TIFF"), "holds 32-bit numbers"),
    "damaged deflate": (damaged(coded(BITS, "tiff_deflate", rows=64), place=0.5), "it is damaged within rows"),
    "a short strip": (with_tag(coded(BITS, "packbits"), STRIP_COUNTS, 99), "it is damaged within rows"),
    "another code": (with_tag(coded(BITS, "packbits"), COMPRESSION, 5), "it is damaged within rows"),
    "two pages": (saved(BITS, "TIFF", save_all=True, append_images=[BITS]), "has 2 pages, and their depths differ"),
}


@pytest.mark.parametrize("kind", SCANS)
def test_a_broken_scan_is_one_sentence_and_nothing_is_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    content, sentence = SCANS[kind]
    assert digitized(tmp_path, content) == 2
    check_sentence(capfd.readouterr().err, sentence)
    assert not (tmp_path / "out").exists()


def check_sentence(said: str, sentence: str) -> None:
    assert said.startswith("veerjax: ")
    assert sentence in said
    assert said.count("\n") == 1
    assert said.endswith(".\n")


def changed(old: str, new: str) -> str:
    assert old in CALIBRATION
    return CALIBRATION.replace(old, new)


CALIBRATIONS = {
    "no TOML": ("this is = = not", "is not valid TOML"),
    "nothing": ("", "the file needs 'depth'"),
    "unknown key": (changed("anchors", "anchor"), "no key 'anchor' (did you mean 'anchors'?)"),
    "unknown unit of depth": (changed('"ft"', '"yd"'), "unit is 'yd'; write 'ft' or 'm'"),
    "unit that LAS cannot hold": (changed("OHMM", "Ωm"), "cannot stand in LAS"),
    "one anchor": (changed(", [600, 5060]", ""), "it needs at least two"),
    "depth to and fro": (changed("[600,", "[300, 5090], [600,"), "each must be greater than the one before"),
    "anchors of another scan": (changed("[[0, 5000], [600,", "[[900, 5000], [1500,"), "give anchors that lie on it"),
    "edges exchanged": (changed("left_px = 40", "left_px = 400"), "it needs 0 <= left_px < right_px"),
    "a track beyond the scan": (changed("right_px = 290", "right_px = 999"), "is not inside the scan"),
    "a line beyond the grid": (changed(EDGES, GRID.format(0, 5)), "its grid has the lines 0 to 4"),
    "lines exchanged": (changed(EDGES, GRID.format(4, 0)), "it needs 0 <= left_px < right_px"),
    "a seed beside the track": (changed(CURVE, f"{CURVE}\nseeds = [[9, 300]]"), "a seed must lie on its track"),
    "a seed below the scan": (changed(CURVE, f"{CURVE}\nseeds = [[600, 99]]"), "is outside its section"),
    "decades from 0": (changed("left = 1\n", "left = 0\n"), "both must be above 0"),
    "one value at both edges": (changed("left = 1\n", "left = 10000\n"), "are both 10000"),
    "two of one class": (CALIBRATION + f"[[track.curve]]\n{CURVE}".replace("RT", "RS"), "by seeds = [[row, x]]"),
}  # fmt: skip


@pytest.mark.parametrize("kind", CALIBRATIONS)
def test_a_calibration_that_cannot_hold_is_one_sentence_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    text, sentence = CALIBRATIONS[kind]
    assert digitized(tmp_path, GROUP_4, calibration=text) == 2
    check_sentence(capsys.readouterr().err, sentence)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("step", "sentence"), [
    ("0", "the depth step is 0.0; it must be above 0, such as 0.5 ft or 0.1 m"),
    ("nan", "the depth step is nan; it must be above 0"),
    ("inf", "the depth step is inf; it must be above 0"),
    ("100", "hold no two multiples of the step 100"),
    ("1e-6", "multiples of the step 1e-06, more than 1e+07; give a coarser step"),
    ("0.3333333333333333", "has 16 decimals, and its multiples could not be written; write at most 8"),
])  # fmt: skip
def test_an_impossible_step_is_one_sentence_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], step: str, sentence: str
) -> None:
    assert digitized(tmp_path, GROUP_4, "--step", step) == 2
    check_sentence(capsys.readouterr().err, sentence)
    assert not (tmp_path / "out").exists()


def test_what_lies_in_the_way_of_the_folder_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").write_text("a file")
    assert digitized(tmp_path, GROUP_4) == 2
    check_sentence(capsys.readouterr().err, "is a file; give another path")


@pytest.mark.parametrize(("rows", "count", "where"), [(64, 1, "1 of its 10 strips"), (ROWS, 20, "its one strip")])
def test_damage_that_libtiff_passes_over_is_said_with_its_rows(
    tmp_path: Path, rows: int, count: int, where: str
) -> None:
    """What no decoder complains of need not be damage: another writer may code otherwise. So it is to be reviewed."""
    content, found = coded(BITS, "group4", rows=rows), 0
    for place in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7):
        if digitized(tmp_path, damaged(content, place=place, count=count)) == 0:
            said = reasons(tmp_path)
            assert f"its Group 3 or 4 data is not what its rows code to in {where}, from row " in said
            first = int(said.partition("from row ")[2].split()[0])
            top = 0 if rows == ROWS else 5 * rows
            assert top < first < top + rows
            found += 1
    assert found > 0


@pytest.mark.parametrize(("turns", "words"), [
    (2, "upside down or mirrored"), (1, "turned counter-clockwise by a quarter"), (-1, "turned clockwise by a quarter"),
])  # fmt: skip
def test_a_scan_that_lies_otherwise_than_declared_is_to_be_reviewed(tmp_path: Path, turns: int, words: str) -> None:
    turned = Image.fromarray(np.rot90(GREY, turns) > 128)
    assert digitized(tmp_path, coded(turned, "group4")) == 0
    assert f"the scan looks {words}" in reasons(tmp_path)


def test_a_negative_is_turned_into_a_positive_and_to_be_reviewed(tmp_path: Path) -> None:
    assert digitized(tmp_path, coded(Image.fromarray(GREY <= 128), "group4")) == 0
    assert "black and white were exchanged" in reasons(tmp_path)


@pytest.mark.parametrize("by_px", [12, -20])
def test_a_track_that_is_declared_beside_its_grid_is_to_be_reviewed(tmp_path: Path, by_px: int) -> None:
    beside = changed(EDGES, f"left_px = {LEFT_PX + by_px}\nright_px = {RIGHT_PX + by_px}")
    assert digitized(tmp_path, GROUP_4, calibration=beside) == 0
    said = reasons(tmp_path)
    assert "the grid of track 1 in section 1 lies" in said
    assert "or more from where the track is declared, in every row; correct its edges" in said
    assert digitized(tmp_path, GROUP_4) == 0
    assert "the grid of track" not in (tmp_path / "out" / "summary.json").read_text()
