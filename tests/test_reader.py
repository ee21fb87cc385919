"""From a track at its own resolution to the working one and back."""

import jax.numpy as jnp
import numpy as np
import pytest

from veerjax.errors import InputError
from veerjax.jobs.reader import as_unit_grey, mapped_back
from veerjax.logs.scales import DepthScale
from veerjax.logs.working import rescaled, row_stretch
from veerjax.tracing.trace import Trace


def a_trace(x: np.ndarray, presence: np.ndarray) -> Trace:
    pair = np.stack([x, x])
    both = np.stack([presence, presence])
    return Trace(x=pair, lo=pair - 1, hi=pair + 2, presence=both, confidence=both * 0.5, occluded=both & False)


def upright(left: float, right: float, height: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full(height, float(left)), np.full(height, float(right))


@pytest.mark.parametrize(("height", "width"), [(400, 512), (300, 100), (200, 256)])
def test_a_line_comes_back_to_where_it_was_at_any_resolution(height: int, width: int) -> None:
    left, working_width = 40, 256
    rows = round(height * working_width / width)
    slope = 0.3  # the same in px per row at every resolution
    working_x = 20 + slope * (np.arange(rows) + 0.5)
    found = a_trace(working_x, np.ones(rows, bool))
    back = mapped_back(found, edges=upright(left, left + width, height), working_edges=(0, working_width))
    across = working_width / width
    truth = left + (20 + slope * (np.arange(height) + 0.5) * rows / height) / across
    inner = slice(3, -3)
    np.testing.assert_allclose(back["x"][0, inner], truth[inner], atol=0.05)
    assert (back["lo"] <= back["x"]).all()
    assert (back["hi"] >= back["x"]).all()


def test_absent_rows_stay_absent_and_neighbours_are_not_drawn_into_them() -> None:
    presence = np.ones(100, bool)
    presence[40:60] = False
    found = a_trace(np.where(presence, 30.0, 1e6), presence)
    back = mapped_back(found, edges=upright(0, 64, 50), working_edges=(0, 128))
    assert np.isnan(back["x"][0, 20:30]).all()
    np.testing.assert_allclose(back["x"][0, :20], 15.0)
    assert np.isfinite(back["hi"][0, :20]).all()


def test_a_kick_of_one_working_row_survives_in_the_span() -> None:
    x = np.full(200, 50.0)
    found = a_trace(x, np.ones(200, bool))
    found.hi[:, 101] = 220.0
    back = mapped_back(found, edges=upright(0, 128, 100), working_edges=(0, 256))
    assert back["hi"][0, 50] == 110.0


def test_rescaling_keeps_the_mean_of_a_thin_line() -> None:
    crop = np.ones((400, 512), np.float32)
    crop[:, 100:102] = 0
    small = rescaled(crop, 256)
    assert small.shape == (200, 256)
    np.testing.assert_allclose((1 - small).sum() / 200, 1.0, rtol=1e-3)
    assert rescaled(small, 256) is small
    assert rescaled(small, 300).shape == (234, 300)


@pytest.mark.parametrize(
    ("rows_per_ft", "scale", "stretch"),
    [
        (15.0, 0.4, 1.0),  # 5 in per 100 ft at 300 dpi has six working rows for a foot
        (6.0, 0.4, 4 / 2.4),
        (3.0, 0.4, 2.0),  # twice is the most
        (2.0, 0.5, 2.0),  # as many rows as the scan has
        (1.0, 1.2, 1.0),  # a narrow scan is enlarged already
    ],
)
def test_rows_of_a_small_depth_scale_are_drawn_out(rows_per_ft: float, scale: float, stretch: float) -> None:
    assert row_stretch(rows_per_ft, scale) == pytest.approx(stretch)
    crop = np.linspace(0, 1, 600, dtype=np.float32)[:, None] * np.ones((1, 500), np.float32)
    drawn_out = rescaled(crop, 200, stretch=stretch)
    assert drawn_out.shape == (round(240 * stretch), 200)
    np.testing.assert_allclose(drawn_out.mean(), 0.5, atol=0.01)
    assert (np.diff(drawn_out[:, 0]) > 0).all(), "rows keep their order"


@pytest.mark.parametrize(("unit", "rows_per_ft"), [("ft", 10.0), ("m", 3.048)])
def test_a_depth_scale_tells_its_rows_for_a_foot(unit: str, rows_per_ft: float) -> None:
    scale = DepthScale(unit=unit, anchors=((20.0, 700.0), (1000.0, 610.0), (1020.0, 600.0)))
    assert scale.rows_per_ft == pytest.approx(rows_per_ft)


def test_images_of_another_shape_are_refused() -> None:
    with pytest.raises(InputError, match=r"the image has the shape \(3, 4, 3\); give a grey one"):
        as_unit_grey(np.zeros((3, 4, 3)))
    assert as_unit_grey(np.full((2, 2), 255, np.uint8)).max() == 1.0
    assert as_unit_grey(jnp.ones((2, 2))).dtype == np.float32
