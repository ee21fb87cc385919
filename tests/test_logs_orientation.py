"""A scan that lies otherwise than its calibration says is recognised by its grid, where that tells."""

import numpy as np
import pytest
from bent_strips import LINEAR, LOG, bent_strip

from veerjax.logs.calibration import CurveScale, Track
from veerjax.logs.orientation import turned_remark
from veerjax.logs.page import Page

TRACK_PX, MARGIN_PX = 250, 40


def strip(lines: tuple[float, ...], *, bits: bool = True) -> np.ndarray:
    """A track in the left of a page."""
    drawn = bent_strip(
        height=600,
        track_px=TRACK_PX,
        drift=lambda row: 3 * np.sin(row / 90),
        margin_px=MARGIN_PX,
        lines=lines,
        thick_px=1.0,
        pitch_px=10.0,
        bits=bits,
    ).image
    return np.concatenate([drawn, np.full((len(drawn), 90), 235, np.uint8)], axis=1)


def declared(scale: str) -> list[Track]:
    curve = CurveScale(curve_class=1, mnemonic="C", unit="", left=1, right=10_000, scale=scale)
    return [Track(left_px=MARGIN_PX, right_px=MARGIN_PX + TRACK_PX, curves=(curve,))]


@pytest.mark.parametrize("bits", [True, False])
def test_each_turn_of_a_scan_is_recognised_and_none_where_it_lies_right(bits: bool) -> None:
    for lines, scale in ((LOG, "log"), (LINEAR, "linear")):
        upright, tracks = strip(lines, bits=bits), declared(scale)
        assert turned_remark(upright, tracks) is None
        for turns, words in ((2, "upside down"), (1, "counter-clockwise"), (-1, "turned clockwise")):
            remark = turned_remark(np.ascontiguousarray(np.rot90(upright, turns)), tracks)
            assert remark is not None
            assert words in remark


def test_a_page_of_bits_is_looked_at_like_its_grey_levels() -> None:
    turned = np.ascontiguousarray(np.rot90(strip(LOG), 2))
    page = Page(data=np.packbits(turned > 128, axis=1), width=turned.shape[1], bits=True)
    assert turned_remark(page, declared("log")) == turned_remark(turned, declared("log")) is not None


def test_what_is_alike_when_turned_or_shows_no_grid_gets_no_remark() -> None:
    alike = strip(LINEAR)[:, : TRACK_PX + 2 * MARGIN_PX]
    assert turned_remark(alike[::-1, ::-1], declared("linear")) is None
    assert turned_remark(np.full((400, 380), 235, np.uint8), declared("linear")) is None
