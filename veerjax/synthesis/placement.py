"""Where curves go that do not stay in the middle of their track: off the scale, or along a line."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from veerjax.synthesis.noise import Dice, between, value_noise

Strength = float | Float[Array, ""]
Edge = Float[Array, ""]
ALWAYS = 99  # wraps


def off_scale(
    u: Dice, x: Float[Array, "2 rows"], strength: Strength, *, left: Edge, right: Edge
) -> tuple[Float[Array, "2 rows"], Int[Array, " 2"]]:
    """Curves on too fine a scale: up to 2.5 times as far from their middle.

    A third of them are held at the edge, a fifth leave the track, the others wrap around once, twice or always.

    Returns:
        x [px], beyond the edges where it wraps; and how many times each curve may wrap.
    """
    middle = jnp.mean(x, axis=1, keepdims=True)
    gain = 1 + strength * between(u[:2], 0.2, 1.5)[:, None]
    far = jnp.where(jnp.asarray(strength) > 0, middle + gain * (x - middle), x)
    held = jnp.clip(far, left + 1, right - 1)
    limit = jnp.where(u[2:4] < 0.67, 1, jnp.where(u[2:4] < 0.84, 2, ALWAYS))
    way = u[4:6]
    there = jnp.asarray(strength) > 0
    wraps = jnp.where(there & (way >= 0.55), limit, 0)
    return jnp.where((there & (way < 0.35))[:, None], held, far), wraps


def within(
    x: Float[Array, "2 rows"], wraps: Int[Array, " 2"], *, left: Edge, right: Edge
) -> tuple[Float[Array, "2 rows"], Array]:
    """Where wrapping curves stand on the track [px], and whether their number of wraps allows it."""
    width = right - left
    turns = jnp.floor((x - left) / width)
    wrapping = (wraps > 0)[:, None]
    return jnp.where(wrapping, x - turns * width, x), ~wrapping | (jnp.abs(turns) <= wraps[:, None])


def hug(
    u: Dice,
    x: Float[Array, "2 rows"],
    strength: Strength,
    *,
    left: Edge,
    right: Edge,
    pitch: Edge,
    start: Edge,
    linear: bool | Bool[Array, ""] = True,
) -> Float[Array, "2 rows"]:
    """One of the curves runs along the border or along a line of the grid for part of the rows, `strength` of them.

    Args:
        u: random numbers in [0, 1], 32 or more
        x: of the curves [px]
        strength: 0 leaves them alone
        left: the track's edges [px]; also `right`
        pitch: of the grid's vertical lines [px]
        start: the number of the line at the track's left edge
        linear: whether there are lines at this pitch; else only the border is hugged
    """
    rows = x.shape[1]
    one = (u[0] < 0.5).astype(jnp.int32)
    number = jnp.round((jnp.mean(x[one]) - left) / pitch + start)
    line = left + (number - start) * pitch
    border = jnp.where(u[1] < 0.5, left + 1, right - 1)
    target = jnp.where((u[2] < 0.5) & jnp.asarray(linear), jnp.clip(line, left, right), border)
    slow = value_noise(u[4:], jnp.arange(rows, dtype=jnp.float32), jnp.maximum(between(u[3], 40.0, 160.0), rows / 24))
    share = jnp.clip((slow - (1 - 2 * strength)) * 4, 0, 1)
    return x.at[one].add(share * (target - x[one]))
