"""Polylines as pixels."""

from functools import partial

import jax
import numpy as np
import pytest
import reference
from curve_cases import CASES, HEIGHT, WIDTH, curve
from ways import every_way

from veerjax.metrics.raster import rasterise, row_runs

raster = jax.jit(partial(rasterise, width=WIDTH))


@pytest.mark.parametrize("kind", CASES)
def test_the_raster_equals_the_spans_drawn_row_by_row(kind):
    np.testing.assert_array_equal(raster(*curve(kind)), reference.raster(*curve(kind), width=WIDTH))


def test_the_raster_is_the_same_every_way():
    drawn = every_way(partial(rasterise, width=WIDTH), *curve("off the image"))
    assert drawn.dtype == bool


def test_a_vertical_line_is_one_pixel_wide():
    drawn = raster(np.full(HEIGHT, 7.5, np.float32), np.ones(HEIGHT, bool))
    np.testing.assert_array_equal(np.asarray(drawn), np.arange(WIDTH) == np.full((HEIGHT, 1), 7))


def test_every_row_of_a_curve_touches_the_next_one():
    x, presence = curve("spiky")
    first, last = (np.asarray(end) for end in jax.jit(partial(row_runs, width=WIDTH))(x, presence))
    assert np.all(np.maximum(first[1:], first[:-1]) <= np.minimum(last[1:], last[:-1]))


def test_a_curve_across_the_whole_track_fills_its_rows():
    x = np.where(np.arange(HEIGHT) % 2, WIDTH - 0.5, 0.5).astype(np.float32)
    drawn = np.asarray(raster(x, np.ones(HEIGHT, bool)))
    assert np.all(drawn.sum(axis=1) >= WIDTH // 2)
    np.testing.assert_array_equal(drawn.any(axis=0), True)


def test_a_vertex_off_the_image_is_not_drawn_and_joins_nothing():
    x = np.full(HEIGHT, np.nan, np.float32)
    x[:7] = [4.5, -3.0, 8.5, 40.0, np.nan, np.inf, 2.5]
    drawn = np.asarray(raster(x, np.ones(HEIGHT, bool)))
    np.testing.assert_array_equal(np.argwhere(drawn), [[0, 4], [2, 8], [6, 2]])
