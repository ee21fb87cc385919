"""Mask R-CNN: proposals, the box and the category of each, and a mask within the box.

Reference: He, Gkioxari, Dollar, Girshick 2017, on the shared stem and residual blocks; its modules say what differs.
There are at most two objects, the curves; each has a category of its own, or `model.rcnn.categories=1` gives them one.
`models.faster_rcnn` is the same without masks.

Regions are cut by half a place, as in Detectron2, not as in torchvision, and anchors stand on the centres of places.
The truth of a mask is the share of each cell that the stroke covers. Padding is part of the image, so a window's answer
is not the strip's.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from veerjax.config import LossConfig, ModelConfig, RcnnConfig, require
from veerjax.labels import NUM_CURVES
from veerjax.metrics.average_precision import box_iou, boxes_of
from veerjax.models.blocks import STEMS
from veerjax.models.cost import Cost, forward_cost
from veerjax.models.mask_rcnn.anchors import anchors
from veerjax.models.mask_rcnn.boxes import clipped
from veerjax.models.mask_rcnn.losses import box_loss, mask_loss, proposal_loss
from veerjax.models.mask_rcnn.network import BOX_GRID, Levels, Network
from veerjax.models.mask_rcnn.pasting import cropped, pasted
from veerjax.models.mask_rcnn.regions import (
    Detections,
    Proposals,
    Truth,
    anchor_targets,
    chosen,
    detect,
    propose,
    region_targets,
)
from veerjax.models.mask_rcnn.roi_align import pyramid_align
from veerjax.models.mask_rcnn.rows import rows_in_image, rows_loss
from veerjax.models.model import Model, Variables, prediction_from_masks
from veerjax.models.per_pixel import check_labels_no_pixels, check_takes
from veerjax.models.rowwise import KINDS, prediction_of
from veerjax.types import Batch, Prediction, with_channels

NORMS = ("batch", "group", "pixel")
FLOOR = 1e-6  # keeps the odds of a mask finite


class Detector:
    """The seam's functions, and what they pass on the way, of one config.

    Args:
        config: of the model
        masks: whether boxes have masks; without, a curve's mask is its box
    """

    def __init__(self, config: ModelConfig, *, masks: bool) -> None:
        self.config, self.rcnn = config, config.rcnn
        rows, columns = config.rcnn.mask_grid
        self.net = Network(
            features=config.features,
            stem=config.stem,
            norm=config.norm,
            dtype=config.dtype,
            anchors=len(self.rcnn.anchor_ratios) * len(self.rcnn.anchor_scales),
            categories=self.rcnn.categories,
            mask_grid=(rows, columns) if masks else None,
            kinds=KINDS if self.rcnn.head == "rows" else 1,
            regions=self.rcnn.proposals,
            remat=config.remat,
        )

    def init(self, key: PRNGKeyArray) -> Variables:
        side = self.net.stride
        return dict(self.net.init(key, jnp.zeros((1, side, side, self.config.channels)), train=False))

    def cost(self, image: tuple[int, int, int, int]) -> Cost:
        return forward_cost(self.net, image, train=False)

    def training_cost(self, image: tuple[int, int, int, int]) -> Cost:
        """Of a forward pass that learns, in which the heads answer for what is drawn."""
        net = self.net.clone(regions=self.rcnn.samples, outlines=self.learned_masks)
        return forward_cost(net, image, train=False)

    @property
    def learned_masks(self) -> int:
        """Regions an image that the mask head learns from."""
        return max(self.rcnn.samples // 4, 1)

    def loss(self, variables: Variables, batch: Batch, key: PRNGKeyArray) -> tuple[Float[Array, ""], Variables]:
        """The sum of the losses of proposals, of boxes and of masks, each over all images."""
        image, samples = with_channels(batch.image, self.config.channels), self.rcnn.samples
        levels, changed = self.net.apply(variables, image, train=True, mutable=["batch_stats"], method="read")
        truth = true_objects(batch, categories=self.rcnn.categories)
        base = self.anchors((image.shape[1], image.shape[2]))
        keys = jax.random.split(key, (2, batch.size))
        targets = jax.vmap(partial(anchor_targets, anchors=jnp.concatenate(base), samples=samples))
        code, positive, negative = targets(keys[0], truth)
        valid = batch.valid[:, None]
        total = proposal_loss(
            jnp.concatenate(levels.objectness, axis=1),
            jnp.concatenate(levels.code, axis=1),
            code,
            positive & valid,
            negative & valid,
        )
        drawn = jax.vmap(partial(region_targets, samples=samples))(
            keys[1], truth, jax.lax.stop_gradient(self.propose(levels, image))
        )
        counted = drawn.counted & valid
        scores, codes = self.classify(variables, levels, drawn.boxes)
        own = of_category(codes, drawn.category, first=0)
        total += box_loss(scores, own, drawn.target, drawn.category, counted)
        if self.net.mask_grid is not None:
            # Those with an object come first, and there are no more of them.
            some = jax.tree.map(lambda leaf: leaf[:, : self.learned_masks], replace(drawn, counted=counted))
            some = replace(some, counted=some.counted & (some.category > 0))
            maps = self.outline(variables, levels, some.boxes, some.category)
            if self.rcnn.head == "rows":
                total += rows_loss(maps, batch, some.boxes, some.truth, some.counted)
            else:
                strokes = jnp.take_along_axis(batch.strokes, some.truth[..., None, None], axis=1).astype(jnp.float32)
                target = jax.vmap(partial(cropped, size=self.net.mask_grid))(strokes, some.boxes)
                total += mask_loss(maps[:, :, 0], target, some.counted)
        return total, dict(changed)

    def predict(self, variables: Variables, batch: Batch) -> Prediction:
        """The best of each category, its mask pasted into the image; curves may overlap.

        With `model.rcnn.oracle` what it names is taken from the batch's strokes.
        """
        image, rcnn = with_channels(batch.image, self.config.channels), self.rcnn
        levels = self.read(variables, image)
        found = self.detect(variables, levels, image)
        boxes, score = jax.vmap(partial(chosen, categories=rcnn.categories))(found)
        if rcnn.oracle in ("boxes", "both"):
            boxes, score = boxes_of(batch.strokes), jnp.any(batch.strokes, axis=(2, 3)).astype(jnp.float32)
        height, width = image.shape[1:3]
        category = jnp.broadcast_to(jnp.minimum(jnp.arange(1, NUM_CURVES + 1), rcnn.categories)[None], score.shape)
        if self.net.mask_grid is not None and rcnn.head == "rows":
            maps = self.outline(variables, levels, boxes, category)
            said = prediction_of(rows_in_image(maps, boxes, height=height, width=width))
            return replace(said, label=None, boxes=boxes, scores=score)
        if self.net.mask_grid is None:
            inside = jnp.ones((*score.shape, 1, 1))
        elif rcnn.oracle in ("masks", "both"):
            strokes = named_by_place(batch.strokes, boxes) if rcnn.categories == 1 else batch.strokes
            inside = jax.vmap(partial(cropped, size=self.net.mask_grid))(strokes.astype(jnp.float32), boxes)
        else:
            inside = jax.nn.sigmoid(self.outline(variables, levels, boxes, category)[:, :, 0].astype(jnp.float32))
        paste = filled if self.net.mask_grid is None else pasted
        masks = jax.vmap(partial(paste, height=height, width=width))(inside, boxes) * (score > 0)[..., None, None]
        masks = shifted(masks, threshold=rcnn.mask_threshold)
        return replace(prediction_from_masks(masks), boxes=boxes, scores=score)

    def look(self, variables: Variables, batch: Batch) -> tuple[Proposals, Detections]:
        """The proposals of images, and all that was detected in them with what suppression kept."""
        image = with_channels(batch.image, self.config.channels)
        levels = self.read(variables, image)
        return self.propose(levels, image), self.detect(variables, levels, image)

    def read(self, variables: Variables, image: Array) -> Levels:
        return self._apply(variables, image, train=False, method="read")

    def anchors(self, size: tuple[int, int]) -> list[Float[Array, "anchors 4"]]:
        """By level, of an image of that size [px]."""
        rcnn, strides = self.rcnn, (*self.net.strides, 2 * self.net.stride)
        whole = [-(-side // self.net.stride) * self.net.stride for side in size]
        shapes = [(-(-whole[0] // stride), -(-whole[1] // stride)) for stride in strides]
        by_level = [
            anchors(shape, stride=stride, scales=[s * stride for s in rcnn.anchor_scales], ratios=rcnn.anchor_ratios)
            for shape, stride in zip(shapes, strides, strict=True)
        ]
        return [clipped(boxes, *size) for boxes in by_level] if rcnn.clip_anchors else by_level

    def propose(self, levels: Levels, image: Array) -> Proposals:
        """Of each image."""
        size = image.shape[1], image.shape[2]
        of_image = partial(propose, anchors=self.anchors(size), size=size, keep=self.rcnn.proposals)
        return jax.vmap(of_image)(levels.objectness, levels.code)

    def detect(self, variables: Variables, levels: Levels, image: Array) -> Detections:
        """Of each image."""
        rcnn, proposals = self.rcnn, self.propose(levels, image)
        scores, code = self.classify(variables, levels, proposals.boxes)
        of_image = partial(
            detect,
            size=(image.shape[1], image.shape[2]),
            suppression=rcnn.suppression,
            threshold=rcnn.suppression_iou,
            least_score=rcnn.least_score,
            keep=rcnn.detections,
        )
        return jax.vmap(of_image)(scores, code, proposals)

    def classify(self, variables: Variables, levels: Levels, boxes: Array) -> tuple[Array, Array]:
        """Logits and codes of the boxes of each image."""
        regions = self._cut(levels, boxes, (BOX_GRID, BOX_GRID))
        scores, code = self._apply(variables, regions, method="classify")
        return scores.reshape(*boxes.shape[:2], -1), code.reshape(*boxes.shape[:2], -1, 4)

    def outline(
        self, variables: Variables, levels: Levels, boxes: Array, category: Array
    ) -> Float[Array, "batch n kinds rows columns"]:
        """The maps of the boxes of each image, each of its category: of a mask the logits, or those of rows."""
        assert self.net.mask_grid is not None
        rows, columns = self.net.mask_grid
        maps = self._apply(variables, self._cut(levels, boxes, (rows // 2, columns // 2)), method="outline")
        maps = jnp.moveaxis(maps, -1, 1).reshape(*boxes.shape[:2], -1, self.net.kinds, rows, columns)
        return of_category(maps, category, first=1)

    def _cut(self, levels: Levels, boxes: Array, size: tuple[int, int]) -> Array:
        """Regions of all images one after another."""
        cut = partial(pyramid_align, strides=self.net.strides, size=size)
        regions = jax.vmap(cut)(levels.features, boxes)
        return regions.reshape(-1, *regions.shape[2:])

    def _apply(self, variables: Variables, *given: Array, **how: Any) -> Any:
        return self.net.apply(variables, *given, **how)


def true_objects(batch: Batch, *, categories: int) -> Truth:
    """The curves as objects, in boxes that fit their strokes; one without ink is not there."""
    present = jnp.any(batch.strokes, axis=(2, 3)) & batch.valid[:, None]
    category = jnp.minimum(jnp.arange(1, NUM_CURVES + 1), categories)
    return Truth(
        boxes=boxes_of(batch.strokes),
        present=present,
        category=jnp.broadcast_to(category[None], present.shape),
    )


def named_by_place(
    strokes: Bool[Array, "batch 2 height width"], boxes: Float[Array, "batch 2 4"]
) -> Bool[Array, "batch 2 height width"]:
    """The true strokes in the order of boxes that have no names: each pair so that their boxes overlap most."""
    iou = jax.vmap(box_iou)(boxes, boxes_of(strokes))
    exchanged = iou[:, 0, 1] + iou[:, 1, 0] > iou[:, 0, 0] + iou[:, 1, 1]
    return jnp.where(exchanged[:, None, None, None], strokes[:, ::-1], strokes)


def of_category(values: Float[Array, "batch n k *m"], category: Array, *, first: int) -> Float[Array, "batch n *m"]:
    """What is said of the category of each, the categories being numbered from `first`; of none, of the first."""
    at = jnp.maximum(category - first, 0).reshape(*category.shape, *[1] * (values.ndim - 2))
    return jnp.take_along_axis(values, at, axis=2)[:, :, 0]


def filled(inside: Float[Array, "n 1 1"], boxes: Float[Array, "n 4"], height: int, width: int) -> Array:
    """Boxes as masks: the pixels whose centres lie within."""
    row, column = jnp.arange(height)[None] + 0.5, jnp.arange(width)[None] + 0.5
    rows = (row >= boxes[:, :1]) & (row < boxes[:, 2:3])
    columns = (column >= boxes[:, 1:2]) & (column < boxes[:, 3:])
    return inside * (rows[:, :, None] & columns[:, None])


def shifted(masks: Float[Array, "*n"], *, threshold: float) -> Float[Array, "*n"]:
    """Probabilities whose odds are divided by those of a threshold, so that it lies at one half."""
    if threshold == 0.5:
        return masks
    odds = masks / jnp.maximum(1 - masks, FLOOR) * ((1 - threshold) / threshold)
    return odds / (1 + odds)


def detector_of(config: ModelConfig, loss: LossConfig, *, masks: bool) -> Detector:
    """What the seam is made of.

    Raises:
        InputError: what it does not have, or a key that it does not read.
    """
    check_takes(config, head=("sigmoid",), stem=tuple(STEMS), norm=NORMS, rcnn=(config.rcnn,))
    require(
        len(config.features) >= 3,
        f"model.features has {len(config.features)} widths; {config.name} needs 3 or more: the pyramid reads all but "
        "the first.",
    )
    check_labels_no_pixels(config, loss)
    require(not config.mirror, f"model.mirror is true, and {config.name} has no mean of two readings; write false.")
    for key in () if masks else ("head", "mask_grid", "mask_threshold"):
        given, takes = getattr(config.rcnn, key), getattr(RcnnConfig(), key)
        require(given == takes, f"model.rcnn.{key} is {given!r}, and {config.name} has no masks; write {takes!r}.")
    return Detector(config, masks=masks)


def model_of(detector: Detector) -> Model:
    """The seam."""
    return Model(
        init=detector.init,
        loss=detector.loss,
        predict=detector.predict,
        cost=detector.cost,
        training_cost=detector.training_cost,
        stride=detector.net.stride,
        least_px=detector.net.stride,
    )


def build(config: ModelConfig, loss: LossConfig) -> Model:
    """A Mask R-CNN behind the seam of `models.model`.

    Raises:
        InputError: what it does not have, or a key that it does not read.
    """
    return model_of(detector_of(config, loss, masks=True))
