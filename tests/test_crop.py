"""A declared track is cut out as it is where it runs straight, and straightened where its grid drifts or tilts."""

import csv
import json
from typing import Any

import numpy as np
import pytest
from bent_strips import bent_strip
from PIL import Image
from planted import PlantedReader, traced

from veerjax.cli import main
from veerjax.jobs.crop import crop_of, shape_of
from veerjax.jobs.ink import count_ink
from veerjax.jobs.reader import TrackCurves
from veerjax.jobs.values import curve_rows
from veerjax.logs.calibration import Calibration, CurveScale, DepthScale, Section, Track
from veerjax.report.overlay import overlay

HEIGHT, TRACK_PX, MARGIN_PX = 600, 256, 40
TILT_PX = 6.0
ROW = np.arange(HEIGHT) + 0.5
DRIFT = 8 * np.sin(ROW / 150) - TILT_PX / TRACK_PX * ROW
FRACTION = 0.5 + 0.45 * np.sin(ROW / 60)
TEXT = f"""
depth = {{ unit = "ft", anchors = [[0, 1000], [{HEIGHT}, 1060]] }}
[[track]]
left_px = {MARGIN_PX}
right_px = {MARGIN_PX + TRACK_PX}
[[track.curve]]
class = 1
mnemonic = "GR"
unit = "GAPI"
left = 0
right = 100
"""


def strip(drift: np.ndarray = DRIFT, tilt_px: float = TILT_PX) -> np.ndarray:
    """A track with a grid and no curves, which drifts and tilts, and a curve at `FRACTION` of its width."""
    bent = bent_strip(
        height=HEIGHT,
        track_px=TRACK_PX,
        drift=lambda row: np.interp(row, ROW, drift),
        tilt_px=tilt_px,
        margin_px=MARGIN_PX,
        thick_px=1.0,
        pitch_px=10.0,
        curves=False,
        bits=False,
    )
    image = bent.image.copy()
    y, x = np.mgrid[0:HEIGHT, 0 : image.shape[1]] + 0.5
    across = (x - bent.left_px[:, None]) / TRACK_PX
    depth = y - tilt_px * (across - 0.5)
    image[np.abs(across - np.interp(depth, ROW, FRACTION)) * TRACK_PX < 2] = 10
    return image


def track(**how) -> Track:
    gamma = CurveScale(curve_class=1, mnemonic="GR", unit="GAPI", left=0.0, right=100.0, **how)
    return Track(left_px=MARGIN_PX, right_px=MARGIN_PX + TRACK_PX, curves=(gamma,))


def planted(seeds: tuple[tuple[float, float], ...] = ()) -> tuple[PlantedReader, TrackCurves]:
    """What a reader makes of the strip that finds the curve where it is in the straight track."""
    reader = PlantedReader(traced(256 * FRACTION, wrap=0))
    depth = DepthScale(unit="ft", anchors=((0, 1000), (HEIGHT, 1060)))
    section = Section(depth=depth, tracks=(track(seeds=seeds),))
    (found,) = reader.digitize(strip(), Calibration(sections=(section,)))
    return reader, found


@pytest.fixture(autouse=True)
def tall(monkeypatch) -> None:
    monkeypatch.setattr("planted.SIZE", (HEIGHT, TRACK_PX))


def test_a_track_that_runs_as_declared_is_cut_out_as_it_is() -> None:
    image = strip(0 * ROW, 0.0)
    shape = shape_of(image, track())
    assert shape.is_straight
    assert shape.remarks == ()
    assert (shape.left_px[0], shape.right_px[0]) == (MARGIN_PX, MARGIN_PX + TRACK_PX)
    np.testing.assert_array_equal(crop_of(image, shape).levels, image[:, MARGIN_PX : MARGIN_PX + TRACK_PX])


