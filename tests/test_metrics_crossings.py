"""Names of curves where they meet."""

from functools import partial

import jax
import numpy as np
import oracles
import pytest
import reference_crossings
from curve_cases import curve
from ways import every_way

from veerjax.metrics.crossings import crossing_continuity, crossing_counts, swap_counts, swaps_per_1000_rows

HEIGHT, STROKE_PX = 48, 2.0
KINDS = ("weave", "random", "gaps", "nan rows", "kicks", "absent", "one row", "together", "ties")
crossings_of = jax.jit(partial(crossing_counts, stroke_px=STROKE_PX))
swaps_of = jax.jit(partial(swap_counts, stroke_px=STROKE_PX))


def example(seed):
    noise, kind = np.random.default_rng(seed), KINDS[seed % len(KINDS)]
    half = 9 * np.sin(np.arange(HEIGHT) / noise.uniform(1, 6) + noise.uniform(0, 6))
    x, presence = np.stack([20 + half, 20 - half]), np.ones((2, HEIGHT), bool)
    if kind in ("random", "kicks"):
        x = noise.uniform(0, 40 if kind == "kicks" else 12, x.shape)
    if kind == "gaps":
        presence = noise.random(x.shape) < 0.8
    if kind == "nan rows":
        x[noise.random(x.shape) < 0.2] = np.nan
    if kind in ("absent", "one row"):
        presence[seed % 2] = (np.arange(HEIGHT) == 7) & (kind == "one row")
    if kind == "together":
        x[1] = x[0]
    if kind == "ties":
        x = np.floor(x / 4) * 4
    return x.astype(np.float32), presence


