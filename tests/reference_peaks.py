"""Slow NumPy twin of the peaks, written from the definition, one row at a time."""

import math


def runs(x, presence):
    """The first row and the row after the last of each unbroken run of present rows."""
    there = [bool(p) and math.isfinite(v) for v, p in zip(x, presence, strict=True)] + [False]
    start, found = None, []
    for row, here in enumerate(there):
        if here and start is None:
            start = row
        if not here and start is not None:
            found.append((start, row))
            start = None
    return found


def maxima(values):
    """The middle rows of what is higher than both its neighbours."""
    found, row = [], 1
    while row < len(values) - 1:
        last = row
        while last < len(values) - 1 and values[last + 1] == values[row]:
            last += 1
        if last < len(values) - 1 and values[row - 1] < values[row] > values[last + 1]:
            found.append((row + last) // 2)
        row = last + 1
    return found


def prominence(values, peak):
    valleys = []
    for rows in (range(peak, -1, -1), range(peak, len(values))):
        lowest = values[peak]
        for row in rows:
            if values[row] > values[peak]:
                break
            lowest = min(lowest, values[row])
        valleys.append(lowest)
    return values[peak] - max(valleys)


def prominences(x, presence):
    """By row of each maximum."""
    found = {}
    for start, stop in runs(x, presence):
        values = [float(v) for v in x[start:stop]]
        found |= {start + peak: prominence(values, peak) for peak in maxima(values)}
    return found


def peak_errors(x_true, presence_true, x_pred, presence_pred, *, track, prominence_share, reach):
    """The error of each true peak of one curve, by row."""
    errors, least = {}, prominence_share * track
    for sign in (1, -1):
        x, y = ([sign * float(v) for v in values] for values in (x_true, x_pred))
        own = {row for row, height in prominences(y, presence_pred).items() if height >= least / 2}
        for peak, height in prominences(x, presence_true).items():
            if height < least:
                continue
            rows = range(max(peak - reach, 0), min(peak + reach, len(x) - 1) + 1)
            there = [row for row in rows if presence_pred[row] and math.isfinite(y[row])]
            errors[peak] = abs(max(y[row] for row in there) - x[peak]) if there else float(track)
            for row in own.intersection(rows):
                errors[peak] = min(errors[peak], abs(y[row] - x[peak]))
    return errors
