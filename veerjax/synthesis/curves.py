"""Random curves that move as real logs do: smooth trends, blocky beds, and kicks across half the track in two rows."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from veerjax.synthesis.noise import Dice, between, dice, log_between, value_noise

Rows = Float[Array, " rows"]
KINDS = 3  # smooth, blocky, spiky


def random_pair(
    key: PRNGKeyArray, *, rows: int, width: int, scale: Float[Array, ""]
) -> tuple[Float[Array, "2 rows"], Bool[Array, "2 rows"]]:
    """Two curves of one track.

    One pair in six runs together for long stretches, as deep and medium resistivity do.

    Args:
        key: random key
        rows: of the image, margins included [px]
        width: of the track [px]
        scale: how many times 100 dpi the drawing is, which stretches the curves in depth

    Returns:
        x where each curve crosses each row's centre [px], off the track included, and whether it is drawn there.
    """
    curve_key, knot_key, number_key = jax.random.split(key, 3)
    pair = jax.vmap(lambda k: random_curve(k, rows=rows, scale=scale))(jax.random.split(curve_key, 2))
    u = dice(number_key, 11)
    position = jnp.arange(rows, dtype=jnp.float32)
    parting = value_noise(dice(knot_key, rows + 2), position, between(u[0], 60.0, 300.0) * scale, sharpness=6.0)
    follower = pair[0] + jnp.maximum(parting, 0) * 0.3 * (pair[1] - pair[0])
    fraction = pair.at[1].set(jnp.where(u[1] < 0.16, follower, pair[1]))
    held = jnp.where(u[2] < 0.7, jnp.clip(fraction, 0.01, 0.99), fraction)
    drawn = jnp.stack([drawn_rows(u[3:7], position), drawn_rows(u[7:11], position)])
    return held * width, drawn


def random_curve(key: PRNGKeyArray, *, rows: int, scale: Float[Array, ""]) -> Rows:
    """One curve in fractions of the track's width; it may leave [0, 1]."""
    number_key, knot_key, kick_key = jax.random.split(key, 3)
    u, knots = dice(number_key, 16), dice(knot_key, 5, rows + 2)
    position = jnp.arange(rows, dtype=jnp.float32)
    kind = jnp.floor(u[0] * KINDS)
    trend = between(u[1], 0.12, 0.88) + trend_of(u[2:6], knots[:2], position, scale)
    beds = jnp.where(kind == 1, 1.0, 0.15) * beds_of(u[6:9], knots[2:4], position, scale)
    kicks = jnp.where(kind == 2, 1.0, 0.0) * kicks_of(u[9:11], dice(kick_key, 5, rows), position, scale)
    roughness = log_between(u[11], 1.5, 12) * jnp.maximum(scale, 0.7)  # [rows] between knots
    detail = log_between(u[12], 0.002, 0.04) * value_noise(knots[4], position, roughness)
    return trend + beds + kicks + detail


def trend_of(u: Dice, knots: Float[Array, "2 knots"], position: Rows, scale: Float[Array, ""]) -> Rows:
    """Slow movement over tens to hundreds of rows."""
    slow = between(u[0], 0.02, 0.3) * value_noise(knots[0], position, log_between(u[1], 50, 400) * scale)
    mid = log_between(u[2], 0.01, 0.2) * value_noise(knots[1], position, log_between(u[3], 14, 60) * scale)
    return slow + mid


def beds_of(u: Dice, knots: Float[Array, "2 knots"], position: Rows, scale: Float[Array, ""]) -> Rows:
    """Plateaus with steps of one to a few rows between them."""
    thickness = log_between(u[0], 16, 120) * scale
    warped = position + thickness * (1 + 0.8 * value_noise(knots[0], position, thickness * 2.5))
    edge = log_between(u[1], 1.0, 8.0)
    return between(u[2], 0.05, 0.5) * value_noise(knots[1], warped, thickness, sharpness=thickness / edge)


def kicks_of(u: Dice, tables: Float[Array, "5 rows"], position: Rows, scale: Float[Array, ""]) -> Rows:
    """Sparse excursions, some across half the track and back within two rows.

    Depth is cut into cells; each holds at most one kick, whose tip lies on a row's centre so that it is never lost.
    """
    cell = log_between(u[0], 20, 120) * scale
    mostly = jnp.where(u[1] < 0.5, 1.0, -1.0)
    there, side = tables[0] < 0.7, jnp.where(tables[4] < 0.85, mostly, -mostly)
    place = between(tables[1], 0.1, 0.9)
    height = between(tables[2] ** 2, 0.03, 0.93)
    half = log_between(tables[3], 1.0, 7.0)
    index = jnp.floor(position / cell).astype(jnp.int32)
    total = jnp.zeros_like(position)
    for neighbour in (-1, 0, 1):
        i = jnp.maximum(index + neighbour, 0)
        tip = jnp.round((i + place[i]) * cell)
        kick = side[i] * height[i] * jnp.maximum(0, 1 - jnp.abs(position - tip) / half[i])
        total = total + jnp.where(there[i] & (i == index + neighbour), kick, 0)
    return total


def drawn_rows(u: Dice, position: Rows) -> Bool[Array, " rows"]:
    """Where a curve is drawn: nearly always everywhere; one in ten breaks off for a stretch, one in forty is absent."""
    start = u[0] * position.shape[0]
    length = between(u[1], 0.05, 0.5) * position.shape[0]
    inside = (position >= start) & (position < start + length)
    return ~((u[2] < 0.1) & inside) & (u[3] >= 0.025)
