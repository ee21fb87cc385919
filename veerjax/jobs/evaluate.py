"""Scores of one set of weights on logs whose truth is known, every log counted exactly once."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from veerjax.config import require
from veerjax.data.rendered import rendered_batches
from veerjax.errors import InputError
from veerjax.labels import BACKGROUND, CLASS_NAMES
from veerjax.metrics.centreline import all_row_error_px, coverage, covered_row_error_px, row_errors
from veerjax.metrics.confusion import (
    confusion_counts,
    foreground_iou,
    identity_accuracy,
    per_image_iou,
    pooled_iou,
)
from veerjax.metrics.ratio import pooled
from veerjax.metrics.tolerance import f1, tolerance_counts
from veerjax.synthesis.draw import SETTINGS
from veerjax.tracing.trace import trace
from veerjax.training.sharding import data_mesh, over_examples, replicated
from veerjax.training.steps import eval_step
from veerjax.training.weights import load_weights
from veerjax.types import Batch, Prediction, exclusive_label

TEST_HEIGHT, TEST_WIDTH = 512, 256  # [px] of rendered test logs
RENDERED_LOGS = 1000
TOLERANCES_PX = (1, 2, 3)
SURVEY = {"iou": [0.94, 0.26, 0.21], "source": "the survey's own figures, on its own data"}


def run_evaluation(
    weights: str,
    data: str,
    *,
    data_dir: Path | None = None,
    split: str = "test",
    limit: int | None = None,
    batch: int = 8,
) -> dict[str, Any]:
    """The figures of DESIGN's `evaluate` JSON that exist so far; NaN is None.

    Args:
        weights: `release` or `WORKDIR[@best|last|STEP]`
        data: a rendered setting or a built dataset such as `raster_logs/las`
        data_dir: where the built dataset lies
        split: `validation` or `test`
        limit: logs at most
        batch: logs at a time; rounded up to a multiple of the devices

    Raises:
        InputError: unknown weights, data or split.
    """
    loaded = load_weights(weights)
    mesh = data_mesh()
    batch = -(-batch // mesh.size) * mesh.size
    batches, count = examples(data, data_dir=data_dir, split=split, limit=limit, batch=batch)
    variables = jax.device_put(loaded.variables, replicated(mesh))
    step = jax.jit(functools.partial(eval_step, model=loaded.model, measure=measure))
    collected = []
    for item in tqdm(batches, total=-(-count // batch), unit="batch", desc="evaluate", leave=False):
        measured = jax.device_get(step(variables, jax.device_put(item, over_examples(mesh))))
        collected.append(valid_only(measured, np.asarray(item.valid)))
    measured = jax.tree.map(lambda *leaves: np.concatenate(leaves), *collected)
    report = {
        "schema": 1,
        "data": data,
        "split": split,
        "weights": weights,
        "n_logs": len(measured["confusion"]),
    }
    return plain(report | summary(measured))


def examples(
    data: str, *, data_dir: Path | None, split: str, limit: int | None, batch: int
) -> tuple[Iterator[Batch], int]:
    """The batches of a split, the last one padded, and how many logs they hold."""
    require(split in ("validation", "test"), f"--split is {split!r}; write validation or test.")
    if data in SETTINGS:
        count = limit or RENDERED_LOGS
        size = {"height": TEST_HEIGHT, "width": TEST_WIDTH}
        return rendered_batches(data, split=split, count=count, batch=batch, **size), count
    require(
        data.startswith("raster_logs/"),
        f"there is no data {data!r}; write a rendered setting ({', '.join(SETTINGS)}) or a built dataset "
        "such as raster_logs/las.",
    )
    if data_dir is None:
        raise InputError(f"--data {data} is a built dataset; say where it lies with --data-dir.")
    from veerjax.data import built

    source = built.load_built(data, data_dir=data_dir, split=split)
    count = min(limit or len(source), len(source))
    return built.batches(source, batch=batch, limit=count), count


def measure(prediction: Prediction, batch: Batch) -> dict[str, Any]:
    """Counts and row errors of each example of a batch."""
    found = trace(prediction)
    polylines = (batch.centreline, batch.presence, found.x, found.presence)
    tolerance = functools.partial(tolerance_counts, width=batch.image.shape[2], tolerances_px=TOLERANCES_PX)
    return {
        "confusion": jax.vmap(confusion_counts)(batch.label, exclusive_label(prediction)),
        "tolerance": jax.vmap(tolerance)(*polylines),
        "rows": row_errors(*polylines),
        "width": jnp.full(batch.size, batch.image.shape[2]),
    }


def valid_only(measured: dict[str, Any], valid: np.ndarray) -> dict[str, Any]:
    """The same without the examples that only fill up a batch."""
    return jax.tree.map(lambda leaf: leaf[valid], measured)


def summary(measured: dict[str, Any]) -> dict[str, Any]:
    """Ratios from counts, once, on the host."""
    confusion, rows = measured["confusion"].astype(np.int64), measured["rows"]
    f1_by_curve = f1(pooled(measured["tolerance"]))
    pooled_confusion = confusion.sum(axis=0)
    return {
        "iou": {"pooled": pooled_iou(confusion), "per_image": per_image_iou(confusion)},
        "foreground_iou": foreground_iou(pooled_confusion),
        "identity_accuracy": identity_accuracy(pooled_confusion),
        "tolerance_f1": {str(t): f1_by_curve[:, i] for i, t in enumerate(TOLERANCES_PX)},
        "coverage": coverage(rows),
        "row_error_px": covered_row_error_px(rows),
        "row_error_all_px": all_row_error_px(rows, track_width_px=float(measured["width"][0])),
        "baselines": {"all_background": {"iou": {"pooled": blank_iou(confusion)}}},
        "survey": SURVEY,
    }


def blank_iou(confusion: np.ndarray) -> np.ndarray:
    """Pooled IoU of a page called all background: what any method gets for nothing."""
    blank = np.zeros_like(confusion)
    blank[:, :, BACKGROUND] = confusion.sum(axis=2)
    return pooled_iou(blank)


def plain(value: Any) -> Any:
    """Arrays as lists and NaN as None, so that any JSON reader takes it."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    return None if isinstance(value, float) and np.isnan(value) else value


