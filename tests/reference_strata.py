"""Slow NumPy twins of the strata, from the definitions, row by row."""

import math

import numpy as np

NO_CROSSING_ROWS, WITHIN_PX = 2.0**20, 2.0


def rows_to_crossing(x, presence):
    height, crossed = x.shape[1], []
    for row in range(height):
        both = presence[:, row].all()
        if both and x[0, row] == x[1, row]:
            crossed.append(row)
        if row + 1 < height and both and presence[:, row + 1].all():
            before, after = x[0, row] - x[1, row], x[0, row + 1] - x[1, row + 1]
            if (before < 0 < after) or (after < 0 < before):
                crossed.append(row)
    return [min((abs(row - c) for c in crossed), default=NO_CROSSING_ROWS) for row in range(height)]


def slope(x, presence):
    """Of one curve."""
    found = np.zeros(len(x), np.float32)
    for row in range(len(x)):
        for other in (row - 1, row + 1):
            if 0 <= other < len(x) and presence[row] and presence[other]:
                found[row] = max(found[row], abs(x[row] - x[other]))
    return found


def stroke_width(stroke, x, presence):
    """Of one curve: its area over the length of its polyline, which is at least one pixel."""
    length = 0.0
    for row in range(len(x) - 1):
        if presence[row] and presence[row + 1]:
            length += math.hypot(float(x[row + 1]) - float(x[row]), 1.0)
    return np.count_nonzero(stroke) / max(length, 1.0)


def place(value, bounds):
    """The first bin whose upper bound is not below the value."""
    return next((k for k, bound in enumerate(bounds) if value <= bound), len(bounds))


def stratum_sums(x, presence, y, found, bins, count):
    """Of one curve, whose rows are in `bins`: true, covered and right rows and the sum of the errors of each bin."""
    sums = {name: np.zeros(count) for name in ("true", "covered", "right", "error_px")}
    for row in np.flatnonzero(presence):
        sums["true"][bins[row]] += 1
        if found[row]:
            error = abs(float(y[row]) - float(x[row]))
            sums["covered"][bins[row]] += 1
            sums["right"][bins[row]] += error <= WITHIN_PX
            sums["error_px"][bins[row]] += error
    return sums
