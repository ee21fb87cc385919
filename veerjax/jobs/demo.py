"""The whole path once: train a minute, evaluate beside the release weights, render a log, digitise it, score it."""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import jax
import numpy as np
from jaxtyping import Float

from veerjax.config import Config, DataConfig, ModelConfig, OptimiserConfig, ValidationConfig, require
from veerjax.jobs.digitize import digitize_scan
from veerjax.jobs.evaluate import report_of, run_evaluation
from veerjax.jobs.reader import load
from veerjax.labels import CLASS_NAMES
from veerjax.logs.calibration import Calibration, CurveScale, DepthScale, Track, whole_scan
from veerjax.logs.las import read_las
from veerjax.logs.scan import read_scan
from veerjax.synthesis.draw import draw, sample_key
from veerjax.training.loop import train

LOG_ROWS, LOG_COLUMNS = 1024, 256  # [px] of the rendered log: 200 ft at 5 in/100 ft, its track 2.5 in wide
LOG_INDEX = 4  # of the test split, which no training has seen; its curves cross
PX_PER_FT = 5.12
TOP_FT = 5000.0


def small_config() -> Config:
    """A small net that trains in about a minute on two CPU cores."""
    return Config(
        name="smoke",
        steps=250,
        batch=8,
        data=DataConfig(height=128, width=128),
        model=ModelConfig(features=(16, 32, 48, 64)),
        optimiser=OptimiserConfig(learning_rate=4e-3, warmup_steps=20),
        validation=ValidationConfig(examples=32, every=125),
    )


def demo_calibration() -> Calibration:
    """The track as gamma ray, solid, with a caliper, dashed."""
    gamma = CurveScale(curve_class=1, mnemonic="GR", unit="GAPI", left=0.0, right=150.0, scale="linear")
    caliper = CurveScale(curve_class=2, mnemonic="CALI", unit="IN", left=6.0, right=16.0, scale="linear")
    anchors = ((0.0, TOP_FT), (float(LOG_ROWS), TOP_FT + LOG_ROWS / PX_PER_FT))
    track = Track(left_px=0.0, right_px=float(LOG_COLUMNS), curves=(gamma, caliper))
    return whole_scan(depth=DepthScale(unit="ft", anchors=anchors), tracks=(track,), well={"WELL": "VEERJAX DEMO"})


def run_demo(out: Path, *, steps: int | None = None, logs: int = 32) -> None:
    """Does it, and prints what it does.

    Args:
        out: folder for the rendered scan, overlay, LAS and CSV
        steps: of training, instead of about a minute's worth
        logs: test logs to evaluate on

    Raises:
        InputError: `out` is a file.
    """
    require(not out.is_file(), f"--out {str(out)!r} is a file; give a folder.")
    out.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    config = small_config()
    config = config if steps is None else replace(config, steps=steps)
    with tempfile.TemporaryDirectory() as workdir:
        with stage(f"training a small net on rendered logs, {config.steps} steps"):
            train(config, workdir)
        with stage(f"evaluating it and the release weights on {logs} unseen logs"):
            small, release = (evaluated(name, logs) for name in (workdir, "release"))
    print(comparison(small, release))
    with stage("drawing a log of 200 ft, digitising it with the release weights"):
        truth = rendered_log(out)
        digitize_scan(load("release"), read_scan(out / "log.png"), out / "log", calibration=demo_calibration())
        side_by_side(out)
    print(value_errors(truth, out / "log.las"))
    names = ", ".join(sorted(path.name for path in out.iterdir()))
    print(f"\nIn {out}: {names}\nDone in {time.monotonic() - start:.0f} s.")


def evaluated(weights: str, logs: int) -> dict[str, Any]:
    """The figures of weights on the first test logs."""
    return report_of(run_evaluation(weights, "standard", limit=logs, baselines=()))


@contextlib.contextmanager
def stage(text: str) -> Iterator[None]:
    """Says what happens, and how long it took."""
    start = time.monotonic()
    print(f"\n{text} ...", flush=True)
    yield
    print(f"  {time.monotonic() - start:.0f} s", flush=True)


def table_row(name: str, values: list[float | None]) -> str:
    """A line of a table of three columns, one a class; two values stand below the curves."""
    cells = ["-" if value is None else f"{value:.3f}" for value in values]
    return f"{name:<42}" + "".join(f"{cell:>12}" for cell in [""] * (3 - len(cells)) + cells)


def comparison(small: dict[str, Any], release: dict[str, Any]) -> str:
    """IoU per class and centreline error: the two sets of weights, and the survey's own figures."""
    named = {"a minute's training": small, "release weights": release}
    lines = [" " * 42 + "".join(f"{name:>12}" for name in CLASS_NAMES)]
    lines += [table_row(f"IoU, {name}", report["iou"]["pooled"]) for name, report in named.items()]
    lines += [table_row("IoU, the survey on its own data", release["survey"]["iou"])]
    lines += [table_row(f"centreline px, median, {name}", r["row_error_px"]["median"]) for name, r in named.items()]
    lines += [table_row(f"rows found, {name}", report["coverage"]) for name, report in named.items()]
    return "\n".join(lines)


def rendered_log(out: Path) -> Float[np.ndarray, "2 rows"]:
    """Draws a test log into `log.png`; returns where its curves truly are [px], NaN where absent."""
    sample = jax.jit(lambda key: draw(key, height=LOG_ROWS, width=LOG_COLUMNS))(sample_key(0, "test", LOG_INDEX))
    iio.imwrite(out / "log.png", np.round(np.asarray(sample.image[..., 0]) * 255).astype(np.uint8))
    return np.where(np.asarray(sample.presence), np.asarray(sample.centreline), np.nan)


def side_by_side(out: Path) -> None:
    """`picture.png`: the scan, and what was read from it drawn over it."""
    scan = np.repeat(iio.imread(out / "log.png")[..., None], 3, axis=-1)
    iio.imwrite(out / "picture.png", np.concatenate([scan, iio.imread(out / "log.overlay.png")], axis=1))


def value_errors(truth: Float[np.ndarray, "2 rows"], las: Path) -> str:
    """How far the values in the LAS file are from those that were drawn, in each curve's own unit."""
    calibration = demo_calibration()
    [section] = calibration.sections
    [track] = section.tracks
    read = read_las(las)
    depth_of_rows = section.depths(LOG_ROWS)
    lines = ["LAS against what was drawn:"]
    for scale in track.curves:
        drawn = scale.value(truth[scale.curve_class - 1], track.left_px, track.right_px)
        true = np.interp(read.depth, depth_of_rows, drawn)  # NaN beside a gap
        error, full = np.abs(read.curves[scale.mnemonic] - true), abs(scale.right - scale.left)
        both, there = np.isfinite(error), np.isfinite(true)
        mean = np.mean(error[both]) if both.any() else np.nan
        lines.append(
            f"  {scale.mnemonic:<5} mean error {mean:.3f} {scale.unit} ({mean / full:.2%} of scale), "
            f"{both.sum() / max(there.sum(), 1):.1%} of its depths read"
        )
    return "\n".join(lines)
