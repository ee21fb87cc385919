"""From curves at the working resolution back to the rows and columns of the scan."""

from itertools import combinations
from typing import Any, Protocol, TypedDict

import numpy as np
from jaxtyping import Bool, Float, Int

from veerjax.tracing.joint import Crossing


class Polylines(Protocol):
    """Curves row by row, such as a trace without its batch axis; x, lo and hi in px."""

    @property
    def x(self) -> Any: ...
    @property
    def lo(self) -> Any: ...
    @property
    def hi(self) -> Any: ...
    @property
    def presence(self) -> Any: ...
    @property
    def confidence(self) -> Any: ...
    @property
    def occluded(self) -> Any: ...


class RowFields(TypedDict):
    """The row-wise fields of `TrackCurves` that come from polylines."""

    x: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    presence: np.ndarray
    confidence: np.ndarray
    occluded: np.ndarray


def mapped_back(
    found: Polylines,
    *,
    edges: tuple[Float[np.ndarray, " height"], Float[np.ndarray, " height"]],
    working_edges: tuple[float, float],
    wrapped_px: Float[np.ndarray, "curves rows"] | float = 0.0,
) -> RowFields:
    """Polylines at the working resolution as the row-wise fields of `TrackCurves`, in px of the scan.

    The centreline is interpolated between the working rows; a row's span is the union of those that it covers.

    Args:
        found: at the working resolution
        edges: the track's left and right one in each row of the scan [px]
        working_edges: the same at the working resolution [px]
        wrapped_px: what wraps have taken from x [working px], so that x is interpolated without them
    """
    (left_px, right_px), (left, right) = edges, working_edges
    height, rows = len(left_px), np.shape(found.x)[1]
    across, down = (right - left) / (right_px - left_px), rows / height
    centres = (np.arange(height) + 0.5) * down
    own = own_rows(height, rows)
    first = np.clip(np.floor(np.arange(height) * down).astype(int), 0, rows - 1)
    last = np.clip(np.ceil((np.arange(height) + 1) * down).astype(int) - 1, first, rows - 1)
    presence = np.asarray(found.presence)[:, own]

    def columns(working_px: np.ndarray) -> np.ndarray:
        return np.where(presence, left_px + (working_px - left) / across, np.nan)

    known, shift = np.asarray(found.presence), np.broadcast_to(wrapped_px, np.shape(found.x))
    x = np.stack([interpolated(centres, *pair) for pair in zip(found.x + shift, known, strict=True)]) - shift[:, own]
    lo = np.stack([extreme(np.minimum, *pair, first, last) for pair in zip(np.asarray(found.lo), known, strict=True)])
    hi = np.stack([extreme(np.maximum, *pair, first, last) for pair in zip(np.asarray(found.hi), known, strict=True)])
    return {
        "x": columns(x),
        "lo": columns(np.minimum(lo, x)),
        "hi": columns(np.maximum(hi, x)),
        "presence": presence,
        "confidence": np.asarray(found.confidence)[:, own],
        "occluded": np.asarray(found.occluded)[:, own],
    }


def own_rows(height: int, rows: int) -> Int[np.ndarray, " height"]:
    """For each row of a scan's part, the working row that holds its centre."""
    return np.clip(((np.arange(height) + 0.5) * (rows / height)).astype(int), 0, rows - 1)


def interpolated(
    centres: Float[np.ndarray, " height"], x: Float[np.ndarray, " rows"], presence: Bool[np.ndarray, " rows"]
) -> Float[np.ndarray, " height"]:
    """x at the given rows, linear between present neighbours; rows without one are not to be used."""
    if not presence.any():
        return np.zeros_like(centres)
    rows = np.flatnonzero(presence)
    return np.interp(centres, rows + 0.5, x[rows])


def extreme(
    better: np.ufunc,
    values: Float[np.ndarray, " rows"],
    presence: Bool[np.ndarray, " rows"],
    first: np.ndarray,
    last: np.ndarray,
) -> Float[np.ndarray, " height"]:
    """The extreme of the present values in rows first..last; infinite, on the harmless side, where none is."""
    neutral = np.inf if better is np.minimum else -np.inf
    usable = np.where(presence, values, neutral)
    result = usable[first]
    for offset in range(1, int(np.max(last - first)) + 1):
        result = better(result, usable[np.minimum(first + offset, last)])
    return result


def side_changes(
    x: Float[np.ndarray, "curves rows"], presence: Bool[np.ndarray, "curves rows"]
) -> tuple[Crossing, ...]:
    """Where two curves change sides on paper; nobody has weighed the other hypothesis, so the margin is NaN.

    Args:
        x: of curves that do not wrap [px]
        presence: whether they are there
    """
    found = []
    for one, other in combinations(range(len(x)), 2):
        rows = np.flatnonzero(presence[one] & presence[other] & (x[one] != x[other]))
        side = np.sign(x[one, rows] - x[other, rows])
        for place in np.flatnonzero(np.diff(side)):
            middle = float(rows[place] + rows[place + 1] + 1) / 2
            found.append(Crossing(row=middle, curves=(one, other), kept=True, margin=float("nan")))
    return tuple(sorted(found, key=lambda meeting: meeting.row))
