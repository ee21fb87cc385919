"""Resampling keeps areas and never invents values in a gap."""

import numpy as np
import pytest

from veerjax.errors import InputError
from veerjax.logs.resample import DEFAULT_STEP, las_index, plainly_whole, pooled, regular_index, resample, step_decimals

RANDOM = np.random.default_rng(7)
ROWS = 5000.0 + (np.arange(3000) + 0.5) * 0.1  # 5 px a half foot


def dense_mean(depth, values, centre, step):
    """The mean of np.interp over a bin, by brute force."""
    fine = np.linspace(centre - step / 2, centre + step / 2, 20001)
    return np.interp((fine[1:] + fine[:-1]) / 2, depth, values).mean()


@pytest.mark.parametrize("step", [0.5, 0.1, 0.25, 0.1524, 2.0])
def test_the_index_is_every_multiple_of_the_step_inside_the_range(step):
    index = regular_index(99.97, 212.34, step)
    assert index[0] >= 99.97 > index[0] - step
    assert index[-1] <= 212.34 < index[-1] + step
    assert [f"{value:.{step_decimals(step)}f}" for value in index] == [
        f"{round(index[0] / step + k) * step:.{step_decimals(step)}f}" for k in range(len(index))
    ]
    assert all(float(f"{value:.{step_decimals(step)}f}") == value for value in index)


def test_a_bound_on_a_multiple_within_rounding_belongs_to_the_index():
    index = regular_index(100.00000000001, 99.7 + 0.6 - 1e-12, 0.1)
    assert index.tolist() == [100.0, 100.1, 100.2, 100.3]
    assert regular_index(-0.2, 0.2, 0.1).tolist() == [-0.2, -0.1, 0.0, 0.1, 0.2]
    assert regular_index(101.0, 100.0, 0.5).tolist() == [100.0, 100.5, 101.0]


def test_a_range_with_more_multiples_than_anybody_reads_is_refused():
    with pytest.raises(InputError, match=r"hold 1e\+08 multiples of the step 1e-06, more than 1e\+07; give a coarser"):
        regular_index(5000.0, 5100.0, 1e-6)


@pytest.mark.parametrize("step", [0.1, 0.5])
def test_an_index_for_las_is_the_regular_one_where_steps_are_those_of_vendors(step):
    for top in RANDOM.uniform(-100, 30_000, 50):
        np.testing.assert_array_equal(las_index(top, top + 77.7, step), regular_index(top, top + 77.7, step))


@pytest.mark.parametrize("step", [0.05, 0.1524, 0.01])
def test_an_index_for_las_goes_on_to_depths_that_are_whole_in_floating_point(step):
    longer = 0
    for top in RANDOM.uniform(-100, 30_000, 50):
        regular, index = regular_index(top, top + 40 * step, step), las_index(top, top + 40 * step, step)
        assert plainly_whole(index[0], step)
        assert plainly_whole(index[-1], step)
        assert set(regular) <= set(index)
        np.testing.assert_array_equal(index, regular_index(index[0], index[-1], step))
        longer += len(index) - len(regular)
    assert 0 < longer < 50 * 6


def test_an_index_stays_as_it_is_where_no_depth_would_do():
    np.testing.assert_array_equal(las_index(500.0, 510.0, 0.29), regular_index(500.0, 510.0, 0.29))


def test_default_steps_are_those_of_vendors():
    assert DEFAULT_STEP == {"ft": 0.5, "m": 0.1}


@pytest.mark.parametrize("step", [0.0, -0.5, np.nan, np.inf])
def test_a_step_not_above_zero_is_refused(step):
    with pytest.raises(InputError, match="it must be above 0, such as"):
        regular_index(0.0, 10.0, step)


def test_a_range_without_two_multiples_is_refused():
    with pytest.raises(InputError, match=r"hold no two multiples of the step 0\.5; give a longer strip"):
        regular_index(100.1, 100.9, 0.5)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("step", [0.03, 0.1, 0.5, 7.0])
def test_a_constant_stays_constant(log, step):
    index = regular_index(ROWS[0] + step, ROWS[-1] - step, step)
    np.testing.assert_allclose(resample(ROWS, np.full(len(ROWS), 37.3), index, log=log), 37.3, rtol=1e-12)


@pytest.mark.parametrize("step", [0.03, 0.5, 7.0])
def test_a_straight_line_stays_on_the_line(step):
    index = regular_index(ROWS[0] + step, ROWS[-1] - step, step)
    np.testing.assert_allclose(resample(ROWS, 3 * ROWS - 7, index, log=False), 3 * index - 7, rtol=1e-10)


@pytest.mark.parametrize("step", [0.07, 0.1, 0.5, 1.3])
def test_a_bin_holds_the_mean_of_the_piecewise_linear_curve(step):
    depth = 10 + np.cumsum(RANDOM.uniform(0.05, 0.2, 400))
    values = RANDOM.uniform(0, 150, 400)
    index = regular_index(depth[0] + step, depth[-1] - step, step)
    means = resample(depth, values, index, log=False)
    for k in range(0, len(index), 37):
        assert means[k] == pytest.approx(dense_mean(depth, values, index[k], step), abs=2e-3)


def test_the_area_under_the_curve_is_preserved():
    values = RANDOM.uniform(0, 150, len(ROWS))
    means = resample(ROWS, values, regular_index(5000.25, 5299.75, 0.5), log=False)
    inside = (ROWS >= 5000.25) & (ROWS <= 5299.75)
    assert np.mean(means) == pytest.approx(values[inside].mean(), rel=2e-3)


