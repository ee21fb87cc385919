"""The path is the cheapest one, and it does what the costs were made for."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.tracing.viterbi import ABSENT, viterbi

COSTS = [(0.05, 2.0, 3.0), (0.5, 0.7, 0.2), (0.0, 1.0, 1.0), (3.0, 1e3, 1e3)]


def total_cost(path, cost, absent, *, slope_cost, jump_cap, switch_cost):
    total = sum(absent[r] if c == ABSENT else cost[r, c] for r, c in enumerate(path))
    for a, b in itertools.pairwise(path):
        if (a == ABSENT) != (b == ABSENT):
            total += switch_cost
        elif a != ABSENT:
            total += min(slope_cost * abs(int(a) - int(b)), jump_cap)
    return total


def cheapest_total(cost, absent, *, slope_cost, jump_cap, switch_cost):
    """Dynamic programming over all pairs of states, written from the definition."""
    width = cost.shape[1]
    columns = np.arange(width)
    move = np.full((width + 1, width + 1), switch_cost, float)
    move[:width, :width] = np.minimum(slope_cost * np.abs(columns[:, None] - columns), jump_cap)
    move[width, width] = 0
    scores = np.append(cost[0], absent[0]).astype(float)
    for row, row_absent in zip(cost[1:], absent[1:], strict=True):
        scores = (scores[:, None] + move).min(0) + np.append(row, row_absent)
    return scores.min()


@pytest.mark.parametrize(("slope_cost", "jump_cap", "switch_cost"), COSTS)
def test_no_path_is_cheaper(slope_cost, jump_cap, switch_cost):
    costs = {"slope_cost": slope_cost, "jump_cap": jump_cap, "switch_cost": switch_cost}
    generator = np.random.default_rng(0)
    cost = (2 * generator.random((12, 30, 17))).astype(np.float32)
    absent = (2 * generator.random((12, 30))).astype(np.float32)
    paths = jax.jit(jax.vmap(lambda c, a: viterbi(c, a, **costs)))(cost, absent)
    for path, c, a in zip(np.asarray(paths), cost, absent, strict=True):
        assert total_cost(path, c, a, **costs) == pytest.approx(cheapest_total(c, a, **costs), abs=1e-3)


def test_a_kick_across_half_of_the_track_survives_and_a_lone_speck_does_not():
    cost = np.full((60, 200), 4.6, np.float32)
    truth = np.full(60, 20)
    truth[30:33] = [60, 150, 70]
    cost[np.arange(60), truth] = 0.0
    cost[45, 180] = -0.5
    path = viterbi(jnp.asarray(cost), jnp.full(60, 4.6), slope_cost=0.03, jump_cap=2.0, switch_cost=8.0)
    np.testing.assert_array_equal(path, truth)


def test_a_long_stretch_without_evidence_is_absent_and_a_short_one_is_not():
    cost, absent = np.full((80, 50), 4.6, np.float32), np.full(80, 4.6, np.float32)
    cost[:, 25] = 0.0
    for rows in (slice(20, 50), slice(60, 62)):
        cost[rows], absent[rows] = 4.6, 0.0
    path = np.asarray(viterbi(jnp.asarray(cost), jnp.asarray(absent), slope_cost=0.03, jump_cap=2.0, switch_cost=8.0))
    assert (path[20:50] == ABSENT).all()
    assert (path[50:] == 25).all()


def test_the_path_is_exact_after_thousands_of_rows():
    generator = np.random.default_rng(1)
    cost = np.full((6000, 8), 5.0, np.float32)
    truth = generator.integers(0, 8, 6000)
    cost[np.arange(6000), truth] = 4.99
    path = viterbi(jnp.asarray(cost), jnp.full(6000, 9.0), slope_cost=0.0, jump_cap=0.0, switch_cost=8.0)
    np.testing.assert_array_equal(path, truth)
