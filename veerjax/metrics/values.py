"""How far predicted values are from the true ones on the track's own scale, and how well the two move together.

Values are fractions of the track, 0 at its left edge and 1 at its right one. On a linear scale a percent of the track
is a percent of the scale's range; on a logarithmic one it is a percent of its decades, so errors are errors of log10:
multiply by the number of decades. Absent rows are NaN.

R2 and Pearson are blind to much and never stand alone: `chance_sums` gives the level of a prediction that knows the
curve but not the depth.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Num

from veerjax.config import require
from veerjax.metrics.histogram import distance_histogram, quantile_px
from veerjax.metrics.ratio import quotient

WITHIN_PERCENT = (1, 2, 5)  # of the scale
STEPS = 256  # sums are taken about a whole number of steps of the scale near each curve's mean
LEAST_VARIANCE = 1e-10  # of fractions; what varies less, 1e-5 of the scale, is constant

# The last axis of the moments: sums of t, p, t t, p p and t p, of truth t and prediction p less .5.
T, P, TT, PP, TP = range(5)


def value_sums(v_true: Float[Array, "curves height"], v_pred: Float[Array, "curves height"]) -> dict[str, Any]:
    """The rows of a log as sums that add over logs, curve by curve of the same name.

    Args:
        v_true: the true curve's place in each row [fraction of the track], NaN where it is absent
        v_pred: that of the predicted curve

    Returns:
        By curve, in int32: `covered`, `missed` and `extra` rows, rows `within` 1, 2 and 5 % of the scale, the
        histograms `covered_bins` and `all_bins` of the absolute error [%] (missed rows at 100 % in the second), and
        the whole part of the moments, `moment_steps`; in float32 `absolute`, `signed` and `squared`, sums of the
        error, and the rest of the moments, `moment_rest`.
    """
    true, predicted = jnp.isfinite(v_true), jnp.isfinite(v_pred)
    covered, missed = true & predicted, true & ~predicted
    t, p = (jnp.where(covered, v.astype(jnp.float32), 0.5) for v in (v_true, v_pred))
    error = p - t
    percent = 100 * jnp.abs(error)
    steps, rest = _moments(t, p, covered)
    counted = {"covered": covered, "missed": missed, "extra": predicted & ~true}
    within = [covered & (percent <= bound) for bound in WITHIN_PERCENT]
    return {
        **{name: jnp.sum(mask, axis=-1, dtype=jnp.int32) for name, mask in counted.items()},
        "within": jnp.stack([jnp.sum(mask, axis=-1, dtype=jnp.int32) for mask in within], axis=-1),
        "covered_bins": distance_histogram(percent, covered),
        "all_bins": distance_histogram(jnp.where(missed, 100.0, percent), true),
        "absolute": jnp.sum(jnp.abs(error), axis=-1),
        "signed": jnp.sum(error, axis=-1),
        "squared": jnp.sum(error**2, axis=-1),
        "moment_steps": steps,
        "moment_rest": rest,
    }


def _moments(
    t: Float[Array, "curves height"], p: Float[Array, "curves height"], covered: Bool[Array, "curves height"]
) -> tuple[Num[Array, "curves 5"], Num[Array, "curves 5"]]:
    """The sums of t, p, t t, p p and t p, each less .5, as a whole number of steps (of steps squared) and a small rest.

    A variance is what is left of two sums that nearly cancel. So each curve is written as `c + d`, c the step nearest
    to its mean: what c brings is whole and exact in int32, and float32 holds only what d brings.
    """
    rows = jnp.sum(covered, axis=-1, dtype=jnp.int32)
    some = jnp.maximum(rows, 1).astype(jnp.float32)
    (ct, dt), (cp, dp) = (_about_a_step(v, covered, some) for v in (t, p))
    st, sp = jnp.sum(dt, axis=-1), jnp.sum(dp, axis=-1)
    ft, fp = (c.astype(jnp.float32) / STEPS for c in (ct, cp))

    def rest(a: Array, b: Array, fa: Array, fb: Array, sa: Array, sb: Array) -> Array:
        return fa * sb + fb * sa + jnp.sum(a * b, axis=-1)

    whole = {T: rows * ct, P: rows * cp, TT: rows * ct * ct, PP: rows * cp * cp, TP: rows * ct * cp}
    left = {
        T: st,
        P: sp,
        TT: rest(dt, dt, ft, ft, st, st),
        PP: rest(dp, dp, fp, fp, sp, sp),
        TP: rest(dt, dp, ft, fp, st, sp),
    }
    return _last_axis(whole), _last_axis(left)


def _last_axis(columns: Mapping[int, Array]) -> Array:
    return jnp.stack([columns[k] for k in sorted(columns)], axis=-1)


def _about_a_step(v: Array, covered: Array, rows: Array) -> tuple[Array, Array]:
    """How many steps from .5 each curve's mean is, and the rows less that; v itself is never rounded to .5 less."""
    # Half a scale off the track the step stays, so that the squares of 30,000 rows still fit into int32; a curve
    # further off loses digits, not its sums.
    step = jnp.clip(jnp.round(STEPS * jnp.sum(v - 0.5, axis=-1) / rows), -STEPS, STEPS)
    return step.astype(jnp.int32), jnp.where(covered, v - (0.5 + step / STEPS)[..., None], 0.0)


