"""Panoptic quality of background and curves, on masks that may overlap.

The background, which is what neither curve owns, is stuff; each curve is a thing whose class is its name, so there is
one segment of a class at most, and it can only match its namesake.

Reference:
    Kirillov, He, Girshick, Rother and Dollar 2019, Panoptic segmentation, equation 1. A panoptic image cannot hold
    overlap; we take the same counts from overlapping masks. The oracle, panoptica, matches at an IoU of just .5 too,
    and calls the segmentation quality 0 where nothing matched.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Num

from veerjax.metrics.ratio import quotient

MATCH_IOU = 0.5


def panoptic_sums(
    strokes_true: Bool[Array, "2 height width"], strokes_pred: Bool[Array, "2 height width"]
) -> dict[str, Num[Array, " 3"]]:
    """The segments of a log as sums that add over logs: background, curve 1, curve 2.

    Args:
        strokes_true: the ink each true curve owns
        strokes_pred: the ink each predicted curve owns

    Returns:
        By class, in int32 `matched`, `true` and `predicted` segments, in float32 the `iou` of the matched.
    """
    true, predicted = (
        jnp.concatenate([~jnp.any(strokes, axis=0, keepdims=True), strokes]) for strokes in (strokes_true, strokes_pred)
    )
    both = jnp.sum(true & predicted, axis=(1, 2), dtype=jnp.int32).astype(jnp.float32)
    either = jnp.sum(true | predicted, axis=(1, 2), dtype=jnp.int32).astype(jnp.float32)
    share = both / jnp.maximum(either, 1.0)
    matched = share > MATCH_IOU
    return {
        "matched": matched.astype(jnp.int32),
        "true": jnp.any(true, axis=(1, 2)).astype(jnp.int32),
        "predicted": jnp.any(predicted, axis=(1, 2)).astype(jnp.int32),
        "iou": jnp.where(matched, share, 0.0),
    }


def panoptic(sums: Mapping[str, np.ndarray]) -> dict[str, Float[np.ndarray, "*n 3"]]:
    """Panoptic quality `pq`, and its factors, segmentation quality `sq` and recognition quality `rq`.

    Args:
        sums: of `panoptic_sums`, with any leading axes

    Returns:
        Shares from 0 to 1 by class; NaN for a class absent from truth and prediction, `sq` where nothing matched.

    Example:
        >>> {k: v.item() for k, v in panoptic({"matched": 1, "true": 2, "predicted": 2, "iou": 0.8}).items()}
        {'pq': 0.4, 'sq': 0.8, 'rq': 0.5}
    """
    # TP + FP / 2 + FN / 2 is half of the true and the predicted ones.
    segments = (np.asarray(sums["true"], np.float64) + np.asarray(sums["predicted"])) / 2
    return {
        "pq": quotient(sums["iou"], segments),
        "sq": quotient(sums["iou"], sums["matched"]),
        "rq": quotient(sums["matched"], segments),
    }
