"""Statistics of curves mean what they say."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from veerjax.data.wells.statistics import (
    TRACK_PX,
    blockiness,
    clipped_share,
    curve_statistics,
    flat_share,
    kolmogorov_smirnov,
    pair_statistics,
    persistence,
    roughness,
    slope,
)

ROWS = 4000


def noise(seed: int = 0, rows: int = ROWS) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=rows)


def line(step_px: float, rows: int = ROWS) -> np.ndarray:
    return np.arange(rows) * step_px / TRACK_PX


def test_a_line_has_one_slope_and_no_roughness():
    found = curve_statistics(line(0.25))
    for name in ("slope_p50_px", "slope_p90_px", "slope_p99_px", "slope_max_px"):
        assert found[name] == pytest.approx(0.25)
    assert found["roughness"] == pytest.approx(0, abs=1e-9)
    assert found["persistence"] == pytest.approx(1)
    assert found["blockiness"] == pytest.approx(0.05, abs=1e-3)
    assert found["flat_share"] == 0


def test_noise_and_a_random_walk_have_the_roughness_and_persistence_that_theory_gives():
    assert roughness(noise()) == pytest.approx(np.sqrt(3), rel=0.03)
    assert persistence(noise()) == pytest.approx(0, abs=0.03)
    walk = np.cumsum(noise())
    assert roughness(walk) == pytest.approx(np.sqrt(2), rel=0.03)
    assert persistence(walk) == pytest.approx(0.5, abs=0.1)


def test_plateaus_move_in_few_rows():
    plateaus = np.repeat(noise(rows=40), 100)
    assert blockiness(plateaus) == pytest.approx(1)
    assert flat_share(plateaus) == pytest.approx(1 - 39 / 3999)


def test_rows_off_the_track_or_stuck_at_one_value_are_clipped():
    x = 0.5 + 0.01 * noise(rows=100)
    assert clipped_share(x) == 0
    x[:10], x[50:70] = 1.2, 0.99
    assert clipped_share(x) == pytest.approx(0.3)
    x[90:95] = 0.4  # too short to be stuck
    assert clipped_share(x) == pytest.approx(0.3)


def test_a_curve_of_half_the_resolution_has_the_same_slopes():
    x = np.cumsum(noise(rows=200)) / TRACK_PX
    fine = np.interp(np.arange(0, 199, 0.5), np.arange(200), x)
    for name, value in slope(x).items():
        assert slope(fine, row_px=0.5)[name] == pytest.approx(value, rel=0.02)


def test_null_rows_do_not_count():
    x = np.cumsum(noise(rows=300)) / TRACK_PX
    with_nulls = np.concatenate([x, np.full(50, np.nan)])
    for name, value in curve_statistics(x).items():
        assert curve_statistics(with_nulls)[name] == pytest.approx(value)
    assert all(np.isnan(value) for value in curve_statistics(np.full(300, np.nan)).values())


def test_place_says_where_a_curve_runs_and_to_which_side_it_kicks():
    x = np.full(200, 0.3)
    x[::10] = 0.7
    found = curve_statistics(x)
    assert found["median"] == pytest.approx(0.3)
    assert found["range"] == pytest.approx(0.4)
    assert found["lean"] == pytest.approx(1)


def test_a_pair_that_coincides_is_close_and_never_crosses():
    x = np.cumsum(noise(rows=400)) / TRACK_PX
    found = pair_statistics(np.stack([x, x + 1 / TRACK_PX]))
    assert found["correlation"] == pytest.approx(1)
    assert found["step_correlation"] == pytest.approx(1)
    assert found["close_share"] == 1
    assert found["crossings"] == 0


def test_a_pair_that_is_mirrored_is_anticorrelated_and_crosses_where_it_meets():
    wave = 0.3 * np.sin(np.arange(400) * np.pi / 100 + 0.1)
    found = pair_statistics(np.stack([0.5 + wave, 0.5 - wave]))
    assert found["correlation"] == pytest.approx(-1)
    assert found["crossings"] == pytest.approx(100 * 4 / 400)
    assert found["close_share"] < 0.1


def test_a_pair_without_shared_rows_has_no_statistics():
    x = np.full((2, 300), 0.5)
    x[0, :150], x[1, 150:] = np.nan, np.nan
    assert all(np.isnan(value) for value in pair_statistics(x).values())


def test_the_distance_of_distributions_is_that_of_scipy_and_leaves_nan_out():
    a, b = noise(1, 300), 0.3 + noise(2, 200)
    expected = ks_2samp(a, b).statistic
    assert kolmogorov_smirnov(a, b) == pytest.approx(expected)
    assert kolmogorov_smirnov(np.append(a, np.nan), b) == pytest.approx(expected)
    assert kolmogorov_smirnov(a, a) == 0
    assert np.isnan(kolmogorov_smirnov(np.array([np.nan]), b))
