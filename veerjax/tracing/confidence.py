"""How likely a row of a traced curve is right: within one percent of the track of where the curve truly is."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.lib.stride_tricks import sliding_window_view

from veerjax.labels import CURVE_1
from veerjax.tracing.places import Places
from veerjax.tracing.trace import Trace
from veerjax.tracing.wanted import Crossing, WantedCurve

RIGHT_SHARE = 0.01  # of the track's width
NEARBY_ROWS = 8  # on each side over which evidence is averaged
DOUBTFUL_ROWS = 16  # on each side of a meeting in which its names may be wrong
SURE = 0.964  # confidence from which on .99 of rows were right on half of the validation logs, fitted to the other half
LEAST = 0.01  # probability that evidence is kept away from 0 and 1

# A logistic regression on the rows of 192 validation logs of `standard`, read with the release weights (tools/
# fit_confidence.py), these to all of them. Fitted to half, its calibration error on the other half is .021, and of the
# surest .562 of their rows, from `SURE` on, .99 are right; by evidence alone that share is .010.
WEIGHTS = {
    "constant": 4.452,
    "evidence": 0.456,
    "evidence_nearby": -0.234,
    "rival": -1.700,
    "other_class": -1.117,
    "bridged": -0.416,
    "occluded": 0.080,
    "span": -1.236,
    "span_nearby": -0.119,
    "broken": -1.495,
    "doubt": -0.993,
}


def row_confidence(features: Float[np.ndarray, "features curves height"]) -> Float[np.ndarray, "curves height"]:
    """The probability that a row is right, by the features that `row_features` gives."""
    score = np.tensordot(np.array(list(WEIGHTS.values())), features, axes=1)
    return 1 / (1 + np.exp(-score))


def row_features(
    places: Places,
    found: Trace,
    masks: Float[np.ndarray, "2 height width"],
    *,
    wanted: Sequence[WantedCurve],
    crossings: Sequence[Crossing],
) -> Float[np.ndarray, "features curves height"]:
    """What tells right rows from wrong ones, in the order of `WEIGHTS`.

    Evidence is the log-odds of the ink that the curve is on, in the row and on the mean of the rows nearby; rival and
    other_class are evidence of ink of its class that no curve is on, and of the other class where it is itself; span is
    the logarithm of the polyline's extent in the row, and the greatest of the rows nearby; broken is 1 for class 2;
    doubt is the odds against the names of meetings nearby.

    Args:
        places: where the curves are
        found: their polylines
        masks: probability of ink of each class
        wanted: the curves
        crossings: the ledger of their meetings
    """
    strength = np.where(places.presence, places.strength, 0.0)
    nearby = sums_nearby(strength) / sums_nearby(np.ones_like(strength[:1]))
    column = np.clip(found.x, 0, masks.shape[2] - 1).astype(int)
    classes = [curve.curve_class - CURVE_1 for curve in wanted]
    other = np.stack([masks[1 - one, np.arange(len(at)), at] for one, at in zip(classes, column, strict=True)])
    span = np.where(found.presence, np.log1p(np.maximum(found.hi - found.lo, 0.0)), 0.0)
    padded = np.pad(span, ((0, 0), (NEARBY_ROWS, NEARBY_ROWS)), mode="edge")
    features = {
        "constant": np.ones_like(strength),
        "evidence": log_odds(strength),
        "evidence_nearby": log_odds(nearby),
        "rival": places.rival,
        "other_class": other,
        "bridged": found.presence & ~places.presence,
        "occluded": found.occluded,
        "span": span,
        "span_nearby": sliding_window_view(padded, 2 * NEARBY_ROWS + 1, axis=1).max(axis=-1),
        "broken": np.array(classes)[:, None] * np.ones_like(strength),
        "doubt": doubt(crossings, strength.shape),
    }
    return np.stack([np.asarray(features[name], np.float64) for name in WEIGHTS])


def sums_nearby(values: Float[np.ndarray, "curves height"]) -> Float[np.ndarray, "curves height"]:
    """The sum over `NEARBY_ROWS` above and below each row and itself, of as many as there are."""
    kernel, rows = np.ones(2 * NEARBY_ROWS + 1), slice(NEARBY_ROWS, NEARBY_ROWS + values.shape[1])
    return np.stack([np.convolve(one, kernel)[rows] for one in values])  # "same" is as long as the kernel at least


def log_odds(probability: Float[np.ndarray, "curves height"]) -> Float[np.ndarray, "curves height"]:
    kept = np.clip(probability, LEAST, 1 - LEAST)
    return np.log(kept / (1 - kept))


def doubt(crossings: Sequence[Crossing], shape: tuple[int, ...]) -> Float[np.ndarray, "curves height"]:
    """`exp(-margin)` of the least sure meeting nearby of each curve, 0 where there is none."""
    rows = np.zeros(shape)
    for crossing in crossings:
        near = slice(max(int(crossing.row) - DOUBTFUL_ROWS, 0), int(crossing.row) + DOUBTFUL_ROWS + 1)
        for k in crossing.curves:
            rows[k, near] = np.maximum(rows[k, near], np.exp(-crossing.margin))
    return rows
