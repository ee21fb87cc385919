"""What the shipped weights must do: small, on unseen logs, on the real strip, and from a scan to a LAS file."""

import csv
import functools
import json
from pathlib import Path

import imageio.v3 as iio
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scan_files import PX_PER_FT as PX_PER_FT_DRAWN
from scan_files import ROWS, SCALES, SHARES, TOP_FT, drawn_track, values
from scan_files import calibration as calibration_text
from scipy.signal import find_peaks

import veerjax
from veerjax.jobs.digitize import digitize_scan, digitize_scans
from veerjax.jobs.evaluate import report_of, run_evaluation
from veerjax.jobs.reader import Reader
from veerjax.logs.calibration import Calibration, CurveScale, DepthScale, Track, whole_scan
from veerjax.logs.las import read_las
from veerjax.synthesis.draw import MARGIN_PX, draw_curves
from veerjax.training.weights import release_folder

PX_PER_FT, TRACK_PX = 10, 500  # 5 in/100 ft and a 2.5 in track at 200 dpi
POINTS = Path(__file__).with_name("kgs_points.csv")


@pytest.fixture(scope="module")
def reader() -> Reader:
    return veerjax.load("release")


def test_the_weights_are_small_and_say_how_they_are_stored() -> None:
    files = [path for path in (release_folder() / "weights").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 8e6
    assert json.loads((release_folder() / "storage.json").read_text())["stored_dtype"] == "bfloat16"
    assert (release_folder() / "MODEL_CARD.md").is_file()


@pytest.mark.slow
def test_unseen_logs_are_read_far_better_than_the_survey() -> None:
    report = report_of(run_evaluation("release", "standard", limit=64, baselines=()))
    print("\n" + str({key: report[key] for key in ("iou", "tolerance_f1", "coverage", "interval95")}))
    assert report["n_logs"] == 64
    background, first, second = report["iou"]["pooled"]
    assert background > 0.975
    assert first > 0.85
    assert second > 0.70
    assert min(report["tolerance_f1"]["2"]) > 0.88


def distances_to_polyline(points: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Euclidean distance [px] of each (row, x) to the polyline through the present row centres."""
    rows = np.flatnonzero(np.isfinite(x[:-1]) & np.isfinite(x[1:]))
    start = np.stack([rows + 0.5, x[rows]], axis=1)
    along = np.stack([np.ones(len(rows)), x[rows + 1] - x[rows]], axis=1)
    offset = points[:, None] - start[None]
    share = np.clip((offset * along).sum(-1) / (along**2).sum(-1), 0, 1)
    return np.linalg.norm(offset - share[..., None] * along, axis=-1).min(axis=1)


@pytest.mark.slow
def test_the_real_strip_is_read_along_its_heavy_curve(real_data: Path, tmp_path: Path) -> None:
    assert digitize_scans([real_data / "kgs_strip_300dpi.png"], tmp_path) == 0
    with (tmp_path / "kgs_strip_300dpi.pixels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2600
    x = np.array([float(row["curve_1_px"]) if row["curve_1_px"] else np.nan for row in rows])
    with POINTS.open() as file:
        points = np.array([[float(row["row_px"]), float(row["x_px"])] for row in csv.DictReader(file)])
    near = distances_to_polyline(points, x) <= 5
    print(
        f"\ncurve 1 present on {np.isfinite(x).mean():.1%} of the rows; {near.mean():.1%} of {len(points)} points hit"
    )
    print("missed (row, x):", points[~near].tolist())
    assert len(points) == 60
    assert np.isfinite(x).mean() >= 0.9
    assert near.mean() >= 0.85


def gamma_and_caliper(top_ft: float) -> Calibration:
    gamma = CurveScale(curve_class=1, mnemonic="GR", unit="GAPI", left=0.0, right=150.0, scale="linear")
    caliper = CurveScale(curve_class=2, mnemonic="CALI", unit="IN", left=6.0, right=16.0, scale="linear")
    anchors = ((0.0, top_ft), (2000.0, top_ft + 200.0))
    track = Track(left_px=0.0, right_px=float(TRACK_PX), curves=(gamma, caliper))
    return whole_scan(depth=DepthScale(unit="ft", anchors=anchors), tracks=(track,), well={"WELL": "ROUND TRIP"})


def peak_errors(truth: np.ndarray, found: np.ndarray, *, full: float) -> np.ndarray:
    """|error| in shares of the scale at peaks and troughs of prominence >= 10 % of it, sought within 1 ft."""
    errors = []
    for sign in (1, -1):
        for peak in find_peaks(sign * truth, prominence=0.1 * full)[0]:
            window = sign * found[max(peak - 2, 0) : peak + 3]
            errors.append(abs(np.nanmax(window) - sign * truth[peak]) / full if np.isfinite(window).any() else 1.0)
    return np.array(errors)


@pytest.mark.slow
@pytest.mark.parametrize("look", [0, 1, 2])
def test_real_curves_survive_the_round_trip(reader: Reader, real_data: Path, tmp_path: Path, look: int) -> None:
    import lascheck

    top = 5000.0
    well = read_las(real_data / "las" / "38334746.las")
    calibration = gamma_and_caliper(top)
    [track] = calibration.sections[0].tracks
    depth_of_rows = top + (np.arange(-MARGIN_PX, 2000 + MARGIN_PX) + 0.5) / PX_PER_FT
    x = np.stack([
        scale.x(np.interp(depth_of_rows, well.depth, well.curves[scale.mnemonic]), track.left_px, track.right_px)
        for scale in track.curves
    ])  # fmt: skip
    sample = jax.jit(functools.partial(draw_curves, width=TRACK_PX))(
        jax.random.key(look), jnp.asarray(x), jnp.ones(x.shape, bool)
    )
    image = np.round(np.asarray(sample.image[..., 0]) * 255).astype(np.uint8)
    digitize_scan(reader, image, tmp_path / "log", calibration=calibration)

    checked = lascheck.read(str(tmp_path / "log.las"))
    assert checked.check_conformity(), checked.get_non_conformities()
    read = read_las(tmp_path / "log.las")
    for scale in track.curves:
        full = abs(scale.right - scale.left)
        truth = np.interp(read.depth, well.depth, well.curves[scale.mnemonic])
        found = read.curves[scale.mnemonic]
        error = (found - truth) / full
        covered = np.isfinite(found) & (truth >= min(scale.left, scale.right)) & (truth <= max(scale.left, scale.right))
        peaks = peak_errors(truth, found, full=full)
        figures = {
            "MAE": np.mean(np.abs(error[covered])),
            "bias": np.mean(error[covered]),
            "median peak error": np.median(peaks) if len(peaks) else 0.0,
            "coverage": np.isfinite(found).mean(),
        }
        print(
            f"\nlook {look} {scale.mnemonic}: " + ", ".join(f"{k} {v:.2%}" for k, v in figures.items()),
            len(peaks),
            "peaks",
        )
        assert figures["MAE"] <= 0.015
        assert abs(figures["bias"]) <= 0.005
        assert figures["median peak error"] <= 0.03
        assert figures["coverage"] >= 0.95


@pytest.mark.slow
def test_two_sections_and_a_repeat_are_read_into_two_logs(tmp_path: Path) -> None:
    import lascheck

    strips = [drawn_track(seed=seed).image for seed in (0, 1, 2)]
    iio.imwrite(tmp_path / "strip.png", np.concatenate(strips))
    parts, drawn_ft = [], ROWS / PX_PER_FT_DRAWN  # in each section, the same curves
    for place, role in enumerate(("main", "main", "repeat")):
        first, top = place * ROWS, TOP_FT + (place % 2) * drawn_ft
        text = calibration_text().partition("[[track]]")[2].replace("[[track.", "[[section.track.")
        anchors = f"[[{first}, {top}], [{first + ROWS}, {top + drawn_ft}]]"
        parts.append(
            f'[[section]]\nrows = [{first}, {first + ROWS - 1}]\nrole = "{role}"\n'
            f'depth = {{ unit = "ft", anchors = {anchors} }}\n[[section.track]]{text}'
        )
    (tmp_path / "strip.toml").write_text("".join(parts))
    out = tmp_path / "out"
    assert digitize_scans([tmp_path / "strip.png"], out, calibration=tmp_path / "strip.toml", extras="all") == 0
    [line] = json.loads((out / "summary.json").read_text())["scans"]
    print(f"\n{line}")
    assert line["status"] in ("accepted", "review")
    assert line["ink_explained"] > 0.8
    assert len(json.loads((out / "strip.json").read_text())["sections"]) == 3
    for name in ("strip", "strip.repeat"):
        checked = lascheck.read(str(out / f"{name}.las"))
        assert checked.check_conformity(), checked.get_non_conformities()
        read = read_las(out / f"{name}.las")
        for mnemonic, share in SHARES.items():
            truth = values(mnemonic, share(TOP_FT + (read.depth - TOP_FT) % drawn_ft))
            full = abs(SCALES[mnemonic]["right"] - SCALES[mnemonic]["left"])
            error = np.abs(read.curves[mnemonic] - truth) / full
            print(f"{name} {mnemonic}: median {np.nanmedian(error):.2%}, null {np.isnan(error).mean():.1%}")
            assert np.nanmedian(error) < 0.01
            assert np.isnan(error).mean() < 0.05
