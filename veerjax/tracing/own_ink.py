"""A map of its own for each wanted curve: the ink of its class, shared out where several curves have one map."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from veerjax.labels import CURVE_1
from veerjax.tracing.places import Places
from veerjax.tracing.wanted import WantedCurve

BROAD = 1.5  # of a stroke's width: ink this wide shows two strokes side by side
SKIRT_PX = 3  # beside a stretch of the other class's map that a curve is on


def own_masks(
    places: Places, masks: Float[np.ndarray, "2 height width"], wanted: Sequence[WantedCurve]
) -> Float[np.ndarray, "curves height width"]:
    """The probability that a pixel is ink of each curve.

    Ink between curves of one class belongs to the nearest. Where curves of two classes run close together a network is
    in two minds: ink that is nearer to the other curve, and surer in the other's map, is not this one's. In rows in
    which two of one class are on one stretch, broader than a stroke, its left part is the left curve's; one as narrow
    as a stroke is both curves'.

    Args:
        places: where the curves are
        masks: probability of ink of each class
        wanted: the curves
    """
    classes = np.array([curve.curve_class - CURVE_1 for curve in wanted])
    first, last = ends_side_by_side(places, classes)
    columns = np.arange(masks.shape[2])
    own = np.empty((len(wanted), *masks.shape[1:]), np.float32)
    for k, one in enumerate(classes):
        own[k] = masks[one]
        beside = distance_px(columns, first[k], last[k], presence=places.presence[k])
        for j in (j for j in range(len(wanted)) if j != k):
            nearer = distance_px(columns, first[j], last[j], presence=places.presence[j]) < beside
            surer = True if classes[j] == one else masks[classes[j]] > masks[one]
            own[k][nearer & surer] = 0.0
        guest = places.presence[k] & (places.source[k] != one)
        near = distance_px(columns, places.first[k][guest], places.last[k][guest], presence=True) <= SKIRT_PX
        own[k][guest] = np.where(near, np.maximum(masks[1 - one][guest], own[k][guest]), own[k][guest])
    return own


def distance_px(
    columns: Int[np.ndarray, " width"],
    first: Int[np.ndarray, " rows"],
    last: Int[np.ndarray, " rows"],
    *,
    presence: Bool[np.ndarray, " rows"] | bool,
) -> Int[np.ndarray, "rows width"]:
    """From each pixel to a curve's stretch in its row; greater than any where it is absent."""
    left, right, at = (px.astype(np.int16) for px in (first, last, columns))  # of every pixel of a long strip
    away = np.maximum(np.maximum(left[:, None] - at, at - right[:, None]), 0)
    return np.where(np.broadcast_to(presence, first.shape)[:, None], away, np.int16(columns.size))


def ends_side_by_side(
    places: Places, classes: Int[np.ndarray, " curves"]
) -> tuple[Int[np.ndarray, "curves height"], Int[np.ndarray, "curves height"]]:
    """The ends of each curve's stretch, where a broad stretch that two of one class are on is cut in the middle.

    The left part is for the curve that lies left in the nearest row in which they are apart: above in the upper half
    of such rows, below in the lower half.
    """
    first, last = places.first.copy(), places.last.copy()
    width = places.last - places.first + 1
    for a in range(len(classes)):
        for b in range(a + 1, len(classes)):
            both = places.presence[a] & places.presence[b] & (classes[a] == classes[b])
            shared = both & (places.first[a] == places.first[b]) & (places.last[a] == places.last[b])
            alone = both & ~shared
            if not (shared.any() and alone.any()):
                continue
            stroke = np.median(width[[a, b]][:, alone])
            cut = np.flatnonzero(shared & (width[a] > BROAD * stroke))
            a_left = nearest_value(places.first[a] < places.first[b], alone)[cut]
            middle = (places.first[a] + places.last[a])[cut] // 2
            for k, is_left in ((a, a_left), (b, ~a_left)):
                last[k][cut] = np.where(is_left, middle, last[k][cut])
                first[k][cut] = np.where(is_left, first[k][cut], middle + 1)
    return first, last


def nearest_value(values: np.ndarray, known: Bool[np.ndarray, " rows"]) -> np.ndarray:
    """Each row's value from the nearest row in which it is known."""
    rows = np.flatnonzero(known)
    at = np.arange(len(known))
    below = rows[np.minimum(np.searchsorted(rows, at), len(rows) - 1)]
    above = rows[np.maximum(np.searchsorted(rows, at, side="right") - 1, 0)]
    return values[np.where(np.abs(at - above) <= np.abs(below - at), above, below)]
