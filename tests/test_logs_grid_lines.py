"""A track's edges and tilt are found by its grid: drift, skew, folds and stretch, under curves and in broken lines."""

import numpy as np
import pytest
from bent_strips import LINEAR, LOG, Bent, bent_strip

from veerjax.errors import InputError
from veerjax.logs.calibration import CurveScale
from veerjax.logs.grid_lines import grid_lines, track_shape
from veerjax.logs.page import Page
from veerjax.logs.track_shape import TrackShape

MARGIN_PX = 120
FINE = tuple(np.arange(26) / 25)


def still(row: np.ndarray) -> np.ndarray:
    return np.zeros_like(row)


def wander(row: np.ndarray) -> np.ndarray:
    return 30 * np.sin(row / 500) + row / 150


def shape_of(bent: Bent, *, lines: tuple[float, ...] = LINEAR, track_px: float = 750.0) -> TrackShape:
    """What is found from the declared edges, which are those that do not drift."""
    return track_shape(bent.image, MARGIN_PX, MARGIN_PX + track_px, lines=lines)


def greatest_error_px(found: TrackShape, bent: Bent) -> float:
    return float(max(np.abs(found.left_px - bent.left_px).max(), np.abs(found.right_px - bent.right_px).max()))


@pytest.mark.parametrize("bits", [True, False])
@pytest.mark.parametrize(
    ("lines", "thick_px", "broken", "stretch"),
    [
        (LINEAR, 2.0, 0.0, 0.0),
        (LINEAR, 1.0, 0.5, 0.0),
        (LINEAR, 3.0, 0.0, 0.015),
        (FINE, 12.0, 0.0, 0.0),
        (LOG, 2.0, 0, 0),
    ],
    ids=["thin", "broken", "stretched", "thick", "log"],
)
def test_edges_that_drift_are_found_within_a_pixel(
    bits: bool, lines: tuple[float, ...], thick_px: float, broken: float, stretch: float
) -> None:
    bent = bent_strip(
        height=1800,
        track_px=750,
        drift=wander,
        lines=lines,
        thick_px=thick_px,
        broken=broken,
        stretch=stretch,
        bits=bits,
        pitch_px=60.0,
    )
    assert np.ptp(bent.left_px) > 30
    found = shape_of(bent, lines=lines)
    assert greatest_error_px(found, bent) < 1.0
    assert np.abs(found.tilt_px).max() < 0.5
    assert found.remarks == ()


@pytest.mark.parametrize(("track_px", "pitch_px", "thick_px"), [(750.0, 30.0, 2.0), (250.0, 10.0, 1.0)])
@pytest.mark.parametrize("bits", [True, False])
def test_nothing_changes_on_a_straight_strip(track_px: float, pitch_px: float, thick_px: float, bits: bool) -> None:
    bent = bent_strip(height=1000, track_px=track_px, drift=still, pitch_px=pitch_px, thick_px=thick_px, bits=bits)
    found = shape_of(bent, track_px=track_px)
    assert greatest_error_px(found, bent) < 0.5
    assert np.abs(found.tilt_px).max() < 0.5


@pytest.mark.parametrize("width", range(150, 420, 27))
def test_lines_of_one_pixel_in_a_narrow_track_are_not_taken_for_their_neighbours(width: int) -> None:
    """They lie in whole pixels, up to one beside their place, and curves darken what is between them."""
    left, generator, row = 60, np.random.default_rng(width), np.arange(1500)
    ink = np.zeros((len(row), width + 3 * left), bool)
    track = ink[:, left : left + width]
    track[:, np.linspace(0, width - 1, 11).astype(int)] = track[:: generator.integers(8, 60)] = True
    for _ in range(2):
        x = (width / 2 + generator.uniform(0.1, 0.4) * width * np.sin(generator.uniform(0.005, 0.05) * row)).astype(int)
        for side in (-1, 0, 1):
            track[row, x + side] = True
    found = track_shape(np.where(ink, 0, 255).astype(np.uint8), float(left), float(left + width))
    assert np.abs(found.left_px - left).max() < 2
    assert np.abs(found.right_px - left - width).max() < 2


