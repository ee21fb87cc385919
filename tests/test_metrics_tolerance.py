"""Pixels of two curves within a tolerance of one another."""

from functools import partial

import jax
import numpy as np
import oracles
import pytest
import reference
from curve_cases import CASES, HEIGHT, WIDTH, curve
from scipy import ndimage
from ways import every_way

from veerjax.errors import InputError
from veerjax.metrics.ratio import pooled
from veerjax.metrics.tolerance import f1, precision, quality, recall, tolerance_counts

TOLERANCES_PX = (0, 1.5, 2, 6)
counted = jax.jit(partial(tolerance_counts, width=WIDTH, tolerances_px=TOLERANCES_PX))
usual = jax.jit(partial(tolerance_counts, width=WIDTH))  # 1, 2 and 3 px


def example(true, predicted):
    """The pair, and as the second curve the same pair the other way round."""
    (x, p), (y, q) = curve(true), curve(predicted, seed=1)
    return np.stack([x, y]), np.stack([p, q]), np.stack([y, x]), np.stack([q, p])


@pytest.mark.parametrize("predicted", CASES)
@pytest.mark.parametrize("true", CASES)
def test_counts_equal_those_of_all_pairs_of_pixels(true, predicted):
    arrays = example(true, predicted)
    counts = counted(*arrays)
    assert counts.dtype == np.int32
    for k in range(2):
        masks = [reference.raster(arrays[i][k], arrays[i + 1][k], width=WIDTH) for i in (0, 2)]
        expected = [reference.tolerance_counts(*masks, tolerance=tolerance) for tolerance in TOLERANCES_PX]
        np.testing.assert_array_equal(counts[k], expected)


def test_counts_are_the_same_every_way():
    every_way(partial(tolerance_counts, width=WIDTH, tolerances_px=(1,)), *example("nan rows", "off the image"))


def by_distance_transforms(x, p, y, q):
    """Shares of one curve at 1, 2 and 3 px: precision, recall, F1 and quality."""
    true, predicted = reference.raster(x, p, width=WIDTH), reference.raster(y, q, width=WIDTH)
    if not (true.any() and predicted.any()):
        return np.full((4, 3), 0.0 if true.any() or predicted.any() else np.nan)
    to_true, to_predicted = (ndimage.distance_transform_edt(~mask) for mask in (true, predicted))
    rows = []
    for tolerance in (1, 2, 3):
        right, found = predicted & (to_true <= tolerance), true & (to_predicted <= tolerance)
        correct, complete = right.sum() / predicted.sum(), found.sum() / true.sum()
        both = 2 * correct * complete / (correct + complete) if correct + complete else 0.0
        rows.append([correct, complete, both, right.sum() / (predicted.sum() + true.sum() - found.sum())])
    return np.transpose(rows)


def test_shares_equal_those_of_distance_transforms():
    ours, theirs = [], []
    kinds = [(true, predicted) for true in CASES for predicted in CASES]
    for case in range(240):
        if case < len(kinds):
            x, p, y, q = example(*kinds[case])
        else:
            noise = np.random.default_rng(case)
            x = 10 + np.cumsum(noise.normal(0, 2, (2, HEIGHT)), axis=1).astype(np.float32)
            y = x + noise.normal(0, 2, x.shape).astype(np.float32)
            p = q = noise.random(x.shape) < 0.95
        counts = usual(x, p, y, q)
        ours.append(np.stack([share(counts)[0] for share in (precision, recall, f1, quality)]))
        theirs.append(by_distance_transforms(x[0], p[0], y[0], q[0]))
    oracles.agree("tolerance P, R, F1, quality", "scipy EDT", ours, theirs, allowed=1e-12)


@pytest.mark.parametrize("kind", [case for case in CASES if case != "absent"])
def test_truth_against_itself_is_perfect(kind):
    x, presence = (np.stack([array] * 2) for array in curve(kind))
    counts = counted(x, presence, x, presence)
    for share in (precision, recall, f1, quality):
        np.testing.assert_array_equal(share(counts), 1)


