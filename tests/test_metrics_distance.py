"""The distance to a mask, against every pair of pixels and scipy."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
import reference
from mask_cases import pairs
from scipy import ndimage
from ways import every_way

from veerjax.errors import InputError
from veerjax.metrics.distance import distance_squared_within

within = jax.jit(distance_squared_within, static_argnames="reach")


def mask(kind):
    result = np.zeros((11, 14), bool)
    if kind == "full":
        result[:] = True
    if kind == "one pixel":
        result[4, 9] = True
    if kind == "corners":
        result[[0, 0, -1, -1], [0, -1, 0, -1]] = True
    if kind == "random":
        result = np.random.default_rng(0).random(result.shape) < 0.05
    if kind == "one row":
        result[6] = True
    return result


@pytest.mark.parametrize("reach", [0, 3, 12])
@pytest.mark.parametrize("kind", ["empty", "full", "one pixel", "corners", "random", "one row"])
def test_distance_equals_the_nearest_of_all_pairs_up_to_the_reach(kind, reach):
    found = within(mask(kind), reach=reach)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, np.minimum(reference.distance_squared(mask(kind)), reach**2 + 1))


def test_the_distance_is_the_same_every_way():
    every_way(partial(distance_squared_within, reach=1), mask("random"))


def test_distance_equals_scipys():
    drawn = np.random.default_rng(1).random((60, 40)) < 0.01
    expected = np.round(ndimage.distance_transform_edt(~drawn) ** 2)
    np.testing.assert_array_equal(within(drawn, reach=6), np.minimum(expected, 37))


def test_distances_of_many_masks_are_those_of_all_pairs_and_of_scipy():
    ours, slow, theirs = [], [], []
    for a, b in pairs(count=105):
        for drawn in (a, b):
            ours.append(within(drawn, reach=6))
            slow.append(np.minimum(reference.distance_squared(drawn), 37))
            edt = ndimage.distance_transform_edt(~drawn) if drawn.any() else np.full(drawn.shape, np.inf)
            theirs.append(np.minimum(np.round(edt**2), 37))
    oracles.agree("squared distance within a reach (px^2)", "own NumPy", ours, slow)
    oracles.agree("squared distance within a reach (px^2)", "scipy.ndimage EDT", ours, theirs)


@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (1, 1)])
def test_images_smaller_than_the_reach_are_measured_too(shape):
    drawn = np.zeros(shape, bool)
    drawn[0, 0] = True
    np.testing.assert_array_equal(within(drawn, reach=4), np.minimum(reference.distance_squared(drawn), 17))


def test_a_negative_reach_is_refused():
    with pytest.raises(InputError, match="reach of a distance is -1 px; it must be at least 0, for example 3"):
        distance_squared_within(jnp.ones((2, 2), bool), reach=-1)
