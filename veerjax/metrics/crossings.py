"""Whether two curves keep their names where they meet, and how often a prediction exchanges them.

Rows are far where both true curves are present and more than two stroke widths apart, near where they are present
and not. An event lies between two far rows with no far row between them:

- a crossing, where the curves have changed sides: near rows lie between, or the two rows are neighbours (a kick);
- a touch, where they have not, and near rows lie between.

Rows where a true curve is absent do not end an event: ink and truth are most often missing exactly where curves run
together, and METRICS asks for the nearest rows that are far. But they make none: curves that change sides in a gap
without a near row (one leaves the track and comes back on the other side) were never seen to meet.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from veerjax.metrics.ratio import HostOrDevice, quotient

FAR_STROKES = 2.0  # curves further apart than this many stroke widths are apart

# The last axis of the counts of events, and of those of swaps.
CROSSINGS, CROSSINGS_RIGHT, TOUCHES, TOUCHES_RIGHT = range(4)
SWAPS, JUDGED = range(2)


def crossing_counts(
    x_true: Float[Array, "2 height"],
    presence_true: Bool[Array, "2 height"],
    x_pred: Float[Array, "2 height"],
    presence_pred: Bool[Array, "2 height"],
    *,
    stroke_px: float | Float[Array, ""],
) -> Int[Array, " 4"]:
    """The crossings and touches of the true curves, and those at which the prediction keeps the names right.

    Right means: in the far rows before and after the event, each predicted curve is present and nearer to its own
    true curve than to the other. Names count as they stand: nothing is matched or permuted.

    Args:
        x_true: where each true curve crosses each row's centre [px]
        presence_true: whether the true curve is there
        x_pred: where each predicted curve crosses it [px]
        presence_pred: whether the predicted curve is there
        stroke_px: mean width of the two strokes [px]

    Returns:
        Counts in int32, in this order: crossings, crossings right, touches, touches right.

    Example:
        >>> x, there = jnp.array([[0.0, 5, 9], [9, 5, 0]]), jnp.ones((2, 3), bool)
        >>> crossing_counts(x, there, x, there, stroke_px=2.0).tolist()
        [1, 1, 0, 0]
    """
    near, far, side = _approach(x_true, presence_true, stroke_px=stroke_px)
    right = _names_right(x_true, x_pred, presence_pred)
    row = jnp.arange(far.shape[0])
    before, last_near = _last(far), _last(near)
    bounded = far & (before >= 0)
    changed, met = side != side[before], last_near > before
    both_right = right & right[before]
    crossing = bounded & changed & (met | (before == row - 1))
    touch = bounded & ~changed & met
    columns = {
        CROSSINGS: crossing,
        CROSSINGS_RIGHT: crossing & both_right,
        TOUCHES: touch,
        TOUCHES_RIGHT: touch & both_right,
    }
    return jnp.stack([jnp.sum(columns[column], dtype=jnp.int32) for column in sorted(columns)])


def swap_counts(
    x_true: Float[Array, "2 height"],
    presence_true: Bool[Array, "2 height"],
    x_pred: Float[Array, "2 height"],
    presence_pred: Bool[Array, "2 height"],
    *,
    stroke_px: float | Float[Array, ""],
) -> Int[Array, " 2"]:
    """How often the names turn from right to wrong or back, from each judged row to the next.

    Judged are the far rows in which both predicted curves are present.

    Args:
        x_true: where each true curve crosses each row's centre [px]
        presence_true: whether the true curve is there
        x_pred: where each predicted curve crosses it [px]
        presence_pred: whether the predicted curve is there
        stroke_px: mean width of the two strokes [px]

    Returns:
        Counts in int32: swaps, judged rows.

    Example:
        >>> x, there = jnp.array([[0.0, 0, 0], [9, 9, 9]]), jnp.ones((2, 3), bool)
        >>> swap_counts(x, there, jnp.array([[0.0, 9, 9], [9, 0, 0]]), there, stroke_px=2.0).tolist()
        [1, 3]
    """
    far = _approach(x_true, presence_true, stroke_px=stroke_px)[1]
    judged = far & jnp.all(_present(x_pred, presence_pred), axis=0)
    right, before = _names_right(x_true, x_pred, presence_pred), _last(judged)
    swapped = judged & (before >= 0) & (right != right[before])
    return jnp.stack([jnp.sum(swapped, dtype=jnp.int32), jnp.sum(judged, dtype=jnp.int32)])


def _present(x: Float[Array, "2 height"], presence: Bool[Array, "2 height"]) -> Bool[Array, "2 height"]:
    return presence & jnp.isfinite(x)


def _approach(
    x: Float[Array, "2 height"], presence: Bool[Array, "2 height"], *, stroke_px: float | Float[Array, ""]
) -> tuple[Bool[Array, " height"], Bool[Array, " height"], Bool[Array, " height"]]:
    """Which rows are near, which are far, and whether curve 1 lies left of curve 2."""
    x, both = x.astype(jnp.float32), jnp.all(_present(x, presence), axis=0)
    apart = jnp.abs(x[0] - x[1]) > FAR_STROKES * jnp.asarray(stroke_px, jnp.float32)
    return both & ~apart, both & apart, x[0] < x[1]


def _names_right(
    x_true: Float[Array, "2 height"], x_pred: Float[Array, "2 height"], presence_pred: Bool[Array, "2 height"]
) -> Bool[Array, " height"]:
    """Whether each predicted curve is present and nearer to its own true curve, in rows where both of those are."""
    x_true, x_pred = x_true.astype(jnp.float32), x_pred.astype(jnp.float32)
    own, other = jnp.abs(x_pred - x_true), jnp.abs(x_pred - x_true[::-1])
    return jnp.all(_present(x_pred, presence_pred) & (own < other), axis=0)


def _last(marked: Bool[Array, " height"]) -> Int[Array, " height"]:
    """The nearest marked row above each row, -1 where there is none."""
    row = jnp.arange(marked.shape[0])
    upto = jnp.maximum.accumulate(jnp.where(marked, row, -1))
    return jnp.concatenate([jnp.full(1, -1, upto.dtype), upto[:-1]])


def crossing_continuity(counts: Int[HostOrDevice, "*n 4"]) -> dict[str, Float[np.ndarray, "*n"]]:
    """The shares of crossings and of touches at which the names are right on both sides, and their mean, `balanced`.

    Neither share stands alone: names given by side, left and right, are wrong on one side of every crossing, and right
    at every touch at which curve 1 is the left one. Their `balanced` is at most .5, and .5 where all touches are such.

    Args:
        counts: of `crossing_counts`, or sums of them

    Returns:
        Shares from 0 to 1; NaN where there is no event of the kind, `balanced` where either is missing.

    Example:
        >>> {name: share.item() for name, share in crossing_continuity(np.array([4, 1, 2, 2])).items()}
        {'crossings': 0.25, 'touches': 1.0, 'balanced': 0.625}
    """
    counts = np.asarray(counts)
    crossings = quotient(counts[..., CROSSINGS_RIGHT], counts[..., CROSSINGS])
    touches = quotient(counts[..., TOUCHES_RIGHT], counts[..., TOUCHES])
    return {"crossings": crossings, "touches": touches, "balanced": (crossings + touches) / 2}


def swaps_per_1000_rows(counts: Int[HostOrDevice, "*n 2"]) -> Float[np.ndarray, "*n"]:
    """Changes between right and wrong names per 1,000 judged rows; NaN where no row was judged.

    Args:
        counts: of `swap_counts`, or sums of them

    Example:
        >>> swaps_per_1000_rows(np.array([1, 500])).item()
        2.0
    """
    counts = np.asarray(counts)
    return 1000 * quotient(counts[..., SWAPS], counts[..., JUDGED])
