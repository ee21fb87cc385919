"""Row errors and coverage."""

from functools import partial

import jax
import numpy as np
import oracles
import pytest
import reference
from curve_cases import CASES, HEIGHT, curve
from ways import every_way

from veerjax.metrics.centreline import (
    all_row_error_px,
    coverage,
    covered_row_error_px,
    row_error_sums,
    row_errors,
)

FIGURES = {
    "mean": np.mean,
    "median": lambda values: np.quantile(values, 0.5, method="inverted_cdf"),
    "p95": lambda values: np.quantile(values, 0.95, method="inverted_cdf"),
}
BIN_PX, BIN_SHARE = 0.011, 0.021  # quantiles are good to a bin
TRACK_PX = 20


@jax.jit
def summed(*arrays):
    return row_error_sums(row_errors(*arrays), track_width_px=TRACK_PX)


def example(true, predicted):
    """Two curves each: the second pair is smooth against smooth."""
    (x, p), (y, q) = curve(true), curve(predicted, seed=1)
    (x2, p2), (y2, q2) = curve("smooth"), curve("smooth", seed=1)
    return np.stack([x, x2]), np.stack([p, p2]), np.stack([y, y2]), np.stack([q, q2])


every_case = pytest.mark.parametrize(
    "arrays", [example(t, p) for t in CASES for p in CASES], ids=[f"{t}-{p}" for t in CASES for p in CASES]
)


@every_case
def test_reductions_equal_the_loop_over_rows(arrays):
    sums = jax.device_get(summed(*arrays))
    covered, every = covered_row_error_px(sums), all_row_error_px(sums)
    for k in range(2):
        errors, missed, extra = reference.row_errors(*(array[k] for array in arrays))
        assert [sums[name][k] for name in ("covered", "missed", "extra")] == [len(errors), missed, extra]
        true = len(errors) + missed
        np.testing.assert_allclose(coverage(sums)[k], len(errors) / true if true else np.nan)
        for name, figure in FIGURES.items():
            both = errors + [float(TRACK_PX)] * missed
            close = {"rtol": 1e-6} if name == "mean" else {"rtol": BIN_SHARE, "atol": BIN_PX}
            np.testing.assert_allclose(covered[name][k], figure(errors) if errors else np.nan, **close)
            np.testing.assert_allclose(every[name][k], figure(both) if both else np.nan, **close)


def test_means_and_coverage_are_those_of_the_loop_over_rows():
    ours, theirs = [], []
    for case in range(220):
        noise = np.random.default_rng(case)
        pick = noise.integers(0, len(CASES), 2)
        (x, p), (y, q) = curve(CASES[pick[0]], seed=case), curve(CASES[pick[1]], seed=case + 1)
        sums = jax.device_get(summed(*(np.stack([array, array]) for array in (x, p, y, q))))
        errors, missed, _ = reference.row_errors(x, p, y, q)
        every = errors + [float(TRACK_PX)] * missed
        ours.append([covered_row_error_px(sums)["mean"][0], all_row_error_px(sums)["mean"][0], coverage(sums)[0]])
        theirs.append([
            np.mean(errors) if errors else np.nan,
            np.mean(every) if every else np.nan,
            len(errors) / len(every) if every else np.nan,
        ])  # fmt: skip
    oracles.agree("row error means, coverage", "own NumPy", ours, theirs, allowed=1e-5)


@pytest.mark.parametrize("kind", ["gaps", "nan rows", "absent"])
def test_row_errors_are_the_same_every_way(kind):
    rows = every_way(row_errors, *example(kind, "gaps"))
    assert rows.error_px.dtype == np.float32
    assert rows.missed.dtype == rows.extra.dtype == bool


@pytest.mark.parametrize("kind", [case for case in CASES if case != "absent"])
def test_truth_against_itself_is_perfect(kind):
    x, presence = (array[None] for array in curve(kind))
    sums = jax.device_get(summed(x, presence, x, presence))
    assert coverage(sums) == 1
    assert all_row_error_px(sums)["p95"] == 0


@pytest.mark.parametrize("shift_px", [-3, 0.5, 2])
def test_shifting_a_curve_gives_that_distance_in_every_row(shift_px):
    x, presence = (array[None] for array in curve("gaps"))
    figures = covered_row_error_px(jax.device_get(summed(x, presence, x + np.float32(shift_px), presence)))
    np.testing.assert_allclose(figures["mean"], abs(shift_px), rtol=1e-6)
    np.testing.assert_allclose([figures[name][0] for name in FIGURES], abs(shift_px), atol=BIN_PX)


def test_nan_rows_are_absent_rows():
    x, presence, y, found = example("gaps", "gaps")
    as_nan = (
        np.where(presence, x, np.nan),
        np.ones_like(presence),
        np.where(found, y, np.nan),
        np.ones_like(found),
    )
    jax.tree.map(np.testing.assert_array_equal, row_errors(*as_nan), row_errors(x, presence, y, found))


def test_a_missing_curve_is_not_skipped():
    x, presence = (array[None] for array in curve("smooth"))
    sums = jax.device_get(summed(x, presence, x, ~presence))
    assert coverage(sums) == 0
    assert np.isnan(covered_row_error_px(sums)["mean"])
    assert all_row_error_px(sums)["mean"] == TRACK_PX
    assert sums["missed"] == HEIGHT


def test_where_all_rows_are_missed_every_figure_is_exactly_the_width():
    x, presence = (array[None] for array in curve("smooth"))
    for width in (TRACK_PX, 189, 256):
        sums = jax.device_get(row_error_sums(row_errors(x, presence, x, ~presence), track_width_px=width))
        assert all_row_error_px(sums) == {"mean": width, "median": width, "p95": width}


def test_each_curve_is_compared_with_its_namesake():
    x, presence = np.stack([curve("smooth")[0], curve("smooth")[0] + 5]), np.ones((2, HEIGHT), bool)
    swapped = covered_row_error_px(jax.device_get(summed(x, presence, x[::-1], presence)))
    np.testing.assert_allclose(swapped["mean"], 5, rtol=1e-6)


def test_sums_of_logs_are_the_sums_of_their_rows_laid_end_to_end():
    logs = [example("gaps", "spiky"), example("spiky", "gaps")]
    apart = [jax.device_get(summed(*log)) for log in logs]
    together = jax.device_get(summed(*(np.concatenate(arrays, axis=-1) for arrays in zip(*logs, strict=True))))
    added = jax.tree.map(lambda a, b: a + b, *apart)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), added, together)
    stacked = jax.tree.map(lambda a, b: np.stack([a, b]), *apart)
    np.testing.assert_array_equal(coverage(stacked), np.stack([coverage(log) for log in apart]))
