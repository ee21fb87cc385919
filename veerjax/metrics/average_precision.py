"""Average precision as COCO defines it: detections ranked by score over all images, IoU thresholds .5 to .95.

On thin curves it measures the pen, not the reading: a perfect detector half a pixel off scores next to nothing at a
stroke of 1 px. It stands here for comparison with region-proposal work.

Reference:
    Lin et al. 2014, Microsoft COCO, and pycocotools: greedy matching in order of score, precision made monotone, 101
    points of recall. Areas are not binned, and all detections count: no image may have more than COCO's 100.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
RECALLS = np.linspace(0, 1, 101)


def mask_iou(
    detected: Bool[Array, "detections height width"], true: Bool[Array, "truths height width"]
) -> Float[Array, "detections truths"]:
    """The IoU of each detected mask with each true one; 0 where both are empty.

    Args:
        detected: masks
        true: masks
    """
    both = jnp.sum(detected[:, None] & true[None], axis=(2, 3), dtype=jnp.int32)
    either = jnp.sum(detected[:, None] | true[None], axis=(2, 3), dtype=jnp.int32)
    return both.astype(jnp.float32) / jnp.maximum(either, 1).astype(jnp.float32)


def boxes_of(masks: Bool[Array, "*masks height width"]) -> Float[Array, "*masks 4"]:
    """The tight box of each mask, (y0, x0, y1, x1) [px]; all 0 for an empty mask.

    Args:
        masks: any number

    Example:
        >>> boxes_of(jnp.zeros((4, 5), bool).at[1, 2].set(True)).tolist()
        [1.0, 2.0, 2.0, 3.0]
    """
    ends = []
    for axis in (-1, -2):
        inside = jnp.any(masks, axis=axis)
        size = inside.shape[-1]
        ends.append((jnp.argmax(inside, axis=-1), size - jnp.argmax(inside[..., ::-1], axis=-1)))
    (y0, y1), (x0, x1) = ends
    box = jnp.stack([y0, x0, y1, x1], axis=-1).astype(jnp.float32)
    return jnp.where(jnp.any(masks, axis=(-2, -1))[..., None], box, 0.0)


def box_iou(
    detected: Float[Array, "detections 4"], true: Float[Array, "truths 4"]
) -> Float[Array, "detections truths"]:
    """The IoU of each detected box with each true one; 0 where both are empty.

    Args:
        detected: (y0, x0, y1, x1) [px]
        true: (y0, x0, y1, x1) [px]
    """
    a, b = detected[:, None], true[None]
    overlap = jnp.maximum(jnp.minimum(a[..., 2:], b[..., 2:]) - jnp.maximum(a[..., :2], b[..., :2]), 0.0)
    both = jnp.prod(overlap, axis=-1)
    area = [jnp.prod(jnp.maximum(box[..., 2:] - box[..., :2], 0.0), axis=-1) for box in (a, b)]
    either = area[0] + area[1] - both
    return jnp.where(either > 0, both / jnp.where(either > 0, either, 1.0), 0.0)


def average_precision(
    ious: Sequence[Float[np.ndarray, "detections truths"]],
    scores: Sequence[Float[np.ndarray, " detections"]],
    *,
    thresholds: Sequence[float] = THRESHOLDS,
) -> Float[np.ndarray, " thresholds"]:
    """The average precision of one category at each threshold, over all images together.

    Args:
        ious: of each image's detections with its truths
        scores: of each image's detections
        thresholds: the least IoU of a match

    Returns:
        Shares from 0 to 1; NaN where no image has a truth.
    """
    truths = sum(iou.shape[1] for iou in ious)
    if truths == 0:
        return np.full(len(thresholds), np.nan)
    order = np.argsort(-np.concatenate([np.asarray(s, np.float64) for s in scores] or [[]]), kind="stable")
    return np.array([_one_threshold(ious, scores, order, truths, t) for t in thresholds])


def _one_threshold(
    ious: Sequence[np.ndarray], scores: Sequence[np.ndarray], order: Int[np.ndarray, " all"], truths: int, least: float
) -> float:
    if len(order) == 0:
        return 0.0
    matched = np.concatenate([_matched(iou, score, least=least) for iou, score in zip(ious, scores, strict=True)])
    right = np.cumsum(matched[order])
    recall, precision = right / truths, right / np.arange(1, len(order) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(recall, RECALLS, side="left")
    return float(np.append(precision, 0.0)[np.minimum(place, len(precision))].mean())


def _matched(
    iou: Float[np.ndarray, "detections truths"], score: Float[np.ndarray, " detections"], *, least: float
) -> Bool[np.ndarray, " detections"]:
    """Which detections of an image take a truth: the surest first, each the free truth that it overlaps most."""
    free, found = np.ones(iou.shape[1], bool), np.zeros(iou.shape[0], bool)
    for detection in np.argsort(-np.asarray(score, np.float64), kind="stable"):
        # Both in float32, as `mask_iou` is: 13/20 in single precision is below .65 in double.
        candidates = np.where(free & (iou[detection].astype(np.float32) >= np.float32(least)), iou[detection], -1.0)
        if candidates.size and candidates.max() >= 0:
            # Of equal overlaps pycocotools takes the last.
            best = len(candidates) - 1 - int(np.argmax(candidates[::-1]))
            free[best], found[detection] = False, True
    return found
