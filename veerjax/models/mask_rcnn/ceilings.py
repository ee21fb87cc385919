"""What a mask within a box could reach at best: the oracle of its grid, to which a network is held."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from veerjax.metrics.ceilings import nearest_scores
from veerjax.models.mask_rcnn.boxes import Boxes
from veerjax.models.mask_rcnn.pasting import cropped, pasted

SHARPNESS = 20.0  # of the step at one half, which descent needs smooth


@partial(jax.jit, static_argnames=("size", "threshold"))
def taught_masks(
    strokes: Bool[Array, "n height width"], boxes: Boxes, *, size: tuple[int, int], threshold: float = 0.5
) -> Bool[Array, "n height width"]:
    """The masks of a head that answers exactly what it is taught: the share of each cell that the stroke covers.

    Args:
        strokes: true ink
        boxes: one for each [px]
        size: of the grid [cells] rows and columns
        threshold: above which pasted shares are ink
    """
    shares = cropped(strokes.astype(jnp.float32), boxes, size=size)
    return pasted(shares, boxes, *strokes.shape[1:]) > threshold


@partial(jax.jit, static_argnames="size")
def best_masks(
    strokes: Bool[Array, "n height width"], boxes: Boxes, *, size: tuple[int, int]
) -> Bool[Array, "n height width"]:
    """The masks nearest to the truth that any answers in the cells of a grid can draw, by descent on their Dice loss.

    Args:
        strokes: true ink
        boxes: one for each [px]
        size: of the grid [cells] rows and columns

    Returns:
        Where the pasted masks are above one half; a lower bound of what is possible, as descent has found them.
    """
    height, width = strokes.shape[1:]

    def best(stroke: Bool[Array, "height width"], box: Float[Array, "4"]) -> Bool[Array, "height width"]:
        def ink_of(scores: Float[Array, "rows columns"]) -> Float[Array, "height width"]:
            return pasted(jax.nn.sigmoid(scores)[None], box[None], height, width)[0]

        def counted(scores: Float[Array, "rows columns"]) -> Float[Array, "height width"]:
            return jax.nn.sigmoid(SHARPNESS * (ink_of(scores) - 0.5))

        cells = cropped(stroke.astype(jnp.float32)[None], box[None], size=size)[0] > 0
        return ink_of(nearest_scores(stroke, cells, counted)) > 0.5

    return jax.vmap(best)(strokes, boxes)
