"""Slow NumPy twins of the distance between polylines, written from the definition, one point at a time."""

import math


def vertices(x, presence):
    """By row, the x of the rows where the curve is."""
    return {row: float(v) for row, (v, p) in enumerate(zip(x, presence, strict=True)) if p and math.isfinite(v)}


def pieces(x, presence):
    """The segments of a polyline as pairs of points; a vertex without neighbours as a pair of the same."""
    at = vertices(x, presence)
    found = [((at[r], r + 0.5), (at[r + 1], r + 1.5)) for r in at if r + 1 in at]
    return found + [((at[r], r + 0.5),) * 2 for r in at if r - 1 not in at and r + 1 not in at]


def points(x, presence):
    """((x, y), weight) of two points on each half segment, or a quarter pixel each at the vertex."""
    at, found = vertices(x, presence), []
    for row in at:
        for beside in (row - 1, row + 1):
            for part in (1 / 8, 3 / 8):
                if beside in at:
                    along = (at[row] + part * (at[beside] - at[row]), row + 0.5 + part * (beside - row))
                    found.append((along, math.hypot(at[beside] - at[row], 1) / 4))
                else:
                    found.append(((at[row], row + 0.5), 0.25))
    return found


def to_piece(point, piece):
    (px, py), ((ax, ay), (bx, by)) = point, piece
    squared = (bx - ax) ** 2 + (by - ay) ** 2
    along = 0.0 if squared == 0 else ((px - ax) * (bx - ax) + (py - ay) * (by - ay)) / squared
    along = min(max(along, 0.0), 1.0)
    return math.hypot(px - ax - along * (bx - ax), py - ay - along * (by - ay))


def one_way(x, presence, target, target_presence, *, reach):
    """(distance, weight) of each point of one polyline to the other, at most the reach."""
    other = pieces(target, target_presence)
    if not other:
        return []
    return [(min([reach, *(to_piece(p, piece) for piece in other)]), weight) for p, weight in points(x, presence)]


def summary(pairs):
    """Mean, median and 95th percentile of (value, weight)."""
    total = sum(weight for _, weight in pairs)
    if total == 0:
        return [math.nan] * 3
    result = [sum(value * weight for value, weight in pairs) / total]
    for share in (0.5, 0.95):
        upto = 0.0
        for value, weight in sorted(pairs):
            upto += weight
            if upto >= share * total:
                result.append(value)
                break
    return result
