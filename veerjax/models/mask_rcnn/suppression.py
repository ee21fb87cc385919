"""Of boxes that overlap, which are kept: non-maximum suppression, its soft form, and none; all of a fixed size."""

import math
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from veerjax.metrics.average_precision import box_iou
from veerjax.models.mask_rcnn.boxes import Boxes

SOFT_SIGMA = 0.5  # of the Gaussian by which soft suppression lowers a score (Bodla et al. 2017)
NONE = -math.inf  # the score of what is not there


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Kept:
    """Boxes by falling score; those behind the last are not there."""

    index: Int[Array, " keep"]  # of the box
    score: Float[Array, " keep"]  # of the box, lowered where suppression is soft; -inf where there is none
    valid: Bool[Array, " keep"]


def suppressed(
    kind: str,
    boxes: Boxes,
    scores: Float[Array, " n"],
    *,
    threshold: float,
    keep: int,
    category: Int[Array, " n"] | None = None,
) -> Kept:
    """What is kept by "nms", "soft" or "off"; boxes of different categories never suppress each other.

    Args:
        kind: of suppression
        boxes: any number
        scores: -inf of those that are not there
        threshold: the IoU above which "nms" drops the box with the lower score
        keep: how many are kept at most
        category: of each box; one by default
    """
    if kind == "off":
        return _listed(*jax.lax.top_k(scores, min(keep, len(scores))), keep=keep)
    order = jnp.argsort(-scores, stable=True)
    boxes, scores = boxes[order], scores[order]
    rivals = box_iou(boxes, boxes)
    if category is not None:
        rivals = jnp.where(category[order][:, None] == category[order][None], rivals, 0.0)
    if kind == "soft":
        kept = soft_nms(rivals, scores, keep=keep)
    else:
        kept = nms(rivals, scores, threshold=threshold, keep=keep)
    return replace(kept, index=order[kept.index])


def nms(iou: Float[Array, "n n"], scores: Float[Array, " n"], *, threshold: float, keep: int) -> Kept:
    """Greedy suppression: one box after another is dropped if one that was kept overlaps it by more than a threshold.

    It is computed for all boxes at once, again and again until nothing changes: a box is judged rightly as soon as
    those before it are, so the result is that of the loop.

    Args:
        iou: of each box with each other
        scores: falling; -inf of those that are not there
        threshold: of IoU
        keep: how many are kept at most
    """
    there = scores > NONE
    above = jnp.triu(iou > threshold, k=1).astype(jnp.float32)

    def judged(kept: Bool[Array, " n"]) -> Bool[Array, " n"]:
        return there & ~(kept.astype(jnp.float32) @ above > 0)

    def changing(state: tuple[Bool[Array, " n"], Bool[Array, " n"]]) -> Bool[Array, ""]:
        return jnp.any(state[0] != state[1])

    kept, _ = jax.lax.while_loop(changing, lambda state: (judged(state[0]), state[0]), (judged(there), there))
    index = jnp.nonzero(kept, size=min(keep, len(scores)), fill_value=len(scores))[0]
    return _listed(jnp.append(scores, NONE)[index], jnp.minimum(index, len(scores) - 1), keep=keep)


def soft_nms(
    iou: Float[Array, "n n"], scores: Float[Array, " n"], *, keep: int, linear_from: float | None = None
) -> Kept:
    """Suppression that drops nothing: each box that is taken lowers those which it overlaps, by `exp(-IoU^2 / sigma)`.

    Args:
        iou: of each box with each other
        scores: -inf of those that are not there, else not below 0
        keep: how many are taken, one after another
        linear_from: the IoU from which a score is lowered by `1 - IoU` instead, and below it not at all

    Reference:
        Bodla, Singh, Chellappa, Davis 2017, by default the Gaussian form.
    """
    gaussian = linear_from is None
    share = jnp.exp(-(iou**2) / SOFT_SIGMA) if gaussian else jnp.where(iou >= linear_from, 1 - iou, 1.0)

    def take(left: Float[Array, " n"], _: None) -> tuple[Array, tuple[Array, Array]]:
        best = jnp.argmax(left)
        # A share of 0 times -inf, of a box that equals one taken, would be NaN.
        lowered = jnp.where(left > NONE, left * share[best], NONE)
        return lowered.at[best].set(NONE), (left[best], best)

    _, (score, index) = jax.lax.scan(take, scores, None, length=min(keep, len(scores)))
    return _listed(score, index, keep=keep)


def _listed(score: Float[Array, " k"], index: Int[Array, " k"], *, keep: int) -> Kept:
    """Filled up to `keep`."""
    more = (0, keep - len(score))
    score, index = jnp.pad(score, more, constant_values=NONE), jnp.pad(index, more)
    return Kept(index=index.astype(jnp.int32), score=score, valid=score > NONE)
