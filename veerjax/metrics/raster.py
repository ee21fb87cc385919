"""A polyline as pixels: one run of columns in each row."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from veerjax import polyline

NOWHERE = 2**28  # [column] an empty row runs from here to minus here, so that no widening fills it


def row_runs(
    x: Float[Array, " height"], presence: Bool[Array, " height"], *, width: int
) -> tuple[Int[Array, " height"], Int[Array, " height"]]:
    """The first and the last column of a curve in each row: `floor(lo)` and `floor(hi)` of `polyline.spans`.

    A vertex off the image, or without a finite x, is absent and joins nothing.

    Args:
        x: where the curve crosses each row's centre [px]
        presence: whether the curve is there
        width: of the image [px]

    Returns:
        Columns in int32, both on the image; `NOWHERE` and `-NOWHERE` in a row without the curve.

    Example:
        >>> first, last = row_runs(jnp.array([1.5, 5.5]), jnp.array([True, True]), width=8)
        >>> first.tolist(), last.tolist()
        ([1, 3], [3, 5])
    """
    presence = presence & (x >= 0) & (x < width)
    low, high = polyline.spans(jnp.where(presence, x, 0.0), presence)
    first, last = (jnp.floor(end).astype(jnp.int32) for end in (low, high))
    return jnp.where(presence, first, NOWHERE), jnp.where(presence, last, -NOWHERE)


def rasterise(
    x: Float[Array, " height"], presence: Bool[Array, " height"], *, width: int
) -> Bool[Array, "height width"]:
    """The pixels of a curve's polyline, as thin as rows allow: the runs of `row_runs`.

    Args:
        x: where the curve crosses each row's centre [px]
        presence: whether the curve is there
        width: of the image [px]

    Returns:
        True on the curve; every row that holds a vertex has at least one pixel.
    """
    first, last = row_runs(x, presence, width=width)
    column = jnp.arange(width, dtype=jnp.int32)[None, :]
    return (first[:, None] <= column) & (column <= last[:, None])