def test_bins_much_finer_than_a_row_interpolate():
    values = RANDOM.uniform(0, 150, len(ROWS))
    index = regular_index(5001.0, 5011.0, 0.01)
    expected = np.interp(index, ROWS, values)
    assert np.abs(resample(ROWS, values, index, log=False) - expected).max() < 0.01 / 0.1 * 150 / 4


def test_log_curves_are_averaged_in_log_space():
    values = np.where(np.arange(len(ROWS)) % 2 == 0, 1.0, 100.0)
    index = regular_index(5010.0, 5020.0, 1.0)
    np.testing.assert_allclose(resample(ROWS, values, index, log=True), 10.0, rtol=0.02)
    np.testing.assert_allclose(resample(ROWS, values, index, log=False), 50.5, rtol=0.02)


def test_a_log_curve_is_absent_where_it_is_not_positive():
    values = np.where(ROWS < 5150, 10.0, 0.0)
    means = resample(ROWS, values, np.array([5100.0, 5200.0]), log=True, step=0.5)
    np.testing.assert_allclose(means, [10.0, np.nan])


def test_a_gap_stays_a_gap_and_does_not_bleed():
    values = np.where(ROWS < 5100, 20.0, 80.0)
    values[(ROWS > 5100) & (ROWS < 5110)] = np.nan
    index = regular_index(5001.0, 5299.0, 0.5)
    means = resample(ROWS, values, index, log=False)
    np.testing.assert_array_equal(np.isnan(means), (index > 5100) & (index < 5110))
    np.testing.assert_allclose(means[index <= 5100], 20.0)
    np.testing.assert_allclose(means[index >= 5110], 80.0)


@pytest.mark.parametrize(("missing", "null"), [(2, False), (3, True)])
def test_a_bin_is_null_when_less_than_half_of_it_is_covered(missing, null):
    values = np.full(len(ROWS), 5.0)
    start = np.abs(ROWS - 5099.85).argmin()  # the bin ends in the middle of the row above it
    values[start : start + missing] = np.nan
    mean = resample(ROWS, values, np.array([5100.0]), log=False, step=0.5)
    assert bool(np.isnan(mean[0])) is null


def test_depths_beyond_the_strip_are_null():
    means = resample(ROWS, np.ones(len(ROWS)), np.array([4990.0, 5100.0, 5310.0]), log=False, step=0.5)
    np.testing.assert_array_equal(means, [np.nan, 1.0, np.nan])


def test_a_curve_that_is_nowhere_is_null_everywhere():
    assert np.isnan(resample(ROWS, np.full(len(ROWS), np.nan), regular_index(5001, 5010, 0.5), log=False)).all()


def test_rows_may_run_up_the_hole():
    values = RANDOM.uniform(0, 150, len(ROWS))
    index = regular_index(5001.0, 5299.0, 0.5)
    np.testing.assert_allclose(
        resample(ROWS[::-1], values[::-1], index, log=False), resample(ROWS, values, index, log=False)
    )


def test_too_few_rows_or_depths_are_refused():
    with pytest.raises(InputError, match=r"the scan has 1 row\(s\)"):
        resample(np.ones(1), np.ones(1), np.arange(3.0), log=False)
    with pytest.raises(InputError, match=r"the depth index has 1 depth\(s\)"):
        resample(ROWS, ROWS, np.ones(1), log=False)


def test_an_extreme_over_bins_is_that_of_all_rows_that_reach_in():
    rows = np.arange(0.05, 3.0, 0.1)  # of 0.1, the first from 0 to 0.1
    values = np.sin(7 * rows)
    values[5] = np.nan
    index = np.array([0.0, 0.5, 1.0, 2.0, 3.0, 4.0])
    for order in (1, -1):
        for better, slow in ((np.fmin, np.nanmin), (np.fmax, np.nanmax)):
            found = pooled(better, rows[::order], values[::order], index, step=0.5)
            for depth, value in zip(index, found, strict=True):
                reach = (rows + 0.05 > depth - 0.25 + 1e-9) & (rows - 0.05 < depth + 0.25 - 1e-9)
                assert value == slow(values[reach]) if reach.any() else np.isnan(value)


def test_extremes_hold_the_mean_where_bins_are_finer_than_rows():
    rows = np.arange(20.0)
    values = np.cos(rows)
    middle = (values[:-1] + values[1:]) / 2
    lo = np.minimum(values, np.minimum(np.append(values[0], middle), np.append(middle, values[-1])))
    hi = np.maximum(values, np.maximum(np.append(values[0], middle), np.append(middle, values[-1])))
    index = regular_index(0.0, 19.0, 0.2)
    mean = resample(rows, values, index, log=False)
    assert (pooled(np.fmin, rows, lo, index, step=0.2) <= mean + 1e-12).all()
    assert (pooled(np.fmax, rows, hi, index, step=0.2) >= mean - 1e-12).all()


def test_a_bin_without_a_known_row_has_no_extreme():
    rows = np.arange(10.0)
    values = np.where(rows < 5, np.nan, rows)
    found = pooled(np.fmax, rows, values, np.array([1.0, 5.0, 9.0]), step=2.0)
    np.testing.assert_array_equal(found, [np.nan, 6, 9])
