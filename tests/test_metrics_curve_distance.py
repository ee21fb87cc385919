"""Distances between polylines."""

from functools import partial

import jax
import numpy as np
import oracles
import pytest
import reference_curve_distance as reference
import shapely
from curve_cases import CASES, HEIGHT, WIDTH, curve
from scipy.spatial import cKDTree
from ways import every_way

from veerjax.errors import InputError
from veerjax.metrics.centreline import row_errors
from veerjax.metrics.curve_distance import (
    curve_distance_px,
    curve_distance_sums,
    curve_distances,
    weighted_summary,
)

REACH = 9
near = jax.jit(partial(curve_distances, reach=REACH))
usual = jax.jit(curve_distances)
summed = jax.jit(curve_distance_sums)


def example(seed):
    """All pairs of kinds in turn, and as the second curve the same pair the other way round."""
    true, predicted = CASES[seed % len(CASES)], CASES[seed // len(CASES) % len(CASES)]
    (x, p), (y, q) = curve(true, seed=seed), curve(predicted, seed=seed + 1)
    if seed % 3 == 0:
        y, q = x + np.float32(0.7), q & (np.arange(HEIGHT) != 11)
    return np.stack([x, y]), np.stack([p, q]), np.stack([y, x]), np.stack([q, p])


def one_curve(arrays, k):
    return [array[k] for array in arrays]


def both_ways(arrays, *, reach):
    x, p, y, q = arrays
    if not reference.vertices(x, p) or not reference.vertices(y, q):
        return []
    return reference.one_way(x, p, y, q, reach=reach) + reference.one_way(y, q, x, p, reach=reach)


def symmetric(distances):
    curves = len(distances.weight_px)
    figures = weighted_summary(distances.distance_px.reshape(curves, -1), distances.weight_px.reshape(curves, -1))
    return np.stack([figures[name] for name in ("mean", "median", "p95")], axis=-1)


def test_summaries_are_those_of_the_loop_over_points():
    means, expected_means, upper, expected_upper = [], [], [], []
    for seed in range(200):
        arrays = example(seed)
        ours = symmetric(jax.device_get(near(*arrays)))
        for k in range(2):
            theirs = reference.summary(both_ways(one_curve(arrays, k), reach=REACH))
            means.append(ours[k, 0])
            expected_means.append(theirs[0])
            upper.append(ours[k, 1:])
            expected_upper.append(theirs[1:])
    oracles.agree("curve distance, mean (px)", "own NumPy", means, expected_means, allowed=1e-4)
    oracles.agree("curve distance, median and p95 (px)", "own NumPy", upper, expected_upper, allowed=1e-3)


def polyline(x, presence):
    return shapely.MultiLineString(reference.pieces(x, presence))


def test_distances_of_points_are_those_of_shapely():
    ours, theirs = [], []
    for seed in range(200):
        arrays = example(seed)
        found = jax.device_get(near(*arrays))
        for k in range(2):
            x, p, y, q = one_curve(arrays, k)
            if not reference.vertices(x, p) or not reference.vertices(y, q):
                assert np.isnan(found.distance_px[k]).all()
                continue
            for way, (of, to) in enumerate([((x, p), (y, q)), ((y, q), (x, p))]):
                points = shapely.points(np.array([point for point, _ in reference.points(*of)]))
                distance = np.minimum(shapely.distance(points, polyline(*to)), REACH)
                known = found.weight_px[k, way] > 0
                ours.append(np.sort(found.distance_px[k, way][known]))
                theirs.append(np.sort(distance))
    oracles.agree("distance of points to a polyline (px)", "shapely.distance", ours, theirs, allowed=1e-4)


def test_the_length_of_a_polyline_is_that_of_shapely_and_half_a_pixel_at_each_end():
    ours, theirs = [], []
    for seed in range(200):
        x, p, _, _ = example(seed)
        weight = np.asarray(near(x, p, x, p).weight_px)[0, 0]
        at = reference.vertices(x[0], p[0])
        ends = sum((row - 1 not in at) + (row + 1 not in at) for row in at)
        ours.append(weight.sum())
        theirs.append((polyline(x[0], p[0]).length if at else 0.0) + ends / 2)
    oracles.agree("length of a polyline (px)", "shapely.length", ours, theirs, allowed=1e-3)


def dense(x, presence, *, step=0.02):
    """Points every 1/50 px along a polyline."""
    parts = []
    for start, end in np.array(reference.pieces(x, presence)):
        along = np.linspace(0, 1, 2 + int(np.hypot(*(end - start)) / step))[:, None]
        parts.append(start + along * (end - start))
    return np.concatenate(parts)


def test_distances_of_points_are_those_to_dense_samples():
    ours, theirs = [], []
    for seed in range(300):
        x, p, y, q = one_curve(example(seed), 0)
        if not reference.vertices(x, p) or not reference.vertices(y, q):
            continue
        found = jax.device_get(near(*example(seed)))
        points = [point for point, _ in reference.points(x, p)]
        ours.append(np.sort(found.distance_px[0, 0][found.weight_px[0, 0] > 0]))
        theirs.append(np.sort(np.minimum(cKDTree(dense(y, q)).query(points)[0], REACH)))
    # A sample is at most half a step from the nearest point.
    oracles.agree("distance of points to a polyline (px)", "scipy.spatial.cKDTree", ours, theirs, allowed=0.0101)


def test_the_mean_over_points_is_near_that_over_dense_samples():
    for seed in range(20):
        # Gentle curves, whose distance is nearly straight between our points.
        x = 10 + np.cumsum(np.random.default_rng(seed).normal(0, 0.7, (2, HEIGHT)), axis=1).astype(np.float32)
        there = np.ones(x.shape, bool)
        samples = [dense(x[k], there[k]) for k in range(2)]
        ways = [np.minimum(cKDTree(samples[1 - k]).query(samples[k])[0], REACH) for k in range(2)]
        ours = symmetric(jax.device_get(near(x, there, x[::-1], there)))[0, 0]
        np.testing.assert_allclose(ours, np.mean(np.concatenate(ways)), atol=0.1)


def test_distances_and_sums_are_the_same_every_way():
    def both(*arrays):
        distances = curve_distances(*arrays, reach=3)
        return distances, curve_distance_sums(distances)

    pairs = [(*curve("nan rows"), *curve("spiky")), (*curve("absent"), *curve("spiky"))]
    found, _ = every_way(both, *(np.stack(arrays) for arrays in zip(*pairs, strict=True)), rtol=1e-5)
    assert found.distance_px.dtype == found.weight_px.dtype == np.float32


@pytest.mark.parametrize("kind", [case for case in CASES if case != "absent"])
def test_truth_against_itself_is_at_no_distance(kind):
    x, presence = (array[None] for array in curve(kind))
    np.testing.assert_allclose(symmetric(jax.device_get(usual(x, presence, x, presence))), 0, atol=2e-6)


@pytest.mark.parametrize("shift_px", [-3, 0.5, 2, 40])
def test_shifting_a_straight_curve_gives_that_distance(shift_px):
    x, presence = np.full((1, HEIGHT), 7.25, np.float32), np.ones((1, HEIGHT), bool)
    distances = jax.device_get(usual(x, presence, x + np.float32(shift_px), presence))
    np.testing.assert_allclose(symmetric(distances), abs(shift_px), rtol=1e-6)


def test_distances_beyond_the_reach_count_at_the_reach():
    x, presence = np.full((1, HEIGHT), 7.25, np.float32), np.ones((1, HEIGHT), bool)
    distances = jax.device_get(near(x, presence, x + np.float32(15), presence))
    np.testing.assert_array_equal(symmetric(distances), REACH)


@pytest.mark.parametrize("seed", range(5))
def test_a_spiky_curve_set_off_by_one_row_is_a_pixel_away_though_its_rows_are_many(seed):
    noise = np.random.default_rng(seed)
    x, presence = noise.uniform(0, 40, (1, HEIGHT)).astype(np.float32), np.ones((1, HEIGHT), bool)
    arrays = x, presence, np.roll(x, 1, axis=1), presence
    inside = presence & (np.arange(HEIGHT) > 1)[None]  # the row that comes round is another curve
    mean = symmetric(jax.device_get(usual(arrays[0], inside, arrays[2], inside)))[0, 0]
    assert mean < 1.2
    assert np.nanmean(row_errors(*arrays).error_px) > 8


def test_a_kick_weighs_by_its_length():
    x = np.full((1, HEIGHT), 5, np.float32)
    presence, kicked = np.ones((1, HEIGHT), bool), x.copy()
    kicked[0, 12] = 25
    found = jax.device_get(usual(kicked, presence, x, presence))
    np.testing.assert_allclose(found.weight_px[0, 0].sum(), 22 + 2 * np.hypot(20, 1), rtol=1e-6)
    np.testing.assert_allclose(
        weighted_summary(found.distance_px[0, 0], found.weight_px[0, 0])["mean"], 6.46, atol=0.01
    )


def test_a_part_that_is_not_predicted_is_far_and_not_skipped():
    x, presence = np.full((1, HEIGHT), 5, np.float32), np.ones((1, HEIGHT), bool)
    found = jax.device_get(usual(x, presence, x, presence & (np.arange(HEIGHT) < 12)[None]))
    rows = np.nanmean(found.distance_px[0, 0].reshape(4, HEIGHT), axis=0)
    np.testing.assert_allclose(rows[12:23], np.arange(1, 12))  # row 11 is the last that is predicted
    np.testing.assert_array_equal(found.distance_px[0, 1].reshape(4, HEIGHT)[:, :12], 0)


@pytest.mark.parametrize("seed", range(1, 12, 2))
def test_exchanging_truth_and_prediction_exchanges_the_ways(seed):
    x, p, y, q = example(seed)
    there, back = near(x, p, y, q), near(y, q, x, p)
    np.testing.assert_array_equal(there.distance_px, back.distance_px[:, ::-1])
    np.testing.assert_array_equal(there.weight_px, back.weight_px[:, ::-1])


def test_mirrored_and_upside_down_curves_are_as_far_apart():
    x, p, y, q = example(19)
    expected = symmetric(jax.device_get(near(x, p, y, q)))
    mirrored = jax.device_get(near(WIDTH - x, p, WIDTH - y, q))
    np.testing.assert_allclose(symmetric(mirrored), expected, atol=1e-4)
    turned = jax.device_get(near(*(array[:, ::-1] for array in (x, p, y, q))))
    np.testing.assert_allclose(symmetric(turned), expected, atol=1e-4)


def test_nan_rows_are_absent_rows():
    x, p, y, q = example(18)
    as_nan = near(np.where(p, x, np.nan), np.ones_like(p), np.where(q, y, np.nan), np.ones_like(q))
    jax.tree.map(np.testing.assert_array_equal, as_nan, near(x, p, y, q))


def test_a_missing_curve_has_no_distance_and_no_weight():
    (x, p), (y, q) = curve("smooth"), curve("absent")
    distances = jax.device_get(near(*(array[None] for array in (x, p, y, q))))
    assert np.isnan(distances.distance_px).all()
    assert not distances.weight_px.any()
    assert np.isnan(symmetric(distances)).all()
    sums = jax.device_get(summed(distances))
    assert all(np.isnan(value).all() for value in curve_distance_px(sums).values())


def test_sums_of_logs_give_the_figures_of_their_points_together():
    logs = [jax.device_get(near(*example(seed))) for seed in range(12)]
    sums = [jax.device_get(summed(log)) for log in logs]
    pool = jax.tree.map(lambda *leaves: sum(map(np.float64, leaves)), *sums)
    figures = curve_distance_px(pool)
    distance = np.concatenate([log.distance_px.reshape(2, -1) for log in logs], axis=1)
    weight = np.concatenate([log.weight_px.reshape(2, -1) for log in logs], axis=1)
    expected = weighted_summary(distance, weight)
    np.testing.assert_allclose(figures["mean"], expected["mean"], rtol=1e-5)
    for name in ("median", "p95"):
        np.testing.assert_allclose(figures[name], expected[name], rtol=0.021, atol=0.011)


def test_no_figure_exceeds_the_reach():
    x, presence = np.full((1, 200), 3, np.float32), np.ones((1, 200), bool)
    figures = curve_distance_px(jax.device_get(summed(usual(x, presence, x + np.float32(150), presence))))
    assert figures == {"mean": 64, "median": 64, "p95": 64}


def test_summaries_are_the_weighted_ones_of_numpy():
    ours, theirs = [], []
    for seed in range(200):
        noise = np.random.default_rng(seed)
        values, weights = noise.exponential(2, 30), noise.random(30) * (noise.random(30) < 0.8)
        figures = weighted_summary(np.where(weights > 0, values, np.nan), weights)
        ours.append([figures[name] for name in ("mean", "median", "p95")])
        quantiles = np.quantile(values, (0.5, 0.95), weights=weights, method="inverted_cdf")
        theirs.append([np.average(values, weights=weights), *quantiles])
    oracles.agree("weighted mean, median, p95", "numpy.average and quantile", ours, theirs, allowed=1e-12)


@pytest.mark.parametrize("height", [1, 2])
def test_the_shortest_logs_are_measured(height):
    x, presence = np.full((2, height), 3, np.float32), np.ones((2, height), bool)
    distances = jax.device_get(usual(x, presence, x + np.float32(2), presence))
    np.testing.assert_allclose(symmetric(distances), 2)
    np.testing.assert_allclose(distances.weight_px.sum(axis=-1), height)


def test_a_reach_below_one_pixel_is_refused():
    with pytest.raises(InputError, match="reach of a curve distance is 0 px; it must be at least 1, for example 64"):
        curve_distances(*example(0), reach=0)
