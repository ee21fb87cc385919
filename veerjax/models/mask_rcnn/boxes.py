"""Boxes (y0, x0, y1, x1) [px] with continuous edges: areas, the code of one against another, the image's border.

Reference: Girshick et al. 2014 (the code); torchvision's BoxCoder (its bound on growth).
"""

import math
from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

Boxes = Float[Array, "*n 4"]
GROWTH = math.log(1000 / 16)  # the largest logarithm of a size that is decoded
LEAST_PX = 1e-3  # a side that stands for none, so that its logarithm is finite


def areas(boxes: Boxes) -> Float[Array, "*n"]:
    """Of boxes [px^2]; 0 where a side is not above 0."""
    return jnp.prod(jnp.maximum(boxes[..., 2:] - boxes[..., :2], 0.0), axis=-1)


def encode(boxes: Boxes, anchors: Boxes, *, weights: Sequence[float] = (1.0, 1.0)) -> Float[Array, "*n 4"]:
    """How far the centre of each box lies from its anchor's [sides], and the logarithm of its size over the anchor's.

    Args:
        boxes: one for each anchor
        anchors: or proposals
        weights: of the shift and of the logarithm

    Returns:
        (y, x, height, width), times the weights.
    """
    (centre, size), (origin, unit) = _centred(boxes), _centred(anchors)
    return jnp.concatenate([weights[0] * (centre - origin) / unit, weights[1] * jnp.log(size / unit)], axis=-1)


def decode(code: Float[Array, "*n 4"], anchors: Boxes, *, weights: Sequence[float] = (1.0, 1.0)) -> Boxes:
    """The boxes that a code stands for: the inverse of `encode`, growing by no more than 1000 / 16."""
    origin, unit = _centred(anchors)
    centre = code[..., :2] / weights[0] * unit + origin
    half = jnp.exp(jnp.minimum(code[..., 2:] / weights[1], GROWTH)) * unit / 2
    return jnp.concatenate([centre - half, centre + half], axis=-1)


def clipped(boxes: Boxes, height: int, width: int) -> Boxes:
    """Boxes cut at the borders of an image [px]."""
    border = jnp.array([height, width, height, width], boxes.dtype)
    return jnp.clip(boxes, 0.0, jnp.broadcast_to(border, boxes.shape))


def _centred(boxes: Boxes) -> tuple[Float[Array, "*n 2"], Float[Array, "*n 2"]]:
    """Centres and sizes."""
    size = jnp.maximum(boxes[..., 2:] - boxes[..., :2], LEAST_PX)
    return (boxes[..., :2] + boxes[..., 2:]) / 2, size
