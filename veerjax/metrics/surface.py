"""Distances between the outlines of masks, as medical imaging reports them.

They know pixels only: a shift of half a pixel and one of a whole pixel both give a HD95 of 1. They stand here for
comparison with other work; `metrics.curve_distance` is what this project goes by.

Reference:
    Nikolov et al. 2018, Deep learning to achieve clinically applicable segmentation, and the library surface-distance:
    outline elements lie at the corners of pixels and weigh as much as the length that marching squares gives them.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from veerjax.metrics.distance import distance_squared

PERCENT = 95
_HALF_DIAGONAL = math.sqrt(0.5)
# Straight pieces and half diagonals of the outline in each 2 x 2 block; the block's code is 8 4 / 2 1, summed.
_STRAIGHT = np.array([0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0], np.int32)
_DIAGONALS = np.array([0, 1, 1, 0, 1, 0, 2, 1, 1, 2, 0, 1, 0, 1, 1, 0], np.int32)


def surface_distances(
    strokes_true: Bool[Array, "curves height width"], strokes_pred: Bool[Array, "curves height width"]
) -> dict[str, Float[Array, " curves"]]:
    """How far the outlines of each true and predicted stroke are apart, curve by curve of the same name.

    Args:
        strokes_true: the ink each true curve owns
        strokes_pred: the ink each predicted curve owns

    Returns:
        `hd95`, the greater of the two directions' 95th percentiles, and `assd`, the mean over both outlines [px];
        infinite where one mask is empty, NaN where both are.

    Example:
        >>> line = jnp.zeros((1, 4, 6), bool).at[:, :, 1].set(True)
        >>> surface_distances(line, jnp.roll(line, 2, axis=2))["hd95"].tolist()
        [2.0]
    """
    return jax.vmap(_one)(strokes_true, strokes_pred)


def _one(true: Bool[Array, "height width"], predicted: Bool[Array, "height width"]) -> dict[str, Float[Array, ""]]:
    ways = [_outline(true), _outline(predicted)]
    to = [distance_squared((straight > 0) | (diagonals > 0)) for straight, diagonals in ways]
    far, total, length = [], [], []
    for (straight, diagonals), squared in zip(ways, reversed(to), strict=True):
        far.append(jnp.sqrt(_percentile(squared, straight, diagonals).astype(jnp.float32)))
        weight = straight.astype(jnp.float32) + _HALF_DIAGONAL * diagonals.astype(jnp.float32)
        total.append(jnp.sum(weight * jnp.sqrt(squared.astype(jnp.float32))))
        length.append(jnp.sum(weight))
    none, one = ~jnp.any(true) & ~jnp.any(predicted), jnp.any(true) != jnp.any(predicted)
    figures = {"hd95": jnp.maximum(*far), "assd": (total[0] + total[1]) / (length[0] + length[1])}
    return {name: jnp.where(none, jnp.nan, jnp.where(one, jnp.inf, value)) for name, value in figures.items()}


def _outline(mask: Bool[Array, "height width"]) -> tuple[Int[Array, "rows columns"], Int[Array, "rows columns"]]:
    """The straight pieces and half diagonals at each corner of pixels."""
    m = jnp.pad(mask, 1).astype(jnp.int32)
    code = 8 * m[:-1, :-1] + 4 * m[:-1, 1:] + 2 * m[1:, :-1] + m[1:, 1:]
    return jnp.asarray(_STRAIGHT)[code], jnp.asarray(_DIAGONALS)[code]


def _percentile(
    squared: Int[Array, "rows columns"], straight: Int[Array, "rows columns"], diagonals: Int[Array, "rows columns"]
) -> Int[Array, ""]:
    """The least squared distance up to which `PERCENT` of the outline's length lies, by bisection."""
    rows, columns = squared.shape
    lengths = jnp.stack([jnp.sum(straight), jnp.sum(diagonals)])

    def enough(bound: Int[Array, ""]) -> Bool[Array, ""]:
        within = squared <= bound
        parts = jnp.stack([jnp.sum(jnp.where(within, part, 0)) for part in (straight, diagonals)])
        # Whole numbers: in floating point a share of just 95 % would fall on either side.
        over = (100 * parts - PERCENT * lengths).astype(jnp.float32)
        return over[0] + _HALF_DIAGONAL * over[1] >= 0

    def halved(_: Int[Array, ""], between: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = between
        middle = (low + high) // 2
        there = enough(middle)
        return jnp.where(there, low, middle + 1), jnp.where(there, middle, high)

    most = (rows + columns) ** 2
    start = jnp.int32(0), jnp.int32(most)
    return jax.lax.fori_loop(0, most.bit_length(), halved, start)[0]
