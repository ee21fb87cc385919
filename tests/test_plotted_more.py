"""More strips of the plotted set: what wraps is drawn from the other edge, and known readings get their scores."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from las_files import write_las as write_well

from veerjax.logs.calibration import read_calibration
from veerjax.logs.las import write_las
from veerjax.logs.scan import read_scan
from veerjax.logs.tables import column_numbers, write_pixels_csv


@pytest.fixture(scope="module")
def tools(tools_on_path: None) -> Any:
    del tools_on_path
    return importlib.import_module("plotted_more")


@pytest.fixture(scope="module")
def wells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One well with both tracks: its gamma ray is quiet but for a few kicks, and two calipers run together for long."""
    folder, depth = tmp_path_factory.mktemp("wells"), np.arange(1000.0, 1460.0, 0.5)
    gr = 40 + 10 * np.sin(depth / 5) + 90 * np.exp(-(((depth % 100 - 50) / 6) ** 2))
    cali = 9 + 0.5 * np.sin(depth / 11)
    curves = {
        "GR": gr,
        "CALI": cali,
        "SP": 10 * np.sin(depth / 40) - 60,
        "C24": cali - 1 + np.clip(depth % 100 - 50, 0, 3),
    }
    units = {"GR": "GAPI", "CALI": "IN", "SP": "MV", "C24": "IN"}
    write_well(folder / "one.las", well="One", depth=depth, curves=curves, units=units)
    return folder


def write_reading(folder: Path, entry: dict[str, Any], *, order: tuple[int, ...] = (), turns: int = 0) -> Path:
    """A reading that is the truth, but for curves that have others' names, and for turns around the track."""
    single, scores = importlib.import_module("plotted_single"), importlib.import_module("plotted_scores")
    truth, read = scores.read_truth(folder, entry["name"]), folder / "read"
    (track,), height = truth.section.tracks, read_scan(folder / f"{entry['name']}.tif").shape[0]
    rows, index = np.arange(height) + 0.5, np.arange(2 * np.ceil(truth.extent_ft[0]), 2 * truth.extent_ft[1] + 1) / 2
    numbers = column_numbers([scale.curve_class for scale in track.curves])
    columns, curves = {}, {}
    for place, scale in enumerate(track.curves):
        shown = track.curves[order[place] if order else place]
        at = single.place(truth, shown, truth.section.depth_scale.depth(rows))
        wrap = np.floor(at) if scale.wrap else np.zeros(height)
        columns[f"curve_{numbers[place]}_px"] = track.left_px + (at - wrap) * (track.right_px - track.left_px)
        columns[f"wrap_{numbers[place]}"] = wrap + turns
        curves[scale.mnemonic] = scale.value(single.place(truth, shown, index) + turns, 0.0, 1.0)
    read.mkdir(exist_ok=True)
    write_pixels_csv(read / f"{entry['name']}.pixels.csv", columns)
    header = {"depth": index, "unit": "ft", "step": 0.5, "units": {}, "header": {}, "provenance": "a test"}
    write_las(read / f"{entry['name']}.las", curves=curves, **header)
    return read


@pytest.fixture(scope="module")
def wrapped(tools: Any, wells: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    out = tmp_path_factory.mktemp("wraps")
    return out, tools.draw(wells, out, sort="wraps", half=None)


@pytest.mark.slow
def test_what_wraps_is_drawn_from_the_other_edge(wrapped: tuple[Path, list[dict[str, Any]]]) -> None:
    out, manifest = wrapped
    single, scores = importlib.import_module("plotted_single"), importlib.import_module("plotted_scores")
    assert {entry["turns"] for entry in manifest} == {0, 1, 2, 3}
    for entry in manifest:
        ink, truth = read_scan(out / f"{entry['name']}.tif") < 128, scores.read_truth(out, entry["name"])
        (track,) = truth.section.tracks
        rows = np.arange(len(ink)) + 0.5
        at = single.place(truth, track.curves[0], truth.section.depth_scale.depth(rows))
        known = np.isfinite(at)
        assert track.curves[0].wrap
        assert np.abs(np.floor(at[known])).max() == entry["turns"]
        x = track.left_px + (at - np.floor(at)) * (track.right_px - track.left_px)
        assert ink[known, x[known].astype(int)].mean() > 0.95


@pytest.mark.slow
def test_wrap_counts_are_scored(tools: Any, wrapped: tuple[Path, list[dict[str, Any]]]) -> None:
    out, manifest = wrapped
    wraps = importlib.import_module("plotted_wraps")
    entry = next(entry for entry in manifest if entry["turns"] == 2)
    (right,) = wraps.scored(out, write_reading(out, entry), entry)
    assert right["wrap_right"] == right["close"] == right["coverage"] == 1
    assert right["mae"] < 1.5  # a value of each step beside the mean over it, at kicks of two tracks
    (off,) = wraps.scored(out, write_reading(out, entry, turns=1), entry)
    assert off["wrap_right"] == off["close"] == 0
    assert off["mae"] == pytest.approx(100, abs=1.5)
    straight = next(entry for entry in manifest if entry["turns"] == 0)
    (false,) = wraps.scored(out, write_reading(out, straight, turns=-1), straight)
    assert false["false"] == false["rows"]
    assert "| x2 | 1 |" in "\n".join(wraps.markdown([right]))


@pytest.mark.slow
def test_four_curves_are_seeded_where_they_part_and_exchanged_names_are_counted(
    tools: Any, wells: Path, tmp_path: Path
) -> None:
    fours = importlib.import_module("plotted_fours")
    entry = tools.draw(wells, tmp_path, sort="fours", half="upper")[0]
    (section,) = read_calibration(tmp_path / f"{entry['name']}.toml").sections
    (track,) = section.tracks
    assert [scale.curve_class for scale in track.curves] == [1, 2, 1, 2]
    assert min(entry["seeds"]) >= 1
    (right,) = fours.scored(tmp_path, write_reading(tmp_path, entry), entry)
    assert [pair["swaps"] for pair in right["pairs"]] == [pair["exchanged"] for pair in right["pairs"]] == [0] * 6
    (wrong,) = fours.scored(tmp_path, write_reading(tmp_path, entry, order=(2, 1, 0, 3)), entry)
    solid = next(pair for pair in wrong["pairs"] if pair["classes"] == [1, 1])
    assert solid["exchanged"] == solid["rows"] > 1000
    assert solid["swaps"] == 1
    assert "| two solid | 1 | 1 | 0 |" in "\n".join(fours.markdown([wrong]))


def test_technicians_mark_curves_at_the_top_and_where_they_part(tools: Any) -> None:
    fours = importlib.import_module("plotted_fours")
    away = np.full(1000, 100.0)
    away[300:400] = 2.0  # a third of an inch
    away[600:620] = 2.0
    assert fours.telling_rows(away, stroke_px=5.0, dpi=300) == [0, 400]
    assert fours.telling_rows(np.full(100, 3.0), stroke_px=5.0, dpi=300) == [0]
