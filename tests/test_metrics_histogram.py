"""Quantiles from bins, against the sorted distances."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from ways import every_way

from veerjax.metrics.histogram import BINS, EDGES_PX, FINE_PX, FINE_TO_PX, distance_histogram, quantile_px

counted = jax.jit(distance_histogram)


def histogram(values, where):
    """On the host, of one curve."""
    return jax.device_get(counted(jnp.asarray(values, jnp.float32)[None], jnp.asarray(where)[None]))


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
        counts = histogram(values, where)
        known = np.minimum(values[where].astype(np.float64), EDGES_PX[-1])
        for share in (0.05, 0.5, 0.95):
            true = np.quantile(known, share, method="inverted_cdf")
            ours.append(quantile_px(counts, share)[0] / max(1, true / 2))
            theirs.append(true / max(1, true / 2))
    oracles.agree("quantile (px, relative above 2)", "numpy.quantile", ours, theirs, allowed=0.05)


def test_no_quantile_exceeds_the_largest_distance():
    for seed in range(250):
        values, where = distances(seed)
        largest = max(min(values[where].max(), EDGES_PX[-1]), FINE_PX)
        found = [quantile_px(histogram(values, where), share)[0] for share in (0.05, 0.5, 0.95, 1)]
        assert found == sorted(found)
        assert found[-1] <= largest * (1 + 1e-6) + (FINE_PX if largest < FINE_TO_PX else 0)


@pytest.mark.parametrize("cap", [64, 100, 189, 256, 1000])
def test_what_lies_at_a_cap_has_its_quantiles_at_the_cap(cap):
    counts = histogram(np.where(np.arange(512) < 200, cap - 0.5, cap), np.arange(512) >= 200)
    for pool in (counts, jax.tree.map(lambda leaf: leaf * 977.0, counts)):
        assert quantile_px(pool, 0.5) == quantile_px(pool, 0.95) == cap


def test_quantiles_of_two_widths_lie_between_them():
    pool = jax.tree.map(np.add, histogram(np.full(9, 252), np.ones(9, bool)), histogram([256], [True]))
    assert 252 <= quantile_px(pool, 0.5) <= 256


def test_counts_are_int32_and_the_same_every_way():
    values, where = distances(0)
    counts = every_way(distance_histogram, values[None], where[None])["counts"]
    assert counts.dtype == np.int32
    assert counts.shape == (1, BINS)
    assert counts.sum() == where.sum()


def test_weights_count_as_much_as_they_say():
    values, _ = distances(0)
    whole = every_way(distance_histogram, values[None], np.full((1, len(values)), 0.5, np.float32))
    np.testing.assert_allclose(whole["counts"], 0.5 * histogram(values, np.ones(len(values), bool))["counts"])
    assert whole["counts"].dtype == np.float32


def test_zeros_have_a_bin_of_their_own_and_nothing_has_no_quantile():
    counts = histogram([0, 0, 3], np.ones(3, bool))
    assert quantile_px(counts, 0.5) == [0]
    assert np.isnan(quantile_px(histogram([0, 0, 3], np.zeros(3, bool)), 0.5)).all()


@pytest.mark.parametrize("factor", [0.5, 3])
def test_weighted_counts_of_a_resample_are_counts_too(factor):
    counts = histogram(*distances(5))
    scaled = {name: leaf * factor for name, leaf in counts.items()}
    np.testing.assert_allclose(quantile_px(scaled, 0.5), quantile_px(counts, 0.5))
