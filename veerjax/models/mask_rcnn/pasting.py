"""Masks between the grid of a box and the pixels of an image, both ways, as two products of matrices each."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from veerjax.models.mask_rcnn.boxes import LEAST_PX, Boxes


def pasted(
    masks: Float[Array, "n rows columns"], boxes: Boxes, height: int, width: int
) -> Float[Array, "n height width"]:
    """Masks of boxes at full resolution, 0 outside.

    A mask has a border of 0 one cell wide, its box grows by as much and is cut to whole px, and the mask is
    interpolated over it.

    Args:
        masks: of each box
        boxes: in the image [px]
        height: of the image [px]
        width: of the image [px]

    Reference:
        torchvision's paste_masks_in_image (Mask R-CNN, He et al. 2017), to the pixel.
    """
    rows, columns = masks.shape[1:]
    vertical = _spread(boxes[:, 0], boxes[:, 2], cells=rows, over=height)
    horizontal = _spread(boxes[:, 1], boxes[:, 3], cells=columns, over=width)
    return jnp.einsum("nrs,nhr,nws->nhw", masks, vertical, horizontal, optimize=[(0, 1), (0, 1)])


def cropped(
    masks: Float[Array, "n height width"], boxes: Boxes, *, size: tuple[int, int]
) -> Float[Array, "n rows columns"]:
    """The share of each cell of each box that its mask covers: what a mask head should answer.

    torchvision's project_masks_on_boxes estimates it from some points of the cell; this is the area itself.

    Args:
        masks: at full resolution, 0 to 1
        boxes: one for each [px]
        size: of the grid [cells]
    """
    rows, columns = (
        _overlap(boxes[:, axis], boxes[:, axis + 2], cells=size[axis], over=masks.shape[axis + 1]) for axis in (0, 1)
    )
    return jnp.einsum("nhw,nrh,nsw->nrs", masks, rows, columns, optimize=[(0, 1), (0, 1)])


def _spread(
    start: Float[Array, " n"], end: Float[Array, " n"], *, cells: int, over: int
) -> Float[Array, "n over cells"]:
    """What each cell adds to each px along one axis."""
    half = (end - start) / 2 * ((cells + 2) / cells)
    first, last = (jnp.trunc((start + end) / 2 + sign * half)[:, None] for sign in (-1, 1))
    px, size = jnp.arange(over)[None], jnp.maximum(last - first + 1, 1)
    at = jnp.clip((px - first + 0.5) * (cells + 2) / size - 0.5, 0, cells + 1) - 1  # [cells], the border being -1
    weights = jnp.maximum(1 - jnp.abs(at[..., None] - jnp.arange(cells)[None, None]), 0)
    return weights * ((px >= first) & (px < first + size))[..., None]


def _overlap(
    start: Float[Array, " n"], end: Float[Array, " n"], *, cells: int, over: int
) -> Float[Array, "n cells over"]:
    """The share of each cell that each px covers along one axis."""
    side = jnp.maximum(end - start, LEAST_PX)[:, None] / cells
    low = (start[:, None] + side * jnp.arange(cells)[None])[..., None]
    high, px = low + side[..., None], jnp.arange(over)[None, None]
    return jnp.maximum(jnp.minimum(high, px + 1) - jnp.maximum(low, px), 0) / side[..., None]
