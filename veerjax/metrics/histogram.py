"""Distances counted in bins, so that quantiles of any pool or resample of logs follow from sums.

Bin 0 holds what is zero but for rounding; then bins of .01 px up to 4 px and of 2 % beyond, up to 20,000 px. In a fine
bin a quantile is interpolated. In a coarse one it is the mean of what the bin holds, which is summed beside the counts:
it does not exceed the largest distance, and what lies at a cap, such as the width of the track, comes out at the cap.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from veerjax.metrics.ratio import quotient

ROUNDING_PX = 1e-3
FINE_PX, FINE_TO_PX, RATIO, LAST_PX = 0.01, 4.0, 1.02, 20_000.0
_FINE = np.arange(round(FINE_TO_PX / FINE_PX) + 1) * FINE_PX
_COARSE = FINE_TO_PX * RATIO ** np.arange(1, 1 + int(np.ceil(np.log(LAST_PX / FINE_TO_PX) / np.log(RATIO))))
EDGES_PX = np.concatenate([_FINE, _COARSE])  # bin b > 0 holds distances above EDGES_PX[b - 1] up to EDGES_PX[b]
BINS = len(EDGES_PX)
FIRST_COARSE = len(_FINE)


def distance_histogram(
    distance_px: Float[Array, "*curves rows"], weight: Bool[Array, "*curves rows"] | Float[Array, "*curves rows"]
) -> dict[str, Num[Array, "*curves bins"]]:
    """How many distances fall into each bin, and the sum of those in each coarse one.

    Args:
        distance_px: at least 0 [px]; those beyond the last bin count in it, as if they were at its end
        weight: which of them count, or how much each does

    Returns:
        `counts` of all bins, in int32 unless weights were given; `coarse_px` of the bins from `FIRST_COARSE` on.
    """
    weight = weight.astype(jnp.int32) if weight.dtype == jnp.bool_ else weight
    distance_px = jnp.where(weight > 0, jnp.minimum(distance_px.astype(jnp.float32), EDGES_PX[-1]), 0.0)
    index = bin_of(distance_px).reshape(-1, distance_px.shape[-1])
    curve = jnp.broadcast_to(jnp.arange(index.shape[0])[:, None], index.shape)

    def added(values: Array) -> Array:
        total = jnp.zeros((index.shape[0], BINS), values.dtype).at[curve, index].add(values.reshape(index.shape))
        return total.reshape(*distance_px.shape[:-1], BINS)

    return {
        "counts": added(weight),
        "coarse_px": added(weight.astype(jnp.float32) * distance_px)[..., FIRST_COARSE:],
    }


def bin_of(distance_px: Float[Array, "*shape"]) -> Int[Array, "*shape"]:
    """The bin of each distance [px], at least 0; those beyond the last bin are in it."""
    distance_px = distance_px.astype(jnp.float32)
    index = jnp.searchsorted(jnp.asarray(EDGES_PX, jnp.float32), distance_px)
    return jnp.where(distance_px < ROUNDING_PX, 0, jnp.minimum(index, BINS - 1))


def quantile_px(histogram: Mapping[str, Num[np.ndarray, "*n bins"]], share: float) -> Float[np.ndarray, "*n"]:
    """The distance [px] that a share of the counted ones does not exceed, to a bin; NaN where none was counted.

    Args:
        histogram: of `distance_histogram`, or sums of them
        share: from 0 to 1, such as .5 for the median
    """
    counts = np.asarray(histogram["counts"])
    below = np.cumsum(counts, axis=-1, dtype=np.float64)
    total = below[..., -1]
    bin_ = np.minimum((below < share * total[..., None]).sum(axis=-1), BINS - 1)
    within = _entry(counts, bin_)
    mean = quotient(_entry(histogram["coarse_px"], np.maximum(bin_ - FIRST_COARSE, 0)), within)
    part = quotient(share * total - (_entry(below, bin_) - within), within)
    start = np.where(bin_ > 0, EDGES_PX[np.maximum(bin_ - 1, 0)], 0.0)
    interpolated = start + np.clip(part, 0, 1) * (EDGES_PX[bin_] - start)
    return np.where(total > 0, np.where(bin_ < FIRST_COARSE, interpolated, mean), np.nan)


def _entry(values: Num[np.ndarray, "*n bins"], index: Int[np.ndarray, "*n"]) -> Num[np.ndarray, "*n"]:
    return np.take_along_axis(np.asarray(values), index[..., None], axis=-1)[..., 0]
