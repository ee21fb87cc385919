"""Errors on the track's own scale."""

from functools import partial

import jax
import numpy as np
import oracles
import pytest
import reference_values
from scipy.signal import correlate
from scipy.stats import pearsonr
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from ways import every_way

from veerjax.errors import InputError
from veerjax.metrics.peaks import peak_errors, peak_recall
from veerjax.metrics.ratio import pooled
from veerjax.metrics.tolerance import f1, tolerance_counts
from veerjax.metrics.values import chance_sums, depth_lag_rows, value_figures, value_sums

HEIGHT = 64
KINDS = ("curve", "gaps", "narrow", "constant truth", "constant", "absent", "no prediction", "one row", "off", "exact")
PERCENT = ("mae", "rmse", "bias", "mae_all")
summed = jax.jit(value_sums)
chance = jax.jit(chance_sums)
lag = jax.jit(partial(depth_lag_rows, reach=8))


def example(seed):
    """Values of two curves, adversarial kinds in turn."""
    noise, kind = np.random.default_rng(seed), KINDS[seed % len(KINDS)]
    t = noise.uniform(0.1, 0.9, (2, 1)) + np.cumsum(noise.normal(0, 0.03, (2, HEIGHT)), axis=1)
    p = t + noise.normal(0, 10 ** noise.uniform(-4, -1), t.shape)
    if kind == "gaps":
        t[noise.random(t.shape) < 0.3], p[noise.random(t.shape) < 0.3] = np.nan, np.nan
    if kind == "narrow":  # one percent of the scale, at its edge
        t = 0.02 + noise.normal(0, 0.01, t.shape)
        p = t + noise.normal(0, 0.003, t.shape)
    if kind in ("constant truth", "constant"):
        t[:] = noise.random((2, 1))
        p = np.full(t.shape, 0.3) if kind == "constant" else p
    if kind in ("absent", "no prediction"):
        p[:], t[1] = np.nan, np.nan
    if kind == "absent":
        t[:] = np.nan
    if kind == "one row":
        t[:, 1:] = np.nan
    if kind == "off":
        p = p + noise.choice([-0.6, 0.6])
    if kind == "exact":
        p = t
    return t.astype(np.float32), p.astype(np.float32)


def figures_of(*arrays):
    return value_figures(jax.device_get(summed(*arrays)))


def covered_rows(t, p):
    known = np.isfinite(t) & np.isfinite(p)
    return np.float64(t[known]), np.float64(p[known])


def test_figures_are_those_of_the_loop_over_rows():
    ours, theirs, percent, expected_percent = [], [], [], []
    for seed in range(400):
        figures = figures_of(*example(seed))
        for k in range(2):
            expected = reference_values.figures(*(v[k] for v in example(seed)))
            names = [name for name in expected if name not in PERCENT]
            # R2 of a prediction far off is a great number; it is compared relative to itself.
            scale = max(1.0, abs(expected["r2"])) if np.isfinite(expected["r2"]) else 1.0
            ours.append([figures[name][k] / (scale if name == "r2" else 1) for name in names])
            theirs.append([expected[name] / (scale if name == "r2" else 1) for name in names])
            percent.append([figures[name][k] for name in PERCENT])
            expected_percent.append([expected[name] for name in PERCENT])
    with np.errstate(invalid="ignore"):  # infinite SNR of exact values, which equals itself
        oracles.agree("r2, pearson, SNR, shares of values", "own NumPy", ours, theirs, allowed=1e-5)
    oracles.agree("MAE, RMSE, bias (% of scale)", "own NumPy", percent, expected_percent, allowed=1e-4)


def test_figures_are_those_of_scikit_learn_and_scipy():
    names = ("mae", "rmse", "r2", "pearson")
    found = {name: ([], []) for name in names}
    for seed in range(800):
        if KINDS[seed % len(KINDS)] not in ("curve", "gaps", "narrow"):
            continue
        figures = figures_of(*example(seed))
        for k in range(2):
            t, p = covered_rows(*(v[k] for v in example(seed)))
            expected = {
                "mae": 100 * mean_absolute_error(t, p),
                "rmse": 100 * root_mean_squared_error(t, p),
                "r2": r2_score(t, p),
                "pearson": pearsonr(t, p).statistic,
            }
            for name in names:
                found[name][0].append(figures[name][k] / max(1.0, abs(expected[name])))
                found[name][1].append(expected[name] / max(1.0, abs(expected[name])))
    oracles.agree("MAE (% of scale)", "sklearn.mean_absolute_error", *found["mae"], allowed=1e-5)
    oracles.agree("RMSE (% of scale)", "sklearn.root_mean_squared_error", *found["rmse"], allowed=1e-5)
    oracles.agree("R2", "sklearn.r2_score", *found["r2"], allowed=1e-5)
    oracles.agree("Pearson", "scipy.stats.pearsonr", *found["pearson"], allowed=1e-5)


