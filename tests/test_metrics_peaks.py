"""Peaks of curves and whether they are found."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
import reference_peaks
from curve_cases import curve
from scipy.signal import find_peaks
from ways import every_way

from veerjax.errors import InputError
from veerjax.metrics.peaks import (
    PeakErrors,
    median_peak_error_px,
    peak_errors,
    peak_prominence,
    peak_recall,
    peak_sums,
)

HEIGHT, TRACK_PX = 48, 40
KINDS = ("random", "plateaus", "gaps", "spikes", "nan rows", "smooth", "constant", "absent", "one row", "full of gaps")
errors_of = jax.jit(partial(peak_errors, track_width_px=TRACK_PX))
prominence_of = jax.jit(jax.vmap(peak_prominence))


def example(seed):
    """`x` and `presence` of two curves, adversarial kinds in turn."""
    noise, kind = np.random.default_rng(seed), KINDS[seed % len(KINDS)]
    x, presence = noise.uniform(0, TRACK_PX, (2, HEIGHT)), np.ones((2, HEIGHT), bool)
    if kind in ("plateaus", "full of gaps"):
        x = np.floor(x / 10) * 10
    if kind in ("gaps", "full of gaps"):
        presence = noise.random(x.shape) < (0.9 if kind == "gaps" else 0.5)
    if kind == "spikes":
        x = np.where(noise.random(x.shape) < 0.1, x, 20.0)
    if kind == "nan rows":
        x[noise.random(x.shape) < 0.1] = np.nan
    if kind == "smooth":
        x = 20 + np.cumsum(noise.normal(0, 2, x.shape), axis=1)
    if kind == "constant":
        x[:] = 12.0
    if kind in ("absent", "one row"):
        presence[:] = (np.arange(HEIGHT) == 7) & (kind == "one row")
    return x.astype(np.float32), presence


def pair(seed):
    """Truth and a prediction that is the truth with noise, smoothed, shifted, in part absent, or another curve."""
    (x, p), noise = example(seed), np.random.default_rng([seed, 1])
    y, q = x + noise.normal(0, 0.5, x.shape).astype(np.float32), p & (noise.random(p.shape) < 0.95)
    way = (seed // len(KINDS)) % 4
    if way == 1:
        y, q = np.roll(x, 3, axis=1), np.roll(p, 3, axis=1)
    if way == 2:
        y = np.stack([np.convolve(row, np.ones(3) / 3, mode="same") for row in x]).astype(np.float32)
    if way == 3:
        y, q = example(seed + 3)
        q = q & (np.arange(HEIGHT) // 12 != 1)[None]
    return x, p, y, q


def wave(*, height=HEIGHT):
    """Right-going and left-going peaks 8 rows apart."""
    x = np.where(np.arange(height) % 16 == 4, 35.0, np.where(np.arange(height) % 16 == 12, 5.0, 20.0))
    return np.stack([x, 40 - x]).astype(np.float32), np.ones((2, height), bool)


def test_peaks_are_those_of_scipy():
    ours, theirs, heights, scipys = [], [], [], []
    for seed in range(300):
        x, presence = example(seed)
        for sign in (1, -1):
            found = np.asarray(prominence_of(sign * x, presence & np.isfinite(x)))
            for k in range(2):
                expected = np.zeros(HEIGHT)
                for start, stop in reference_peaks.runs(x[k], presence[k]):
                    rows, of = find_peaks(sign * x[k, start:stop].astype(np.float64), prominence=1e-9)
                    expected[start + rows] = of["prominences"]
                heights.append(found[k])
                scipys.append(expected)
                ours.append(found[k] >= 0.1 * TRACK_PX)
                theirs.append(expected >= 0.1 * TRACK_PX)
    oracles.agree("peak rows of prominence >= 10 %", "scipy.signal.find_peaks", ours, theirs)
    oracles.agree("peak prominence (px)", "scipy.signal.find_peaks", heights, scipys, allowed=4e-6)


def test_errors_are_those_of_the_loop_over_rows():
    ours, theirs, found, expected_found = [], [], [], []
    for seed in range(240):
        arrays = pair(seed)
        peaks = jax.device_get(errors_of(*arrays))
        for k in range(2):
            expected = reference_peaks.peak_errors(
                *(array[k] for array in arrays), track=TRACK_PX, prominence_share=0.1, reach=5
            )
            ours.append(peaks.error_px[k])
            theirs.append([expected.get(row, np.nan) for row in range(HEIGHT)])
            found.append(peaks.counts[k])
            expected_found.append([sum(e <= 0.02 * TRACK_PX for e in expected.values()), len(expected)])
    oracles.agree("peak error (px)", "own NumPy", ours, theirs, allowed=4e-6)
    oracles.agree("peaks found and true", "own NumPy", found, expected_found)


def test_errors_and_sums_are_the_same_every_way():
    def both(*arrays):
        peaks = peak_errors(*arrays, track_width_px=20)
        return peaks, peak_sums(peaks)

    peaks, _ = every_way(both, *(np.stack([array] * 2) for array in (*curve("nan rows"), *curve("gaps"))))
    assert peaks.counts.dtype == np.int32
    assert peaks.error_px.dtype == np.float32


@pytest.mark.parametrize("seed", range(2 * len(KINDS)))
def test_truth_against_itself_finds_every_peak_without_error(seed):
    x, presence = example(seed)
    peaks = jax.device_get(errors_of(x, presence, x, presence))
    np.testing.assert_array_equal(peaks.counts[:, 0], peaks.counts[:, 1])
    assert np.nanmax(peaks.error_px, initial=0) == 0


@pytest.mark.parametrize("shift", [-5, -2, 1, 5])
def test_peaks_set_off_by_rows_within_reach_are_found_at_no_error(shift):
    x, presence = wave()
    peaks = jax.device_get(errors_of(x, presence, np.roll(x, shift, axis=1), presence))
    inside = peaks.error_px[:, 6:-6]  # nearer to the ends a peak may have left the log
    np.testing.assert_array_equal(inside[~np.isnan(inside)], 0)
    assert np.isfinite(inside).any()


def test_peaks_set_off_by_more_than_the_reach_are_lost():
    x, presence = wave()
    peaks = jax.device_get(errors_of(x[:1], presence[:1], np.roll(x[:1], 6, axis=1), presence[:1]))
    np.testing.assert_array_equal(peaks.counts, [[0, 6]])
    np.testing.assert_array_equal(peaks.error_px[~np.isnan(peaks.error_px)], 15)


def test_a_shift_across_the_track_is_the_error_of_every_peak():
    x, presence = wave()
    peaks = jax.device_get(errors_of(x, presence, x + np.float32(0.5), presence))
    np.testing.assert_array_equal(peaks.error_px[~np.isnan(peaks.error_px)], 0.5)
    np.testing.assert_array_equal(peak_recall(peaks.counts), 1)
    lost = jax.device_get(errors_of(x, presence, x + np.float32(1), presence))
    np.testing.assert_array_equal(peak_recall(lost.counts), 0)


def test_a_curve_that_is_flat_or_absent_finds_no_peak():
    x, presence = wave()
    flat = jax.device_get(errors_of(x, presence, np.full_like(x, 20), presence))
    absent = jax.device_get(errors_of(x, presence, x, np.zeros_like(presence)))
    for peaks, error in ((flat, 15), (absent, TRACK_PX)):
        np.testing.assert_array_equal(peak_recall(peaks.counts), 0)
        np.testing.assert_array_equal(peaks.error_px[~np.isnan(peaks.error_px)], error)


def test_a_lower_peak_beside_a_higher_one_is_judged_by_itself():
    x = np.full((1, HEIGHT), 10, np.float32)
    x[0, [20, 23]] = [25, 35]
    there = np.ones_like(x, bool)
    merged = x.copy()
    merged[0, 20] = 10
    np.testing.assert_array_equal(errors_of(x, there, x, there).counts[0], [3, 3])  # the valley between is a peak too
    np.testing.assert_array_equal(errors_of(x, there, merged, there).counts[0], [2, 3])


def test_the_mirrored_and_the_upside_down_curves_have_the_same_peaks():
    x, p, y, q = pair(2)
    expected = jax.device_get(errors_of(x, p, y, q))
    mirrored = jax.device_get(errors_of(-x, p, -y, q))
    np.testing.assert_array_equal(mirrored.error_px, expected.error_px)
    x, p, y, q = (array[:, ::-1] for array in pair(0))  # no plateaus, whose middle row rounds up
    turned = jax.device_get(errors_of(x, p, y, q))
    np.testing.assert_array_equal(turned.error_px[:, ::-1], errors_of(*pair(0)).error_px)


def test_nan_rows_are_absent_rows():
    x, p, y, q = pair(2)
    as_nan = errors_of(np.where(p, x, np.nan), np.ones_like(p), np.where(q, y, np.nan), np.ones_like(q))
    jax.tree.map(np.testing.assert_array_equal, as_nan, errors_of(x, p, y, q))


def test_sums_pool_the_peaks_of_logs():
    sums = [jax.device_get(jax.jit(peak_sums)(errors_of(*pair(seed)))) for seed in range(20)]
    pool = jax.tree.map(lambda *leaves: np.sum(leaves, axis=0), *sums)
    errors = np.concatenate([np.asarray(errors_of(*pair(seed)).error_px) for seed in range(20)], axis=1)
    np.testing.assert_allclose(peak_recall(pool["counts"]), np.mean(errors[~np.isnan(errors)] <= 0.8), atol=0.1)
    for k in range(2):
        known = errors[k][~np.isnan(errors[k])]
        median = np.quantile(known, 0.5, method="inverted_cdf")
        np.testing.assert_allclose(median_peak_error_px(pool)[k], median, rtol=0.021, atol=0.011)


def test_where_all_peaks_are_missed_the_median_error_is_exactly_the_width():
    x, presence = wave(height=64)
    for width in (TRACK_PX, 189, 256):
        errors = peak_errors(x, presence, x, ~presence, track_width_px=width, prominence_share=0.01)
        assert (median_peak_error_px(jax.device_get(peak_sums(errors))) == width).all()


def test_without_true_peaks_nothing_is_judged():
    x, presence = example(KINDS.index("constant"))
    sums = jax.device_get(peak_sums(errors_of(x, presence, x, presence)))
    assert np.isnan(peak_recall(sums["counts"])).all()
    assert np.isnan(median_peak_error_px(sums)).all()


@pytest.mark.parametrize("height", [1, 2, 3, 8192])
def test_strips_of_any_height_are_judged(height):
    x, presence = wave(height=height)
    peaks: PeakErrors = jax.device_get(errors_of(jnp.asarray(x), presence, x, presence))
    expected = sum(0 < row < height - 1 for row in range(4, height, 8))
    np.testing.assert_array_equal(peaks.counts, [[expected] * 2] * 2)


def test_a_negative_reach_or_no_share_is_refused():
    with pytest.raises(InputError, match="reach of a peak is -1 rows; it must be at least 0, for example 5"):
        peak_errors(*pair(0), track_width_px=TRACK_PX, reach=-1)
    with pytest.raises(InputError, match=r"shares of a peak are 0.0 and 0.02; both must be above 0, as in .1 and .02"):
        peak_errors(*pair(0), track_width_px=TRACK_PX, prominence_share=0.0)
