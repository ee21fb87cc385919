"""What is measured of every log: the native reading of a prediction, the common decoder's beside it, and boxes."""

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from veerjax.metrics import cldice, panoptic, values
from veerjax.metrics.average_precision import box_iou, boxes_of
from veerjax.metrics.other_parts import fractions
from veerjax.metrics.parts import (
    CENTRELINE,
    CROSSINGS,
    CURVE_PX,
    LABEL,
    STRATA,
    STROKES,
    TOLERANCE,
    polylines,
    predicted_strokes,
)
from veerjax.metrics.scores import Part, measure
from veerjax.metrics.tolerance import CORRECT, FOUND, tolerance_counts
from veerjax.tracing.single import row_by_row
from veerjax.tracing.trace import Trace, trace
from veerjax.types import Batch, Prediction

MATCH_IOU = 0.5  # of a box with a true one
TOLERANCE_PX = 2


def _mask_sums(prediction: Prediction, found: Trace, batch: Batch) -> dict[str, Any]:
    del found
    predicted = predicted_strokes(prediction)
    return {
        "cldice": cldice.cldice_counts(batch.strokes, predicted),
        "panoptic": panoptic.panoptic_sums(batch.strokes, predicted),
    }


def _mask_figures(sums: Mapping[str, Any]) -> dict[str, Any]:
    return {"cldice": cldice.cldice(sums["cldice"]), "panoptic": panoptic.panoptic(sums["panoptic"])}


def _value_sums(prediction: Prediction, found: Trace, batch: Batch) -> dict[str, Any]:
    del prediction
    return {"own": values.value_sums(*fractions(found, batch))}


def _value_figures(sums: Mapping[str, Any]) -> dict[str, Any]:
    return {"values": values.value_figures(sums["own"])}


NATIVE = {
    "label": LABEL,
    "strokes": STROKES,
    "tolerance": TOLERANCE,
    "centreline": CENTRELINE,
    "crossings": CROSSINGS,
    "strata": STRATA,
    "masks": Part(_mask_sums, _mask_figures),
    "values": Part(_value_sums, _value_figures),
}
PRIMARY = {"tolerance": TOLERANCE, "crossings": CROSSINGS}


def native_trace(prediction: Prediction, *, joint: bool) -> Trace:
    """The polylines that an arm gives by itself."""
    return trace(prediction) if joint else row_by_row(prediction.masks, predicted_strokes(prediction))


def best_order(prediction: Prediction, found: Trace, batch: Batch) -> tuple[Prediction, Trace]:
    """The reading of curves without names, named in each log as suits it best: an upper bound that knows the truth."""
    width = batch.image.shape[2]

    def hits(x: Array, there: Array, x_pred: Array, there_pred: Array) -> Int[Array, ""]:
        counts = tolerance_counts(x, there, x_pred, there_pred, width=width, tolerances_px=(2.0,))
        return jnp.sum(counts[..., CORRECT] + counts[..., FOUND])

    straight = jax.vmap(hits)(*polylines(found, batch))
    turned = jax.vmap(hits)(batch.centreline, batch.presence, found.x[:, ::-1], found.presence[:, ::-1])
    swap = turned > straight

    def named(leaf: Array) -> Array:
        return jnp.where(swap.reshape(-1, *[1] * (leaf.ndim - 1)), leaf[:, ::-1], leaf)

    changed = {name: leaf for name, leaf in vars(prediction).items() if name != "label" and leaf is not None}
    label = prediction.label
    if label is not None:
        label = jnp.where(swap[:, None, None] & (label > 0), 3 - label, label)
    return replace(prediction, **jax.tree.map(named, changed), label=label), jax.tree.map(named, found)


@functools.partial(jax.jit, static_argnames=("joint", "anonymous", "whole"))
def measured(
    prediction: Prediction, batch: Batch, *, joint: bool = False, anonymous: bool = False, whole: bool = True
) -> dict[str, Any]:
    """The sums of each log: of the native reading, and where all is asked for, of the common decoder's too.

    Args:
        prediction: of the batch
        batch: the truth
        joint: whether the arm's own output is the joint path
        anonymous: whether curves have no names
        whole: all parts, else the primary measures alone
    """
    readings = {"native": native_trace(prediction, joint=joint)}
    if whole:
        readings["decoder"] = trace(prediction)
    sums: dict[str, Any] = {}
    for name, found in readings.items():
        said = best_order(prediction, found, batch) if anonymous else (prediction, found)
        sums[name] = measure(*said, batch, parts=NATIVE if whole and name == "native" else PRIMARY)
    if prediction.boxes is not None and prediction.scores is not None:
        sums["boxes"] = jax.vmap(box_counts)(prediction.boxes, prediction.scores, boxes_of(batch.strokes))
    return sums


def box_counts(boxes: Float[Array, "2 4"], scores: Float[Array, " 2"], true: Float[Array, "2 4"]) -> dict[str, Array]:
    """Of one log: how many true boxes have a found one of their own, and how much each pair overlaps.

    Args:
        boxes: found (y0, x0, y1, x1) [px]
        scores: of them, 0 of one that is not there
        true: boxes of the strokes
    """
    there = scores > 0
    iou = jnp.where(there[:, None], box_iou(boxes, true), 0.0)
    hit = iou >= MATCH_IOU
    one_to_one = jnp.maximum(jnp.sum(jnp.diagonal(hit)), jnp.sum(jnp.diagonal(hit[::-1])))
    return {
        "found": one_to_one,
        "both": jnp.all(there).astype(jnp.int32),
        "overlap": jnp.where(jnp.all(there), box_iou(boxes, boxes)[0, 1], 0.0),
        "true_overlap": box_iou(true, true)[0, 1],
    }


def proposal_counts(
    boxes: Float[Array, "batch n 4"], valid: Bool[Array, "batch n"], batch: Batch
) -> Int[Array, " batch"]:
    """How many true boxes of each log have a proposal."""

    def one(boxes: Array, valid: Array, true: Array) -> Array:
        iou = jnp.where(valid[:, None], box_iou(boxes, true), 0.0)
        return jnp.sum(jnp.max(iou, axis=0) >= MATCH_IOU)

    return jax.vmap(one)(boxes, valid, boxes_of(batch.strokes))


def kept(sums: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Of a log's sums what contrasts between arms and cells need, small enough to be stored log by log."""
    by_log = {
        "tolerance": sums["tolerance"]["counts"][:, :, CURVE_PX.index(TOLERANCE_PX)],
        "events": sums["crossings"]["events"],
    }
    if "label" in sums:
        by_log |= {
            "confusion": sums["label"]["confusion"],
            "all_px": sums["centreline"]["all_px"],
            "rows": sums["centreline"]["covered"] + sums["centreline"]["missed"],
        }
    return {name: np.asarray(value) for name, value in by_log.items()}
