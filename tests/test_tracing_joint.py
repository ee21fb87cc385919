"""All declared curves of a track, traced together: four at once, wrapping ones, and whose is whose where they meet."""

import dataclasses

import numpy as np
import pytest
from curve_tracks import dashed, excursions, said, strokes, wave

from veerjax.errors import InputError
from veerjax.tracing.joint import TracedCurves, WantedCurve, trace_curves

HEIGHT, WIDTH = 512, 128
TRACK = {"left_px": 0.0, "right_px": float(WIDTH)}
SOLID, DASHED = WantedCurve(curve_class=1), WantedCurve(curve_class=2)
ROWS = np.arange(HEIGHT) / HEIGHT


def both(solid: np.ndarray, broken: np.ndarray | None = None) -> np.ndarray:
    return np.stack([solid, np.zeros_like(solid) if broken is None else broken])


def share_within(found: TracedCurves, curve: int, x: np.ndarray, *, px: float) -> float:
    """Of all rows, those in which the curve is read that near to where it is."""
    return float(np.mean(found.presence[curve] & (np.abs(found.x[curve] - x) <= px)))


@pytest.fixture(scope="module")
def crossing_pair() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two solid curves that cross three times, and the map that shows both."""
    a, b = WIDTH * (0.5 + 0.3 * np.sin(6 * ROWS + 0.5)), WIDTH * (0.5 + 0.3 * np.sin(11 * ROWS + 2.0))
    return a, b, np.maximum(strokes(a, width=WIDTH), strokes(b, width=WIDTH, seed=1))


def test_a_solid_and_a_broken_curve_are_read_to_a_fraction_of_a_pixel():
    a, b = WIDTH * (0.5 + 0.3 * wave(HEIGHT, seed=1)), WIDTH * (0.5 + 0.3 * wave(HEIGHT, seed=2))
    found = trace_curves(said(both(strokes(a, width=WIDTH), dashed(strokes(b, width=WIDTH)))), [DASHED, SOLID], **TRACK)
    assert share_within(found, 0, b, px=1.0) > 0.97
    assert share_within(found, 1, a, px=1.0) > 0.97
    assert np.median(np.abs(found.x[1] - a)) < 0.2
    assert (found.lo <= found.x + 1e-3).all()
    assert (found.hi >= found.x - 1e-3).all()
    assert not found.wrap.any()


def test_four_curves_two_of_each_coding_keep_their_names_from_their_seeds_on():
    x = [WIDTH * (0.5 + 0.35 * wave(HEIGHT, seed=seed, periods=4)) for seed in (11, 12, 13, 14)]
    ink = [strokes(at, width=WIDTH, seed=k, half_px=1.0) for k, at in enumerate(x)]
    masks = np.stack([np.maximum(ink[0], ink[1]), np.maximum(dashed(ink[2]), dashed(ink[3], on=4))])
    seeded = [WantedCurve(curve_class=1 + k // 2, seeds=((2.0, float(x[k][2])),)) for k in range(4)]
    found = trace_curves(said(masks), seeded, **TRACK)
    for a, b in ((0, 1), (2, 3)):
        far = np.abs(x[a] - x[b]) > 6
        assert np.count_nonzero(np.diff(np.sign(x[a] - x[b]))) >= 2, "the curves are to cross"
        for k, other in ((a, b), (b, a)):
            swapped = np.abs(found.x[k] - x[k]) > np.abs(found.x[k] - x[other])
            assert not swapped[far & found.presence[k]].any()
            assert share_within(found, k, x[k], px=3.0) > 0.97


def test_the_shortest_strip_is_read():
    height, x = 1, np.full(1, 60.0)
    found = trace_curves(said(both(strokes(x, width=WIDTH), strokes(x + 30, width=WIDTH))), [SOLID, DASHED], **TRACK)
    np.testing.assert_allclose(found.x, [x, x + 30], atol=0.6)
    assert found.confidence.shape == (2, height)
    assert found.presence.all()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_seeds_and_not_the_order_of_declaration_say_which_of_two_alike_is_which(crossing_pair, order):
    *x, ink = crossing_pair
    wanted = [WantedCurve(curve_class=1, seeds=((100.0, float(x[k][100])),)) for k in order]
    found = trace_curves(said(both(ink)), wanted, **TRACK)
    for position, k in enumerate(order):
        assert share_within(found, position, x[k], px=2.0) > 0.97


def test_two_alike_without_seeds_are_named_from_left_to_right_at_the_top(crossing_pair):
    a, b, ink = crossing_pair
    left_first = sorted((a, b), key=lambda x: x[0])
    found = trace_curves(said(both(ink)), [SOLID, SOLID], **TRACK)
    assert all(share_within(found, k, x, px=2.0) > 0.97 for k, x in enumerate(left_first))


def test_the_ledger_names_each_crossing_its_row_and_how_sure_it_is(crossing_pair):
    a, b, ink = crossing_pair
    found = trace_curves(said(both(ink)), [SOLID, SOLID], **TRACK)
    true = np.flatnonzero(np.diff(np.sign(a - b))) + 1
    assert [crossing.curves for crossing in found.crossings] == [(0, 1)] * len(true)
    np.testing.assert_allclose([crossing.row for crossing in found.crossings], true, atol=4)
    assert all(crossing.kept and crossing.margin > 0.5 for crossing in found.crossings)


def test_a_solid_and_a_broken_curve_that_touch_and_part_are_not_taken_for_crossing():
    away = np.maximum(1.5, 0.3 * np.minimum(np.abs(np.arange(HEIGHT) - HEIGHT / 2), 150.0))
    a, b = 64 - away, 64 + away
    found = trace_curves(said(both(strokes(a, width=WIDTH), dashed(strokes(b, width=WIDTH)))), [SOLID, DASHED], **TRACK)
    assert share_within(found, 0, a, px=2.0) > 0.97
    assert share_within(found, 1, b, px=2.0) > 0.97
    assert [crossing.kept for crossing in found.crossings] == [False]


def test_a_later_seed_overrides_what_a_meeting_seemed_to_say(crossing_pair):
    a, b, ink = crossing_pair
    meeting = np.flatnonzero(np.diff(np.sign(a - b)))[1]
    late = int(meeting + 60)
    exchanged = (
        WantedCurve(curve_class=1, seeds=((100.0, float(a[100])), (float(late), float(b[late])))),
        WantedCurve(curve_class=1, seeds=((100.0, float(b[100])),)),
    )
    found = trace_curves(said(both(ink)), exchanged, **TRACK)
    assert abs(found.x[0, 100] - a[100]) < 2
    assert abs(found.x[0, late] - b[late]) < 2
    assert not all(crossing.kept for crossing in found.crossings)


@pytest.mark.parametrize("most", [0, 1, 2, 3])
def test_a_curve_that_wraps_is_counted_on_and_back(most):
    u = WIDTH * excursions(HEIGHT, most=most, seed=most, rows=160)
    v = WIDTH * (0.5 + 0.3 * wave(HEIGHT, seed=7))
    masks = both(strokes(u, width=WIDTH, half_px=1.0), dashed(strokes(v, width=WIDTH, half_px=1.0)))
    found = trace_curves(said(masks), [dataclasses.replace(SOLID, wraps=True), DASHED], **TRACK)
    true = np.floor(u / WIDTH)
    assert np.abs(true).max() == most
    assert np.mean(found.wrap[0] == true) >= 0.98
    assert np.mean(np.abs(found.x[0] + WIDTH * found.wrap[0] - u) < 3) > 0.97
    assert ((found.lo[0] >= 0) & (found.hi[0] <= WIDTH)).all()
    assert (found.hi - found.lo)[0].max() < 25, "no line goes back through the track where a curve wraps"
    assert not found.wrap[1].any()


@pytest.mark.slow  # compiles the states of two wrapping curves
def test_two_of_one_coding_may_both_wrap():
    u, v = WIDTH * excursions(HEIGHT, most=1, seed=3, rows=160), WIDTH * (0.5 + 0.3 * np.sin(9 * ROWS + 2))
    ink = np.maximum(strokes(u, width=WIDTH, half_px=1.0), strokes(v, width=WIDTH, half_px=1.0, seed=1))
    wanted = [WantedCurve(curve_class=1, wraps=True, seeds=((10.0, float(x[10])),)) for x in (u, v)]
    found = trace_curves(said(both(ink)), wanted, **TRACK)
    for k, x in enumerate((u, v)):
        assert np.mean(np.abs(found.x[k] + WIDTH * found.wrap[k] - x) < 3) > 0.95


def test_three_of_one_coding_are_traced_pair_by_pair():
    x = [WIDTH * (at + 0.08 * wave(HEIGHT, seed=k)) for k, at in enumerate((0.2, 0.5, 0.8))]
    ink = np.max([strokes(at, width=WIDTH, seed=k) for k, at in enumerate(x)], axis=0)
    found = trace_curves(said(both(ink)), [SOLID, SOLID, SOLID], **TRACK)
    assert all(share_within(found, k, at, px=2.0) > 0.97 for k, at in enumerate(x))
    assert found.crossings == ()


def test_a_gap_stays_a_gap_and_blank_paper_holds_no_curve():
    ink = strokes(np.full(HEIGHT, 40.0), width=WIDTH, noise=0.0)
    ink[100:200] = 0
    found = trace_curves(said(both(ink)), [SOLID, DASHED], **TRACK)
    assert not found.presence[0, 105:195].any()
    assert found.presence[0, :95].all()
    assert found.presence[0, 205:].all()
    assert not found.presence[1].any()
    assert (found.confidence[1] == 0).all()


def hazy(a: np.ndarray, b: np.ndarray, *, haze: float) -> np.ndarray:
    """Maps of a solid and a broken curve, the broken one's showing some of the solid one's ink too."""
    solid, broken = (strokes(x, width=WIDTH, noise=0.0) for x in (a, b))
    return both(solid, np.maximum(dashed(broken, on=16, off=16, left=0.35), haze * solid))


def test_a_broken_curve_does_not_leap_onto_a_solid_one_between_its_dashes():
    a, b = np.full(HEIGHT, 100.0), np.full(HEIGHT, 30.0)
    found = trace_curves(said(hazy(a, b, haze=0.6)), [SOLID, DASHED], **TRACK)
    assert share_within(found, 0, a, px=1.0) > 0.97
    there = found.presence[1]
    assert np.abs(found.x[1] - b)[there].max() < 2.0
    assert there[:-17].all()  # below its last dash nothing says that it goes on


def test_ink_of_a_solid_curve_beside_a_broken_one_does_not_draw_it_aside():
    a, b = np.full(HEIGHT, 64.0), np.full(HEIGHT, 68.0)
    found = trace_curves(said(hazy(a, b, haze=0.6)), [SOLID, DASHED], **TRACK)
    dash = np.arange(HEIGHT) % 32 < 16
    assert np.mean(np.abs(found.x[1] - b)[dash]) < 0.5


def test_a_curve_is_present_where_it_runs_under_another():
    a = np.full(HEIGHT, 64.0)
    b = a + 0.3 * np.maximum(np.abs(np.arange(HEIGHT) - HEIGHT / 2) - 100, 0)
    masks = hazy(a, b, haze=0.3)
    under = np.abs(a - b) < 2
    masks[1] = np.where(under[:, None], 0.3 * masks[0], masks[1])
    found = trace_curves(said(masks), [SOLID, DASHED], **TRACK)
    assert found.presence[1, under].all()
    assert np.mean(np.abs(found.x[1] - b)[found.presence[1]] < 3.0) > 0.99


def test_a_curve_that_ends_is_not_carried_on_along_another():
    a, b = np.full(HEIGHT, 64.0), np.full(HEIGHT, 30.0)
    masks = hazy(a, b, haze=0.05)
    masks[1, 256:] = 0.05 * masks[0, 256:]
    found = trace_curves(said(masks), [SOLID, DASHED], **TRACK)
    dash = np.isin(np.arange(HEIGHT) % 32, np.arange(2, 14))
    assert not found.presence[1, 270:].any()
    assert found.presence[1, :230][dash[:230]].all()  # gaps this long and faint between dashes may stay empty


def test_fainter_ink_is_less_confident():
    ink = strokes(np.full(HEIGHT, 40.0), width=WIDTH, noise=0.0)
    sure, faint = (trace_curves(said(both(share * ink)), [SOLID], **TRACK) for share in (0.95, 0.4))
    assert np.median(faint.confidence) < np.median(sure.confidence)
    assert ((sure.confidence >= 0) & (sure.confidence <= 1)).all()


def test_kicks_survive_as_spans():
    x = np.full(HEIGHT, 30.0)
    x[200:203] = [60, 100, 50]
    found = trace_curves(said(both(strokes(x, width=WIDTH, noise=0.0))), [SOLID], **TRACK)
    assert found.hi[0, 199:204].max() == pytest.approx(100, abs=3)
    assert found.presence.all()


@pytest.mark.parametrize(
    ("wanted", "track", "sentence"),
    [
        ([], TRACK, "declare at least one"),
        ([WantedCurve(curve_class=3)], TRACK, "1 for a solid or 2 for a broken one"),
        ([SOLID], {"left_px": 50.0, "right_px": 20.0}, "a left one and a greater right one"),
        ([WantedCurve(curve_class=1, seeds=((5.0, 200.0),))], TRACK, "row 5 and column 200 px is off the track"),
        ([WantedCurve(curve_class=1, seeds=((900.0, 20.0),))], TRACK, "row 900 and column 20 px is off the track"),
    ],
)
def test_what_cannot_be_traced_is_refused_in_a_sentence(wanted, track, sentence):
    with pytest.raises(InputError, match=sentence):
        trace_curves(said(np.zeros((2, HEIGHT, WIDTH), np.float32)), wanted, **track)


def test_more_than_one_strip_is_refused():
    one = said(np.zeros((2, 8, WIDTH), np.float32))
    several = dataclasses.replace(one, masks=np.concatenate([one.masks, one.masks]))
    with pytest.raises(InputError, match="2 strips were given"):
        trace_curves(several, [SOLID], **TRACK)
