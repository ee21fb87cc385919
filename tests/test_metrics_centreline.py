"""Row errors and coverage."""

import jax
import numpy as np
import pytest
import reference
from curve_cases import CASES, HEIGHT, curve
from ways import every_way

from veerjax.metrics.centreline import (
    RowErrors,
    all_row_error_px,
    coverage,
    covered_row_error_px,
    row_counts,
    row_errors,
)

FIGURES = {"mean": np.mean, "median": np.median, "p95": lambda values: np.percentile(values, 95)}


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
    rows = row_errors(*arrays)
    counts, covered, every = (
        row_counts(rows),
        covered_row_error_px(rows),
        all_row_error_px(rows, track_width_px=20),
    )
    for k in range(2):
        errors, missed, extra = reference.row_errors(*(array[k] for array in arrays))
        assert [counts[name][k] for name in ("covered", "missed", "extra")] == [len(errors), missed, extra]
        true = len(errors) + missed
        np.testing.assert_allclose(coverage(rows)[k], len(errors) / true if true else np.nan)
        for name, figure in FIGURES.items():
            both = errors + [20.0] * missed
            np.testing.assert_allclose(covered[name][k], figure(errors) if errors else np.nan, rtol=1e-6)
            np.testing.assert_allclose(every[name][k], figure(both) if both else np.nan, rtol=1e-6)


@pytest.mark.parametrize("kind", ["gaps", "nan rows", "absent"])
def test_row_errors_are_the_same_every_way(kind):
    rows = every_way(row_errors, *example(kind, "gaps"))
    assert rows.error_px.dtype == np.float32
    assert rows.missed.dtype == rows.extra.dtype == bool


@pytest.mark.parametrize("kind", [case for case in CASES if case != "absent"])
def test_truth_against_itself_is_perfect(kind):
    x, presence = (array[None] for array in curve(kind))
    rows = row_errors(x, presence, x, presence)
    assert coverage(rows) == 1
    assert all_row_error_px(rows, track_width_px=20)["p95"] == 0


@pytest.mark.parametrize("shift_px", [-3, 0.5, 2])
def test_shifting_a_curve_gives_that_distance_in_every_row(shift_px):
    x, presence = (array[None] for array in curve("gaps"))
    figures = covered_row_error_px(row_errors(x, presence, x + np.float32(shift_px), presence))
    np.testing.assert_allclose([figures[name][0] for name in FIGURES], abs(shift_px), rtol=1e-6)


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
    rows = row_errors(x, presence, x, ~presence)
    assert coverage(rows) == 0
    assert np.isnan(covered_row_error_px(rows)["mean"])
    assert all_row_error_px(rows, track_width_px=20)["mean"] == 20
    assert row_counts(rows)["missed"] == HEIGHT


def test_each_curve_is_compared_with_its_namesake():
    x, presence = np.stack([curve("smooth")[0], curve("smooth")[0] + 5]), np.ones((2, HEIGHT), bool)
    swapped = covered_row_error_px(row_errors(x, presence, x[::-1], presence))
    np.testing.assert_allclose(swapped["median"], 5, rtol=1e-6)


def test_logs_reduce_together_whether_stacked_or_laid_end_to_end():
    first, second = row_errors(*example("gaps", "spiky")), row_errors(*example("spiky", "gaps"))
    stacked = jax.tree.map(lambda a, b: np.stack([a, b]), first, second)
    end_to_end = jax.tree.map(lambda a, b: np.concatenate([a, b], axis=-1), first, second)
    assert isinstance(stacked, RowErrors)
    jax.tree.map(np.testing.assert_array_equal, row_counts(stacked), row_counts(end_to_end))
    figures = [all_row_error_px(rows, track_width_px=20) for rows in (stacked, end_to_end)]
    jax.tree.map(np.testing.assert_allclose, *figures)
    np.testing.assert_array_equal(coverage(stacked), coverage(end_to_end))
