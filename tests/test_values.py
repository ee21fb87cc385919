"""From planted tracks to values: wraps, backups, what is off the scale, several sections, and the curves beside."""

import numpy as np
import pytest
from planted import ROWS, SIZE, PlantedReader, traced

from veerjax.errors import InputError
from veerjax.jobs.sidecar import knots
from veerjax.jobs.values import EXTRAS, check_names, curve_rows, extras_of, values_of
from veerjax.logs.calibration import Calibration, CurveScale, DepthScale, Section, Track, whole_scan
from veerjax.logs.track_shape import TrackShape

HEIGHT, WIDTH = SIZE
IMAGE = np.full(SIZE, 255, np.uint8)


def curve(mnemonic="GR", **how):
    return CurveScale(**({"curve_class": 1, "mnemonic": mnemonic, "unit": "GAPI", "left": 0.0, "right": 256.0} | how))


def track(*curves):
    return Track(left_px=0, right_px=WIDTH, curves=curves)


def one(*curves, top=1000.0, per_row=0.1):
    depth = DepthScale(unit="ft", anchors=((0.0, top), (HEIGHT, top + per_row * HEIGHT)))
    return whole_scan(depth=depth, tracks=(track(*curves),))


def read(calibration, *plants):
    """The tracks of a scan as tall as the sections together."""
    height = max((section.rows[1] + 1 for section in calibration.sections if section.rows), default=HEIGHT)
    return PlantedReader(*plants).digitize(np.full((height, WIDTH), 255, np.uint8), calibration)


def test_a_straight_line_keeps_its_values_from_pixels_to_depths():
    calibration = one(curve())
    log = values_of(read(calibration, traced(20 + 0.5 * (ROWS + 0.5))), calibration)
    assert log.depth[0] == 1000.5
    np.testing.assert_allclose(log.curves["GR"], 20 + 5 * (log.depth - 1000), atol=0.006)
    assert log.units == {"GR": "GAPI"}
    assert log.extras == {}


def test_what_runs_along_an_edge_or_leaves_over_it_is_null_and_flagged_and_taints_its_bin():
    x = np.full(HEIGHT, 100.0)
    x[100:120] = 255.8  # along the edge
    presence = np.ones(HEIGHT, bool)
    presence[150:180] = False  # beyond it: both ends reach it
    presence[220:240] = False  # a gap
    hi = np.full(HEIGHT, 101.0)
    hi[[149, 180]] = 255.9
    calibration = one(curve())
    tracks = read(calibration, traced(x, presence=presence, hi=hi))
    rows = curve_rows(tracks[0], 0)
    assert np.flatnonzero(rows.off_scale).tolist() == [*range(100, 120), *range(150, 180)]
    assert np.flatnonzero(np.isnan(rows.value)).tolist() == [*range(100, 120), *range(150, 180), *range(220, 240)]
    log = values_of(tracks, calibration, step=0.3, extras=("clip",))
    clipped, null = log.extras["GR_CLIP"] > 0, np.isnan(log.curves["GR"])
    assert clipped.sum() > 15
    assert (null[clipped]).all()
    inside = (log.depth > 1022.2) & (log.depth < 1023.8)
    assert null[inside].all()
    assert not clipped[inside].any()
    np.testing.assert_allclose(log.curves["GR"][~null], 100.0)


