"""Slow NumPy twins of the reliability figures, from the definitions, row by row."""

import math

import numpy as np

BINS, WITHIN_PX = 50, 2.0


def read_rows(error_px, extra, confidence, *, track_width_px):
    """Of one curve: (bin, confidence, error [px], right) of each row that it is read in."""
    found = []
    for error, invented, sure in zip(error_px, extra, confidence, strict=True):
        if math.isnan(error) and not invented:
            continue
        right = not math.isnan(error) and error <= WITHIN_PX
        off = float(track_width_px) if math.isnan(error) else float(error)
        found.append((min(int(np.float32(sure) * np.float32(BINS)), BINS - 1), float(sure), off, right))
    return found


def calibration(rows):
    """The mean confidence, the share that is right and the number of rows of each bin."""
    each = [[row for row in rows if row[0] == k] for k in range(BINS)]
    sure = [np.mean([row[1] for row in some]) if some else math.nan for some in each]
    right = [np.mean([row[3] for row in some]) if some else math.nan for some in each]
    return {"confidence": sure, "within_2px": right, "rows": [len(some) for some in each]}


def expected_calibration_error(rows):
    """Guo's equation 3."""
    if not rows:
        return math.nan
    found = calibration(rows)
    return sum(
        count / len(rows) * abs(right - sure)
        for sure, right, count in zip(found["confidence"], found["within_2px"], found["rows"], strict=True)
        if count
    )


def risk(rows, share):
    """The mean error and the share of wrong rows of the surest share; of the bin it ends in, a part of every row."""
    if not rows:
        return math.nan, math.nan
    left, error, wrong = share * len(rows), 0.0, 0.0
    for k in reversed(range(BINS)):
        some = [row for row in rows if row[0] == k]
        part = min(1.0, left / len(some)) if some else 0.0
        error += part * sum(row[2] for row in some)
        wrong += part * sum(not row[3] for row in some)
        left -= part * len(some)
    return error / (share * len(rows)), wrong / (share * len(rows))
