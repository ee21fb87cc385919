"""Means over pixels: the cross-entropy, and two that weigh its pixels otherwise."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from veerjax.losses.planes import Label, Logits, Valid, masked, pixel_count, probabilities

LOG_ZERO = -4.0  # what stands for the logarithm of a one-hot label's zeros, A in Wang et al. 2019
LEAST_MISS = 1e-12  # keeps the slope of a power below 1 finite where a pixel is certain and right


def cross_entropy(logits: Logits, label: Label, valid: Valid) -> Float[Array, ""]:
    """Mean of `-log softmax(logits)[label]` over the pixels of the valid examples.

    The loss is 0 where no example is valid.

    Args:
        logits: unnormalised log-probabilities, classes last
        label: true class ids
        valid: which examples count

    Returns:
        The mean [nats per pixel].
    """
    planes, truth = masked(logits, label, valid)
    # The one-hot product, not a gather: the gradient of integer indexing is a scatter, slow on XLA CPU.
    return -jnp.sum(truth * jax.nn.log_softmax(planes, axis=0)) / pixel_count(label, valid)


def focal(logits: Logits, label: Label, valid: Valid, *, gamma: float = 2.0) -> Float[Array, ""]:
    """Mean of `-(1 - p)^gamma log p`, p the probability of the true class, over the pixels of the valid examples.

    The loss is 0 where no example is valid.

    Args:
        logits: unnormalised log-probabilities, classes last
        label: true class ids
        valid: which examples count
        gamma: how much less an easy pixel weighs, at least 0; 0 is the cross-entropy

    Returns:
        The mean [nats per pixel].

    Reference:
        Lin, Goyal, Girshick, He and Dollar 2017 (RetinaNet), equation 4, gamma = 2 as they found best. Unlike theirs: a
        softmax instead of sigmoids, the mean over all pixels instead of the sum over the number of objects, no alpha.

    Example:
        Two classes as likely: half is missed, which is squared.

        >>> logits, label = jnp.zeros((1, 1, 1, 2)), jnp.zeros((1, 1, 1), jnp.uint8)
        >>> round(float(focal(logits, label, jnp.ones(1, bool)) / jnp.log(2)), 4)
        0.25
    """
    planes, truth = masked(logits, label, valid)
    log_probability = jnp.sum(truth * jax.nn.log_softmax(planes, axis=0), axis=0)
    miss = jnp.maximum(-jnp.expm1(log_probability), LEAST_MISS)
    return -jnp.sum(miss**gamma * log_probability) / pixel_count(label, valid)


def symmetric_cross_entropy(
    logits: Logits, label: Label, valid: Valid, *, alpha: float = 0.1, beta: float = 1.0
) -> Float[Array, ""]:
    """`alpha` times the cross-entropy plus `beta` times the reverse one, which forgives wrong labels.

    The reverse cross-entropy exchanges truth g and softmax p: the mean of `-sum_k p_k log g_k`, with A = -4 for log 0.
    Of a one-hot truth it is 4 times the probability of the wrong classes. The loss is 0 where no example is valid.

    Args:
        logits: unnormalised log-probabilities, classes last
        label: true class ids
        valid: which examples count
        alpha: weight of the cross-entropy, at least 0
        beta: weight of the reverse cross-entropy, at least 0

    Returns:
        The sum [nats per pixel].

    Reference:
        Wang, Ma, Chen, Luo, Yi and Bailey 2019; alpha = .1 and beta = 1 are what the authors' program is called with
        for CIFAR-10 (.01 and 1 for MNIST, 6 and .1 for CIFAR-100). A = -4 is what later comparisons state for it; the
        authors' program clips the labels at 1e-4 instead, which makes A -9.2.

    Example:
        Two classes as likely: .1 log 2 + 4 / 2.

        >>> logits, label = jnp.zeros((1, 1, 1, 2)), jnp.zeros((1, 1, 1), jnp.uint8)
        >>> round(float(symmetric_cross_entropy(logits, label, jnp.ones(1, bool))), 4)
        2.0693
    """
    probability, truth = probabilities(logits, label, valid)
    reverse = -LOG_ZERO * jnp.sum(probability * (1 - truth)) / pixel_count(label, valid)
    return alpha * cross_entropy(logits, label, valid) + beta * reverse
