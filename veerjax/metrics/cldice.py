"""Centreline Dice: how much of each skeleton lies in the other mask.

Reference:
    Shit et al. 2021, clDice - a novel topology-preserving loss function for tubular structure segmentation, equations 1
    and 2, with Guo-Hall thinning for the skeletons.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from veerjax.metrics.ratio import HostOrDevice, quotient
from veerjax.metrics.thinning import thin

# The last axis of the counts, as in `metrics.tolerance`.
CORRECT, PREDICTED, FOUND, TRUE = range(4)


def cldice_counts(
    strokes_true: Bool[Array, "curves height width"], strokes_pred: Bool[Array, "curves height width"]
) -> Int[Array, "curves 4"]:
    """The pixels of each curve's skeletons that lie in the other mask, curve by curve of the same name.

    Args:
        strokes_true: the ink each true curve owns
        strokes_pred: the ink each predicted curve owns

    Returns:
        Counts in int32, in this order: predicted skeleton in the true mask, predicted skeleton, true skeleton in the
        predicted mask, true skeleton.
    """
    skeleton_true, skeleton_pred = jax.vmap(thin)(strokes_true), jax.vmap(thin)(strokes_pred)
    columns = {
        CORRECT: skeleton_pred & strokes_true,
        PREDICTED: skeleton_pred,
        FOUND: skeleton_true & strokes_pred,
        TRUE: skeleton_true,
    }
    return jnp.stack([jnp.sum(columns[k], axis=(1, 2), dtype=jnp.int32) for k in sorted(columns)], axis=-1)


def cldice(counts: Int[HostOrDevice, "*n 4"]) -> Float[np.ndarray, "*n"]:
    """The harmonic mean of topology precision and topology sensitivity.

    Args:
        counts: of `cldice_counts`, or sums of them

    Returns:
        The mean, from 0 to 1; NaN where both masks are empty, 0 where one is or nothing matches.

    Example:
        >>> cldice(np.array([1, 2, 4, 4])).round(4).item()
        0.6667
    """
    counts = np.asarray(counts)
    precision = quotient(counts[..., CORRECT], counts[..., PREDICTED])
    sensitivity = quotient(counts[..., FOUND], counts[..., TRUE])
    mean = quotient(2 * precision * sensitivity, precision + sensitivity)
    something = counts[..., PREDICTED] + counts[..., TRUE] > 0
    return np.where(something, np.nan_to_num(mean), np.nan)
