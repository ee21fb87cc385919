"""Intervals by drawing logs again, against scipy's bootstrap and by their coverage."""

import numpy as np
import pytest
from scipy import stats

from veerjax.metrics.bootstrap import by_unit, draw_weights, drawn_figures, flat, interval, pooled_sums
from veerjax.metrics.ratio import quotient


def ratio(sums):
    return {"share": {"of_all": sums["part"]["right"] / sums["part"]["all"]}}


def safe_ratio(sums):
    return {"share": {"of_all": quotient(sums["part"]["right"], sums["part"]["all"])}}


def logs(seed, count=60):
    noise = np.random.default_rng(seed)
    whole = noise.integers(50, 100, (count, 2))
    return {"part": {"right": noise.binomial(whole, 0.7).astype(np.int32), "all": whole.astype(np.int32)}}


def test_figures_of_draws_are_those_of_the_logs_laid_out_again():
    sums, weights = logs(0), draw_weights(60, draws=700, seed=1)
    drawn = drawn_figures(sums, ratio, weights)
    assert drawn.keys() == {"share.of_all.0", "share.of_all.1"}
    for draw in (0, 499, 500, 699):
        again = np.repeat(np.arange(60), weights[draw].astype(int))
        assert len(again) == 60
        expected = ratio(pooled_sums({"part": {name: leaf[again] for name, leaf in sums["part"].items()}}))
        np.testing.assert_allclose(drawn["share.of_all.1"][draw], expected["share"]["of_all"][1])


def test_the_interval_is_that_of_scipy():
    sums = logs(3)
    low, high = interval(drawn_figures(sums, ratio, draw_weights(60))["share.of_all.0"])
    right, whole = (sums["part"][name][:, 0] for name in ("right", "all"))
    other = stats.bootstrap(
        (right, whole), lambda a, b, axis: a.sum(axis) / b.sum(axis), paired=True, method="percentile", rng=0
    ).confidence_interval
    np.testing.assert_allclose([low, high], [other.low, other.high], atol=0.002)


def test_the_interval_holds_the_truth_nineteen_times_in_twenty():
    inside = []
    for seed in range(300):
        low, high = interval(drawn_figures(logs(seed), ratio, draw_weights(60, draws=400, seed=seed))["share.of_all.0"])
        inside.append(low <= 0.7 <= high)
    assert 0.91 <= np.mean(inside) <= 0.98


def test_windows_of_a_well_are_drawn_together():
    sums = logs(0, count=6)
    wells = ["a", "b", "a", "c", "b", "a"]
    together = by_unit(sums, wells)
    np.testing.assert_array_equal(together["part"]["all"][0], sums["part"]["all"][[0, 2, 5]].sum(axis=0))
    np.testing.assert_array_equal(together["part"]["all"][2], sums["part"]["all"][3])
    np.testing.assert_array_equal(pooled_sums(together)["part"]["right"], pooled_sums(sums)["part"]["right"])


def test_equal_logs_within_a_well_do_not_make_an_interval_narrower():
    sums = logs(0, count=8)
    copied = {"part": {name: np.repeat(leaf, 50, axis=0) for name, leaf in sums["part"].items()}}
    wells = np.repeat(np.arange(8), 50)
    one = interval(drawn_figures(sums, ratio, draw_weights(8))["share.of_all.0"])
    many = interval(drawn_figures(by_unit(copied, list(wells)), ratio, draw_weights(8))["share.of_all.0"])
    np.testing.assert_allclose(one, many)


def test_a_paired_difference_of_equal_methods_is_nothing():
    sums, weights = logs(5), draw_weights(60)
    a, b = (drawn_figures(sums, ratio, weights)["share.of_all.0"] for _ in range(2))
    assert interval(b - a) == (0, 0)


def test_pairing_makes_the_interval_of_a_small_difference_narrow():
    sums = logs(5)
    better = {"part": sums["part"] | {"right": sums["part"]["right"] + 1}}
    a = drawn_figures(sums, ratio, draw_weights(60))["share.of_all.0"]
    paired = drawn_figures(better, ratio, draw_weights(60))["share.of_all.0"] - a
    apart = drawn_figures(better, ratio, draw_weights(60, seed=9))["share.of_all.0"] - a
    assert np.ptp(interval(paired)) < np.ptp(interval(apart)) / 5
    assert interval(paired)[0] > 0


def test_a_figure_that_is_mostly_undefined_has_no_interval():
    values = np.array([np.nan] * 60 + [1.0] * 40)
    assert np.isnan(interval(values)).all()
    assert interval(values[20:]) == (1, 1)


def test_a_single_unit_has_no_interval():
    one = logs(0, count=1)
    assert np.isnan(interval(drawn_figures(one, ratio, draw_weights(1))["share.of_all.0"])).all()


def test_a_figure_that_only_one_unit_has_gets_no_interval():
    sums = logs(0, count=20)
    for leaf in sums["part"].values():
        leaf[1:, 0] = 0
    drawn = drawn_figures(sums, safe_ratio, draw_weights(20))
    assert np.isnan(interval(drawn["share.of_all.0"])).all()
    assert np.isfinite(interval(drawn["share.of_all.1"])).all()


def test_a_figure_that_two_units_have_gets_an_interval():
    sums = logs(0, count=20)
    for leaf in sums["part"].values():
        leaf[2:, 0] = 0
    low, high = interval(drawn_figures(sums, safe_ratio, draw_weights(20))["share.of_all.0"])
    assert low < high


def test_nested_figures_are_named_by_dotted_keys():
    figures = {"iou": {"pooled": np.arange(6).reshape(2, 3)}, "x": np.array([7.0, 8.0])}
    named = flat(figures, leading=1)
    assert list(named) == ["iou.pooled.0", "iou.pooled.1", "iou.pooled.2", "x"]
    np.testing.assert_array_equal(named["iou.pooled.2"], [2, 5])


def test_counts_pool_in_int64():
    pooled = pooled_sums({"n": np.full(4, 2**30, np.int32), "px": np.full(3, 0.5, np.float32)})
    assert pooled["n"] == 2**32
    assert pooled["n"].dtype == np.int64
    assert pooled["px"] == pytest.approx(1.5)
