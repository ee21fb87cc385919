"""Exact Euclidean distance to a mask, within a reach."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from veerjax.config import require


def distance_squared_within(mask: Bool[Array, "height width"], *, reach: int) -> Int[Array, "height width"]:
    """The squared Euclidean distance of every pixel centre to the nearest True one, exact up to `reach`.

    Squares of distances add, so the nearest True column of each row is found first, then the nearest row.

    Args:
        mask: the pixels to be near to
        reach: distances up to this are exact [px], at least 0

    Returns:
        Squared distances in int32 [px^2]; `reach**2 + 1` wherever the distance is greater than `reach`.

    Raises:
        InputError: the reach is negative.

    Reference:
        Felzenszwalb and Huttenlocher 2012, Distance transforms of sampled functions, section 2.1: the
        separable form, with the lower envelope replaced by the least over the offsets within reach.

    Example:
        >>> distance_squared_within(jnp.array([[True, False, False, False]]), reach=2).tolist()
        [[0, 1, 4, 5]]
    """
    require(reach >= 0, f"the reach of a distance is {reach} px; it must be at least 0, for example 3.")
    beyond = jnp.int32(reach**2 + 1)
    return _nearest(_nearest(jnp.where(mask, 0, beyond), axis=1, reach=reach), axis=0, reach=reach)


def _nearest(squared: Int[Array, "height width"], *, axis: int, reach: int) -> Int[Array, "height width"]:
    """The least of `squared + offset**2` along an axis, at most `reach**2 + 1`."""
    beyond = reach**2 + 1
    margin = [(reach, reach) if axis == of else (0, 0) for of in (0, 1)]
    padded = jnp.pad(squared, margin, constant_values=beyond)
    nearest, size = squared, squared.shape[axis]
    # Unrolled, so that XLA fuses the offsets into one pass: up to reach 20 faster than cumulative maxima.
    for start in range(2 * reach + 1):
        shifted = jax.lax.slice_in_dim(padded, start, start + size, axis=axis)
        nearest = jnp.minimum(nearest, shifted + (start - reach) ** 2)
    return nearest


def distance_squared(mask: Bool[Array, "height width"]) -> Int[Array, "height width"]:
    """The squared Euclidean distance of every pixel centre to the nearest True one, exact at any distance.

    The nearest True column of each row is found by cumulative maxima, then the nearest row by trying all of them.

    Args:
        mask: the pixels to be near to

    Returns:
        Squared distances in int32 [px^2]; `(height + width)**2` everywhere if the mask is empty.

    Reference:
        Felzenszwalb and Huttenlocher 2012, Distance transforms of sampled functions, section 2.1.

    Example:
        >>> distance_squared(jnp.array([[True, False, False], [False, False, False]])).tolist()
        [[0, 1, 4], [1, 2, 5]]
    """
    height, width = mask.shape
    far = height + width
    column = jnp.arange(width, dtype=jnp.int32)[None]
    left = jax.lax.cummax(jnp.where(mask, column, -far), axis=1)
    right = jax.lax.cummin(jnp.where(mask, column, width + far), axis=1, reverse=True)
    across = jnp.minimum(jnp.minimum(column - left, right - column), far) ** 2
    row = jnp.arange(height, dtype=jnp.int32)[:, None]

    # One pass over the image for each row: XLA on CPU vectorises it, and does not the minimum along an axis.
    def nearer(other: Int[Array, ""], squared: Int[Array, "height width"]) -> Int[Array, "height width"]:
        return jnp.minimum(squared, across[other][None] + (row - other) ** 2)

    return jax.lax.fori_loop(0, height, nearer, jnp.full((height, width), far**2, jnp.int32))
