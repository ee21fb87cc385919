"""The loss of a config: the sum of the terms that it weighs."""

from collections.abc import Callable
from functools import partial, reduce

import jax.numpy as jnp
from jaxtyping import Array, Float

from veerjax.config import LossConfig
from veerjax.losses.cldice import soft_cldice
from veerjax.losses.entropy import cross_entropy, focal, symmetric_cross_entropy
from veerjax.losses.lovasz import lovasz_softmax
from veerjax.losses.overlap import soft_dice, tversky
from veerjax.losses.planes import Label, Logits, Valid

Loss = Callable[[Logits, Label, Valid], Float[Array, ""]]


def loss_terms(config: LossConfig) -> dict[str, Loss]:
    """Every loss by the name of its weight, with the config's parameters."""
    return {
        "cross_entropy": cross_entropy,
        "dice": soft_dice,
        "tversky": partial(tversky, beta=config.tversky_beta),
        "lovasz": lovasz_softmax,
        "focal": partial(focal, gamma=config.focal_gamma),
        "symmetric_cross_entropy": symmetric_cross_entropy,
        "cldice": soft_cldice,
    }


def segmentation_loss(logits: Logits, label: Label, valid: Valid, *, config: LossConfig) -> Float[Array, ""]:
    """The weighted sum of the config's losses; one whose weight is 0 is not computed.

    Args:
        logits: unnormalised log-probabilities, classes last
        label: true class ids
        valid: which examples count
        config: the weights, of which one at least is above 0, and the parameters

    Returns:
        The loss, at least 0.
    """
    terms = loss_terms(config)
    weights = {name: weight for name, weight in config.weights.items() if weight > 0}
    return reduce(jnp.add, [weight * terms[name](logits, label, valid) for name, weight in weights.items()])
