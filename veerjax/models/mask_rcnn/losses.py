"""What proposals, boxes and masks cost, as sums and counts over examples.

Reference: Ren et al. 2015, equation 1; Girshick 2015, equation 2; He et al. 2017, section 3; smooth L1 as torchvision.
"""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

BETA = 1 / 9  # where smooth L1 turns from a parabola to a line


def smooth_l1(found: Float[Array, "*n 4"], true: Float[Array, "*n 4"]) -> Float[Array, "*n"]:
    """Of a code, summed over its four numbers."""
    return jnp.sum(optax.losses.huber_loss(found, true, delta=BETA), axis=-1) / BETA


def mean_over(values: Float[Array, "*n"], among: Bool[Array, "*n"], of: Bool[Array, "*n"]) -> Float[Array, ""]:
    """The sum of those that are among, over how many there are of; 0 where there are none."""
    return jnp.sum(jnp.where(among, values, 0.0)) / jnp.maximum(jnp.sum(of), 1)


def proposal_loss(
    objectness: Float[Array, "batch anchors"],
    code: Float[Array, "batch anchors 4"],
    target: Float[Array, "batch anchors 4"],
    positive: Bool[Array, "batch anchors"],
    negative: Bool[Array, "batch anchors"],
) -> Float[Array, ""]:
    """The mean binary cross-entropy [nats] of the drawn anchors, and smooth L1 of the positive ones over all drawn."""
    drawn = positive | negative
    entropy = optax.losses.sigmoid_binary_cross_entropy(objectness, positive)
    return mean_over(entropy, drawn, drawn) + mean_over(smooth_l1(code, target), positive, drawn)


def box_loss(
    scores: Float[Array, "batch regions classes"],
    code: Float[Array, "batch regions 4"],
    target: Float[Array, "batch regions 4"],
    category: Int[Array, "batch regions"],
    drawn: Bool[Array, "batch regions"],
) -> Float[Array, ""]:
    """The mean cross-entropy [nats] of the drawn regions, and smooth L1 of those with an object over all drawn.

    Args:
        scores: logits, the background's first
        code: of the box of the true category
        target: what it should be
        category: the true one, 0 for background
        drawn: which regions count
    """
    one_hot = jax.nn.one_hot(category, scores.shape[-1])
    entropy = -jnp.sum(one_hot * jax.nn.log_softmax(scores), axis=-1)
    return mean_over(entropy, drawn, drawn) + mean_over(smooth_l1(code, target), drawn & (category > 0), drawn)


def mask_loss(
    logits: Float[Array, "batch regions rows columns"],
    target: Float[Array, "batch regions rows columns"],
    counted: Bool[Array, "batch regions"],
) -> Float[Array, ""]:
    """The mean binary cross-entropy [nats] of the cells of the regions that are counted."""
    entropy = jnp.mean(optax.losses.sigmoid_binary_cross_entropy(logits, target), axis=(2, 3))
    return mean_over(entropy, counted, counted)
