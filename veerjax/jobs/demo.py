"""The whole path once: train a minute, evaluate beside the release weights, render a log, digitise it, score it."""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import jax
import jax.numpy as jnp
import numpy as np

from veerjax.config import Config, DataConfig, ModelConfig, OptimiserConfig, ValidationConfig, require
from veerjax.jobs.digitize import digitize_scan
from veerjax.jobs.evaluate import run_evaluation
from veerjax.jobs.reader import load
from veerjax.logs.calibration import Calibration, CurveScale, DepthScale, Track
from veerjax.synthesis.draw import draw, sample_key
from veerjax.training.loop import train

LOG_ROWS, LOG_COLUMNS = 1024, 256  # [px] of the rendered log: 200 ft at 5 in/100 ft, its track 2.5 in wide
LOG_INDEX = 3  # of the test split, so no training has seen it
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
    return Calibration(depth=DepthScale(unit="ft", anchors=anchors), tracks=(track,), well={"WELL": "VEERJAX DEMO"})


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
    config = config if steps is None else Config(**{**vars(config), "steps": steps})
    with tempfile.TemporaryDirectory() as workdir:
        with stage(f"training a small net on rendered logs, {config.steps} steps"):
            train(config, workdir)
        with stage(f"evaluating it and the release weights on {logs} unseen logs"):
            small, release = (run_evaluation(name, "standard", limit=logs) for name in (workdir, "release"))
    print(comparison(small, release))
    with stage("rendering a log, digitising it with the release weights"):
        truth, found = digitised_log(out)
    print(value_errors(truth, found))
    names = ", ".join(sorted(path.name for path in out.iterdir()))
    print(f"\nIn {out}: {names}\nDone in {time.monotonic() - start:.0f} s.")


@contextlib.contextmanager
def stage(text: str) -> Iterator[None]:
    """Says what happens, and how long it took."""
    start = time.monotonic()
    print(f"\n{text} ...", flush=True)
    yield
    print(f"  {time.monotonic() - start:.0f} s", flush=True)


def comparison(small: dict[str, Any], release: dict[str, Any]) -> str:
    """IoU per class and centreline error, the two sets of weights and the survey beside one another."""
    lines = [f"{'':<26}{'background':>12}{'curve 1':>10}{'curve 2':>10}"]
    named = {"a minute's training": small, "release weights": release}
    ious = {name: report["iou"]["pooled"] for name, report in named.items()}
    for name, iou in (ious | {"survey (its own data)": release["survey"]["iou"]}).items():
        lines.append(f"{'IoU, ' + name:<34}"[:34].ljust(34) + "".join(f"{cell(v):>8}" for v in iou))
    for name, report in named.items():
        median = report["row_error_px"]["median"]
        lines.append(f"{'centreline px, ' + name:<42}" + "".join(f"{cell(v):>8}" for v in median))
    return "\n".join(lines)


def cell(value: float | None) -> str:
    """A figure, or a dash where there is none."""
    return "-" if value is None else f"{value:.3f}"


def digitised_log(out: Path) -> tuple[np.ndarray, np.ndarray]:
    """Draws a test log, reads it from its image alone, and returns true and found x [2, rows] in px."""
    sample = jax.jit(lambda key: draw(key, height=LOG_ROWS, width=LOG_COLUMNS))(sample_key(0, "test", LOG_INDEX))
    image = np.round(np.asarray(sample.image[..., 0]) * 255).astype(np.uint8)
    iio.imwrite(out / "log.png", image)
    reader = load("release")
    digitize_scan(reader, image, out / "log", calibration=demo_calibration())
    [track] = reader.digitize(image, demo_calibration())
    truth = np.where(sample.presence, sample.centreline, jnp.nan)
    return np.asarray(truth), track.x


def value_errors(truth: np.ndarray, found: np.ndarray) -> str:
    """How far the digitised values are from those that were drawn, in each curve's own unit."""
    [track] = demo_calibration().tracks
    lines = []
    for scale in track.curves:
        true, read = (scale.value(x[scale.curve_class - 1], track.left_px, track.right_px) for x in (truth, found))
        error, full = np.abs(read - true), abs(scale.right - scale.left)
        both, there = np.isfinite(error), np.isfinite(true)
        mean = np.mean(error[both]) if both.any() else np.nan
        lines.append(
            f"{scale.mnemonic:<5} mean error {mean:.2f} {scale.unit} ({mean / full:.2%} of scale), "
            f"coverage {both.sum() / max(there.sum(), 1):.1%}"
        )
    return "\n".join(lines)
