"""What a curve looks like, in numbers: how steep, how rough, how blocky, how often off the scale; and how a pair moves.

All of them are pure functions of one window, x in fractions of the track's width. NaN is null: neighbouring rows count
only where both have values. Lengths are px on a track of `TRACK_PX`, so that windows of any resolution compare.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

Rows = Float[np.ndarray, " rows"]
Pair = Float[np.ndarray, "2 rows"]

TRACK_PX = 256.0  # the working width, a track of 2.5 in
FLAT_PX = 0.05  # a curve that moves less from row to row stands still
STROKE_PX = 3.0  # curves closer than this run together
STEEP_SHARE = 0.05  # of the rows, for `blockiness`
STUCK_ROWS = 12  # at one value, to count as clipped
LAGS = (4, 32)  # rows between which `persistence` compares
MIN_ROWS = 48  # with a value, for statistics that mean something


def steps_px(x: Rows, *, row_px: float = 1.0) -> Rows:
    """|dx| between neighbouring rows [px per px of depth], null ones left out.

    Args:
        x: in track fractions, NaN where null
        row_px: height of a row on the scale on which the track is `TRACK_PX` wide [px]
    """
    steps = np.abs(np.diff(x)) * TRACK_PX / row_px
    return steps[np.isfinite(steps)]


def slope(x: Rows, *, row_px: float = 1.0) -> dict[str, float]:
    """Quantiles of the steepness [px per row at a track of `TRACK_PX`]."""
    steps = steps_px(x, row_px=row_px)
    values = np.percentile(steps, [50, 90, 99, 100]) if len(steps) else np.full(4, np.nan)
    return dict(zip(("slope_p50_px", "slope_p90_px", "slope_p99_px", "slope_max_px"), map(float, values), strict=True))


def roughness(x: Rows) -> float:
    """Rms of the second difference over rms of the first: 0 for a line, 1.4 for a random walk, 1.7 for noise."""
    return _ratio(_rms(np.diff(x, 2)), _rms(np.diff(x)))


def persistence(x: Rows) -> float:
    """How rms differences grow with their distance, as a power: 0 for noise, .5 for a random walk, 1 for a line."""
    near, far = (_rms(x[lag:] - x[:-lag]) for lag in LAGS)
    growth = _ratio(far, near)
    return float(np.log(growth) / np.log(LAGS[1] / LAGS[0])) if growth > 0 else float("nan")


def blockiness(x: Rows) -> float:
    """The share of all movement that happens in the steepest twentieth of the rows: .05 for a line, 1 for plateaus."""
    steps = np.sort(steps_px(x))[::-1]
    return _ratio(float(np.sum(steps[: max(1, round(STEEP_SHARE * len(steps)))])), float(np.sum(steps)))


def clipped_share(x: Rows) -> float:
    """The share of the rows that lie off the track or are stuck at one value for `STUCK_ROWS` rows and more."""
    known = np.isfinite(x)
    off = known & ((x < 0) | (x >= 1))
    still = np.concatenate([[False], np.abs(np.diff(x)) < 1e-6])
    starts = np.flatnonzero(~still)
    lengths = np.diff(np.append(starts, len(x)))
    stuck = np.repeat(lengths >= STUCK_ROWS, lengths)
    return _ratio(float(np.sum(off | (stuck & known))), float(np.sum(known)))


def flat_share(x: Rows, *, row_px: float = 1.0) -> float:
    """The share of the rows in which the curve stands still."""
    steps = steps_px(x, row_px=row_px)
    return _ratio(float(np.sum(steps < FLAT_PX)), float(len(steps)))


def place(x: Rows) -> dict[str, float]:
    """Where the curve runs and how far it swings, in track fractions; and to which side it kicks, from -1 to 1."""
    if not np.isfinite(x).any():
        return {"median": np.nan, "range": np.nan, "lean": np.nan}
    low, middle, high = (float(v) for v in np.nanpercentile(x, [5, 50, 95]))
    return {"median": middle, "range": high - low, "lean": _ratio(low + high - 2 * middle, high - low)}


def curve_statistics(x: Rows, *, row_px: float = 1.0) -> dict[str, float]:
    """All statistics of one curve; NaN where it has fewer than `MIN_ROWS` steps.

    Args:
        x: in track fractions, NaN where null
        row_px: height of a row on the scale on which the track is `TRACK_PX` wide [px]
    """
    found = {
        **slope(x, row_px=row_px),
        "roughness": roughness(x),
        "persistence": persistence(x),
        "blockiness": blockiness(x),
        "clipped_share": clipped_share(x),
        "flat_share": flat_share(x, row_px=row_px),
        **place(x),
    }
    enough = np.sum(np.isfinite(np.diff(x))) >= MIN_ROWS
    return found if enough else dict.fromkeys(found, float("nan"))


def pair_statistics(x: Pair, *, row_px: float = 1.0) -> dict[str, float]:
    """How two curves of one track move together, over the rows in which both have values.

    Args:
        x: both curves in track fractions, NaN where null
        row_px: height of a row on the scale on which the track is `TRACK_PX` wide [px]

    Returns:
        Correlation of the values and of the steps; the share of the rows closer than a stroke; crossings per
        100 px of depth. NaN where fewer than `MIN_ROWS` rows are shared.
    """
    shared = np.isfinite(x).all(axis=0)
    both, gap = x[:, shared], (x[0] - x[1])[shared]
    if shared.sum() < MIN_ROWS:
        return dict.fromkeys(("correlation", "step_correlation", "close_share", "crossings"), float("nan"))
    sides = np.sign(gap[gap != 0])
    return {
        "correlation": _correlation(both),
        "step_correlation": _correlation(np.diff(both)),
        "close_share": float(np.mean(np.abs(gap) * TRACK_PX < STROKE_PX)),
        "crossings": 100 * float(np.sum(sides[1:] != sides[:-1])) / (shared.sum() * row_px),
    }


def kolmogorov_smirnov(a: np.ndarray, b: np.ndarray) -> float:
    """The greatest difference between the shares of two samples that lie below any value: 0 alike, 1 apart.

    NaN is left out; the distance is NaN where nothing else is left.
    """
    a, b = np.sort(a[np.isfinite(a)]), np.sort(b[np.isfinite(b)])
    if not len(a) or not len(b):
        return float("nan")
    values = np.concatenate([a, b])
    below = [np.searchsorted(part, values, side="right") / len(part) for part in (a, b)]
    return float(np.max(np.abs(below[0] - below[1])))


# Scales on which differences of a statistic mean the same everywhere; the others are compared as they are.
SCALES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = MappingProxyType(
    {
        **{f"slope_{name}_px": lambda v: np.log(v + FLAT_PX) for name in ("p50", "p90", "p99", "max")},
        "range": lambda v: np.log(v + 0.005),
        "roughness": np.log,
        "crossings": lambda v: np.log(v + 0.2),
    }
)


def _rms(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(known**2))) if len(known) else float("nan")


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")


def _correlation(both: Pair) -> float:
    """0 where one of them does not move."""
    spread = both - both.mean(axis=1, keepdims=True)
    size = float(np.sqrt(np.prod(np.sum(spread**2, axis=1))))
    return float(np.sum(spread[0] * spread[1])) / size if size > 0 else 0.0