@pytest.mark.parametrize("thick_px", [1.0, 2.0, 6.0])
def test_edges_that_the_scan_s_border_cuts_off_are_told_by_the_lines_between(thick_px: float) -> None:
    bent = bent_strip(height=1000, track_px=500, drift=still, pitch_px=20.0, thick_px=thick_px, bits=False)
    cut = bent.image[:, MARGIN_PX : MARGIN_PX + 500]
    found = track_shape(cut, 0.0, 500.0)
    assert np.abs(found.left_px).max() < 0.3
    assert np.abs(found.right_px - 500).max() < 0.3


@pytest.mark.parametrize("degrees", [3.0, -1.0])
def test_skew_moves_the_edges_down_the_strip_and_tilts_its_rows(degrees: float) -> None:
    slope = np.tan(np.radians(degrees))
    # Grid lines 30 px apart: the right edge lies more than one of them lower than the left one.
    bent = bent_strip(height=2000, track_px=750, drift=lambda row: -slope * (row - 1000), tilt_px=slope * 750)
    found = shape_of(bent)
    assert greatest_error_px(found, bent) < 1.0
    np.testing.assert_allclose(found.tilt_px, bent.tilt_px, atol=1.0)


def test_a_fold_is_followed_within_its_band() -> None:
    bent = bent_strip(height=1500, track_px=750, drift=lambda row: 9.0 * (row > 700))
    found = shape_of(bent)
    error = np.abs(found.left_px - bent.left_px)
    assert error.max() < 9
    assert (error[:660] < 1).all()
    assert (error[740:] < 1).all()


def test_a_missing_stretch_takes_the_edges_of_those_around_it() -> None:
    bent = bent_strip(height=1500, track_px=750, drift=wander)
    bent.image[500:700] = 255
    assert greatest_error_px(shape_of(bent), bent) < 3.0


@pytest.mark.parametrize("bits", [True, False])
def test_without_a_grid_the_declared_edges_stay_and_a_remark_says_so(bits: bool) -> None:
    bent = bent_strip(height=900, track_px=750, drift=still, lines=(), bits=bits)
    found = shape_of(bent)
    assert (found.left_px == MARGIN_PX).all()
    assert (found.right_px == MARGIN_PX + 750).all()
    assert (found.tilt_px == 0).all()
    (remark,) = found.remarks
    assert remark.startswith("no grid was found from 120 to 870 px")


def test_without_horizontal_lines_rows_stay_level() -> None:
    bent = bent_strip(height=900, track_px=750, drift=wander, pitch_px=None)
    found = shape_of(bent)
    assert greatest_error_px(found, bent) < 1.0
    np.testing.assert_array_equal(found.tilt_px, 0)


def test_a_page_of_bits_is_read_like_its_grey_levels() -> None:
    bent = bent_strip(height=600, track_px=250, drift=still, pitch_px=10, thick_px=1)
    page = Page(data=np.packbits(bent.image > 0, axis=1), width=bent.image.shape[1], bits=True)
    ours, theirs = shape_of(bent, track_px=250), track_shape(page, MARGIN_PX, MARGIN_PX + 250)
    np.testing.assert_array_equal(ours.left_px, theirs.left_px)


def test_the_lines_of_a_scale_are_its_divisions_or_the_digits_of_its_decades() -> None:
    linear = CurveScale(curve_class=1, mnemonic="GR", unit="GAPI", left=0, right=150)
    assert grid_lines(linear) == LINEAR
    decades = CurveScale(curve_class=1, mnemonic="ILD", unit="OHMM", left=0.2, right=2000, scale="log")
    lines = grid_lines(decades)
    assert len(lines) == 4 * 9 + 1
    assert lines[0] == 0.0
    assert lines[-1] == 1.0
    np.testing.assert_allclose(lines[8], np.log10(1 / 0.2) / 4)
    reversed_lines = grid_lines(CurveScale(curve_class=1, mnemonic="C", unit="", left=2000, right=0.2, scale="log"))
    np.testing.assert_allclose(reversed_lines, 1 - np.array(lines)[::-1], atol=1e-12)


def test_wrong_edges_and_lines_are_refused() -> None:
    image = np.full((50, 100), 255, np.uint8)
    with pytest.raises(InputError, match=r"from 60 to 20 px; the left edge comes first"):
        track_shape(image, 60, 20)
    with pytest.raises(InputError, match=r"must ascend from 0, its left edge, to 1"):
        track_shape(image, 20, 60, lines=(0.0, 0.5))
