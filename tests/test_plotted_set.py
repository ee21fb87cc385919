"""The independent test set: what matplotlib draws lies where its truth says, and known readings get their scores."""

import importlib
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from las_files import write_las as write_well

from veerjax.errors import InputError
from veerjax.logs.calibration import read_calibration
from veerjax.logs.las import write_las
from veerjax.logs.scan import read_scan
from veerjax.logs.tables import PIXEL_COLUMNS, write_pixels_csv


@pytest.fixture(scope="module")
def tools(tools_on_path: None) -> Any:
    del tools_on_path
    return importlib.import_module("plotted_set")


@pytest.fixture(scope="module")
def drawn(tools: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A strip of a well whose gamma ray leaves the scale once, and whose caliper has a null."""
    wells, out = tmp_path_factory.mktemp("wells"), tmp_path_factory.mktemp("strips")
    depth = np.arange(1000.0, 1120.0, 0.5)
    gr = 70 + 50 * np.sin(depth / 3) * np.cos(depth / 7)
    caliper = 9 + 1.5 * np.sin(depth / 11)
    gr[40], caliper[100:102] = 400.0, np.nan
    units = {"GR": "GAPI", "CALI": "IN"}
    write_well(wells / "one.las", well="One", depth=depth, curves={"GR": gr, "CALI": caliper}, units=units)
    write_well(wells / "two.las", well="Two", depth=depth, curves={"GR": gr}, units=units)
    kinds = (tools.Kind(dpi=100, bits=True, inches=5, feet=100), tools.Kind(dpi=100, bits=True, inches=5, feet=500))
    (entry,) = tools.draw(wells, out, kinds=kinds)  # the second well has no pair, and neither has 500 ft
    return out, entry


def write_reading(folder: Path, read: Path, name: str, *, shift: float = 0.0, lag_ft: float = 0.0) -> None:
    """The files of `veerjax digitize` for a reading that is the truth, moved [fraction of the track, ft]."""
    scores = importlib.import_module("plotted_scores")
    truth = scores.read_truth(folder, name)
    (track,), height = truth.section.tracks, read_scan(folder / f"{name}.tif").shape[0]
    index = np.arange(2 * np.ceil(truth.extent_ft[0]), 2 * truth.extent_ft[1] + 1) / 2
    rows = truth.section.depth_scale.depth(np.arange(height) + 0.5)
    curves, columns = {}, {}
    for scale in track.curves:
        curves[scale.mnemonic] = scale.value(truth.averaged(scale, index - lag_ft) + shift, 0.0, 1.0)
        place = truth.fraction(scale, rows - lag_ft) + shift
        columns[f"curve_{scale.curve_class}_px"] = track.left_px + place * (track.right_px - track.left_px)
        columns[f"confidence_{scale.curve_class}"] = np.where(rows < np.mean(truth.extent_ft), 0.9, 0.6)
    assert columns.keys() <= set(PIXEL_COLUMNS)
    write_pixels_csv(read / f"{name}.pixels.csv", columns)
    header = {"depth": index, "unit": "ft", "step": 0.5, "units": {}, "header": {}, "provenance": "a test"}
    write_las(read / f"{name}.las", curves=curves, **header)


@pytest.mark.slow
def test_the_ink_lies_where_the_truth_and_the_calibration_say(tools: Any, drawn: tuple[Path, dict[str, Any]]) -> None:
    out, entry = drawn
    ink = read_scan(out / f"{entry['name']}.tif") < 128
    (section,) = read_calibration(out / f"{entry['name']}.toml").sections
    track = section.tracks[0]
    assert entry["pairs"] == ["gr_cali"]
    assert ink.shape == tuple(entry["shape"])
    dark = ink.mean(axis=0)
    for edge in (track.left_px, track.right_px):
        near = np.arange(int(edge) - 4, int(edge) + 5)
        assert abs(np.average(near + 0.5, weights=dark[near] > 0.5) - edge) < 0.6
    scores = importlib.import_module("plotted_scores")
    truth = scores.read_truth(out, entry["name"])
    rows = np.arange(len(ink)) + 0.5
    for scale in track.curves:
        place = truth.fraction(scale, section.depth_scale.depth(rows))
        x = track.left_px + place * (track.right_px - track.left_px)
        known = np.flatnonzero(np.isfinite(x))
        on_line = ink[known, np.clip(x[known].astype(int), 0, ink.shape[1] - 1)].mean()
        beside = ink[known, np.clip(x[known].astype(int) + 9, 0, ink.shape[1] - 1)].mean()
        assert on_line > (0.97 if scale.curve_class == 1 else 0.5)  # a dashed line has gaps
        assert beside < 0.35
    assert 0 < np.isfinite(truth.fraction(track.curves[0], section.depth_scale.depth(rows))).mean() < 1


@pytest.mark.slow
def test_a_perfect_reading_is_perfect_and_a_moved_one_as_wrong_as_it_was_moved(
    tools: Any, drawn: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    out, entry = drawn
    scores = importlib.import_module("plotted_scores")
    write_reading(out, tmp_path, entry["name"])
    perfect = scores.scored_strip(out, tmp_path, entry)
    rows = scores.row_errors(out, tmp_path, entry)
    assert [curve["curve"] for curve in perfect] == ["GR", "CALI"]
    for curve in perfect:
        assert curve["mae"] < 0.01
        assert curve["coverage"] == 1
        assert curve["lag_ft"] == curve["swaps"] == 0
    assert perfect[0]["peaks"] > 5
    assert perfect[0]["peak_recall"] == 1
    assert perfect[0]["peak_error"] < 0.01
    found = scores.summary(perfect, [rows])
    assert found["rows"]["sure"]["accepted"] == 1
    assert "| MAE [% of scale] |" in tools.markdown(found)

    write_reading(out, tmp_path, entry["name"], shift=0.015)
    moved = scores.scored_strip(out, tmp_path, entry)
    for curve in moved:
        assert curve["bias"] == pytest.approx(1.5, abs=0.02)
        assert curve["mae"] == pytest.approx(1.5, abs=0.02)
    risk = scores.risk_coverage(*scores.row_errors(out, tmp_path, entry))
    assert risk["sure"]["accepted"] == 0
    half = next(row for row in risk["thresholds"] if row["confidence"] == 0.8)
    assert half["accepted"] == pytest.approx(0.5, abs=0.05)

    write_reading(out, tmp_path, entry["name"], lag_ft=0.5)
    late = scores.scored_strip(out, tmp_path, entry)
    assert [curve["lag_ft"] for curve in late] == pytest.approx([0.5, 0.5], abs=0.051)


def test_names_that_are_exchanged_are_counted_and_a_curve_that_is_lost_is_not(tools: Any) -> None:
    scores = importlib.import_module("plotted_scores")
    scale = types.SimpleNamespace(left_px=0.0, right_px=100.0)
    rows = np.arange(200)
    true = np.stack([np.full(200, 0.3), np.full(200, 0.6)])

    def counted(read: np.ndarray) -> dict[str, int]:
        known = {"depth_ft": rows.astype(float), "true": true, "confidence": np.ones_like(true)}
        return scores.swaps(scores.Rows(read=read, **known), scale, {"stroke_px": 2.0})

    assert counted(true) == {"swapped": 0, "judged_rows": 200, "exchanged_rows": 0, "nearest": 0}
    once = np.where(rows < 50, true, true[::-1])
    assert counted(once) == {"swapped": 1, "judged_rows": 200, "exchanged_rows": 150, "nearest": 1}
    back = np.where((rows < 50) | (rows >= 70), true, true[::-1])
    assert counted(back) == {"swapped": 2, "judged_rows": 200, "exchanged_rows": 20, "nearest": 2}
    lost = true.copy()
    lost[1, 50:70] = 0.3  # onto the other curve: its values are wrong, but no names are exchanged
    assert counted(lost) == {"swapped": 0, "judged_rows": 200, "exchanged_rows": 0, "nearest": 2}
    lost[1, 50:70] = np.nan
    assert counted(lost)["judged_rows"] == 180


def test_a_folder_without_a_manifest_is_refused(tools: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no manifest.json; draw the set first"):
        tools.score(tmp_path, weights="release", tracer="classical")
