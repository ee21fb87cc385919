"""How often a curve that wraps has gone around its track, settled over its gaps: there no ink tells where it went.

Within a stretch of ink the count follows the ink. From one stretch to the next it follows how the curve runs towards
the gap and out of it, and a curve is on its scale rather than off it.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int

from veerjax.tracing.pair import MOST_WRAPS
from veerjax.tracing.places import Places
from veerjax.tracing.wanted import WantedCurve

SLOPE_ROWS = 6  # of ink beside a gap, over which the curve's way into it is measured
MOST_AHEAD = 0.5  # of the track that a curve is carried on into a gap from either side
LEAP_COST = 10.0  # [nats] of each track that is left between both sides of a short gap
SHORT_ROWS = 50.0  # gaps this long tell half as much as short ones


def settled(places: Places, wanted: Sequence[WantedCurve], *, track_px: float, home_cost: float) -> Places:
    """The places with the likeliest wrap counts on both sides of each gap.

    Args:
        places: of the curves
        wanted: which of them wrap
        track_px: the track's width
        home_cost: of each row and track width that a curve is off its scale [nats]
    """
    wrap = places.wrap.copy()
    for k, curve in enumerate(wanted):
        if curve.wraps and places.presence[k].any():
            x = (places.first[k] + places.last[k] + 1) / 2 / track_px + wrap[k]
            wrap[k] += turns_of(x, wrap[k], places.presence[k], home_cost=home_cost)
            inked = np.flatnonzero(places.presence[k])
            last = np.searchsorted(inked, np.arange(len(x)), side="right") - 1
            wrap[k] = wrap[k, inked[np.maximum(last, 0)]]  # in a gap as above it
    return replace(places, wrap=wrap)


def turns_of(
    x: Float[np.ndarray, " height"],
    wrap: Int[np.ndarray, " height"],
    presence: Bool[np.ndarray, " height"],
    *,
    home_cost: float,
) -> Int[np.ndarray, " height"]:
    """What to add to the wrap count in each row: the same all along each stretch of ink, by the cheapest chain.

    Args:
        x: where the curve is, with the count so far [track widths]
        wrap: the count so far
        presence: where it has ink
        home_cost: of each row and track width off its scale
    """
    rows = np.flatnonzero(presence)
    parts = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    turns = np.arange(-MOST_WRAPS, MOST_WRAPS + 1)
    home = np.stack([home_cost * np.abs(wrap[part] + turns[:, None]).sum(axis=1) for part in parts])
    score, came = home[0], []
    for above, below, price in zip(parts[:-1], parts[1:], home[1:], strict=True):
        leap = ends(x, below, -1, gap := below[0] - above[-1]) - ends(x, above, 1, gap)
        away = np.abs(leap + turns[None] - turns[:, None])  # from, to
        ways = score[:, None] + LEAP_COST / (1 + gap / SHORT_ROWS) * away
        came.append(np.argmin(ways, axis=0))
        score = ways.min(axis=0) + price
    chosen = [int(np.argmin(score))]
    for back in reversed(came):
        chosen.append(int(back[chosen[-1]]))
    found = np.zeros(len(x), np.int64)
    for part, state in zip(parts, reversed(chosen), strict=True):
        found[part] = turns[state]
    return found


def ends(x: Float[np.ndarray, " height"], part: Int[np.ndarray, " rows"], down: int, gap: int) -> float:
    """Where a stretch of ink would be in the middle of a gap, below it or (`down` is -1) above it."""
    near = part[-SLOPE_ROWS:] if down == 1 else part[:SLOPE_ROWS]
    slope = (x[near[-1]] - x[near[0]]) / max(near[-1] - near[0], 1)
    return float(x[near[-1 if down == 1 else 0]] + np.clip(down * slope * gap / 2, -MOST_AHEAD, MOST_AHEAD))
