"""A track between edges that drift, resampled between straight ones, and the way back."""

import numpy as np
import pytest
from bent_strips import bent_strip

from veerjax.errors import InputError
from veerjax.logs.page import Page
from veerjax.logs.track_shape import TrackShape, straight_shape, straightened


def shaped(height: int = 400, *, tilt_px: float = 8.0) -> TrackShape:
    row = np.arange(height) + 0.5
    left = 40 + 10 * np.sin(row / 80)
    return TrackShape(left_px=left, right_px=left + 200 + row / 100, tilt_px=tilt_px + row / 400)


def test_there_and_back_is_where_it_was() -> None:
    shape = shaped()
    row, fraction = np.meshgrid(np.linspace(10, 390, 50), np.linspace(0, 1, 11))
    back = shape.in_track(*shape.in_scan(row, fraction))
    np.testing.assert_allclose(back[0], row, atol=1e-5)
    np.testing.assert_allclose(back[1], fraction, atol=1e-7)


def test_the_middle_of_the_track_keeps_its_rows_and_the_right_edge_lies_lower() -> None:
    shape = shaped(tilt_px=8.0)
    row, x = shape.in_scan([100.0, 100.0, 100.0], [0.0, 0.5, 1.0])
    tilt = 8.0 + 100 / 400
    np.testing.assert_allclose(row, [100 - tilt / 2, 100, 100 + tilt / 2], atol=0.01)
    left, width = shape.edges(row)
    np.testing.assert_allclose(x, left + width * np.array([0, 0.5, 1]))


@pytest.mark.parametrize("bits", [True, False])
def test_straightening_undoes_what_the_strip_was_drawn_with(bits: bool) -> None:
    def drift(row: np.ndarray) -> np.ndarray:
        return 12 * np.sin(row / 90)

    drawn = {"height": 500, "track_px": 240, "margin_px": 40, "bits": bits, "thick_px": 3.0}
    bent, flat = bent_strip(drift=drift, tilt_px=9.0, **drawn), bent_strip(drift=lambda row: 0 * row, **drawn)
    shape = TrackShape(left_px=bent.left_px, right_px=bent.right_px, tilt_px=np.full(500, 9.0))
    straight, truth = straightened(bent.image, shape), flat.image[:, 40:280]
    assert straight.shape == truth.shape
    inner = slice(8, -8)

    def blurred(image: np.ndarray) -> np.ndarray:  # bilinear interpolation and noise are no differences of place
        of = image.astype(float)
        return (of[:-2, :-2] + of[1:-1, 1:-1] + of[2:, 2:] + of[:-2, 2:] + of[2:, :-2]) / 5

    alike = np.corrcoef(blurred(straight[inner]).ravel(), blurred(truth[inner]).ravel())[0, 1]
    askew = np.corrcoef(blurred(bent.image[inner, 40:280]).ravel(), blurred(truth[inner]).ravel())[0, 1]
    assert alike > 0.9
    assert askew < 0.6


def test_a_straight_track_on_whole_pixels_is_its_crop() -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 90)).astype(np.uint8)
    np.testing.assert_array_equal(straightened(image, straight_shape(10, 70, height=50)), image[:, 10:70])
    page = Page(data=np.packbits(image > 99, axis=1), width=90, bits=True)
    np.testing.assert_array_equal(straightened(page, straight_shape(10, 70, height=50)), page[:, 10:70])


def test_what_lies_beyond_the_scan_is_white() -> None:
    image = np.zeros((20, 30), np.uint8)
    straight = straightened(image, straight_shape(-10, 20, height=20))
    assert (straight[:, :10] == 255).all()
    assert (straight[:, 10:] == 0).all()
    assert straightened(image, straight_shape(5, 25, height=20), width_px=7).shape == (20, 7)


def test_shapes_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match=r"must lie left of its right edge in every row"):
        straight_shape(20, 10, height=5)
    with pytest.raises(InputError, match=r"tilts by 30 rows; it must be at most 0.1 of its width: turn the scan"):
        TrackShape(left_px=np.zeros(5), right_px=np.full(5, 100.0), tilt_px=np.full(5, 30.0))
    with pytest.raises(InputError, match=r"has 5 rows and the scan 6; they must be of one scan"):
        straightened(np.zeros((6, 40), np.uint8), straight_shape(0, 10, height=5))