def test_a_track_that_drifts_and_tilts_is_straightened_unless_its_calibration_says_no() -> None:
    image = strip()
    shape = shape_of(image, track())
    np.testing.assert_allclose(shape.left_px, MARGIN_PX + DRIFT, atol=1.0)
    np.testing.assert_allclose(shape.tilt_px, TILT_PX, atol=0.6)
    assert [remark.split(" ")[1] for remark in shape.remarks] == ["grid", "rows"]
    crop = crop_of(image, shape)
    darkest = np.argmin(crop.levels[10:-10], axis=1) + 0.5
    np.testing.assert_allclose(darkest, crop.x(FRACTION)[10:-10], atol=4.0)
    as_declared = Track(**{**vars(track()), "straighten": False})
    assert shape_of(image, as_declared).is_straight
    of_floats = shape_of(image.astype(np.float32) / 255, track())
    np.testing.assert_array_equal(of_floats.left_px, shape.left_px)


def test_what_is_read_in_the_straight_track_lies_on_the_ink_of_the_scan() -> None:
    row, x = 300.5, MARGIN_PX + DRIFT[300] + 0.9 * TRACK_PX
    reader, found = planted(seeds=((row, x),))
    ((seed,),) = (wanted.seeds for wanted in reader.asked[0][1])
    np.testing.assert_allclose(seed, (row - 0.4 * TILT_PX, 0.9 * TRACK_PX), atol=1.0)
    np.testing.assert_allclose(curve_rows(found, 0).value, 100 * FRACTION, atol=0.1)
    image, inner = strip(), slice(10, -10)
    at = np.floor(found.row_px(found.x)[0, inner]).astype(int), np.floor(found.x[0, inner]).astype(int)
    assert (image[at] < 100).mean() > 0.97
    level = np.arange(HEIGHT)[inner], np.floor(found.x[0, inner]).astype(int)
    assert (image[level] < 100).mean() < 0.8
    drawn = overlay(image, found)
    assert (drawn[at] != drawn[at][:, :1]).any(axis=1).mean() > 0.97  # coloured
    assert count_ink(image, found).share > 0.9


@pytest.fixture
def digitised(tmp_path, monkeypatch):
    """Digitises an image, in which what the straight track holds is planted, as `a`; returns its summary."""
    monkeypatch.setattr("veerjax.jobs.digitize.ClassicalReader", lambda: PlantedReader(traced(256 * FRACTION)))
    (tmp_path / "c.toml").write_text(TEXT)

    def digitise(image: np.ndarray) -> dict[str, Any]:
        Image.fromarray(image).save(tmp_path / "a.png")
        command = ["digitize", str(tmp_path / "a.png"), "--out", str(tmp_path / "out"), "--tracer", "classical"]
        assert main([*command, "--calibration", str(tmp_path / "c.toml")]) == 0
        return json.loads((tmp_path / "out" / "summary.json").read_text())["scans"][0]

    return digitise


def test_a_scan_that_is_turned_is_to_be_reviewed(digitised) -> None:
    upright = np.pad(strip(3 * np.sin(ROW / 90), 0.0), ((0, 0), (0, 90)), constant_values=235)
    assert digitised(upright)["status"] == "accepted"
    line = digitised(upright[::-1, ::-1])
    assert line["status"] == "review"
    assert any(reason.startswith("the scan looks upside down or mirrored") for reason in line["reasons"])


def test_values_are_redone_from_the_table_of_a_track_that_drifts_and_tilts(digitised, tmp_path) -> None:
    line = digitised(strip())
    assert line["status"] == "accepted"
    assert "of track 1 in section 1, its rows tilt by up to" in line["notes"][1]
    (entry,) = json.loads((tmp_path / "out" / "a.json").read_text())["sections"][0]["tracks"]
    assert len(entry["left_px"]) < HEIGHT / 5
    assert entry["remarks"] == [note.partition("section 1, ")[2] for note in line["notes"]]
    with (tmp_path / "out" / "a.pixels.csv").open() as file:
        rows = list(csv.DictReader(file))
    row, x, there = (np.array([float(one[key]) for one in rows]) for key in ("row_px", "curve_1_px", "row_1_px"))
    left, right, tilt = (np.interp(row, *np.array(entry[key]).T) for key in ("left_px", "right_px", "tilt_px"))
    s = (x - left) / (right - left)
    np.testing.assert_allclose(100 * s, 100 * FRACTION, atol=0.01)
    np.testing.assert_allclose(there, row + tilt * (s - 0.5), atol=0.006)
