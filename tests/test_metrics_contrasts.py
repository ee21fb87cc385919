"""Tests of differences: equivalence is shown, not the lack of a difference."""

import numpy as np
import pytest

from veerjax.metrics.contrasts import bounds, equivalent, holm, p_value

DRAWS = np.random.default_rng(0).normal(size=20_000)


def test_a_small_difference_is_equivalent_and_an_unsure_one_is_not() -> None:
    assert equivalent(0.005 * DRAWS, margin=0.02)
    assert not equivalent(0.05 * DRAWS, margin=0.02)  # no difference is shown, and no equivalence either
    assert not equivalent(0.03 + 0.001 * DRAWS, margin=0.02)
    assert not equivalent(np.full(100, np.nan), margin=0.02)


def test_equivalence_is_two_tests_of_one_side_each() -> None:
    """A normal difference is equivalent as long as its 90 % interval stays within the margin."""
    assert equivalent(0.02 / 1.70 * DRAWS, margin=0.02)
    assert not equivalent(0.02 / 1.60 * DRAWS, margin=0.02)


def test_p_values_are_those_of_the_normal_distribution() -> None:
    assert p_value(1.96 + DRAWS) == pytest.approx(0.05, abs=0.006)
    assert p_value(DRAWS) > 0.9
    assert p_value(100 + DRAWS) == pytest.approx(2 / len(DRAWS))
    assert np.isnan(p_value(np.full(10, np.nan)))
    assert p_value(np.zeros(10)) == 1


def test_draws_that_are_mostly_unknown_have_no_bounds() -> None:
    assert np.isnan(bounds(np.array([1.0, np.nan, np.nan]))).all()
    assert bounds(np.array([1.0, 1.0, np.nan])) == (1.0, 1.0)


def test_holm_is_monotone_and_leaves_what_is_unknown() -> None:
    given = {"a": 0.01, "b": 0.02, "c": 0.03, "d": 0.5, "e": float("nan")}
    found = holm(given)
    assert np.isnan(found.pop("e"))
    assert found == pytest.approx({"a": 0.04, "b": 0.06, "c": 0.06, "d": 0.5})
    assert holm({}) == {}
