"""Sums and quotients of counts."""

import numpy as np

from veerjax.metrics.ratio import mean_of_known, pooled, quotient


def test_a_quotient_of_nothing_is_nan():
    np.testing.assert_array_equal(quotient(np.array([1, 0]), np.array([2, 0])), [0.5, np.nan])


def test_the_mean_leaves_out_what_is_not_known():
    values = np.array([[1.0, np.nan], [np.nan, np.nan], [0.0, np.nan]])
    np.testing.assert_array_equal(mean_of_known(values), [0.5, np.nan])


def test_pooling_does_not_wrap_around():
    np.testing.assert_array_equal(pooled(np.full((4, 2), 2**30, np.int32)), 2**32)
