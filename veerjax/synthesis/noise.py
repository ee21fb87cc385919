"""Random numbers and random functions of position.

A drawing needs some sixty random numbers. Each call of `jax.random` costs a quarter of a second of compilation on a
CPU, so a step of the drawing draws all of its numbers at once and gives them their ranges afterwards.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

Dice = Float[Array, " n"]  # independent numbers in [0, 1]


def dice(key: PRNGKeyArray, *shape: int) -> Float[Array, "..."]:
    """Numbers from 0 to 1, uniformly distributed."""
    return jax.random.uniform(key, shape)


def between(u: Array, low: float | Array, high: float | Array) -> Array:
    """`u` from [0, 1] stretched to [low, high]."""
    return low + u * (high - low)


def log_between(u: Array, low: float, high: float) -> Array:
    """`u` from [0, 1] stretched to [low, high] so that each octave is equally likely."""
    return low * (high / low) ** u


def value_noise(
    knots: Float[Array, " knots"],
    position: Float[Array, " n"],
    wavelength: Float[Array, ""],
    *,
    sharpness: float | Array = 1.0,
) -> Float[Array, " n"]:
    """Values in [-1, 1] at knots one wavelength apart, blended between them.

    Args:
        knots: random numbers in [0, 1], one for each knot that the positions reach, and one more
        position: where to read the noise, at least 0
        wavelength: distance between knots, in the unit of `position`
        sharpness: 1 blends over the whole interval, greater values keep plateaus with steps between them

    Returns:
        The noise at each position.
    """
    values = 2 * knots - 1
    index = jnp.floor(position / wavelength).astype(jnp.int32)
    fraction = position / wavelength - index
    blend = jnp.clip((fraction - 0.5) * sharpness + 0.5, 0, 1)
    blend = blend * blend * (3 - 2 * blend)
    return values[index] * (1 - blend) + values[index + 1] * blend


def held(values: Float[Array, "..."]) -> Float[Array, "..."]:
    """The same numbers, computed once: XLA for CPU would else compute them anew for each tap or lookup that reads them.

    It drops `optimization_barrier` before it fuses; but what a loop hands over, it must have.
    """
    halves = values.reshape(2, -1) if values.size % 2 == 0 else values.reshape(1, -1)
    return jax.lax.map(lambda half: half, halves).reshape(values.shape)


def lookup(table: Float[Array, " n"], index: Int[Array, "..."]) -> Float[Array, "..."]:
    """`table[index]`, the index being in bounds."""
    return table.at[index].get(mode="promise_in_bounds")


def patches(u: Float[Array, " n"], *, shape: tuple[int, ...], across: int) -> Float[Array, "height width"]:
    """A smooth random surface in [0, 1] of `across` x `across` knots."""
    return jax.image.resize(jnp.resize(u, (across, across)), shape, "cubic")