def pair(seed):
    (x, p), noise = example(seed), np.random.default_rng([seed, 1])
    swapped = np.repeat(noise.random(HEIGHT // 8) < 0.4, 8)
    y = np.where(swapped[None], x[::-1], x) + noise.normal(0, 1, x.shape).astype(np.float32)
    y = np.round(y) if seed % 3 == 0 else y
    return x, p, y.astype(np.float32), p[::-1] & p & (noise.random(p.shape) < 0.97)


def meetings(kinds):
    """Two curves that meet every 16 rows, each time as asked: 'x' crosses and 'o' touches."""
    apart = np.abs(np.arange(16) - 7.5) * 2
    side, parts = 1, []
    for kind in kinds:
        turn = np.where(np.arange(16) < 8, side, -side if kind == "x" else side)
        side = turn[-1]
        parts.append(turn * apart)
    half = np.concatenate(parts) / 2
    return np.stack([30 - half, 30 + half]).astype(np.float32), np.ones((2, len(half)), bool)


def left_and_right(x):
    return np.stack([x.min(axis=0), x.max(axis=0)])


def shares(x, presence, y, found, *, stroke_px=STROKE_PX):
    counts = crossing_counts(x, presence, y, found, stroke_px=stroke_px)
    return {name: float(share) for name, share in crossing_continuity(counts).items()}


def swap_rate(*arrays):
    return swaps_per_1000_rows(swap_counts(*arrays, stroke_px=STROKE_PX))


def test_counts_are_those_of_the_loop_over_rows():
    events, expected, swaps, expected_swaps = [], [], [], []
    for seed in range(270):
        arrays = pair(seed)
        events.append(crossings_of(*arrays))
        expected.append(reference_crossings.crossing_counts(*arrays, stroke=STROKE_PX))
        swaps.append(swaps_of(*arrays))
        expected_swaps.append(reference_crossings.swap_counts(*arrays, stroke=STROKE_PX))
    assert np.all(np.sum(expected, axis=0) > 50)
    oracles.agree("crossings, touches and those right", "own NumPy", events, expected)
    oracles.agree("swaps and judged rows", "own NumPy", swaps, expected_swaps)


@pytest.mark.parametrize("kind", ["gaps", "nan rows", "absent"])
def test_counts_are_the_same_every_way(kind):
    (x, p), (y, q) = curve(kind), curve("smooth", seed=1)
    arrays = [np.stack([x, y]), np.stack([p, q]), np.stack([y, x]), np.stack([q, p]), np.float32(1.5)]
    for function in (crossing_counts, swap_counts):
        counts = every_way(lambda *a, function=function: function(*a[:4], stroke_px=a[4]), *arrays)
        assert counts.dtype == np.int32


def test_a_perfect_prediction_keeps_all_names():
    x, presence = meetings("xooxx")
    np.testing.assert_array_equal(crossing_counts(x, presence, x, presence, stroke_px=STROKE_PX), [3, 3, 2, 2])
    assert shares(x, presence, x, presence) == {"crossings": 1, "touches": 1, "balanced": 1}
    assert swap_rate(x, presence, x, presence) == 0


@pytest.mark.parametrize("kinds", ["ox", "ooxxox", "xxoxx"])
def test_names_by_side_are_wrong_at_crossings_and_right_at_touches(kinds):
    x, presence = meetings(kinds)  # curve 1 is the left one at each touch
    assert shares(x, presence, left_and_right(x), presence) == {"crossings": 0, "touches": 1, "balanced": 0.5}


def test_names_by_side_are_wrong_at_touches_with_curve_1_on_the_right():
    x, presence = meetings("xo")
    assert shares(x, presence, left_and_right(x), presence) == {"crossings": 0, "touches": 0, "balanced": 0}


def test_a_swap_in_the_middle_of_a_log_is_seen():
    x, presence = meetings("oxox")
    y = x.copy()
    y[:, 32:] = y[::-1, 32:]
    counts = swap_counts(x, presence, y, presence, stroke_px=STROKE_PX)
    assert counts[0] == 1
    assert shares(x, presence, y, presence)["balanced"] == 0.5
    best_of_log = max(np.mean(np.abs(x - z) < 1) for z in (y, y[::-1]))
    assert best_of_log >= 0.5  # what a permutation over the log would grant


def test_curves_exchanged_over_the_whole_log_are_wrong_everywhere_and_swap_nowhere():
    x, presence = meetings("xo")
    assert shares(x, presence, x[::-1], presence) == {"crossings": 0, "touches": 0, "balanced": 0}
    assert swap_rate(x, presence, x[::-1], presence) == 0


@pytest.mark.parametrize("seed", range(len(KINDS)))
def test_relabelling_truth_and_prediction_changes_nothing(seed):
    arrays = pair(seed)
    relabelled = [array[::-1] for array in arrays]
    np.testing.assert_array_equal(crossings_of(*arrays), crossings_of(*relabelled))
    np.testing.assert_array_equal(swaps_of(*arrays), swaps_of(*relabelled))


@pytest.mark.parametrize("seed", range(len(KINDS)))
def test_events_read_downwards_or_upwards_are_the_same(seed):
    arrays = pair(seed)
    turned = [array[:, ::-1] for array in arrays]
    np.testing.assert_array_equal(crossings_of(*arrays), crossings_of(*turned))
    np.testing.assert_array_equal(swaps_of(*arrays), swaps_of(*turned))


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("curve", [0, 1])
def test_an_absent_prediction_beside_an_event_fails_it(side, curve):
    x, presence = meetings("x")
    far = np.flatnonzero(np.abs(x[0] - x[1]) > 2 * STROKE_PX)
    row = far[far < 8][-1] if side == "before" else far[far >= 8][0]
    found = presence.copy()
    found[curve, row] = False
    assert shares(x, presence, x, found)["crossings"] == 0


def test_absent_rows_inside_an_event_do_not_end_it_and_alone_make_none():
    x, presence = meetings("x")
    middle = np.abs(np.arange(16) - 7.5) < 1
    part, whole = presence & ~middle[None], presence & (np.abs(x[0] - x[1]) > 2 * STROKE_PX)[None]
    np.testing.assert_array_equal(crossings_of(x, part, x, part), [1, 1, 0, 0])
    np.testing.assert_array_equal(crossings_of(x, whole, x, whole), [0, 0, 0, 0])


def test_an_event_needs_a_far_row_on_both_sides():
    x, presence = meetings("xo")
    kept = (np.arange(32) >= 8) & (np.arange(32) < 24)
    np.testing.assert_array_equal(crossings_of(x, presence & kept[None], x, presence), [0, 0, 0, 0])


def test_a_kick_across_the_other_curve_in_one_row_is_a_crossing_there_and_back():
    x, presence = np.array([[10.0] * 9, [30.0] * 9], np.float32), np.ones((2, 9), bool)
    x[0, 4] = 50
    np.testing.assert_array_equal(crossings_of(x, presence, x, presence), [2, 2, 0, 0])
    smoothed = np.where(np.arange(9) == 4, np.array([[30.0], [30.0]]), x).astype(np.float32)
    np.testing.assert_array_equal(crossings_of(x, presence, smoothed, presence), [2, 0, 0, 0])


def test_nan_rows_are_absent_rows():
    x, p, y, q = pair(2)
    as_nan = np.where(p, x, np.nan), np.ones_like(p), np.where(q, y, np.nan), np.ones_like(q)
    np.testing.assert_array_equal(crossings_of(*as_nan), crossings_of(x, p, y, q))
    np.testing.assert_array_equal(swaps_of(*as_nan), swaps_of(x, p, y, q))


def test_shares_without_events_or_rows_are_nan():
    figures = crossing_continuity(np.array([[0, 0, 0, 0], [2, 1, 0, 0], [0, 0, 4, 4], [2, 1, 4, 4]]))
    np.testing.assert_array_equal(figures["crossings"], [np.nan, 0.5, np.nan, 0.5])
    np.testing.assert_array_equal(figures["touches"], [np.nan, np.nan, 1, 1])
    np.testing.assert_array_equal(figures["balanced"], [np.nan, np.nan, np.nan, 0.75])
    np.testing.assert_array_equal(swaps_per_1000_rows(np.array([[0, 0], [3, 1500]])), [np.nan, 2])
