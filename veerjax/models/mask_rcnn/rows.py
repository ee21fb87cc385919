"""In place of a mask, a coordinate for each row of a box: where the curve is, how far its ink reaches, if it is there.

The maps of `models.rowwise`, within boxes: what it reads of an image's rows and columns is read of a grid's. Not
published; it is what a box network can do on a curve whose grid of a mask is too coarse for it. A row of the image lies
between two rows of the grid, and what they say is interpolated.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from veerjax.models.mask_rcnn.boxes import LEAST_PX, Boxes
from veerjax.models.rowwise import OfRows, Rows, gaussian, ink_around, loss_of_rows, rows_of
from veerjax.types import Batch

ABSENT = -15.0  # log-odds of presence above and below a box


def rows_of_maps(maps: Float[Array, "boxes kinds rows columns"]) -> Rows:
    """The rows of each box, lengths in columns of the grid."""
    return rows_of(jnp.moveaxis(maps.astype(jnp.float32), 1, -1))


def rows_loss(
    maps: Float[Array, "batch n kinds rows columns"],
    batch: Batch,
    boxes: Float[Array, "batch n 4"],
    truth: Int[Array, "batch n"],
    counted: Bool[Array, "batch n"],
) -> Float[Array, ""]:
    """`rowwise_loss` within boxes, of which each answers for one curve; all lengths are in columns of the grid.

    Args:
        maps: of the boxes
        batch: with strokes, centreline and presence
        boxes: in the images [px]
        truth: the curve that each is of
        counted: which boxes count
    """
    cells, columns = maps.shape[3:]
    x = jnp.where(batch.presence, batch.centreline, 0.5)
    reach = ink_around(x, batch.strokes)
    row = jnp.floor(row_centres(boxes, cells)).astype(jnp.int32)
    row = jnp.clip(row, 0, batch.presence.shape[-1] - 1)

    def of_box(values: Float[Array, "batch 2 height"]) -> Float[Array, "boxes 1 rows"]:
        of_curve = jnp.take_along_axis(values, truth[..., None], axis=1)
        return jnp.take_along_axis(of_curve, row, axis=2).reshape(-1, 1, cells)

    left, width = boxes[..., 1].reshape(-1, 1, 1), column_px(boxes, columns).reshape(-1, 1, 1)
    x, first, last = ((of_box(edge) - left) / width for edge in (x, *reach))
    there = of_box(batch.presence) & (x >= 0) & (x < columns)
    x = jnp.where(there, x, 0.5)
    some = jnp.broadcast_to(counted.reshape(-1, 1, 1), there.shape)
    rows = rows_of_maps(jnp.where(counted[..., None, None, None], maps, 0.0).reshape(-1, *maps.shape[2:]))
    return loss_of_rows(rows, (x, x - first, last - x), there, there=there & some, counted=some)


def rows_in_image(
    maps: Float[Array, "batch 2 kinds rows columns"], boxes: Float[Array, "batch 2 4"], *, height: int, width: int
) -> Rows:
    """What the boxes of both curves say of an image's rows [px].

    The distribution over columns is that of the target, around x: the grid's own is coarser than the image.

    Args:
        maps: of the boxes
        boxes: in the images [px]
        height: of the images [px]
        width: of the images [px]
    """
    cells, columns = maps.shape[3:]
    rows, found = rows_of_maps(maps.reshape(-1, *maps.shape[2:])), boxes.reshape(-1, 4)
    at = jnp.arange(height) + 0.5
    near = jax.vmap(jnp.interp, in_axes=(None, 0, 0))
    centre = row_centres(found, cells)
    px = column_px(found, columns)[:, None]

    def read(values: OfRows) -> Float[Array, "batch 2 height"]:
        return near(at, centre, values[:, 0]).reshape(*boxes.shape[:2], height)

    x = read(rows.x * px[:, None] + found[:, 1, None, None])
    inside = (at[None, None] >= boxes[..., :1]) & (at[None, None] < boxes[..., 2:3])
    return Rows(
        log_prob=nn.log_softmax(gaussian(x, width=width), axis=-1),
        x=x,
        presence=jnp.where(inside, read(rows.presence), ABSENT),
        left=read(rows.left * px[:, None]),
        right=read(rows.right * px[:, None]),
    )


def row_centres(boxes: Boxes, cells: int) -> Float[Array, "*n rows"]:
    """Of the grid's rows, in the image [px]."""
    share = ((jnp.arange(cells) + 0.5) / cells).reshape(*[1] * (boxes.ndim - 1), cells)
    return boxes[..., :1] + jnp.maximum(boxes[..., 2:3] - boxes[..., :1], LEAST_PX) * share


def column_px(boxes: Boxes, columns: int) -> Float[Array, "*n"]:
    """How wide a column of the grid is."""
    return jnp.maximum(boxes[..., 3] - boxes[..., 1], LEAST_PX) / columns
