"""The F1 of lanes redrawn with a broad pen, against SciPy, shapely and a NumPy twin."""

from functools import partial

import jax
import numpy as np
import oracles
import pytest
import reference
import reference_lane
import shapely
from curve_cases import CASES, HEIGHT, WIDTH, curve
from scipy import ndimage
from ways import every_way

from veerjax.errors import InputError
from veerjax.metrics.lane import lane_counts, lane_f1

PEN_PX = 6
counted = jax.jit(partial(lane_counts, width=WIDTH, pen_px=PEN_PX))
broad = jax.jit(partial(lane_counts, width=90))  # the pen of CULane


def example(true, predicted):
    """The pair, and as the second curve the same pair the other way round."""
    (x, p), (y, q) = curve(true), curve(predicted, seed=1)
    return np.stack([x, y]), np.stack([p, q]), np.stack([y, x]), np.stack([q, p])


def near(seed, *, height=HEIGHT, width=WIDTH, apart_px=PEN_PX):
    """Two curves and a reading of each, at a distance where the match is open."""
    noise = np.random.default_rng(seed)
    x = width / 2 + np.cumsum(noise.normal(0, 0.6, (2, height)), axis=1)
    y = x + noise.uniform(0, apart_px * 0.7, (2, 1)) + noise.normal(0, 0.5, x.shape)
    p, q = (noise.random(x.shape) < noise.choice([0.7, 1]) for _ in range(2))
    return np.float32(x), p, np.float32(y), q


def by_distance_transforms(x, p, y, q):
    """Matched, predicted, true of one curve, and its IoU."""
    lines = [reference.raster(line, presence, width=WIDTH) for line, presence in ((x, p), (y, q))]
    there = [line.any() for line in lines]
    # SciPy knows no distance to nothing.
    drawings = [line.any() & (ndimage.distance_transform_edt(~line) <= PEN_PX / 2) for line in lines]
    both, either = (drawings[0] & drawings[1]).sum(), (drawings[0] | drawings[1]).sum()
    return [both > either / 2, there[1], there[0]], both / max(either, 1)


def test_counts_are_those_of_distance_transforms():
    cases = [example(true, predicted) for true in CASES for predicted in CASES] + [near(seed) for seed in range(150)]
    ours = [counted(*case) for case in cases]
    judged = [[by_distance_transforms(*(a[k] for a in case)) for k in range(2)] for case in cases]
    shares = np.array([share for case in judged for _, share in case])
    assert ((shares > 0.3) & (shares < 0.7)).sum() > 100, "few cases are near the bound"
    oracles.agree("lane TP, predicted, true", "scipy EDT", ours, [[c for c, _ in case] for case in judged])


@pytest.mark.parametrize("predicted", CASES)
@pytest.mark.parametrize("true", ["smooth", "off the image", "nan rows"])
def test_counts_are_those_of_the_definition(true, predicted):
    case = example(true, predicted)
    expected = [reference_lane.lane_counts(*(a[k] for a in case), width=WIDTH, pen_px=PEN_PX) for k in range(2)]
    np.testing.assert_array_equal(counted(*case), expected)


def test_of_lines_drawn_by_shapely_as_many_match_but_for_those_at_the_bound():
    rows, columns = np.indices((48, 90)) + 0.5
    points, judged = shapely.points(columns, rows), 0
    for seed in range(20):
        x, _, y, _ = near(seed, height=48, width=90, apart_px=30)
        presence = np.ones(x.shape, bool)
        counts = broad(x, presence, y, presence)
        for k in range(2):
            lines = [shapely.LineString(np.stack([line[k], rows[:, 0]], axis=1)) for line in (x, y)]
            true, predicted = (shapely.distance(points, line) <= 15 for line in lines)
            share = (true & predicted).sum() / (true | predicted).sum()
            if abs(share - 0.5) > 0.03:
                judged += 1
                assert counts[k, 0] == (share > 0.5)
    assert judged > 20


def test_counts_are_the_same_every_way():
    counts = every_way(partial(lane_counts, width=WIDTH, pen_px=3), *example("nan rows", "smooth"))
    assert counts.dtype == np.int32


@pytest.mark.parametrize("kind", [kind for kind in CASES if kind != "absent"])
def test_truth_against_itself_is_perfect(kind):
    x, presence = (np.stack([array] * 2) for array in curve(kind))
    np.testing.assert_array_equal(lane_f1(counted(x, presence, x, presence)), 1)


@pytest.mark.parametrize(("shift_px", "found"), [(0, 1), (9, 1), (11, 0), (40, 0)])
def test_a_straight_line_is_found_up_to_a_third_of_the_pen(shift_px, found):
    x, presence = np.full((2, 48), 25.0, np.float32), np.ones((2, 48), bool)
    np.testing.assert_array_equal(lane_f1(broad(x, presence, x + np.float32(shift_px), presence)), found)


def test_a_lost_kick_of_a_few_rows_changes_nothing():
    x, presence = np.full((2, 48), 25.0, np.float32), np.ones((2, 48), bool)
    kick = x.copy()
    kick[:, 20:23] = 60
    np.testing.assert_array_equal(lane_f1(broad(kick, presence, x, presence)), 1)


def test_curves_that_change_names_do_not_match():
    x, presence = np.stack([np.full(48, 15.0), np.full(48, 75.0)]).astype(np.float32), np.ones((2, 48), bool)
    np.testing.assert_array_equal(broad(x, presence, x[::-1], presence), [[0, 1, 1]] * 2)


def test_a_curve_off_the_image_is_absent():
    x, presence = np.full((2, HEIGHT), -50, np.float32), np.ones((2, HEIGHT), bool)
    np.testing.assert_array_equal(counted(x, presence, x, presence), 0)


def test_nan_rows_are_absent_rows():
    x, p, y, q = near(3)
    p[:, 5:9] = False
    as_nan = counted(np.where(p, x, np.nan), np.ones_like(p), y, q)
    np.testing.assert_array_equal(as_nan, counted(x, p, y, q))


@pytest.mark.parametrize("seed", range(4))
def test_a_mirrored_image_and_one_upside_down_have_the_same_counts(seed):
    x, p, y, q = near(seed)
    expected = counted(x, p, y, q)
    np.testing.assert_array_equal(counted(WIDTH - x, p, WIDTH - y, q), expected)
    np.testing.assert_array_equal(counted(*(array[:, ::-1] for array in (x, p, y, q))), expected)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([0, 0, 0], np.nan), ([0, 0, 1], 0), ([0, 1, 0], 0), ([0, 1, 1], 0), ([1, 1, 1], 1), ([3, 4, 6], 0.6)],
    ids=["both empty", "missed", "invented", "not matched", "matched", "a pool"],
)
def test_f1_is_defined_for_any_counts(counts, expected):
    np.testing.assert_allclose(lane_f1(np.array(counts)), expected)


def test_a_pen_of_no_width_is_refused():
    with pytest.raises(InputError, match="the pen is 0 px wide; it must be at least 1, for example 30"):
        lane_counts(*example("smooth", "smooth"), width=WIDTH, pen_px=0)
