"""How the paper lay under the scanner: where a track stands on the image, and how its rows and columns are displaced.

Everything is said as two maps, so that grid, curves and truth follow them exactly: the pixel at row r and column c
shows what the plotter drew at row `depth[r] + tilt[c]` and, from the track's own column, `lean[r]` px further right.
Each part is a pure function of random numbers and a strength in [0, 1]; at strength 0 nothing is moved.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from veerjax.synthesis.noise import Dice, between, log_between, value_noise

Strength = float | Float[Array, ""]
Rows = Float[Array, " rows"]

STEEPEST = 0.03  # of a tilt or a skew [px per px]
MAX_TILT_PX = 8  # at an image's left and right edge


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Displacements of the rows and columns of an image that is drawn with some rows more above and below."""

    left: Float[Array, ""]  # [px] the track's left edge, before the lean
    right: Float[Array, ""]
    depth: Rows  # [px] the drawn row that each row shows
    lean: Rows  # [px] by which each row is moved to the right
    tilt: Float[Array, " width"]  # [px] by which the drawn row changes with the column


def sign(u: Float[Array, ""]) -> Float[Array, ""]:
    """One way or the other."""
    return jnp.where(u < 0.5, -1.0, 1.0)


def greatest_tilt(width: int) -> int:
    """A bound of the tilt's displacement on an image of that width [px]."""
    return min(int(-(-STEEPEST * width // 2)), MAX_TILT_PX)


def margins(u: Dice, strength: Strength, *, width: int) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The track's edges: each up to 15 % of the image inwards."""
    most = 0.15 * width * strength
    return jnp.asarray(most * u[0]), width - most * u[1]


def stretch(u: Dice, strength: Strength, *, rows: int) -> Rows:
    """The drawn row of each row: uneven transport, up to 2 % faster or slower and wavering by up to 3 px."""
    position = jnp.arange(rows, dtype=jnp.float32)
    waver = value_noise(u[2:], position, jnp.maximum(between(u[0], 60.0, 240.0), rows / 40))
    return position + strength * (0.02 * sign(u[1]) * (position - rows / 2) + 3 * waver)


def skew(u: Dice, strength: Strength, *, rows: int) -> Rows:
    """The lean of a strip that lies askew."""
    return strength * STEEPEST * sign(u[0]) * (jnp.arange(rows) - rows / 2)


def drift(u: Dice, strength: Strength, *, rows: int) -> Rows:
    """The lean of a strip whose border wanders, by up to 10 px within hundreds of rows."""
    position = jnp.arange(rows, dtype=jnp.float32)
    wavelength = jnp.maximum(log_between(u[0], 80.0, 500.0), rows / 40)
    return strength * 10 * value_noise(u[2:], position, wavelength)


def splice(u: Dice, strength: Strength, *, rows: int) -> tuple[Rows, Float[Array, ""]]:
    """The lean of a strip that is shifted by up to 6 px at one row, and that row."""
    row = jnp.floor(between(u[0], 0.1, 0.9) * rows)
    step = jnp.clip((jnp.arange(rows) - row) / 2 + 0.5, 0, 1)
    return strength * 6 * sign(u[1]) * step, row


def tilt(u: Dice, strength: Strength, *, width: int) -> Float[Array, " width"]:
    """By how much the drawn row changes with the column, on a page whose rows slope."""
    most = min(STEEPEST, 2 * greatest_tilt(width) / width)
    return strength * most * sign(u[0]) * (jnp.arange(width) + 0.5 - width / 2)


def bend(x: Rows, drawn: Bool[Array, " rows"], geometry: Geometry) -> tuple[Rows, Bool[Array, " rows"]]:
    """A curve in the rows of the scan, but for the tilt: rows are repeated or left out, never blended, so that a kick's
    tip stays as long as it was."""
    rows = jnp.clip(jnp.round(geometry.depth).astype(jnp.int32), 0, x.shape[0] - 1)
    return x[rows], drawn[rows]


def seen(
    x: Rows,
    there: Bool[Array, " rows"],
    column: Rows,
    geometry: Geometry,
) -> tuple[Rows, Bool[Array, " rows"]]:
    """A bent curve where the tilted rows of the image cross it.

    Where a tilted kick runs backwards the first crossing counts.

    Args:
        x: where the curve crosses each row's centre before the tilt [px]
        there: whether it is there
        column: where on the image each crossing lies [px], `x` after wrap and lean
        geometry: whose tilt is meant
    """
    rows, width = x.shape[0], geometry.tilt.shape[0]
    position = jnp.arange(rows, dtype=jnp.float32)
    slope = (geometry.tilt[-1] - geometry.tilt[0]) / (width - 1)
    up = geometry.tilt[0] + slope * (jnp.clip(column, 0, width) - 0.5)
    row_seen = jax.lax.cummax(position - up)
    source = jnp.interp(position, row_seen, position)
    nearest = jnp.clip(jnp.round(source).astype(jnp.int32), 0, rows - 1)
    return jnp.interp(position, row_seen, x), there[nearest]