def table_row(name: str, values: list[float | None]) -> str:
    """A line of a table of three columns, one a class; two values stand below the curves."""
    cells = ["-" if value is None else f"{value:.3f}" for value in values]
    return f"{name:<42}" + "".join(f"{cell:>12}" for cell in [""] * (3 - len(cells)) + cells)


def table_head() -> str:
    """The names of the columns."""
    return " " * 42 + "".join(f"{name:>12}" for name in CLASS_NAMES)


def as_table(report: dict[str, Any]) -> str:
    """The figures for a person: one column a class, the survey's beside, and what they were measured on."""

    lines = [
        f"{report['weights']} on {report['n_logs']} logs of {report['data']} ({report['split']})",
        table_head(),
        table_row("IoU, pooled", report["iou"]["pooled"]),
        table_row("IoU, mean over logs", report["iou"]["per_image"]),
        table_row("IoU of a blank page", report["baselines"]["all_background"]["iou"]["pooled"]),
        table_row("IoU of the survey (its own data)", report["survey"]["iou"]),
    ]
    lines += [table_row(f"tolerance F1 @ {t} px", report["tolerance_f1"][t]) for t in report["tolerance_f1"]]
    lines += [table_row("coverage of rows", report["coverage"])]
    lines += [table_row(f"row error px, {name}", report["row_error_px"][name]) for name in report["row_error_px"]]
    lines += [table_row("row error px, mean over all rows", report["row_error_all_px"]["mean"])]
    identity, ink = report["identity_accuracy"], report["foreground_iou"]
    known = ["-" if value is None else f"{value:.3f}" for value in (ink, identity)]
    return "\n".join([*lines, f"ink of either curve IoU {known[0]}, its identity right {known[1]}"])
