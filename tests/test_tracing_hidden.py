"""A curve that goes under another one and comes out again is there; one that leaves off in the open is not."""

from dataclasses import replace

import numpy as np
import pytest
from curve_tracks import dashed, said, strokes

from veerjax.tracing.hidden import JOIN_PX, with_hidden
from veerjax.tracing.joint import WantedCurve, trace_curves
from veerjax.tracing.places import Places, blank_places

HEIGHT, WIDTH, STROKE_PX = 120, 64, 3
WANTED = (WantedCurve(curve_class=1), WantedCurve(curve_class=2))
SHOWN = 0.4  # of the solid curve's ink, in the broken one's map
RUN = slice(40, 80)


def places_of(solid: np.ndarray, broken: np.ndarray, *, absent: slice) -> Places:
    """Two curves on stretches of a stroke's width, the broken one absent in some rows."""
    first = np.stack([solid, broken]).astype(int)
    presence = np.ones((2, HEIGHT), bool)
    presence[1, absent] = False
    return replace(
        blank_places(2, HEIGHT),
        first=first,
        last=first + STROKE_PX - 1,
        peak=first + 1,
        strength=np.full((2, HEIGHT), 0.9, np.float32),
        source=np.repeat([[0], [1]], HEIGHT, axis=1),
        presence=presence,
    )


def beside(away_px: int) -> tuple[np.ndarray, np.ndarray]:
    """A straight curve, and one that lies so much blank paper to the right of it."""
    solid = np.full(HEIGHT, 20)
    return solid, solid + STROKE_PX + away_px


def masks_of(places: Places) -> np.ndarray:
    columns = np.arange(WIDTH)
    solid = (columns >= places.first[0][:, None]) & (columns <= places.last[0][:, None])
    return np.stack([0.9 * solid, SHOWN * solid]).astype(np.float32)


@pytest.mark.parametrize("run", [RUN, slice(0, 40), slice(80, HEIGHT)])
def test_a_curve_that_leaves_off_and_goes_on_at_the_other_ones_ink_is_under_it(run):
    places = places_of(*beside(JOIN_PX), absent=run)
    found, hidden = with_hidden(places, masks_of(places), WANTED)
    assert found.presence.all()
    assert (found.first[1, run] == places.first[0, run]).all()
    assert np.allclose(found.strength[1, run], SHOWN)  # its evidence is its own map's
    assert np.flatnonzero(hidden[1]).tolist() == list(range(HEIGHT))[run]
    assert not hidden[0].any()


@pytest.mark.parametrize("run", [RUN, slice(0, 40), slice(80, HEIGHT)])
def test_a_curve_that_leaves_off_in_the_open_is_absent(run):
    places = places_of(*beside(JOIN_PX + 1), absent=run)
    found, hidden = with_hidden(places, masks_of(places), WANTED)
    assert (found.presence == places.presence).all()
    assert not hidden.any()


def test_one_end_in_the_open_is_a_gap():
    solid, broken = beside(0)
    broken = np.where(np.arange(HEIGHT) >= RUN.stop, broken + JOIN_PX + 1, broken)
    places = places_of(solid, broken, absent=RUN)
    assert not with_hidden(places, masks_of(places), WANTED)[1].any()


def test_a_curve_that_is_nowhere_is_under_none():
    places = places_of(*beside(0), absent=slice(None))
    assert not with_hidden(places, masks_of(places), WANTED)[1].any()


def test_a_gap_of_both_hides_nothing():
    places = places_of(*beside(0), absent=RUN)
    places.presence[0, 50:60] = False
    assert not with_hidden(places, masks_of(places), WANTED)[1].any()


def test_a_curve_that_was_seen_before_the_other_one_begins_has_a_gap():
    places = places_of(*beside(0), absent=RUN)
    places.presence[0, : RUN.start + 20] = False
    assert not with_hidden(places, masks_of(places), WANTED)[1].any()


def test_a_curve_that_comes_out_on_another_count_was_not_under_it_all_the_way():
    places = places_of(*beside(0), absent=RUN)
    assert with_hidden(places, masks_of(places), WANTED)[1].any()
    places.wrap[1, RUN.stop :] = 1
    assert not with_hidden(places, masks_of(places), WANTED)[1].any()


def test_two_curves_of_one_class_are_left_to_their_own_map():
    places = places_of(*beside(0), absent=RUN)
    assert not with_hidden(places, masks_of(places), (WANTED[0], WANTED[0]))[1].any()


def test_what_is_read_of_a_hidden_curve_is_flagged_and_less_sure():
    rows = np.arange(256)
    a = np.full(256, 30.0)
    b = a + np.clip(np.abs(rows - 128) - 60, 0, 20)
    solid, broken = (strokes(x, width=WIDTH, noise=0.0) for x in (a, b))
    under = np.abs(a - b) < STROKE_PX
    masks = np.stack([solid, np.where(under[:, None], 0.1 * solid, dashed(broken, on=16, off=8, left=0.5))])
    found = trace_curves(said(masks), WANTED, left_px=0.0, right_px=float(WIDTH))
    assert found.presence[1].all()
    assert found.occluded[1, under].mean() > 0.9
    assert np.abs(found.x[1] - b)[under].max() < STROKE_PX
    assert np.median(found.confidence[1, under]) < np.median(found.confidence[1, ~under])
