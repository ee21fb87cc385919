"""What every loss starts from: a batch as float32 planes, one a class, empty where an example is not valid."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, UInt8

from veerjax.labels import BACKGROUND

Logits = Float[Array, "batch height width classes"]
Label = UInt8[Array, "batch height width"]
Valid = Bool[Array, " batch"]
Planes = Float[Array, "classes batch height width"]


def masked(logits: Logits, label: Label, valid: Valid) -> tuple[Planes, Planes]:
    """Logits and one-hot truth in float32, both zero in the invalid examples."""
    # Planes, not channels: sums over three channels leave most of a vector unit idle.
    # Replaced, not multiplied by zero: 0 * NaN would carry a padded example into the loss and the gradient.
    keep = valid[None, :, None, None]
    planes = jnp.moveaxis(logits.astype(jnp.float32), -1, 0)
    truth = jax.nn.one_hot(label, logits.shape[-1], dtype=jnp.float32, axis=0)
    return jnp.where(keep, planes, 0.0), jnp.where(keep, truth, 0.0)


def probabilities(logits: Logits, label: Label, valid: Valid) -> tuple[Planes, Planes]:
    """The softmax and the one-hot truth, both zero in the invalid examples."""
    planes, truth = masked(logits, label, valid)
    return jax.nn.softmax(planes, axis=0) * valid[None, :, None, None].astype(jnp.float32), truth


def foreground(logits: Logits, label: Label, valid: Valid) -> tuple[Planes, Planes]:
    """`probabilities` of all classes but the background."""
    probability, truth = probabilities(logits, label, valid)
    return probability[BACKGROUND + 1 :], truth[BACKGROUND + 1 :]


def pixel_count(label: Label, valid: Valid) -> Float[Array, ""]:
    """Pixels of the valid examples; those of one example where none is, so that it can divide."""
    return jnp.maximum(jnp.sum(valid, dtype=jnp.float32), 1.0) * (label.shape[1] * label.shape[2])
