"""The score of lane detection: both polylines are redrawn with one broad pen, and match where the drawings overlap.

The fixed width takes away the penalty of thin lines, and with it most of what this project is about: a kick of a few
rows changes nothing. It stands here for comparison with other work.

Both are drawn as discs around the pixels of the rasterised polyline.

Reference:
    Pan, Shi, Luo, Wang and Tang 2018, Spatial as deep: spatial CNN for traffic scene understanding (CULane): lines of
    30 px, a match at an IoU above .5. Unlike there, a curve is compared with its namesake only.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from veerjax.config import require
from veerjax.metrics.distance import distance_squared_within
from veerjax.metrics.raster import rasterise
from veerjax.metrics.ratio import HostOrDevice, quotient

MATCH_IOU = 0.5
# The last axis of the counts.
MATCHED, PREDICTED, TRUE = range(3)


def lane_counts(
    x_true: Float[Array, "curves height"],
    presence_true: Bool[Array, "curves height"],
    x_pred: Float[Array, "curves height"],
    presence_pred: Bool[Array, "curves height"],
    *,
    width: int,
    pen_px: int = 30,
) -> Int[Array, "curves 3"]:
    """Whether each curve is there in truth and prediction, and whether the two match.

    Args:
        x_true: where the true curve crosses each row's centre [px]
        presence_true: whether the true curve is there
        x_pred: where the predicted curve crosses it [px]
        presence_pred: whether the predicted curve is there
        width: of the image [px]
        pen_px: width of the pen that both are redrawn with [px]

    Returns:
        Counts of 0 or 1 in int32, in this order: matched, predicted, true.

    Raises:
        InputError: the pen is narrower than a pixel.
    """
    require(pen_px >= 1, f"the pen is {pen_px} px wide; it must be at least 1, for example 30.")

    def drawn(x: Array, presence: Array) -> Bool[Array, "height width"]:
        line = rasterise(x, presence, width=width)
        return distance_squared_within(line, reach=-(-pen_px // 2)) <= pen_px**2 // 4  # squares are whole

    true, predicted = jax.vmap(drawn)(x_true, presence_true), jax.vmap(drawn)(x_pred, presence_pred)
    both = jnp.sum(true & predicted, axis=(1, 2), dtype=jnp.int32)
    either = jnp.sum(true | predicted, axis=(1, 2), dtype=jnp.int32)
    share = both.astype(jnp.float32) / jnp.maximum(either, 1).astype(jnp.float32)
    columns = {
        MATCHED: share > MATCH_IOU,
        PREDICTED: jnp.any(predicted, axis=(1, 2)),
        TRUE: jnp.any(true, axis=(1, 2)),
    }
    return jnp.stack([columns[k].astype(jnp.int32) for k in sorted(columns)], axis=-1)


def lane_f1(counts: Int[HostOrDevice, "*n 3"]) -> Float[np.ndarray, "*n"]:
    """2 TP / (predicted + true) curves; NaN where there is neither.

    Args:
        counts: of `lane_counts`, or sums of them

    Example:
        >>> lane_f1(np.array([1, 2, 2])).item()
        0.5
    """
    counts = np.asarray(counts)
    return quotient(2 * counts[..., MATCHED], counts[..., PREDICTED] + counts[..., TRUE])
