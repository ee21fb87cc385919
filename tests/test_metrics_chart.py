"""The scores 6a and 6b of chart mining, against a NumPy twin with SciPy's assignment."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
import reference_chart as reference
from curve_cases import CASES, HEIGHT, WIDTH, curve
from ways import every_way

from veerjax.metrics.chart import chart_scores, chart_sums, line_scores

summed, scored = jax.jit(chart_sums), jax.jit(line_scores)


def line(kind, *, seed=0):
    x, presence = curve(kind, seed=seed)
    return np.where(presence, x / WIDTH, np.nan).astype(np.float32)


def case(seed):
    """True and predicted lines: hard ones against each other, then none to two of each, near one another or not."""
    if seed < len(CASES) ** 2:
        first, second = CASES[seed % len(CASES)], CASES[seed // len(CASES)]
        return np.stack([line(first), line(second)]), np.stack([line(second, seed=1), line("smooth", seed=2)])
    noise = np.random.default_rng(seed)
    true = 0.5 + np.cumsum(noise.normal(0, 0.04, (2, HEIGHT)), axis=1)
    predicted = true[:: noise.choice([1, -1])] + noise.normal(0, noise.choice([0, 0.01, 0.3]), true.shape)
    if seed % 5 == 0:
        true[0] = predicted[1] = noise.choice([0, 0.3])  # constant
    for lines in (true, predicted):
        lines[noise.random(lines.shape) < noise.choice([0, 0.3])] = np.nan
        lines[noise.random(2) < 0.25] = np.nan
    return np.float32(true), np.float32(predicted)


def scores_of(true, predicted):
    found = chart_scores(jax.device_get(summed(true, predicted)))
    return [found["6a"].item(), found["6b"].item()]


def test_scores_are_those_of_the_definition_for_any_number_of_lines():
    cases = [case(seed) for seed in range(260)]
    numbers = {tuple(int(np.isfinite(lines).any(axis=1).sum()) for lines in pair) for pair in cases}
    assert numbers == {(t, p) for t in range(3) for p in range(3)}
    ours = [scores_of(*pair) for pair in cases]
    theirs = [reference.chart_scores(*pair) for pair in cases]
    oracles.agree("CHART 6a, 6b", "NumPy, linear_sum_assignment", ours, theirs, allowed=1e-6)


def test_a_score_of_unbroken_lines_is_the_published_one_but_for_the_weight_of_their_ends():
    for seed in range(20):
        noise = np.random.default_rng(seed)
        true = 0.5 + np.cumsum(noise.normal(0, 0.02, (2, 400)), axis=1)
        predicted = true + noise.normal(0, 0.05, true.shape)
        found = scored(np.float32(true), np.float32(predicted))
        for t, p in np.ndindex(2, 2):
            np.testing.assert_allclose(found[t, p], reference.published_line_score(true[t], predicted[p]), atol=1 / 400)


def test_scores_are_the_same_every_way():
    sums = every_way(chart_sums, *case(100), rtol=1e-6)
    assert [sums[name].dtype.name for name in sorted(sums)] == ["int32", "int32", "float32", "float32"]
    every_way(chart_sums, *case(4), rtol=1e-6)


@pytest.mark.parametrize("kind", [kind for kind in CASES if kind != "absent"])
def test_truth_against_itself_is_perfect_in_either_order(kind):
    true = np.stack([line(kind), line("spiky", seed=3)])
    np.testing.assert_allclose(scores_of(true, true), 1, rtol=1e-6)
    np.testing.assert_allclose(scores_of(true, true[::-1]), 1, rtol=1e-6)


def test_the_order_of_lines_changes_nothing():
    true, predicted = case(101)
    expected = scores_of(true, predicted)
    np.testing.assert_allclose(scores_of(true[::-1], predicted), expected, rtol=1e-6)
    np.testing.assert_allclose(scores_of(true, predicted[::-1]), expected, rtol=1e-6)


def test_rows_without_a_line_in_truth_and_prediction_are_as_if_cut_out():
    true, predicted = (np.float32(np.stack([line("smooth", seed=s), line("smooth", seed=s + 1)])) for s in (0, 2))
    keep = np.arange(HEIGHT) % 3 > 0
    holed = [np.where(keep[None], lines, np.nan) for lines in (true, predicted)]
    np.testing.assert_allclose(scores_of(*holed), scores_of(true[:, keep], predicted[:, keep]), rtol=1e-6)


def test_the_true_lines_divide_6a_and_the_greater_number_6b():
    one, two = np.full((2, 8), np.nan, np.float32), np.full((2, 8), 0.5, np.float32)
    one[0], two[1] = two[0], 0.9
    np.testing.assert_allclose(scores_of(one, two), [1, 0.5], rtol=1e-6)
    np.testing.assert_allclose(scores_of(two, one), [0.5, 0.5], rtol=1e-6)


def test_an_error_counts_relative_to_the_value_and_a_hundredth_of_the_range():
    # The range is .5, so epsilon is .005; the last row is absent in the prediction.
    true, predicted = np.full((2, 4), np.nan, np.float32), np.full((2, 4), np.nan, np.float32)
    true[0], predicted[0] = [0.5, 0.0, 0.25, 0.5], [0.6, 0.001, 0.25, np.nan]
    recall = (1 - 0.1 / 0.505 + 1 - 0.001 / 0.005 + 1 + 0) / 4
    precision = (1 - 0.1 / 0.605 + 1 - 0.001 / 0.006 + 1) / 3
    expected = 2 * recall * precision / (recall + precision)
    np.testing.assert_allclose(scored(true, predicted), [[expected, 0], [0, 0]], rtol=1e-5)


def test_a_constant_line_at_zero_is_hit_or_missed():
    zero, near = np.zeros((2, 6), np.float32), np.full((2, 6), 1e-6, np.float32)
    np.testing.assert_array_equal(scored(zero, zero), 1)
    np.testing.assert_array_equal(scored(zero, near), 0)


def test_lines_without_truth_or_prediction_have_defined_scores():
    none, some = np.full((2, 6), np.nan, np.float32), np.full((2, 6), 0.5, np.float32)
    np.testing.assert_array_equal(scores_of(none, none), [np.nan, np.nan])
    np.testing.assert_array_equal(scores_of(none, some), [np.nan, 0])
    np.testing.assert_array_equal(scores_of(some, none), [0, 0])


def test_scores_of_a_pool_are_means_over_the_logs_that_have_them():
    sums = jax.device_get(jax.vmap(chart_sums)(*(jnp.stack(part) for part in zip(*map(case, range(64)), strict=True))))
    known = chart_scores(sums)
    pool = chart_scores({name: leaf.sum(axis=0) for name, leaf in sums.items()})
    for name, score in pool.items():
        np.testing.assert_allclose(score, np.nanmean(known[name]), rtol=1e-6)
