"""From what the anchors of an image say to boxes with categories, and what a training step asks of them; one image.

Thresholds are those of the papers and of torchvision.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from veerjax.labels import NUM_CURVES
from veerjax.metrics.average_precision import box_iou
from veerjax.models.mask_rcnn.boxes import Boxes, clipped, decode, encode
from veerjax.models.mask_rcnn.matching import match, sample
from veerjax.models.mask_rcnn.suppression import NONE, Kept, suppressed

CANDIDATES = 2  # of each level, for each proposal that is kept
ANCHOR_IOU = (0.3, 0.7)  # below it an anchor is background, from it on it answers for an object
ANCHOR_SHARE = 0.5  # of the drawn anchors, those that answer for an object at most
PROPOSAL_IOU = 0.7  # above which the less likely of two proposals is dropped
REGION_IOU = (0.5, 0.5)
REGION_SHARE = 0.25
WEIGHTS = (10.0, 5.0)  # of the code of the box head
LEAST_PX = 1e-3  # a side of a proposal
LEAST_DETECTED_PX = 1e-2


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Truth:
    """The objects of an image: at most one of each curve."""

    boxes: Float[Array, "2 4"]  # (y0, x0, y1, x1) [px]
    present: Bool[Array, " 2"]
    category: Int[Array, " 2"]  # from 1; 0 is the background


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Proposals:
    """Where objects may be."""

    boxes: Float[Array, "proposals 4"]
    valid: Bool[Array, " proposals"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Detections:
    """What the box head says of every proposal and category, and what suppression keeps of it."""

    boxes: Float[Array, "candidates 4"]
    score: Float[Array, " candidates"]  # -inf where there is none
    category: Int[Array, " candidates"]  # from 1
    kept: Kept


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What the heads learn from: those with an object first."""

    boxes: Float[Array, "samples 4"]
    truth: Int[Array, " samples"]  # position of the object
    category: Int[Array, " samples"]  # 0 for background
    counted: Bool[Array, " samples"]
    target: Float[Array, "samples 4"]  # the code of the object's box


def propose(
    objectness: Sequence[Float[Array, " anchors"]],
    code: Sequence[Float[Array, "anchors 4"]],
    anchors: Sequence[Boxes],
    *,
    size: tuple[int, int],
    keep: int,
) -> Proposals:
    """The likeliest boxes of all levels, less those that a likelier one of their level covers.

    Args:
        objectness: log-odds, by level
        code: by level
        anchors: by level
        size: of the image [px]
        keep: how many at most
    """
    boxes, scores, level = [], [], []
    for number, (odds, shift, base) in enumerate(zip(objectness, code, anchors, strict=True)):
        top, index = jax.lax.top_k(odds, min(CANDIDATES * keep, len(odds)))
        boxes.append(clipped(decode(shift[index], base[index]), *size))
        scores.append(jnp.where(has_sides(boxes[-1], LEAST_PX), jax.nn.sigmoid(top), NONE))
        level.append(jnp.full(len(top), number))
    every = jnp.concatenate(boxes)
    kept = suppressed(
        "nms", every, jnp.concatenate(scores), threshold=PROPOSAL_IOU, keep=keep, category=jnp.concatenate(level)
    )
    return Proposals(boxes=every[kept.index], valid=kept.valid)


def has_sides(boxes: Boxes, least_px: float) -> Bool[Array, "*n"]:
    """Whether both sides are that long."""
    return jnp.all(boxes[..., 2:] - boxes[..., :2] >= least_px, axis=-1)


def detect(
    scores: Float[Array, "proposals classes"],
    code: Float[Array, "proposals classes 4"],
    proposals: Proposals,
    *,
    size: tuple[int, int],
    suppression: str,
    threshold: float,
    least_score: float,
    keep: int,
) -> Detections:
    """What is found of each category.

    Args:
        scores: logits, the background's first
        code: of each class's box
        proposals: that they are of
        size: of the image [px]
        suppression: "nms", "soft" or "off"
        threshold: of IoU
        least_score: that a detection must exceed
        keep: how many at most
    """
    categories = scores.shape[-1] - 1
    boxes = clipped(decode(code[:, 1:], proposals.boxes[:, None], weights=WEIGHTS), *size).reshape(-1, 4)
    score = jax.nn.softmax(scores)[:, 1:].reshape(-1)
    there = jnp.repeat(proposals.valid, categories) & (score > least_score) & has_sides(boxes, LEAST_DETECTED_PX)
    score = jnp.where(there, score, NONE)
    category = jnp.tile(jnp.arange(1, categories + 1), len(scores))
    kept = suppressed(suppression, boxes, score, threshold=threshold, keep=keep, category=category)
    return Detections(boxes=boxes, score=score, category=category, kept=kept)


def chosen(found: Detections, *, categories: int) -> tuple[Float[Array, "2 4"], Float[Array, " 2"]]:
    """The box and score of each curve: the likeliest of its category; of one category, the two likeliest.

    Of those two, the one whose middle lies further left is curve 1, a choice that nobody taught it. A curve that was
    not found has a score of 0 and a box without area.
    """
    kept, category = found.kept, found.category[found.kept.index]
    if categories == 1:
        boxes, score = found.boxes[kept.index[:NUM_CURVES]], kept.score[:NUM_CURVES]
        middle = jnp.where(score > NONE, boxes[:, 1] + boxes[:, 3], jnp.inf)
        order = jnp.argsort(middle, stable=True)
        boxes, score = boxes[order], score[order]
    else:
        of_curve = jnp.arange(1, NUM_CURVES + 1)[:, None] == category[None]
        ranked = jnp.where(of_curve & kept.valid[None], kept.score[None], NONE)
        boxes, score = found.boxes[kept.index[jnp.argmax(ranked, axis=1)]], jnp.max(ranked, axis=1)
    there = score > NONE
    return jnp.where(there[:, None], boxes, 0.0), jnp.where(there, score, 0.0)


def anchor_targets(
    key: PRNGKeyArray, truth: Truth, anchors: Boxes, *, samples: int
) -> tuple[Float[Array, "anchors 4"], Bool[Array, " anchors"], Bool[Array, " anchors"]]:
    """The code that each anchor should say, and which are drawn with an object and without."""
    matched = match(
        box_iou(truth.boxes, anchors), truth.present, low=ANCHOR_IOU[0], high=ANCHOR_IOU[1], low_quality=True
    )
    positive, negative = sample(key, matched, size=samples, positive_share=ANCHOR_SHARE)
    return encode(truth.boxes[jnp.maximum(matched, 0)], anchors), positive, negative


def region_targets(key: PRNGKeyArray, truth: Truth, proposals: Proposals, *, samples: int) -> Drawn:
    """Proposals, and the true boxes among them, that the heads learn from."""
    boxes = jnp.concatenate([proposals.boxes, truth.boxes])
    valid = jnp.concatenate([proposals.valid, truth.present])
    matched = match(box_iou(truth.boxes, boxes), truth.present, low=REGION_IOU[0], high=REGION_IOU[1])
    positive, negative = sample(key, matched, size=samples, positive_share=REGION_SHARE, valid=valid)
    order = jnp.argsort(jnp.where(positive, 0, jnp.where(negative, 1, 2)), stable=True)[:samples]
    object_of = jnp.maximum(matched[order], 0)
    return Drawn(
        boxes=boxes[order],
        truth=object_of,
        category=jnp.where(positive[order], truth.category[object_of], 0),
        counted=(positive | negative)[order],
        target=encode(truth.boxes[object_of], boxes[order], weights=WEIGHTS),
    )
