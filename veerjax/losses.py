"""Segmentation losses on logits: one number for a batch, float32 inside whatever the logits' type.

An example whose `valid` is False adds exactly nothing, neither to the loss nor to its gradient, even where
its logits are not finite. Labels must be below the number of classes: under jit nothing here can check it.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, UInt8

from veerjax.labels import BACKGROUND

DICE_SMOOTH = 1.0  # [pixels] added to both sides of the quotient, so that 0/0 is a perfect 1


def cross_entropy(
    logits: Float[Array, "batch height width classes"],
    label: UInt8[Array, "batch height width"],
    valid: Bool[Array, " batch"],
) -> Float[Array, ""]:
    """Mean of `-log softmax(logits)[label]` over the pixels of the valid examples.

    The loss is 0 where no example is valid.

    Args:
        logits: unnormalised log-probabilities, classes last
        label: true class ids
        valid: which examples count

    Returns:
        The mean [nats per pixel].
    """
    planes, truth = _masked(logits, label, valid)
    pixels = jnp.maximum(jnp.sum(valid, dtype=jnp.float32), 1.0) * (label.shape[1] * label.shape[2])
    # The one-hot product, not a gather: the gradient of integer indexing is a scatter, slow on XLA CPU.
    return -jnp.sum(truth * jax.nn.log_softmax(planes, axis=0)) / pixels


def soft_dice(
    logits: Float[Array, "batch height width classes"],
    label: UInt8[Array, "batch height width"],
    valid: Bool[Array, " batch"],
) -> Float[Array, ""]:
    """One minus the mean over the foreground classes of the soft Dice coefficient of the whole batch.

    `D = (2 sum(p g) + s) / (sum(p^2) + sum(g^2) + s)`, where p is the softmax, g the one-hot truth, and the
    sums run over all pixels of the valid examples together, so a window weighs as much as the ink it has. The
    loss is 0 where no example is valid.

    Args:
        logits: unnormalised log-probabilities, classes last
        label: true class ids
        valid: which examples count

    Returns:
        The loss, from 0 to 1.

    Reference:
        Milletari, Navab and Ahmadi 2016 (V-Net), section 3, its squares in the denominator kept. Unlike it: a
        mean over the classes but the background, sums over a batch instead of one volume, and the term s.
    """
    planes, truth = _masked(logits, label, valid)
    probability = jax.nn.softmax(planes, axis=0) * valid[None, :, None, None].astype(jnp.float32)
    shared = jnp.sum(probability * truth, axis=(1, 2, 3))
    total = jnp.sum(probability**2, axis=(1, 2, 3)) + jnp.sum(truth, axis=(1, 2, 3))
    dice = (2 * shared + DICE_SMOOTH) / (total + DICE_SMOOTH)
    return 1 - jnp.mean(dice[BACKGROUND + 1 :])


def segmentation_loss(
    logits: Float[Array, "batch height width classes"],
    label: UInt8[Array, "batch height width"],
    valid: Bool[Array, " batch"],
    *,
    cross_entropy_weight: float,
    dice_weight: float,
) -> Float[Array, ""]:
    """The weighted sum of `cross_entropy` and `soft_dice`.

    Args:
        logits: unnormalised log-probabilities, classes last
        label: true class ids
        valid: which examples count
        cross_entropy_weight: of the mean cross-entropy, at least 0
        dice_weight: of the soft Dice loss, at least 0

    Returns:
        The loss, at least 0.
    """
    entropy = cross_entropy(logits, label, valid)
    return cross_entropy_weight * entropy + dice_weight * soft_dice(logits, label, valid)


def _masked(
    logits: Float[Array, "batch height width classes"],
    label: UInt8[Array, "batch height width"],
    valid: Bool[Array, " batch"],
) -> tuple[Float[Array, "classes batch height width"], Float[Array, "classes batch height width"]]:
    """Logits and one-hot truth in float32, both zero in the invalid examples, one plane a class."""
    # Planes, not channels: sums over three channels leave most of a vector unit idle.
    # Replaced, not multiplied by zero: 0 * NaN would carry a padded example into the loss and the gradient.
    keep = valid[None, :, None, None]
    planes = jnp.moveaxis(logits.astype(jnp.float32), -1, 0)
    truth = jax.nn.one_hot(label, logits.shape[-1], dtype=jnp.float32, axis=0)
    return jnp.where(keep, planes, 0.0), jnp.where(keep, truth, 0.0)
