"""Slow NumPy twin of the score of lanes, from the definition, one pixel of the polyline at a time."""

import numpy as np
import reference


def drawn(x, presence, *, width, pen_px):
    """A disc around each pixel of the polyline."""
    line = reference.raster(x, presence, width=width)
    rows, columns = np.indices(line.shape)
    image = np.zeros(line.shape, bool)
    for row, column in np.argwhere(line):
        image |= (rows - row) ** 2 + (columns - column) ** 2 <= (pen_px / 2) ** 2
    return image


def lane_counts(x_true, presence_true, x_pred, presence_pred, *, width, pen_px):
    """Matched, predicted, true of one curve."""
    true = drawn(x_true, presence_true, width=width, pen_px=pen_px)
    predicted = drawn(x_pred, presence_pred, width=width, pen_px=pen_px)
    both, either = np.sum(true & predicted), np.sum(true | predicted)
    return [int(both > either / 2), int(predicted.any()), int(true.any())]
