"""Meetings of two curves: where they are, and whether directions say that the curves cross."""

import numpy as np
import pytest

from veerjax.tracing.bending import bent_likelihood
from veerjax.tracing.identity import Two, cheapest_names, decide, meetings_of

HEIGHT = 120
ROWS = np.arange(HEIGHT, dtype=float)


def two(a: np.ndarray, b: np.ndarray, *, exchanged: np.ndarray | float = 0.0, half_px: float = 1.5) -> Two:
    x = np.stack([a, b])
    return Two(
        first=x - half_px,
        last=x + half_px,
        presence=np.ones(x.shape, bool),
        wrap_px=np.zeros(x.shape),
        exchanged=np.broadcast_to(exchanged, HEIGHT),
    )


def side_by_side(a: np.ndarray, b: np.ndarray) -> Two:
    """Two curves named by side, as a tracer that knows no direction does."""
    return two(np.minimum(a, b), np.maximum(a, b))


STEEP, GENTLE = 20 + 0.5 * ROWS, 50 - 0.1 * ROWS


def test_a_crossing_named_by_side_is_exchanged_from_its_middle_on():
    decision = decide(side_by_side(STEEP, GENTLE))
    assert len(decision.meetings) == 1
    assert decision.meetings[0].start < 50 <= decision.meetings[0].stop
    np.testing.assert_array_equal(decision.swapped, np.arange(HEIGHT) >= decision.meetings[0].middle)
    assert decision.changes.tolist() == [True]
    assert decision.margin[0] > 3


def test_evidence_against_an_exchange_outweighs_direction():
    against = two(np.minimum(STEEP, GENTLE), np.maximum(STEEP, GENTLE), exchanged=1.0)
    decision = decide(against)
    assert not decision.swapped.any()
    assert decision.changes.tolist() == [False]


def test_names_that_may_not_be_exchanged_stay_and_the_doubt_is_said():
    decision = decide(side_by_side(STEEP, GENTLE), may_swap=False)
    assert not decision.swapped.any()
    assert decision.margin.tolist() == [0.0]


def test_curves_apart_never_meet():
    assert meetings_of(two(STEEP, STEEP + 20)) == ()
    assert decide(two(STEEP, STEEP + 20)).margin.shape == (0,)


def test_a_straight_curve_is_likelier_than_one_with_a_step_or_a_kink():
    straight, step = 0.3 * ROWS[:30], 0.3 * ROWS[:30] + 4 * (ROWS[:30] >= 15)
    kink = np.where(ROWS[:30] < 15, 0.3 * ROWS[:30], 9 - 0.3 * ROWS[:30])
    likely = bent_likelihood(ROWS[:30], np.stack([straight, step, kink]))
    assert likely[0] > likely[2] > likely[1]
    np.testing.assert_allclose(bent_likelihood(ROWS[:30], straight[None] + 7 - 2 * ROWS[:30]), likely[:1], rtol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_the_chain_and_its_margins_are_those_of_trying_all_answers(seed):
    draw = np.random.default_rng(seed)
    single, links = draw.normal(size=(5, 2)), draw.normal(size=(4, 2))
    answers = np.array(np.meshgrid(*[[0, 1]] * 5)).reshape(5, -1).T
    cost = np.array(
        [single[np.arange(5), states].sum() + links[np.arange(4), np.abs(np.diff(states))].sum() for states in answers]
    )
    states, margin = cheapest_names(single, links)
    best = answers[np.argmin(cost)]
    np.testing.assert_array_equal(states, best)
    for k in range(4):
        differs = np.abs(np.diff(answers, axis=1))[:, k] != np.abs(np.diff(best))[k]
        assert margin[k] == pytest.approx(cost[differs].min() - cost.min())