def chance_sums(v_true: Float[Array, "curves height"], v_pred: Float[Array, "curves height"]) -> dict[str, Any]:
    """`value_sums` of the prediction rolled by half of its rows: the same values at wrong depths.

    Args:
        v_true: the true curve's place in each row [fraction of the track], NaN where it is absent
        v_pred: that of the predicted curve
    """
    return value_sums(v_true, jnp.roll(v_pred, v_pred.shape[-1] // 2, axis=-1))


def depth_lag_rows(
    v_true: Float[Array, "curves height"], v_pred: Float[Array, "curves height"], *, reach: int = 32
) -> Float[Array, " curves"]:
    """By how many rows the prediction lies deeper than the truth: where the two correlate best.

    The cross-correlation is of the differences from row to row, which know no offset and make its peak narrow; where
    a neighbour is absent the difference is 0. The least of equally good lags is taken, the deeper one of two.

    Args:
        v_true: the true curve's place in each row [fraction of the track], NaN where it is absent
        v_pred: that of the predicted curve
        reach: the greatest lag tried [rows]

    Returns:
        The lag [rows], negative where the prediction is too shallow; NaN where no lag correlates at all.

    Raises:
        InputError: the reach is negative.

    Example:
        >>> v = jnp.zeros((1, 9)).at[0, 3].set(1.0)
        >>> depth_lag_rows(v, jnp.roll(v, 2, axis=1), reach=4).tolist()
        [2.0]
    """
    require(reach >= 0, f"the reach of a lag is {reach} rows; it must be at least 0, for example 32.")
    lags = np.array(sorted(range(-reach, reach + 1), key=lambda lag: (abs(lag), -lag)))
    true, predicted = (jnp.diff(v.astype(jnp.float32), axis=-1) for v in (v_true, v_pred))
    true, predicted = (jnp.where(jnp.isfinite(v), v, 0.0) for v in (true, predicted))
    padded, rows = jnp.pad(predicted, ((0, 0), (reach, reach))), true.shape[-1]
    shifted = [padded[:, reach + lag : reach + lag + rows] for lag in lags]
    score = jnp.stack([jnp.sum(true * other, axis=-1) for other in shifted])
    best = jnp.asarray(lags, jnp.float32)[jnp.argmax(score, axis=0)]
    return jnp.where(jnp.max(score, axis=0) > 0, best, jnp.nan)


def value_figures(sums: Mapping[str, Any]) -> dict[str, Float[np.ndarray, "*n"]]:
    """What the sums say, in percent of the scale where it is an error.

    `mae`, `rmse`, `bias` (prediction less truth), `p95` [% of scale], `r2`, `pearson`, `snr_db` and the shares
    `within_1`, `within_2` and `within_5` are of the covered rows; `coverage`, `mae_all`, `p95_all` and the shares
    `within_1_all`, ... of all rows with a true curve, a missed one at the full scale. The signal of `snr_db` is the
    truth less its mean, so it does not depend on where the scale has its zero: it is -10 log10(1 - R2). Quantiles are
    good to a bin of `metrics.histogram`, .01 % of the scale or 2 % of themselves.

    Args:
        sums: of `value_sums`, with any leading axes

    Returns:
        Figures in float64; NaN without rows to judge, and `r2`, `snr_db` without a truth that varies, `pearson`
        without both; `snr_db` is infinite where nothing is wrong.
    """
    rows, within = sums["covered"], np.asarray(sums["within"])
    every = np.asarray(rows) + np.asarray(sums["missed"])
    squared = np.asarray(sums["squared"], np.float64)
    variance_t, variance_p, covariance = _central_moments(sums)
    with np.errstate(divide="ignore"):
        snr_db = 10 * (np.log10(variance_t) - np.log10(quotient(squared, rows)))
    return {
        "mae": 100 * quotient(sums["absolute"], rows),
        "rmse": 100 * np.sqrt(quotient(squared, rows)),
        "bias": 100 * quotient(sums["signed"], rows),
        "p95": quantile_px(sums["covered_bins"], 0.95),
        "r2": 1 - quotient(squared, rows) / variance_t,
        "pearson": np.clip(covariance / np.sqrt(variance_t * variance_p), -1, 1),
        "snr_db": snr_db,
        **{f"within_{bound}": quotient(within[..., i], rows) for i, bound in enumerate(WITHIN_PERCENT)},
        "coverage": quotient(rows, every),
        "mae_all": 100 * quotient(np.asarray(sums["absolute"], np.float64) + sums["missed"], every),
        "p95_all": quantile_px(sums["all_bins"], 0.95),
        **{f"within_{bound}_all": quotient(within[..., i], every) for i, bound in enumerate(WITHIN_PERCENT)},
    }


def _central_moments(sums: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The variances of truth and prediction, NaN where they are constant, and the covariance."""
    scale = np.array([STEPS, STEPS, STEPS**2, STEPS**2, STEPS**2], np.float64)
    moments = np.asarray(sums["moment_steps"]) / scale + np.asarray(sums["moment_rest"], np.float64)
    mean = quotient(moments, np.broadcast_to(np.asarray(sums["covered"])[..., None], moments.shape))
    variance_t, variance_p = mean[..., TT] - mean[..., T] ** 2, mean[..., PP] - mean[..., P] ** 2
    varying_t, varying_p = (np.where(v > LEAST_VARIANCE, v, np.nan) for v in (variance_t, variance_p))
    return varying_t, varying_p, mean[..., TP] - mean[..., T] * mean[..., P]
