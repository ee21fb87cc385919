"""Neighbouring rows in which something is known, and what lies between them."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped


def shifted(
    values: Shaped[Array, " height"], offsets: Int[Array, " offsets"], *, outside: float | bool
) -> Shaped[Array, "offsets height"]:
    """For each offset, the values of the rows that far below; `outside` where there is no such row."""
    height = values.shape[0]
    rows = jnp.arange(height)[None] + offsets[:, None]
    within = (rows >= 0) & (rows < height)
    return jnp.where(within, values[jnp.clip(rows, 0, height - 1)], outside)


def neighbours(known: Bool[Array, " height"]) -> tuple[Int[Array, " height"], Int[Array, " height"]]:
    """For each row the nearest known row at or above it (-1: none), and at or below it (`height`: none)."""
    height = known.shape[0]
    rows = jnp.arange(height)
    above = jax.lax.cummax(jnp.where(known, rows, -1))
    below = jax.lax.cummin(jnp.where(known, rows, height), reverse=True)
    return above, below


def beside(height: int, rows: Int[Array, ""] | None) -> tuple[Int[Array, " height"], Int[Array, " height"]]:
    """For each row the one above it and the one below it; at an end of the strip, itself.

    Args:
        height: of the arrays
        rows: of the strip, where padding lies below it
    """
    row = jnp.arange(height)
    return jnp.maximum(row - 1, 0), jnp.minimum(row + 1, (height if rows is None else rows) - 1)


def interpolated(values: Float[Array, " height"], known: Bool[Array, " height"]) -> Float[Array, " height"]:
    """The known values, straight lines between them, and the nearest one beyond them; unchanged if none is known."""
    height = known.shape[0]
    above, below = neighbours(known)
    top = jnp.where(above >= 0, above, jnp.minimum(below, height - 1))
    bottom = jnp.where(below < height, below, jnp.maximum(above, 0))
    part = (jnp.arange(height) - top) / jnp.maximum(bottom - top, 1)
    line = values[top] + part * (values[bottom] - values[top])
    return jnp.where(known | ~jnp.any(known), values, line)


def share_between(
    flag: Bool[Array, " height"], above: Int[Array, " height"], below: Int[Array, " height"]
) -> Float[Array, " height"]:
    """The share of flagged rows strictly between the two given rows, where there are rows between them."""
    counts = jnp.concatenate([jnp.zeros(1), jnp.cumsum(flag, dtype=jnp.float32)])
    return (counts[below] - counts[above + 1]) / jnp.maximum(below - above - 1, 1)


def runs(mask: Bool[np.ndarray, " rows"]) -> list[tuple[int, int]]:
    """The first row of each stretch of rows in which a mask holds, and the first row after it."""
    padded = np.concatenate([[False], mask, [False]])
    return [(int(a), int(b)) for a, b in np.flatnonzero(padded[1:] != padded[:-1]).reshape(-1, 2)]