def test_pooled_figures_are_those_of_all_rows_together():
    logs = [example(seed) for seed in range(40)]
    sums = jax.device_get(jax.vmap(value_sums)(*(np.stack(values) for values in zip(*logs, strict=True))))
    total = jax.tree.map(lambda values: np.float64(values).sum(axis=0), sums)
    figures = value_figures(total)
    for k in range(2):
        t, p = (np.concatenate([log[i][k] for log in logs]) for i in range(2))
        expected = reference_values.figures(t, p)
        for name, value in expected.items():
            np.testing.assert_allclose(figures[name][k], value, rtol=1e-5, err_msg=name)
        error = 100 * np.abs(np.subtract(*covered_rows(t, p)))
        p95 = np.quantile(error, 0.95, method="inverted_cdf")
        np.testing.assert_allclose(figures["p95"][k], p95, rtol=0.021, atol=0.011)
    np.testing.assert_array_equal(pooled(sums["within"]), total["within"])


def test_a_narrow_curve_on_a_tall_strip_keeps_its_digits():
    noise = np.random.default_rng(0)
    t = (0.93 + noise.normal(0, 0.003, (1, 8192))).astype(np.float32)
    p = t + noise.normal(0, 0.001, t.shape).astype(np.float32)
    figures, expected = figures_of(t, p), reference_values.figures(t[0], p[0])
    for name, value in expected.items():
        np.testing.assert_allclose(figures[name], value, rtol=1e-5, err_msg=name)


def test_values_off_the_track_do_not_overflow():
    t = np.tile(np.float32([-1.4, 2.9]), (1, 4096))
    figures = figures_of(t, t + np.float32(0.5))
    np.testing.assert_allclose([figures["bias"], figures["pearson"]], [[50], [1]], rtol=1e-5)


def test_lags_are_those_of_the_loop_and_of_scipy():
    ours, theirs, scipys = [], [], []
    for seed in range(200):
        t, p = example(seed)
        p = np.roll(p, seed % 15 - 7, axis=1) if seed % 2 else p
        ours.append(lag(t, p))
        theirs.append([reference_values.lag(t[k], p[k], reach=8) for k in range(2)])
        products = [
            correlate(*(np.nan_to_num(np.diff(np.float64(v[k]))) for v in (p, t)), method="direct") for k in range(2)
        ]
        middle = HEIGHT - 2
        scipys.append([np.argmax(of[middle - 8 : middle + 9]) - 8 if of.any() else np.nan for of in products])
    oracles.agree("depth lag (rows)", "own NumPy", ours, theirs)
    oracles.agree("depth lag (rows)", "scipy.signal.correlate", ours, scipys)


def test_sums_and_lags_are_the_same_every_way():
    gaps, absent = example(KINDS.index("gaps")), example(KINDS.index("absent"))
    t, p = (np.stack([v[0], w[0]]) for v, w in zip(gaps, absent, strict=True))
    sums = every_way(value_sums, t, p, rtol=1e-4)
    for bins in ("covered_bins", "all_bins"):
        assert sums.pop(bins)["counts"].dtype == np.int32
    assert {name for name, values in sums.items() if values.dtype == np.float32} == {
        "absolute",
        "signed",
        "squared",
        "moment_rest",
    }
    every_way(partial(depth_lag_rows, reach=2), t, p)


@pytest.mark.parametrize("kind", ["curve", "gaps"])
def test_truth_against_itself_is_perfect(kind):
    t, _ = example(KINDS.index(kind))
    figures = figures_of(t, t)
    for name in ("mae", "rmse", "bias", "p95", "mae_all"):
        np.testing.assert_array_equal(figures[name], 0)
    for name in ("r2", "pearson", "within_1", "coverage"):
        np.testing.assert_allclose(figures[name], 1, rtol=1e-6)
    np.testing.assert_array_equal(figures["snr_db"], np.inf)
    np.testing.assert_array_equal(lag(t, t), 0)


@pytest.mark.parametrize("shift", [-0.25, 0.03])
def test_an_offset_is_the_bias_and_pearson_is_blind_to_it(shift):
    t, _ = example(0)
    figures = figures_of(t, t + np.float32(shift))
    np.testing.assert_allclose(figures["bias"], 100 * shift, rtol=1e-5)
    np.testing.assert_allclose(figures["mae"], 100 * abs(shift), rtol=1e-5)
    np.testing.assert_allclose(figures["pearson"], 1, rtol=1e-6)
    assert np.all(figures["r2"] < 1)


