"""Slow NumPy twins of crossing continuity and swaps, written from the definitions, one row at a time."""

import itertools
import math


def kinds_of_rows(x, presence, *, stroke):
    """Of each row: 'absent', 'near', or the side of curve 1 where the curves are apart."""
    kinds = []
    for a, b, p, q in zip(*x, *presence, strict=True):
        if not (p and q and math.isfinite(a) and math.isfinite(b)):
            kinds.append("absent")
        elif abs(a - b) > 2 * stroke:
            kinds.append("left" if a < b else "right")
        else:
            kinds.append("near")
    return kinds


def names_right(x_true, x_pred, presence_pred, row):
    def own(k):
        y = x_pred[k][row]
        there = presence_pred[k][row] and math.isfinite(y)
        return there and abs(y - x_true[k][row]) < abs(y - x_true[1 - k][row])

    return bool(own(0) and own(1))


def crossing_counts(x_true, presence_true, x_pred, presence_pred, *, stroke):
    """Crossings, crossings right, touches, touches right."""
    kinds = kinds_of_rows(x_true, presence_true, stroke=stroke)
    counts, before, between = [0, 0, 0, 0], None, []
    for row, kind in enumerate(kinds):
        if kind in ("absent", "near"):
            between.append(kind)
            continue
        if before is not None:
            changed, met = kind != kinds[before], "near" in between
            first = {(True, True): 0, (False, True): 2, (True, False): 0 if not between else None}.get((changed, met))
            if first is not None:
                counts[first] += 1
                counts[first + 1] += all(names_right(x_true, x_pred, presence_pred, r) for r in (before, row))
        before, between = row, []
    return counts


def swap_counts(x_true, presence_true, x_pred, presence_pred, *, stroke):
    """Swaps and judged rows."""
    states = []
    for row, kind in enumerate(kinds_of_rows(x_true, presence_true, stroke=stroke)):
        if kind in ("left", "right") and all(presence_pred[k][row] and math.isfinite(x_pred[k][row]) for k in (0, 1)):
            states.append(names_right(x_true, x_pred, presence_pred, row))
    return [sum(a != b for a, b in itertools.pairwise(states)), len(states)]
