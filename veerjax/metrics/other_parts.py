"""The measures of other fields on the same logs, for comparison with other work: what `--metrics all` adds."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from veerjax.metrics import average_precision, boundary, chart, cldice, lane, panoptic, surface, values
from veerjax.metrics.parts import DEFAULT, polylines, predicted_strokes
from veerjax.metrics.ratio import quotient
from veerjax.metrics.scores import Part
from veerjax.tracing.trace import Trace
from veerjax.types import Batch, Prediction


def fractions(found: Trace, batch: Batch) -> tuple[Float[Array, "2 height"], Float[Array, "2 height"]]:
    """Truth and reading as fractions of the track, NaN where absent."""
    x_true, there, x_pred, found_there = polylines(found, batch)
    width = batch.image.shape[1]
    return jnp.where(there, x_true / width, jnp.nan), jnp.where(found_there, x_pred / width, jnp.nan)


def mask_sums(prediction: Prediction, found: Trace, batch: Batch) -> dict[str, Any]:
    del found
    predicted = predicted_strokes(prediction)
    apart = surface.surface_distances(batch.strokes, predicted)
    known = {name: jnp.isfinite(distance) for name, distance in apart.items()}
    return {
        "cldice": cldice.cldice_counts(batch.strokes, predicted),
        "boundary": boundary.boundary_counts(batch.strokes, predicted),
        "panoptic": panoptic.panoptic_sums(batch.strokes, predicted),
        "surface": {name: jnp.where(known[name], apart[name], 0.0) for name in apart},
        "surface_known": {name: known[name].astype(jnp.int32) for name in apart},
    }


def mask_figures(sums: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "cldice": cldice.cldice(sums["cldice"]),
        "boundary_iou": boundary.boundary_iou(sums["boundary"]),
        "panoptic": panoptic.panoptic(sums["panoptic"]),
        # The mean over the logs in which the curve has ink in truth and prediction.
        "surface_px": {name: quotient(sums["surface"][name], sums["surface_known"][name]) for name in ("hd95", "assd")},
    }


def curve_sums(prediction: Prediction, found: Trace, batch: Batch) -> dict[str, Any]:
    del prediction
    lines, width = polylines(found, batch), batch.image.shape[1]
    return {
        "lane": lane.lane_counts(*lines, width=width),
        "chart": chart.chart_sums(*fractions(found, batch)),
    }


def curve_figures(sums: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "lane_f1": lane.lane_f1(sums["lane"]),
        "chart": chart.chart_scores(sums["chart"]),
    }


def value_sums(prediction: Prediction, found: Trace, batch: Batch) -> dict[str, Any]:
    del prediction
    true, read = fractions(found, batch)
    own = values.value_sums(true, read)
    lag, rows = values.depth_lag_rows(true, read), own["covered"] + own["missed"]
    # The worst curve of a log, a missed row at the full scale.
    mean = (own["absolute"] + own["missed"].astype(jnp.float32)) / jnp.maximum(rows, 1).astype(jnp.float32)
    return {
        "own": own,
        "chance": values.chance_sums(true, read),
        "worst": jnp.max(jnp.where(rows > 0, mean, 0.0)),
        "worst_known": jnp.any(rows > 0).astype(jnp.int32),
        "lag": jnp.where(jnp.isfinite(lag), jnp.abs(lag), 0.0),
        "lag_known": jnp.isfinite(lag).astype(jnp.int32),
    }


def value_figures(sums: Mapping[str, Any]) -> dict[str, Any]:
    chance = values.value_figures(sums["chance"])
    return {
        "values": {
            **values.value_figures(sums["own"]),
            "worst_curve_mae_all": 100 * quotient(sums["worst"], sums["worst_known"]),
            "depth_lag_rows": quotient(sums["lag"], sums["lag_known"]),
            "chance": {name: chance[name] for name in ("mae", "r2", "pearson", "within_2")},
        }
    }


def detection_sums(prediction: Prediction, found: Trace, batch: Batch) -> dict[str, Any]:
    """Each curve as a detection; not additive, see `average_precisions`.

    Box and score are the model's own where it gives them, and what has a score above 0 was detected, be its mask empty.
    Else the box is that of the mask, and the score the mean confidence of the rows.
    """
    predicted = predicted_strokes(prediction)
    boxes = average_precision.boxes_of(predicted) if prediction.boxes is None else prediction.boxes
    score, detected = prediction.scores, jnp.any(predicted, axis=(1, 2))
    if score is None:
        rows = jnp.sum(found.presence, axis=1)
        score = jnp.sum(found.confidence, axis=1) / jnp.maximum(rows, 1).astype(jnp.float32)
    else:
        detected = score > 0
    return {
        "mask_iou": jnp.diagonal(average_precision.mask_iou(predicted, batch.strokes)),
        "box_iou": jnp.diagonal(average_precision.box_iou(boxes, average_precision.boxes_of(batch.strokes))),
        "score": score,
        "detected": detected,
        "true": jnp.any(batch.strokes, axis=(1, 2)),
    }


def average_precisions(detections: Mapping[str, np.ndarray]) -> dict[str, dict[str, list[float]]]:
    """Mask and box AP of each curve over all logs: the mean of .5 to .95, and that at .5 alone.

    Args:
        detections: of `detection_sums`, the first axis the log
    """
    found = {}
    for kind in ("mask", "box"):
        by_curve = []
        for curve in range(detections["score"].shape[1]):
            detected, true = detections["detected"][:, curve], detections["true"][:, curve]
            iou, score = detections[f"{kind}_iou"][:, curve], detections["score"][:, curve]
            logs = range(len(score))
            ious = [np.full((int(detected[log]), int(true[log])), iou[log]) for log in logs]
            by_curve.append(
                average_precision.average_precision(ious, [score[[log]][: int(detected[log])] for log in logs])
            )
        found[kind] = {"ap": [float(ap.mean()) for ap in by_curve], "ap50": [float(ap[0]) for ap in by_curve]}
    return found


DETECTIONS = "detections"
ALL = {
    **DEFAULT,
    "masks": Part(mask_sums, mask_figures),
    "curves": Part(curve_sums, curve_figures),
    "values": Part(value_sums, value_figures),
    DETECTIONS: Part(detection_sums, lambda sums: {}),
}
