"""Which anchor or proposal answers for which true box, and which of them a step learns from.

Reference: Ren et al. 2015, section 3.1.2; torchvision's Matcher and BalancedPositiveNegativeSampler.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

BACKGROUND = -1  # overlaps no true box enough
IGNORED = -2  # neither enough nor little enough to say


def match(
    iou: Float[Array, "truths boxes"],
    valid: Bool[Array, " truths"],
    *,
    low: float,
    high: float,
    low_quality: bool = False,
) -> Int[Array, " boxes"]:
    """The true box that each box overlaps most, `BACKGROUND` below `low`, or `IGNORED` from `low` to below `high`.

    Args:
        iou: of each true box with each box
        valid: which true boxes there are
        low: the IoU below which a box is background
        high: the IoU from which it answers for a true box
        low_quality: the boxes that a true box overlaps most answer too, each for the one that it overlaps most itself.
            A true box that overlaps none is not answered for; torchvision lets every box answer for it.
    """
    iou = jnp.where(valid[:, None], iou, -1.0)
    most, truth = jnp.max(iou, axis=0), jnp.argmax(iou, axis=0)
    matched = jnp.where(most >= high, truth, jnp.where(most < low, BACKGROUND, IGNORED))
    if low_quality:
        best = jnp.max(iou, axis=1, keepdims=True)
        matched = jnp.where(jnp.any((iou == best) & (best > 0), axis=0), truth, matched)
    return matched


def sample(
    key: PRNGKeyArray,
    matched: Int[Array, " boxes"],
    *,
    size: int,
    positive_share: float,
    valid: Bool[Array, " boxes"] | None = None,
) -> tuple[Bool[Array, " boxes"], Bool[Array, " boxes"]]:
    """Which boxes of true boxes and which of the background are drawn, each subset of a size as likely as another.

    Args:
        key: of the draw
        matched: by `match`; what is ignored is never drawn
        size: how many are drawn, or as many as there are
        positive_share: of true boxes, at most; what they leave goes to the background
        valid: which boxes there are; all by default
    """
    valid = jnp.ones(matched.shape, bool) if valid is None else valid
    positive, negative = (matched >= 0) & valid, (matched == BACKGROUND) & valid
    keys = jax.random.split(key)
    drawn = _some(keys[0], positive, jnp.int32(size * positive_share))
    return drawn, _some(keys[1], negative, size - jnp.sum(drawn))


def _some(key: PRNGKeyArray, among: Bool[Array, " n"], count: Int[Array, ""]) -> Bool[Array, " n"]:
    """So many of those that are true, or all."""
    order = jnp.argsort(jnp.where(among, jax.random.uniform(key, among.shape), jnp.inf))
    rank = jnp.zeros(among.shape, jnp.int32).at[order].set(jnp.arange(len(among)))
    return among & (rank < count)
