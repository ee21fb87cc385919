"""Whether the peaks of a curve are found, which averages over rows hardly notice when a curve is smoothed.

A peak is a maximum or a minimum of x as `scipy.signal.find_peaks` defines it (a plateau by its middle row), in each
unbroken run of present rows on its own: a run's first and last row are no peaks, and the run's ends bound the
prominence. A row with no finite x is one where the curve is absent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from veerjax.config import require
from veerjax.metrics.histogram import distance_histogram, quantile_px
from veerjax.metrics.ratio import HostOrDevice, quotient

# The last axis of the counts.
FOUND, TRUE = range(2)

Pair = tuple[Array, Array]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class PeakErrors:
    """The true peaks of curves, and how far the prediction is from each."""

    counts: Int[Array, "curves 2"]  # true peaks that are found, true peaks
    error_px: Float[Array, "curves height"]  # [px] in the row of a true peak, else NaN


def peak_prominence(x: Float[Array, " height"], presence: Bool[Array, " height"]) -> Float[Array, " height"]:
    """How far each maximum of x stands above the higher of the two valleys beside it; 0 in rows that hold none.

    A valley is the least x between the peak and the nearest row with a greater x, or the end of the run of present
    rows. Minima are the maxima of `-x`.

    Args:
        x: where the curve crosses each row's centre [px], finite where it is present
        presence: whether the curve is there

    Returns:
        The prominence [px], in float32.

    Reference:
        scipy.signal.find_peaks and peak_prominences without a window length.

    Example:
        >>> peak_prominence(jnp.array([0.0, 3, 1, 5, 5, 5, 2]), jnp.ones(7, bool)).tolist()
        [0.0, 2.0, 0.0, 0.0, 3.0, 0.0, 0.0]
    """
    # Absent rows stand higher than any other: no rise leads up from them and no valley passes them.
    x = jnp.where(presence, x.astype(jnp.float32), jnp.inf)
    row, wall = jnp.arange(x.shape[0]), jnp.full(1, jnp.inf)
    above, below = jnp.concatenate([wall, x[:-1]]), jnp.concatenate([x[1:], wall])
    first = jnp.maximum.accumulate(jnp.where(x != above, row, 0))
    last = jnp.minimum.accumulate(jnp.where(x != below, row, x.shape[0] - 1)[::-1])[::-1]
    peak = presence & (above < x)[first] & (below < x)[last] & (row == (first + last) // 2)
    before, after = jax.vmap(_lowest_before)(jnp.stack([x, x[::-1]]))
    valley = jnp.maximum(before, after[::-1])
    return jnp.where(peak, x - valley, 0.0)


def _lowest_before(x: Float[Array, " height"]) -> Float[Array, " height"]:
    """The least value from each row back to the nearest greater one, which is left out.

    The stretch is walked in blocks of 2**k rows, greatest first, with a table of each block's extremes: a log factor
    more than one pass, but no loop over rows.
    """
    height = x.shape[0]
    sizes = 2 ** jnp.arange(height.bit_length())

    def double(block: Pair, size: Array) -> tuple[Pair, Pair]:
        """From the greatest and least of the `size` rows that end in each row, to those of twice as many."""
        greatest, least = (
            jax.lax.dynamic_slice_in_dim(jnp.pad(of, (height, 0), constant_values=jnp.inf), height - size, height)
            for of in block
        )
        return (jnp.maximum(block[0], greatest), jnp.minimum(block[1], least)), block

    def walk(state: Pair, block: tuple[Array, Pair]) -> tuple[Pair, None]:
        (lowest, end), (size, (greatest, least)) = state, block
        passed = (end >= 0) & (greatest[end] <= x)
        return (jnp.where(passed, jnp.minimum(lowest, least[end]), lowest), jnp.where(passed, end - size, end)), None

    tables = jax.lax.scan(double, (x, x), sizes)[1]
    return jax.lax.scan(walk, (x, jnp.arange(height) - 1), (sizes, tables), reverse=True)[0][0]


def peak_errors(
    x_true: Float[Array, "curves height"],
    presence_true: Bool[Array, "curves height"],
    x_pred: Float[Array, "curves height"],
    presence_pred: Bool[Array, "curves height"],
    *,
    track_width_px: float,
    prominence_share: float = 0.10,
    within_share: float = 0.02,
    reach: int = 5,
) -> PeakErrors:
    """How far the predicted curve is from each true peak, and how many are found, curve by curve of the same name.

    Of the rows within reach of a true maximum the predicted curve's greatest x is taken (of a minimum, the least), or
    one of its own peaks there of at least half the prominence asked for, whichever is nearer to the true peak's x.
    The second keeps a lower peak beside a higher one: there the greatest x belongs to the neighbour, and a perfect
    prediction would miss it. Found is a peak whose error is within the share of the track.

    Args:
        x_true: where the true curve crosses each row's centre [px]
        presence_true: whether the true curve is there
        x_pred: where the predicted curve crosses it [px]
        presence_pred: whether the predicted curve is there
        track_width_px: what the shares refer to, and the error where the prediction is absent in all rows within
            reach [px]
        prominence_share: the least prominence of a true peak, as a share of the track
        within_share: the greatest error of a found peak, as a share of the track
        reach: how many rows above and below a peak are searched

    Returns:
        Counts of found and of true peaks in int32, and the error of each true peak [px].

    Raises:
        InputError: a negative reach, or a share that is not positive.
    """
    require(reach >= 0, f"the reach of a peak is {reach} rows; it must be at least 0, for example 5.")
    require(
        prominence_share > 0 and within_share > 0,
        f"the shares of a peak are {prominence_share} and {within_share}; both must be above 0, as in .1 and .02.",
    )
    present_true, present_pred = presence_true & jnp.isfinite(x_true), presence_pred & jnp.isfinite(x_pred)
    x_true, x_pred = x_true.astype(jnp.float32), x_pred.astype(jnp.float32)
    track_px = jnp.asarray(track_width_px, jnp.float32)
    errors = partial(_maximum_errors, least_px=prominence_share * track_px, track_px=track_px, reach=reach)
    x, presence = jnp.stack([x_true, x_pred], axis=1), jnp.stack([present_true, present_pred], axis=1)
    right, left = jax.vmap(jax.vmap(errors), in_axes=(0, None))(jnp.stack([x, -x]), presence)
    error = jnp.where(jnp.isnan(right), left, right)
    columns = {FOUND: error <= within_share * track_px, TRUE: ~jnp.isnan(error)}
    counts = jnp.stack([jnp.sum(columns[c], axis=-1, dtype=jnp.int32) for c in sorted(columns)], axis=-1)
    return PeakErrors(counts=counts, error_px=error)


def _maximum_errors(
    curves: Float[Array, "2 height"],
    presence: Bool[Array, "2 height"],
    *,
    least_px: Float[Array, ""],
    track_px: Float[Array, ""],
    reach: int,
) -> Float[Array, " height"]:
    """The error of each prominent maximum of the first curve, the true one, else NaN; the second is predicted."""
    (x, y), (_, found) = curves, presence
    prominence = jax.vmap(peak_prominence)(curves, presence)
    highest = jnp.max(_windows(jnp.where(found, y, -jnp.inf), reach=reach), axis=0)
    extreme_error = jnp.where(jnp.isfinite(highest), jnp.abs(highest - x), track_px)
    peaks = jnp.where(prominence[1] >= least_px / 2, y, jnp.inf)
    peak_error = jnp.min(jnp.abs(_windows(peaks, reach=reach) - x[None, :]), axis=0)
    return jnp.where(prominence[0] >= least_px, jnp.minimum(extreme_error, peak_error), jnp.nan)


def _windows(values: Float[Array, " height"], *, reach: int) -> Float[Array, "window height"]:
    """The rows within reach of each row; those off the image repeat the first or the last."""
    padded, height = jnp.pad(values, reach, mode="edge"), values.shape[0]
    return jnp.stack([padded[k : k + height] for k in range(2 * reach + 1)])


def peak_sums(peaks: PeakErrors) -> dict[str, Any]:
    """The peaks of a log as sums that add over logs: `counts`, and the histogram `error_bins` of the errors.

    Args:
        peaks: of one log
    """
    known = ~jnp.isnan(peaks.error_px)
    return {"counts": peaks.counts, "error_bins": distance_histogram(jnp.where(known, peaks.error_px, 0.0), known)}


def peak_recall(counts: Int[HostOrDevice, "*n 2"]) -> Float[np.ndarray, "*n"]:
    """The share of the true peaks that are found; NaN where there are none.

    Args:
        counts: of `peak_errors`, or sums of them

    Example:
        >>> peak_recall(np.array([3, 4])).item()
        0.75
    """
    counts = np.asarray(counts)
    return quotient(counts[..., FOUND], counts[..., TRUE])


def median_peak_error_px(sums: Mapping[str, Any]) -> Float[np.ndarray, "*n"]:
    """The median error of the true peaks [px], found or not; NaN where there are none.

    Args:
        sums: of `peak_sums`, with any leading axes
    """
    return quantile_px(sums["error_bins"], 0.5)
