"""Quantiles from bins, against the sorted distances."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from ways import every_way

from veerjax.metrics.histogram import BINS, EDGES_PX, distance_histogram, quantile_px

counted = jax.jit(distance_histogram)


def distances(seed):
    noise = np.random.default_rng(seed)
    kind = ("lognormal", "zeros", "equal", "one", "far")[seed % 5]
    values = noise.lognormal(0, 2, 60)
    if kind == "zeros":
        values[:40] = 0
    if kind == "equal":
        values[:] = values[0]
    if kind == "far":
        values *= 1e5
    return values.astype(np.float32), (np.arange(60) < 1 if kind == "one" else noise.random(60) < 0.8)


def test_quantiles_are_those_of_the_sorted_distances_to_a_bin():
    ours, theirs = [], []
    for seed in range(250):
        values, where = distances(seed)
        counts = np.asarray(counted(jnp.asarray(values)[None], jnp.asarray(where)[None]))[0]
        known = np.minimum(values[where].astype(np.float64), EDGES_PX[-1])
        for share in (0.05, 0.5, 0.95):
            true = np.quantile(known, share, method="inverted_cdf")
            ours.append(quantile_px(counts, share) / max(1, true / 2))
            theirs.append(true / max(1, true / 2))
    oracles.agree("quantile (px, relative above 2)", "numpy.quantile", ours, theirs, allowed=0.05)


def test_counts_are_int32_and_the_same_every_way():
    values, where = distances(0)
    counts = every_way(distance_histogram, values[None], where[None])
    assert counts.dtype == np.int32
    assert counts.shape == (1, BINS)
    assert counts.sum() == where.sum()


def test_zeros_have_a_bin_of_their_own_and_nothing_has_no_quantile():
    counts = np.asarray(counted(jnp.array([[0.0, 0.0, 3.0]]), jnp.ones((1, 3), bool)))
    assert quantile_px(counts, 0.5) == [0]
    assert np.isnan(quantile_px(np.zeros((2, BINS)), 0.5)).all()


@pytest.mark.parametrize("factor", [0.5, 3])
def test_weighted_counts_of_a_resample_are_counts_too(factor):
    values, where = distances(5)
    counts = np.asarray(counted(jnp.asarray(values)[None], jnp.asarray(where)[None]))
    np.testing.assert_allclose(quantile_px(counts * factor, 0.5), quantile_px(counts, 0.5))