@pytest.mark.parametrize("rows", [-7, -1, 0, 3, 8])
def test_a_prediction_that_is_too_deep_lags_by_its_rows(rows):
    t, _ = example(0)
    np.testing.assert_array_equal(lag(t, np.roll(t, rows, axis=1)), rows)


def test_signal_to_noise_is_one_minus_r2_in_decibels():
    figures = figures_of(*example(1))
    np.testing.assert_allclose(figures["snr_db"], -10 * np.log10(1 - figures["r2"]), rtol=1e-9)


def test_missed_rows_count_at_the_full_scale_where_all_rows_are_counted():
    t, p = np.full((1, 4), 0.5, np.float32), np.array([[0.5, 0.51, np.nan, np.nan]], np.float32)
    figures = figures_of(t, p)
    np.testing.assert_allclose([figures["mae"], figures["mae_all"]], [[0.5], [50.25]], rtol=1e-5)
    np.testing.assert_allclose([figures["coverage"], figures["within_2"], figures["within_2_all"]], [[0.5], [1], [0.5]])
    np.testing.assert_allclose(figures["p95_all"], 100, rtol=0.02)


def test_where_all_rows_are_missed_the_error_is_exactly_the_full_scale():
    t = np.full((1, HEIGHT), 0.3, np.float32)
    assert figures_of(t, np.full_like(t, np.nan))["p95_all"] == 100


def test_masking_rows_equals_removing_them():
    t, p = example(0)
    kept = np.random.default_rng(0).random(HEIGHT) < 0.5
    masked, removed = figures_of(np.where(kept[None], t, np.nan), p), figures_of(t[:, kept], p[:, kept])
    for name in masked:
        np.testing.assert_allclose(masked[name], removed[name], rtol=1e-5, err_msg=name)


def test_without_rows_every_figure_is_nan_and_without_variation_those_that_need_it():
    figures = figures_of(*example(KINDS.index("absent")))
    assert all(np.isnan(value).all() for value in figures.values())
    figures = figures_of(*example(KINDS.index("no prediction")))
    assert {name for name, value in figures.items() if np.isfinite(value[0])} == {
        "coverage",
        "mae_all",
        "p95_all",
        "within_1_all",
        "within_2_all",
        "within_5_all",
    }
    figures = figures_of(*example(KINDS.index("constant truth")))
    assert {name for name, value in figures.items() if np.isnan(value[0])} == {"r2", "pearson", "snr_db"}
    assert np.isnan(lag(*example(KINDS.index("constant")))).all()


def test_chance_is_the_error_at_the_wrong_depth():
    rows = np.arange(HEIGHT)
    t = np.stack([rows / HEIGHT, 1 - rows / HEIGHT]).astype(np.float32)
    figures = value_figures(jax.device_get(chance(t, t)))
    expected = figures_of(t, np.roll(t, HEIGHT // 2, axis=1))
    for name in figures:
        np.testing.assert_array_equal(figures[name], expected[name])
    np.testing.assert_allclose(figures["mae"], 50)
    assert np.all(figures["pearson"] < 0)


def test_smoothing_away_the_peaks_is_seen_by_peaks_and_tolerance_and_not_by_pearson():
    """Why Pearson never stands alone: a moving average over ten rows."""
    height, width, noise = 512, 256, np.random.default_rng(0)
    rows = np.arange(height)
    x = 128 + 85 * np.sin(rows / 60) + np.where(rows % 23 == 7, noise.choice([-36, 36], height), 0)
    smooth = np.convolve(np.pad(x, (5, 4), mode="edge"), np.ones(10) / 10, mode="valid")
    x, smooth = (np.float32(v)[None] for v in (x, smooth))
    there = np.ones(x.shape, bool)

    def judged(y):
        peaks = jax.device_get(peak_errors(x, there, y, there, track_width_px=width))
        counts = tolerance_counts(x, there, y, there, width=width)
        pearson = figures_of(x / width, y / width)["pearson"].item()
        return peak_recall(peaks.counts).item(), f1(counts)[0, 1].item(), pearson

    perfect, smoothed = judged(x), judged(smooth)
    np.testing.assert_allclose(perfect, 1, rtol=1e-6)
    assert smoothed[0] < 0.3
    assert smoothed[1] < 0.7
    assert smoothed[2] > 0.95


def test_a_negative_reach_is_refused():
    with pytest.raises(InputError, match="reach of a lag is -1 rows; it must be at least 0, for example 32"):
        depth_lag_rows(*example(0), reach=-1)
