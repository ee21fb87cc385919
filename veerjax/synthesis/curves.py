"""Random curves that move as real logs do: smooth trends, blocky beds, and kicks across half the track in two rows."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from veerjax.synthesis.noise import bernoulli, log_uniform, uniform, value_noise

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
    keys = jax.random.split(key, 6)
    pair = jax.vmap(lambda k: random_curve(k, rows=rows, scale=scale))(jax.random.split(keys[0], 2))
    position = jnp.arange(rows, dtype=jnp.float32)
    parting = value_noise(keys[1], position, uniform(keys[2], 60.0, 300.0) * scale, sharpness=6.0)
    follower = pair[0] + jnp.maximum(parting, 0) * 0.3 * (pair[1] - pair[0])
    fraction = pair.at[1].set(jnp.where(bernoulli(keys[3], 0.16), follower, pair[1]))
    held = jnp.where(bernoulli(keys[4], 0.7), jnp.clip(fraction, 0.01, 0.99), fraction)
    x = held * width
    drawn = jax.vmap(lambda k: drawn_rows(k, rows=rows))(jax.random.split(keys[5], 2))
    return x, drawn


def random_curve(key: PRNGKeyArray, *, rows: int, scale: Float[Array, ""]) -> Float[Array, " rows"]:
    """One curve in fractions of the track's width; it may leave [0, 1]."""
    kind_key, place_key, *keys = jax.random.split(key, 8)
    kind = jax.random.randint(kind_key, (), 0, KINDS)
    position = jnp.arange(rows, dtype=jnp.float32)
    trend = uniform(place_key, 0.12, 0.88) + trend_of(keys[0], position, scale)
    beds = jnp.where(kind == 1, 1.0, 0.15) * beds_of(keys[1], position, scale)
    kicks = jnp.where(kind == 2, 1.0, 0.0) * kicks_of(keys[2], position, scale)
    detail = log_uniform(keys[3], 0.002, 0.06) * detail_of(keys[4], position, scale)
    return trend + beds + kicks + detail


def trend_of(key: PRNGKeyArray, position: Float[Array, " rows"], scale: Float[Array, ""]) -> Float[Array, " rows"]:
    """Slow movement over tens to hundreds of rows."""
    keys = jax.random.split(key, 6)
    slow = uniform(keys[0], 0.02, 0.3) * value_noise(keys[1], position, log_uniform(keys[2], 50, 400) * scale)
    mid = log_uniform(keys[3], 0.01, 0.25) * value_noise(keys[4], position, log_uniform(keys[5], 10, 50) * scale)
    return slow + mid


def detail_of(key: PRNGKeyArray, position: Float[Array, " rows"], scale: Float[Array, ""]) -> Float[Array, " rows"]:
    """Roughness from row to row."""
    keys = jax.random.split(key, 2)
    return value_noise(keys[0], position, log_uniform(keys[1], 1.5, 10) * jnp.maximum(scale, 0.7))


def beds_of(key: PRNGKeyArray, position: Float[Array, " rows"], scale: Float[Array, ""]) -> Float[Array, " rows"]:
    """Plateaus with steps of one to a few rows between them."""
    keys = jax.random.split(key, 5)
    thickness = log_uniform(keys[0], 8, 90) * scale
    warped = position + thickness * (1 + 0.8 * value_noise(keys[1], position, thickness * 2.5))
    edge = log_uniform(keys[2], 1.0, 8.0)
    return uniform(keys[3], 0.05, 0.5) * value_noise(keys[4], warped, thickness, sharpness=thickness / edge)


def kicks_of(key: PRNGKeyArray, position: Float[Array, " rows"], scale: Float[Array, ""]) -> Float[Array, " rows"]:
    """Sparse excursions, some across half the track and back within two rows.

    Depth is cut into cells; each holds at most one kick, whose tip lies on a row's centre so that it is never lost.
    """
    cell_key, chance_key, place_key, height_key, half_key, side_key = jax.random.split(key, 6)
    rows = position.shape[0]
    cell = log_uniform(cell_key, 10, 80) * scale
    shape = (rows,)
    there = jax.random.bernoulli(chance_key, 0.7, shape)
    place = jax.random.uniform(place_key, shape, minval=0.1, maxval=0.9)
    height = 0.9 * jax.random.uniform(height_key, shape) ** 2 + 0.03
    half = jnp.exp(jax.random.uniform(half_key, shape, minval=0.0, maxval=jnp.log(7.0)))
    mostly = jnp.where(bernoulli(side_key, 0.5), 1.0, -1.0)
    side = jnp.where(jax.random.bernoulli(side_key, 0.85, shape), mostly, -mostly)
    index = jnp.floor(position / cell).astype(jnp.int32)
    total = jnp.zeros_like(position)
    for neighbour in (-1, 0, 1):
        i = jnp.clip(index + neighbour, 0, rows - 1)
        tip = jnp.round((i + place[i]) * cell)
        shape_of_kick = jnp.maximum(0, 1 - jnp.abs(position - tip) / half[i])
        total = total + jnp.where(there[i] & (i == index + neighbour), side[i] * height[i] * shape_of_kick, 0)
    return total


def drawn_rows(key: PRNGKeyArray, *, rows: int) -> Bool[Array, " rows"]:
    """Where a curve is drawn: nearly always everywhere; one in ten breaks off for a stretch, one in forty is absent."""
    keys = jax.random.split(key, 4)
    start = uniform(keys[0], 0.0, 1.0) * rows
    length = uniform(keys[1], 0.05, 0.5) * rows
    position = jnp.arange(rows)
    inside = (position >= start) & (position < start + length)
    broken_off = bernoulli(keys[2], 0.1) & inside
    return ~broken_off & ~bernoulli(keys[3], 0.025)
