"""Boundary IoU: the IoU of what lies near the outlines.

With the usual width, 2 % of the image's diagonal, a thin line is all boundary and the figure is the mask's own IoU. It
is reported to show that, not to be used.

Reference:
    Cheng, Girshick, Dollar, Berg and Kirillov 2021, Boundary IoU: improving object-centric image segmentation
    evaluation.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from veerjax.config import require
from veerjax.metrics.ratio import HostOrDevice, quotient

BOTH, EITHER = range(2)


def boundary_counts(
    strokes_true: Bool[Array, "curves height width"],
    strokes_pred: Bool[Array, "curves height width"],
    *,
    dilation_ratio: float = 0.02,
) -> Int[Array, "curves 2"]:
    """The pixels that are near both outlines, and near either, curve by curve of the same name.

    Args:
        strokes_true: the ink each true curve owns
        strokes_pred: the ink each predicted curve owns
        dilation_ratio: width of the boundary, as a share of the image's diagonal

    Returns:
        Counts in int32.

    Raises:
        InputError: the ratio is not positive.
    """
    require(dilation_ratio > 0, f"the dilation ratio is {dilation_ratio}; it must be above 0, for example 0.02.")
    width_px = max(1, round(dilation_ratio * math.hypot(*strokes_true.shape[1:])))
    true, predicted = (jax.vmap(lambda m: _boundary(m, width_px=width_px))(s) for s in (strokes_true, strokes_pred))
    pixels = [jnp.sum(part, axis=(1, 2), dtype=jnp.int32) for part in (true & predicted, true | predicted)]
    return jnp.stack(pixels, axis=-1)


def _boundary(mask: Bool[Array, "height width"], *, width_px: int) -> Bool[Array, "height width"]:
    """The mask less what is further than so many king's moves from its outside; beyond the image is outside."""
    outside = jnp.pad(~mask, width_px, constant_values=True)
    size = 2 * width_px + 1
    near = jax.lax.reduce_window(outside, False, jax.lax.bitwise_or, (size, 1), (1, 1), "VALID")
    near = jax.lax.reduce_window(near, False, jax.lax.bitwise_or, (1, size), (1, 1), "VALID")
    return mask & near


def boundary_iou(counts: Int[HostOrDevice, "*n 2"]) -> Float[np.ndarray, "*n"]:
    """The share of what is near either outline that is near both; NaN where both masks are empty.

    Args:
        counts: of `boundary_counts`, or sums of them
    """
    counts = np.asarray(counts)
    return quotient(counts[..., BOTH], counts[..., EITHER])
