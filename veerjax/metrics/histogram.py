"""Distances counted in bins, so that quantiles of any pool or resample of logs follow from sums.

Bin 0 holds what is zero but for rounding; then bins of .01 px up to 4 px and of 2 % beyond, up to 20,000 px. A
quantile is interpolated within its bin, so it is good to a bin's width.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

ROUNDING_PX = 1e-3
FINE_PX, FINE_TO_PX, RATIO, LAST_PX = 0.01, 4.0, 1.02, 20_000.0
_FINE = np.arange(round(FINE_TO_PX / FINE_PX) + 1) * FINE_PX
_COARSE = FINE_TO_PX * RATIO ** np.arange(1, 1 + int(np.ceil(np.log(LAST_PX / FINE_TO_PX) / np.log(RATIO))))
EDGES_PX = np.concatenate([_FINE, _COARSE])  # bin b > 0 holds distances above EDGES_PX[b - 1] up to EDGES_PX[b]
BINS = len(EDGES_PX)


def distance_histogram(
    distance_px: Float[Array, "*curves rows"], where: Bool[Array, "*curves rows"]
) -> Int[Array, "*curves {BINS}"]:
    """How many distances fall into each bin.

    Args:
        distance_px: at least 0 [px]; those beyond the last bin count in it
        where: which of them count

    Returns:
        Counts in int32.
    """
    index = jnp.where(where, bin_of(distance_px), BINS)
    lead = distance_px.shape[:-1]
    rows = index.reshape(-1, index.shape[-1])
    curve = jnp.broadcast_to(jnp.arange(rows.shape[0])[:, None], rows.shape)
    counts = jnp.zeros((rows.shape[0], BINS), jnp.int32).at[curve, rows].add(1, mode="drop")
    return counts.reshape(*lead, BINS)


def bin_of(distance_px: Float[Array, "*shape"]) -> Int[Array, "*shape"]:
    """The bin of each distance [px], at least 0; those beyond the last bin are in it."""
    distance_px = distance_px.astype(jnp.float32)
    index = jnp.searchsorted(jnp.asarray(EDGES_PX, jnp.float32), distance_px)
    return jnp.where(distance_px < ROUNDING_PX, 0, jnp.minimum(index, BINS - 1))


def quantile_px(counts: Num[np.ndarray, "*n {BINS}"], share: float) -> Float[np.ndarray, "*n"]:
    """The distance [px] that a share of the counted ones does not exceed; NaN where none was counted.

    Args:
        counts: of `distance_histogram`, or sums of them
        share: from 0 to 1, such as .5 for the median
    """
    below = np.cumsum(counts, axis=-1, dtype=np.float64)
    total = below[..., -1]
    bin_ = np.minimum((below < share * total[..., None]).sum(axis=-1), BINS - 1)
    within = np.take_along_axis(np.asarray(counts), bin_[..., None], axis=-1)[..., 0]
    before = np.take_along_axis(below, bin_[..., None], axis=-1)[..., 0] - within
    start = np.where(bin_ > 0, EDGES_PX[np.maximum(bin_ - 1, 0)], 0.0)
    part = np.divide(share * total - before, within, out=np.zeros(total.shape), where=within > 0)
    return np.where(total > 0, start + np.clip(part, 0, 1) * (EDGES_PX[bin_] - start), np.nan)
