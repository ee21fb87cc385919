"""The cheapest pair of paths is the one that trying all of them finds."""

import itertools

import numpy as np
import pytest

from veerjax.tracing import pair as pair_module
from veerjax.tracing.pair import Pair, PairCosts, cheapest_pair, move_costs, row_costs
from veerjax.tracing.stretches import Stretches, stretches

ROWS, COUNT = 4, 2


def random_pair(seed: int) -> Pair:
    draw = np.random.default_rng(seed)
    first = draw.integers(0, 12, (ROWS, COUNT)) + np.array([0, 14])
    return Pair(
        found=Stretches(
            first=first, last=first + 2, peak=first + 1, strength=draw.uniform(0.1, 1, (ROWS, COUNT)).astype(np.float32)
        ),
        own=np.ones((2, COUNT), np.float32),
        presence=draw.uniform(0, 1, (ROWS, 2)).astype(np.float32),
        taken=np.zeros((ROWS, COUNT), np.float32),
        seed=np.full((ROWS, 2), np.nan, np.float32),
    )


@pytest.mark.parametrize("same_class", [True, False])
def test_it_is_the_cheapest_of_all(same_class):
    costs = PairCosts(switch_cost=1.0)
    pair = random_pair(3)
    found = cheapest_pair(pair, edges_px=(0, 32), wraps=(False, False), same_class=same_class, costs=costs)
    cost = np.asarray(row_costs(pair, costs=costs, same_class=same_class))
    above, below = (
        Stretches(**{name: getattr(pair.found, name)[rows] for name in ("first", "last", "peak", "strength")})
        for rows in (slice(0, -1), slice(1, None))
    )
    move = np.asarray(move_costs(above, below, np.float32([0, 32]), costs=costs, same_class=same_class).within)
    states = list(itertools.product(range(COUNT + 1), repeat=2))

    def total(path: tuple[tuple[int, int], ...]) -> float:
        steps = sum(move[r, a[k], b[k]] for r, (a, b) in enumerate(itertools.pairwise(path)) for k in (0, 1))
        return steps + sum(cost[r, a, b] for r, (a, b) in enumerate(path))

    best = min(itertools.product(states, repeat=ROWS), key=total)
    np.testing.assert_array_equal(np.where(found.stretch < 0, COUNT, found.stretch).T, best)


def test_blocks_of_rows_change_nothing(monkeypatch):
    draw = np.random.default_rng(0)
    evidence = (draw.uniform(0, 1, (90, 24)) ** 4).astype(np.float32)
    found = Stretches(**{k: np.asarray(v) for k, v in vars(stretches(evidence, count=3)).items()})
    pair = Pair(
        found=found,
        own=np.ones((2, 3), np.float32),
        presence=np.repeat(evidence.max(axis=1)[:, None], 2, axis=1),
        taken=np.zeros((90, 3), np.float32),
        seed=np.full((90, 2), np.nan, np.float32),
    )
    traced = {}
    for rows in (32, 90):
        monkeypatch.setattr(pair_module, "BLOCK_ROWS", rows)
        traced[rows] = cheapest_pair(pair, edges_px=(0, 24), wraps=(True, False), same_class=True)
    np.testing.assert_array_equal(traced[32].stretch, traced[90].stretch)
    np.testing.assert_array_equal(traced[32].wrap, traced[90].wrap)


def test_stretches_part_at_valleys_and_not_within_a_kick():
    row = np.zeros((2, 32), np.float32)
    row[0, [5, 6, 7, 8, 9, 10, 11]] = [0.3, 0.9, 0.8, 0.4, 0.7, 0.8, 0.3]
    row[1, 4:28] = 0.9
    found = stretches(row, count=3)
    assert np.asarray(found.peak)[0].tolist()[:2] == [6, 10]
    assert np.asarray(found.last)[0, 0] < np.asarray(found.first)[0, 1] or (
        np.asarray(found.first)[0, 0] > np.asarray(found.last)[0, 1]
    )
    assert (np.asarray(found.first)[1, 0], np.asarray(found.last)[1, 0]) == (4, 27)
    np.testing.assert_allclose(np.asarray(found.strength)[1], [0.9, 0, 0])
