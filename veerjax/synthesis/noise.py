"""Random functions of position with a chosen wavelength."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


def uniform(key: PRNGKeyArray, low: float | Array, high: float | Array) -> Float[Array, ""]:
    """One value between `low` and `high`."""
    return jax.random.uniform(key, (), jnp.float32, low, high)


def log_uniform(key: PRNGKeyArray, low: float, high: float) -> Float[Array, ""]:
    """One value between `low` and `high`, each octave equally likely."""
    return jnp.exp(uniform(key, jnp.log(low), jnp.log(high)))


def bernoulli(key: PRNGKeyArray, probability: float) -> Array:
    """True with the given probability."""
    return jax.random.bernoulli(key, probability)


def value_noise(
    key: PRNGKeyArray, position: Float[Array, " n"], wavelength: Float[Array, ""], *, sharpness: float | Array = 1.0
) -> Float[Array, " n"]:
    """Random values in [-1, 1] at knots one wavelength apart, blended between them.

    Args:
        key: random key
        position: where to read the noise; at least 0, at most `len(position)` wavelengths long
        wavelength: distance between knots, in the unit of `position`
        sharpness: 1 blends over the whole interval, greater values keep plateaus with steps between them

    Returns:
        The noise at each position.
    """
    knots = jax.random.uniform(key, (position.shape[0] + 2,), minval=-1.0)
    index = jnp.floor(position / wavelength).astype(jnp.int32)
    fraction = position / wavelength - index
    blend = jnp.clip((fraction - 0.5) * sharpness + 0.5, 0, 1)
    blend = blend * blend * (3 - 2 * blend)
    return knots[index] * (1 - blend) + knots[index + 1] * blend