@pytest.mark.parametrize("shift_px", [1, 2, 3])
def test_a_straight_line_set_off_is_found_from_that_tolerance_on(shift_px):
    x, presence = np.full((2, HEIGHT), 6.5, np.float32), np.ones((2, HEIGHT), bool)
    counts = usual(x, presence, x + np.float32(shift_px), presence)
    np.testing.assert_array_equal(f1(counts)[0], np.array([1, 2, 3]) >= shift_px)


def test_one_row_of_offset_of_a_spiky_curve_is_one_pixel_of_distance():
    x, presence = (np.stack([array] * 2) for array in curve("spiky"))
    counts = usual(x, presence, np.roll(x, 1, axis=1), presence)
    assert f1(counts)[0, 0] > 0.9


def test_exchanging_truth_and_prediction_exchanges_precision_and_recall():
    x, p, y, q = example("gaps", "spiky")
    there, back = counted(x, p, y, q), counted(y, q, x, p)
    np.testing.assert_array_equal(precision(there), recall(back))
    np.testing.assert_array_equal(f1(there), f1(back))


@pytest.mark.parametrize("kinds", [("smooth", "spiky"), ("gaps", "smooth")])
def test_a_mirrored_image_and_one_upside_down_have_the_same_counts(kinds):
    x, p, y, q = example(*kinds)
    expected = counted(x, p, y, q)
    np.testing.assert_array_equal(counted(WIDTH - x, p, WIDTH - y, q), expected)
    np.testing.assert_array_equal(counted(*(array[:, ::-1] for array in (x, p, y, q))), expected)


def test_nan_rows_are_absent_rows():
    x, p, y, q = example("gaps", "smooth")
    as_nan = counted(np.where(p, x, np.nan), np.ones_like(p), y, q)
    np.testing.assert_array_equal(as_nan, counted(x, p, y, q))


def test_curves_that_change_names_are_found_only_where_they_cross():
    rows = np.arange(HEIGHT, dtype=np.float32)
    x, presence = np.stack([rows * 0.8, 19 - rows * 0.8]), np.ones((2, HEIGHT), bool)
    swapped = usual(x, presence, x[::-1], presence)[:, 0]
    assert np.all(f1(swapped) < 0.3)
    assert np.all(np.asarray(swapped)[..., 0] > 0)


def test_a_greater_tolerance_never_finds_less():
    counts = np.asarray(counted(*example("spiky", "gaps")))
    assert np.all(np.diff(counts, axis=1) >= 0)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([0, 0, 0, 0], np.nan), ([0, 5, 0, 0], 0), ([0, 0, 0, 5], 0), ([0, 5, 0, 5], 0)],
    ids=["both empty", "no truth", "no prediction", "nothing near"],
)
def test_empty_curves_have_defined_shares(counts, expected):
    for share in (precision, recall, f1, quality):
        np.testing.assert_array_equal(share(np.array(counts)), expected)


def test_pooled_shares_weigh_logs_by_their_pixels():
    counts = np.array([[[[9, 10, 9, 10]]], [[[0, 90, 0, 10]]]], np.int32)
    np.testing.assert_allclose(precision(counts).ravel(), [0.9, 0])
    np.testing.assert_allclose(precision(pooled(counts)).item(), 0.09)
    np.testing.assert_allclose(quality(pooled(counts)).item(), 9 / (100 + 20 - 9))


def test_quality_counts_what_is_right_over_what_is_right_too_much_or_lost():
    right, too_much, lost, found = 3, 1, 2, 7
    counts = np.array([right, right + too_much, found, found + lost])
    np.testing.assert_allclose(quality(counts), right / (right + too_much + lost))


def test_sums_are_held_in_int64():
    many = pooled(np.full((4, 1, 1, 4), 2**30, np.int32))
    assert many.dtype == np.int64
    assert f1(many).item() == 1


@pytest.mark.parametrize("tolerances_px", [(), (1, -2)])
def test_tolerances_that_are_none_or_negative_are_refused(tolerances_px):
    with pytest.raises(InputError, match=r"it needs at least one, each 0 px or more, as in \(1, 2, 3\)"):
        tolerance_counts(*example("smooth", "smooth"), width=WIDTH, tolerances_px=tolerances_px)
