"""The overlay shows each curve where it was read, spans included."""

from dataclasses import dataclass

import numpy as np

from veerjax.report.overlay import COLOURS, OCCLUDED_COLOURS, overlay


@dataclass
class Found:
    x: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    presence: np.ndarray
    occluded: np.ndarray


def found(height: int = 40) -> Found:
    x = np.stack([np.full(height, 20.5), np.full(height, 60.5)])
    lo, hi = x.copy(), x.copy()
    hi[0, 10 % height] = 50.5
    presence = np.ones((2, height), bool)
    presence[1, 20:] = False
    x[1, 20:] = lo[1, 20:] = hi[1, 20:] = np.nan
    occluded = np.zeros((2, height), bool)
    occluded[1, :5] = True
    return Found(x, lo, hi, presence, occluded)


def test_curves_spans_and_hidden_stretches_have_their_colours():
    picture = overlay(np.full((40, 80), 255, np.uint8), [found()])
    assert picture.shape == (40, 80, 3)
    assert picture.dtype == np.uint8
    assert tuple(picture[30, 20]) == COLOURS[0]
    assert (picture[10, 20:51] == COLOURS[0]).all()
    assert tuple(picture[2, 60]) == OCCLUDED_COLOURS[1]
    assert tuple(picture[10, 60]) == COLOURS[1]
    assert (picture[22:, 55:] == 255).all()


def test_the_scan_shines_through_pale_and_bytes_equal_floats():
    grey = np.zeros((40, 80), np.uint8)
    picture = overlay(grey, [found()])
    assert 80 < picture[35, 70, 0] < 200
    np.testing.assert_array_equal(picture, overlay(grey / 255.0, found()))


def test_a_scan_of_one_row_is_drawn():
    assert overlay(np.ones((1, 80)), found(1)).shape == (1, 80, 3)
