"""What a prediction says by itself, row by row: no path, no second curve, no continuity that a decoder would add.

Claims about who keeps the names of curves apart are about networks, and `trace` gives every network a memory.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from veerjax.polyline import spans
from veerjax.tracing.trace import Trace

Ink = Bool[Array, "height width"]


def row_by_row(masks: Float[Array, "batch 2 height width"], ink: Bool[Array, "batch 2 height width"]) -> Trace:
    """Each curve in each row by itself: the middle of the run of its ink that holds its likeliest pixel.

    Args:
        masks: how likely each pixel is ink of the curve
        ink: the pixels that the model gives it; a row without any has no curve
    """
    x, presence, strength = jax.vmap(jax.vmap(_middles))(masks, ink)
    lo, hi = jax.vmap(jax.vmap(spans))(x, presence)
    none = jnp.zeros_like(presence)
    return Trace(x=x, lo=lo, hi=hi, presence=presence, confidence=jnp.where(presence, strength, 0.0), occluded=none)


def _middles(masks: Float[Array, "height width"], ink: Ink) -> tuple[Array, Array, Array]:
    width = masks.shape[1]
    own = jnp.where(ink, masks, -1.0)
    best = jnp.argmax(own, axis=1)
    column = jnp.arange(width)[None]
    at = best[:, None]
    # The nearest pixels without ink on either side.
    first = jnp.max(jnp.where(~ink & (column < at), column, -1), axis=1) + 1
    last = jnp.min(jnp.where(~ink & (column > at), column, width), axis=1) - 1
    return (first + last + 1) / 2, jnp.any(ink, axis=1), jnp.max(own, axis=1)
