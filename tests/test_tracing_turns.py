"""Wrap counts over gaps, where no ink tells how often a curve went around its track."""

from dataclasses import replace

import numpy as np
import pytest

from veerjax.tracing.places import blank_places
from veerjax.tracing.turns import settled, turns_of
from veerjax.tracing.wanted import WantedCurve

ROWS = np.arange(300)


def settled_count(u: np.ndarray, presence: np.ndarray, wrap: np.ndarray) -> np.ndarray:
    """The count after settling, of a curve at u [tracks] of which some count was taken so far."""
    x = u - np.floor(u) + wrap
    return wrap + turns_of(x, wrap, presence, home_cost=0.01)


@pytest.mark.parametrize("off", [-2, 0, 3])
def test_a_curve_is_on_its_scale_where_it_mostly_is_wherever_it_begins(off):
    u = np.full(300, 0.5) + off * (ROWS < 60)
    gap = (ROWS >= 55) & (ROWS < 65)
    wrong = np.where(ROWS < 60, 0, -off)  # as counted from the top row on
    count = settled_count(u, ~gap, wrong)
    assert (count[ROWS >= 65] == 0).all()


def test_it_goes_on_through_a_gap_as_it_ran_into_it():
    u = 0.4 + 0.01 * np.minimum(ROWS, 100)  # over the right edge at row 60
    gap = (ROWS >= 50) & (ROWS < 70)
    count = settled_count(u, ~gap, np.zeros(300, int))
    np.testing.assert_array_equal(count[~gap] - count[0], np.floor(u[~gap]).astype(int))


def test_a_count_that_ink_tells_is_kept():
    u = 0.5 + 1.2 * np.sin(ROWS / 300 * np.pi) ** 4
    count = settled_count(u, np.ones(300, bool), np.floor(u).astype(int))
    np.testing.assert_array_equal(count, np.floor(u))


def test_rows_of_a_gap_have_the_count_of_the_ink_above():
    """A path may step from track to track in a gap that ink then contradicts."""
    x = np.full((1, 300), 30)
    wrap = np.zeros((1, 300), int)
    wrap[0, 102:] = 1  # counted one too many from the middle of the gap on
    presence = np.ones((1, 300), bool)
    presence[0, 100:105] = False
    places = replace(blank_places(1, 300), first=x, last=x + 2, peak=x + 1, presence=presence, wrap=wrap)
    found = settled(places, [WantedCurve(curve_class=1, wraps=True)], track_px=100.0, home_cost=0.01)
    assert (found.wrap == 0).all()
    assert (places.wrap == wrap).all()
