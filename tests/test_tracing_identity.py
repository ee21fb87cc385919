"""Meetings of two curves: where they are, and whether directions say that the curves cross."""

from dataclasses import replace

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


def hidden(curves: Two, which: int, rows: slice, *, seeds: tuple = ((), ())) -> Two:
    presence = curves.presence.copy()
    presence[which, rows] = False
    return replace(curves, presence=presence, seeds=seeds)


def test_curves_alike_of_which_one_is_not_seen_where_they_cross_keep_their_directions():
    unseen = hidden(side_by_side(STEEP, GENTLE), 1, slice(36, 50))
    decision = decide(unseen, over_gaps=True)
    assert decision.swapped[60:].all()
    assert not decision.swapped[:36].any()


def test_curves_that_are_apart_all_along_are_not_exchanged_in_a_gap():
    unseen = hidden(two(STEEP, STEEP + 20), 0, slice(50, 70))
    decision = decide(unseen, over_gaps=True)
    assert not decision.swapped.any()
    assert decision.margin.min() > 5


@pytest.mark.parametrize("exchange", [False, True])
def test_a_seed_tells_a_curve_that_is_not_seen_above(exchange):
    """Below row 40 the straight one comes into sight; its seed lies where it runs, above."""
    rough, straight = 40 + 12 * np.sin(ROWS / 5), 70 + 0 * ROWS
    curves = two(straight, rough) if exchange else two(rough, straight)
    if exchange:  # above, the rough one is named first all the same
        x = np.where(ROWS < 40, rough, straight)
        curves = two(x, np.where(ROWS < 40, straight, rough))
    unseen = hidden(curves, 1, slice(0, 40), seeds=(((5.0, rough[5]),), ((5.0, 70.0),)))
    assert decide(unseen, over_gaps=True).swapped[41:].tolist() == [exchange] * (len(ROWS) - 41)


def test_the_rough_one_of_two_alike_stays_the_rough_one():
    """They touch for so long that no direction tells; only how sharply each bends does."""
    rows = np.arange(600, dtype=float)
    wiggle = 3 * np.sin(rows / 2) * np.clip(np.abs(rows - 300) / 60 - 1, 0, 1)
    apart = 8 * np.clip(np.abs(rows - 300) / 60 - 1, 0, 1)
    rough, smooth = 50 - apart + wiggle, 50 + apart
    named_wrongly_below = np.stack([np.where(rows < 300, rough, smooth), np.where(rows < 300, smooth, rough)])
    curves = Two(
        first=named_wrongly_below - 1.5,
        last=named_wrongly_below + 1.5,
        presence=np.ones((2, 600), bool),
        wrap_px=np.zeros((2, 600)),
        exchanged=np.zeros(600),
        seeds=(((10.0, float(rough[10])),), ((10.0, float(smooth[10])),)),
    )
    swapped = decide(curves, over_gaps=True).swapped
    assert swapped[400:].all()
    assert not swapped[:200].any()
