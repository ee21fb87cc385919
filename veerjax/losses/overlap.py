"""Quotients of what truth and prediction share, so that a thin curve weighs as much as the wide paper around it."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from veerjax.losses.planes import Label, Logits, Planes, Valid, foreground

DICE_SMOOTH = 1.0  # [pixels] added to both sides of the quotient, so that 0/0 is a perfect 1


def soft_dice(logits: Logits, label: Label, valid: Valid) -> Float[Array, ""]:
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
    probability, truth = foreground(logits, label, valid)
    total = _per_class(probability**2) + _per_class(truth)
    dice = (2 * _per_class(probability * truth) + DICE_SMOOTH) / (total + DICE_SMOOTH)
    return 1 - jnp.mean(dice)


def tversky(logits: Logits, label: Label, valid: Valid, *, beta: float = 0.7) -> Float[Array, ""]:
    """One minus the mean over the foreground classes of the Tversky index of the whole batch.

    `T = (sum(p g) + s) / (sum(p g) + (1 - beta) sum(p (1 - g)) + beta sum((1 - p) g) + s)`, where p is the softmax, g
    the one-hot truth, the sums run over all pixels of the valid examples together, and s is half that of `soft_dice`:
    at beta = .5 hard masks cost what they cost there. The loss is 0 where no example is valid.

    Args:
        logits: unnormalised log-probabilities, classes last
        label: true class ids
        valid: which examples count
        beta: what a missed pixel weighs, from 0 to 1; a false one weighs the rest

    Returns:
        The loss, from 0 to 1.

    Reference:
        Salehi, Erdogmus and Gholipour 2017, equation 3, with alpha = 1 - beta and beta = .7, the best of those that
        they tried. Unlike them: a mean over the classes but the background, sums over a batch, and the term s.

    Example:
        One pixel found, one missed: (1 + .5) / (1 + .7 + .5).

        >>> label = jnp.ones((1, 1, 2), jnp.uint8)
        >>> logits = jnp.array([[[[0.0, 99.0], [99.0, 0.0]]]])
        >>> round(1 - float(tversky(logits, label, jnp.ones(1, bool))), 4)
        0.6818
    """
    probability, truth = foreground(logits, label, valid)
    shared = _per_class(probability * truth)
    false, missed = _per_class(probability * (1 - truth)), _per_class((1 - probability) * truth)
    smooth = DICE_SMOOTH / 2
    return 1 - jnp.mean((shared + smooth) / (shared + (1 - beta) * false + beta * missed + smooth))


def _per_class(planes: Planes) -> Float[Array, " classes"]:
    return jnp.sum(planes, axis=(1, 2, 3))
