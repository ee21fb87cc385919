"""The Jaccard index made convex: each pixel's error weighed by what it costs the index when the worst come first."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from veerjax.losses.planes import Label, Logits, Valid, foreground


def lovasz_softmax(logits: Logits, label: Label, valid: Valid) -> Float[Array, ""]:
    """The mean over the foreground classes that are present of the Lovasz extension of `1 - Jaccard` at their errors.

    The error of a pixel is `|g - p|`, p the softmax and g the one-hot truth. All pixels of valid examples are sorted
    together, and a class is present if one of them has it. On hard predictions it is one minus the mean Jaccard index
    of those classes. The loss is 0 where no class is present: false ink of an absent curve is left to other terms.

    Args:
        logits: unnormalised log-probabilities, classes last
        label: true class ids
        valid: which examples count

    Returns:
        The loss, from 0 to 1.

    Reference:
        Berman, Rannen Triki and Blaschko 2018, the Lovasz-Softmax loss and algorithm 1, over the classes present in the
        batch. Unlike theirs, the background is never one of the classes.

    Example:
        Of two true pixels one is found: the Jaccard index is one half.

        >>> label = jnp.ones((1, 1, 2), jnp.uint8)
        >>> logits = jnp.array([[[[0.0, 99.0], [99.0, 0.0]]]])
        >>> float(lovasz_softmax(logits, label, jnp.ones(1, bool)))
        0.5
    """
    probability, truth = (planes.reshape(planes.shape[0], -1) for planes in foreground(logits, label, valid))
    errors = truth * (1 - probability) + (1 - truth) * probability
    # The extension is linear between ties, so its gradient is the weights themselves: none flows through the sort,
    # whose own gradient would be a gather of every pixel.
    weights = jax.vmap(lovasz_weights)(jax.lax.stop_gradient(errors), truth)
    present = jnp.any(truth > 0, axis=1).astype(jnp.float32)
    return jnp.sum(present * jnp.sum(errors * weights, axis=1)) / jnp.maximum(jnp.sum(present), 1.0)


def lovasz_weights(errors: Float[Array, " pixels"], truth: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
    """What each pixel adds to `1 - Jaccard` if the pixels turn wrong one after the other, the largest error first.

    Args:
        errors: at least 0
        truth: 1 where the class is, else 0

    Returns:
        The weights in the order of the pixels; with no true pixel all are 0.
    """
    order = jnp.argsort(-errors)
    hit = truth[order].astype(jnp.int32)  # counted as integers: float32 stops counting at 2**24
    found = (jnp.sum(hit) - jnp.cumsum(hit)).astype(jnp.float32)
    union = (jnp.sum(hit) + jnp.cumsum(1 - hit)).astype(jnp.float32)
    # A missed pixel takes 1 from the intersection, a false one adds 1 to the union. Differences of the quotients, as
    # in the paper's algorithm, would be lost in the rounding of numbers near 1.
    steps = jnp.where(hit == 1, 1.0, found / jnp.maximum(union - 1, 1.0)) / jnp.maximum(union, 1.0)
    return jnp.zeros_like(errors).at[order].set(steps, unique_indices=True)
