"""What a reading is judged by: each part of `metrics.scores` binds a module of metrics to predictions and traces."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from veerjax.labels import NUM_CURVES
from veerjax.metrics import confusion, crossings, curve_distance, peaks, reliability, strata, tolerance
from veerjax.metrics.centreline import (
    RowErrors,
    all_row_error_px,
    coverage,
    covered_row_error_px,
    row_error_sums,
    row_errors,
)
from veerjax.metrics.ratio import mean_of_known, quotient
from veerjax.metrics.scores import Part
from veerjax.tracing.trace import Trace
from veerjax.types import Batch, Prediction, exclusive_label

TOLERANCES_PX = (1, 2, 3)
CURVE_PX = (0, 1, 2, 3, 4, 6, 8)  # of the curve F1(rho)
SHARE_OF_TRACK = 0.01


def predicted_strokes(prediction: Prediction) -> Bool[Array, "*batch 2 height width"]:
    """The ink that a model says each curve owns: its label where it chooses one class a pixel, else masks over .5."""
    if prediction.label is None:
        return prediction.masks > 0.5
    return jnp.stack([prediction.label == k for k in range(1, NUM_CURVES + 1)], axis=-3)


def polylines(found: Trace, batch: Batch) -> tuple[Array, Array, Array, Array]:
    return batch.centreline, batch.presence, found.x, found.presence


def _row_errors(found: Trace, batch: Batch) -> RowErrors:
    return row_errors(*polylines(found, batch))


def label_sums(prediction: Prediction, found: Trace, batch: Batch) -> dict[str, Array]:
    del found
    label = exclusive_label(jax.tree.map(lambda leaf: leaf[None], prediction))[0]
    counts = confusion.confusion_counts(batch.label, label)
    both, true, predicted = jnp.diagonal(counts), counts.sum(axis=1), counts.sum(axis=0)
    known = true + predicted > 0
    share = both / jnp.maximum(true + predicted - both, 1).astype(jnp.float32)
    return {"confusion": counts, "image_iou": jnp.where(known, share, 0.0), "image_iou_known": known.astype(jnp.int32)}


def label_figures(sums: Mapping[str, np.ndarray]) -> dict[str, Any]:
    counts = sums["confusion"]
    per_image = quotient(sums["image_iou"], sums["image_iou_known"])
    return {
        "iou": {"pooled": confusion.iou(counts), "per_image": per_image},
        "precision": confusion.class_precision(counts),
        "recall": confusion.class_recall(counts),
        "dice": confusion.dice(counts),
        "foreground_iou": confusion.foreground_iou(counts),
        "identity_accuracy": confusion.identity_accuracy(counts),
        "found_and_named": confusion.found_and_named(counts),
    }


def stroke_sums(prediction: Prediction, found: Trace, batch: Batch) -> dict[str, Array]:
    del found
    predicted = predicted_strokes(prediction)
    shown = jnp.stack([batch.label == k for k in range(1, NUM_CURVES + 1)])
    area = partial(jnp.sum, axis=(1, 2), dtype=jnp.int32)
    return {
        "both": area(predicted & batch.strokes),
        "either": area(predicted | batch.strokes),
        "shown": area(shown & batch.strokes),
        "shown_or_true": area(shown | batch.strokes),
    }


def stroke_figures(sums: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {
        "stroke_iou": quotient(sums["both"], sums["either"]),
        "stroke_iou_ceiling": quotient(sums["shown"], sums["shown_or_true"]),
    }


def tolerance_sums(prediction: Prediction, found: Trace, batch: Batch) -> dict[str, Int[Array, "2 rhos 4"]]:
    del prediction
    width = batch.image.shape[1]
    rhos = (*CURVE_PX, SHARE_OF_TRACK * width)
    return {"counts": tolerance.tolerance_counts(*polylines(found, batch), width=width, tolerances_px=rhos)}


def tolerance_figures(sums: Mapping[str, np.ndarray]) -> dict[str, Any]:
    by_rho = {
        name: share(sums["counts"])
        for name, share in {
            "f1": tolerance.f1,
            "precision": tolerance.precision,
            "recall": tolerance.recall,
            "quality": tolerance.quality,
        }.items()
    }
    named = {str(rho): CURVE_PX.index(rho) for rho in TOLERANCES_PX} | {"1%": len(CURVE_PX)}
    figures = {f"tolerance_{name}": {rho: v[..., i] for rho, i in named.items()} for name, v in by_rho.items()}
    of_curves = np.moveaxis(figures["tolerance_f1"]["2"], -1, 0)
    # The one figure to decide by: within 2 px, the mean over the curves that there are.
    return figures | {
        "tolerance_f1_2px": mean_of_known(of_curves),
        "tolerance_curve": {"f1": by_rho["f1"][..., : len(CURVE_PX)]},
    }


def centreline_sums(prediction: Prediction, found: Trace, batch: Batch) -> dict[str, Array]:
    del prediction
    return row_error_sums(_row_errors(found, batch), track_width_px=batch.image.shape[1])


def centreline_figures(sums: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {
        "coverage": coverage(sums),
        "row_error_px": covered_row_error_px(sums),
        "row_error_all_px": all_row_error_px(sums),
    }


def distance_sums(prediction: Prediction, found: Trace, batch: Batch) -> dict[str, Any]:
    del prediction
    return curve_distance.curve_distance_sums(curve_distance.curve_distances(*polylines(found, batch)))


def distance_figures(sums: Mapping[str, Any]) -> dict[str, Any]:
    return {"curve_distance_px": curve_distance.curve_distance_px(sums)}


def strata_sums(prediction: Prediction, found: Trace, batch: Batch) -> dict[str, Any]:
    del prediction
    rows = _row_errors(found, batch)
    return strata.stratum_sums(rows, batch.strokes, batch.centreline, batch.presence, coding=batch.coding)


def strata_figures(sums: Mapping[str, Any]) -> dict[str, Any]:
    return {"strata": strata.stratum_figures(sums)}


def reliability_sums(prediction: Prediction, found: Trace, batch: Batch) -> dict[str, Array]:
    del prediction
    return reliability.confidence_sums(_row_errors(found, batch), found.confidence, track_width_px=batch.image.shape[1])


def reliability_figures(sums: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {
        "expected_calibration_error": reliability.expected_calibration_error(sums),
        "calibration": reliability.calibration(sums),
        "risk_coverage": reliability.risk_coverage(sums),
    }


def peak_sums(prediction: Prediction, found: Trace, batch: Batch) -> dict[str, Array]:
    del prediction
    return peaks.peak_sums(peaks.peak_errors(*polylines(found, batch), track_width_px=batch.image.shape[1]))


def peak_figures(sums: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {
        "peak_recall": peaks.peak_recall(sums["counts"]),
        "peak_error_px": {"median": peaks.median_peak_error_px(sums)},
    }


def crossing_sums(prediction: Prediction, found: Trace, batch: Batch) -> dict[str, Array]:
    del prediction
    stroke_px = jnp.mean(strata.stroke_width_px(batch.strokes, batch.centreline, batch.presence))
    lines = polylines(found, batch)
    return {
        "events": crossings.crossing_counts(*lines, stroke_px=stroke_px),
        "swaps": crossings.swap_counts(*lines, stroke_px=stroke_px),
    }


def crossing_figures(sums: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {
        "crossing_continuity": crossings.crossing_continuity(sums["events"]),
        "swaps_per_1000_rows": crossings.swaps_per_1000_rows(sums["swaps"]),
    }


LABEL = Part(label_sums, label_figures)
STROKES = Part(stroke_sums, stroke_figures)
TOLERANCE = Part(tolerance_sums, tolerance_figures)
CENTRELINE = Part(centreline_sums, centreline_figures)
DISTANCE = Part(distance_sums, distance_figures)
PEAKS = Part(peak_sums, peak_figures)
CROSSINGS = Part(crossing_sums, crossing_figures)
STRATA = Part(strata_sums, strata_figures)
RELIABILITY = Part(reliability_sums, reliability_figures)

DEFAULT = {
    "label": LABEL,
    "strokes": STROKES,
    "tolerance": TOLERANCE,
    "centreline": CENTRELINE,
    "distance": DISTANCE,
    "peaks": PEAKS,
    "crossings": CROSSINGS,
    "strata": STRATA,
    "reliability": RELIABILITY,
}