def test_wraps_and_backups_give_values_beyond_the_track():
    wrap = np.repeat([0, 1, 2, -1, 0], HEIGHT // 5)
    x = np.full(HEIGHT, 64.0)
    wrapping, backed = curve("A", wrap=True), curve("B", curve_class=2, backup=(256.0, 1280.0))
    tracks = read(one(wrapping, backed), traced(x, x, wrap=wrap))
    inner = np.arange(HEIGHT) % 60 == 30
    np.testing.assert_allclose(curve_rows(tracks[0], 0).value[inner], [64, 320, 576, -192, 64])
    second = curve_rows(tracks[0], 1)
    np.testing.assert_allclose(second.value[inner], [64, 512, np.nan, 512, 64])
    assert second.off_scale[inner].tolist() == [False, False, True, False, False]


def test_a_curve_does_not_jump_across_the_track_where_it_wraps_between_working_rows():
    wrapping = curve(wrap=True, right=150.0)
    x = (230 + 0.5 * (np.arange(150) + 0.5)) % 256
    wrap = np.floor((230 + 0.5 * (np.arange(150) + 0.5)) / 256).astype(int)
    reader = PlantedReader(traced(np.resize(x, HEIGHT), wrap=np.resize(wrap, HEIGHT)))
    half = Calibration(
        sections=(
            Section(
                depth=DepthScale(unit="ft", anchors=((0, 0), (600, 60))),
                tracks=(Track(left_px=0, right_px=512, curves=(wrapping,)),),
            ),
        )
    )
    (found,) = reader.digitize(np.full((600, 512), 255, np.uint8), half)
    assert reader.asked[0][0] == SIZE
    values = curve_rows(found, 0).value[:298]
    np.testing.assert_allclose(values, (230 + 0.25 * (np.arange(298) + 0.5)) * 150 / 256, atol=0.2)


def test_logarithms_are_averaged_in_log_space():
    calibration = one(curve("RT", left=0.2, right=2000.0, scale="log"))
    x = np.where(ROWS % 2, 96.0, 160.0)
    log = values_of(read(calibration, traced(x)), calibration, step=10.0)
    np.testing.assert_allclose(log.curves["RT"], 20.0, rtol=1e-3)


def sections(*roles, gap=0, **second):
    """Two sections one below the other, the second one `gap` feet deeper than the first one's end."""
    found = []
    top = 1000.0
    for number, role in enumerate(roles):
        start = number * HEIGHT
        anchors = ((start, top), (start + HEIGHT, top + 30))
        tracks = (track(curve(**(second if number else {}))),)
        depth = DepthScale(unit="ft", anchors=anchors)
        found.append(Section(rows=(start, start + HEIGHT - 1), role=role, depth=depth, tracks=tracks))
        top += 30 + gap if role == "main" else 0
    return Calibration(sections=tuple(found))


def test_main_sections_share_one_index_with_nulls_between():
    calibration = sections("main", "main", gap=10, left=1000.0, right=1256.0)
    log = values_of(read(calibration, traced(50.0), traced(60.0)), calibration)
    assert (log.depth[0], log.depth[-1]) == (1000.5, 1069.5)
    assert (np.diff(np.round(log.depth / 0.5)) == 1).all()
    known = {value: log.depth[log.curves["GR"] == value] for value in (50.0, 1060.0)}
    assert (known[50.0].min(), known[50.0].max()) == (1000.5, 1030.0)
    assert (known[1060.0].min(), known[1060.0].max()) == (1040.0, 1069.5)
    assert np.isnan(log.curves["GR"][(log.depth > 1030) & (log.depth < 1040)]).all()


def test_sections_that_meet_leave_no_null_between():
    calibration = sections("main", "main")
    log = values_of(read(calibration, traced(50.0)), calibration)
    np.testing.assert_allclose(log.curves["GR"], 50)


def test_a_repeat_section_is_a_log_of_its_own():
    calibration = sections("main", "repeat")
    tracks = read(calibration, traced(50.0), traced(60.0))
    assert [found.role for found in tracks] == ["main", "repeat"]
    assert set(values_of(tracks, calibration).curves["GR"]) == {50.0}
    repeat = values_of(tracks, calibration, role="repeat")
    assert set(repeat.curves["GR"]) == {60.0}
    assert repeat.depth[0] == 1030.5


def test_extras_say_span_confidence_wraps_and_flags():
    calibration = one(curve(wrap=True), per_row=0.1)
    occluded = ROWS == 102
    confidence = np.where(ROWS < 150, 0.9, 0.5)
    tracks = read(
        calibration,
        traced(
            100.0, lo=np.full(HEIGHT, 90.0), hi=np.full(HEIGHT, 120.0), wrap=np.where(ROWS < 100, 0, -1),
            occluded=occluded, confidence=confidence,
        ),
    )  # fmt: skip
    log = values_of(tracks, calibration, extras=EXTRAS)
    assert list(log.extras) == ["GR_LO", "GR_HI", "GR_CONF", "GR_WRAP", "GR_CLIP", "GR_OCC"]
    assert log.units["GR_LO"] == "GAPI"
    assert log.units["GR_OCC"] == ""
    at = {depth: place for place, depth in enumerate(log.depth)}
    parts = {name: {depth: log.extras[f"GR_{name}"][at[depth]] for depth in (1005.0, 1010.0, 1020.0)} for name in
             ("LO", "HI", "CONF", "WRAP", "CLIP", "OCC")}  # fmt: skip
    np.testing.assert_allclose([*parts["LO"].values()], [90, 90 - 256, 90 - 256])
    np.testing.assert_allclose([*parts["HI"].values()], [120, 120, 120 - 256])
    np.testing.assert_allclose([*parts["CONF"].values()], [0.9, 0.9, 0.5])
    np.testing.assert_allclose([*parts["WRAP"].values()], [0, -1, -1])
    np.testing.assert_allclose([*parts["OCC"].values()], [0, 1, 0])
    np.testing.assert_allclose([*parts["CLIP"].values()], [0, 0, 0])


def test_the_tracer_is_asked_for_seeds_and_wraps_in_px_of_the_crop():
    depth = DepthScale(unit="ft", anchors=((0, 0), (900, 90)))
    curves = (curve("A", seeds=((310.5, 150.0),)), curve("B", wrap=True, seeds=((320, 600.0),)))
    section = Section(rows=(300, 899), depth=depth, tracks=(Track(left_px=100, right_px=612, curves=curves),))
    reader = PlantedReader(traced(50.0, 60.0))
    (found,) = reader.digitize(np.full((900, 700), 255, np.uint8), Calibration(sections=(section,)))
    shape, (first, second), left, right = reader.asked[0]
    assert (shape, left, right) == (SIZE, 0.0, 256.0)
    assert (first.curve_class, first.wraps, first.seeds) == (1, False, ((5.25, 25.0),))
    assert (second.wraps, second.seeds) == (True, ((10.0, 250.0),))
    assert (found.first_row, found.x.shape) == (300, (2, 600))
    np.testing.assert_allclose(found.x[:, 0], [200, 220])


def test_the_classical_tracer_says_what_it_cannot_follow():
    from veerjax.jobs.reader import ClassicalReader

    for curves in ((curve(wrap=True),), (curve("A", seeds=((5, 5),)), curve("B", seeds=((5, 9),)))):
        with pytest.raises(InputError, match=r"reads one curve of each class.*use --tracer learned"):
            ClassicalReader().digitize(IMAGE, one(*curves))


def test_extras_are_named_one_by_one_or_all_together():
    assert extras_of("") == ()
    assert extras_of("all") == EXTRAS
    assert extras_of("Hi, lo") == ("lo", "hi")
    with pytest.raises(InputError, match=r"--extras is 'high'; write one of lo, hi, .*did you mean 'hi'"):
        extras_of("lo,high")
    with pytest.raises(InputError, match="--extras hi makes the curve GR_HI, which is declared"):
        check_names(one(curve(), curve("GR_HI", curve_class=2)), ("lo", "hi"))


def test_values_follow_edges_that_drift_down_the_rows(monkeypatch):
    drift = (ROWS + 0.5) / 10

    def drifting(image, left_px, right_px, *, lines):
        return TrackShape(left_px=left_px + drift, right_px=right_px + drift, tilt_px=np.zeros(HEIGHT))

    monkeypatch.setattr("veerjax.jobs.crop.track_shape", drifting)
    (found,) = read(one(curve()), traced(64.0))
    np.testing.assert_allclose(curve_rows(found, 0).value, 64.0, atol=0.01)
    np.testing.assert_allclose(found.x[0], 64 + drift)
    np.testing.assert_allclose(knots(found.shape.left_px, first_row=7), [[7.5, 0.05], [306.5, 29.95]])
