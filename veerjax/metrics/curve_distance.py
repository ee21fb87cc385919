"""The Euclidean distance between a predicted and a true polyline, both ways.

It asks where the ink is, not in which row: a spiky curve set off by one row is about 1 px away, though |dx| of its rows
is many. Each row's part of a polyline, from half-way to the row above to half-way to the row below, is judged at
`POINTS` points; each weighs as much as the length it stands for, so that a horizontal kick weighs by its length. Where
no neighbour is joined the half row is a stub: it weighs half a pixel and is judged at the vertex.

Distances are exact up to `reach` and capped there. A curve that is missing as a whole has no distance (NaN, weight 0):
its coverage stands beside. A row without a finite x is one where the curve is absent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Num

from veerjax.config import require
from veerjax.metrics.histogram import distance_histogram, quantile_px
from veerjax.metrics.ratio import quotient

REACH_PX = 64  # at which distances are capped
POINTS = 4  # of each row, half of them above its centre


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class CurveDistances:
    """Points of the true curves to the predicted ones, then points of the predicted curves to the true ones."""

    distance_px: Float[Array, "curves 2 points"]  # [px], NaN where there is no point or no other curve
    weight_px: Float[Array, "curves 2 points"]  # the length that the point stands for [px], 0 where there is none


def curve_distances(
    x_true: Float[Array, "curves height"],
    presence_true: Bool[Array, "curves height"],
    x_pred: Float[Array, "curves height"],
    presence_pred: Bool[Array, "curves height"],
    *,
    reach: int = REACH_PX,
) -> CurveDistances:
    """The distance of points on each polyline to the other polyline of the same name, and their weights.

    Args:
        x_true: where the true curve crosses each row's centre [px]
        presence_true: whether the true curve is there
        x_pred: where the predicted curve crosses it [px]
        presence_pred: whether the predicted curve is there
        reach: distances are exact up to this [px] and capped at it

    Returns:
        Distances [px] and weights [px], `POINTS` for each row.

    Raises:
        InputError: the reach is below 1.
    """
    require(reach >= 1, f"the reach of a curve distance is {reach} px; it must be at least 1, for example 64.")

    def both_ways(x_true: Array, there: Array, x_pred: Array, found: Array) -> tuple[Array, Array]:
        ways = [(x_true, there, x_pred, found), (x_pred, found, x_true, there)]
        known = jnp.any(there) & jnp.any(found)
        pairs = [_one_way(*way, known=known, reach=reach) for way in ways]
        distance, weight = zip(*pairs, strict=True)
        return jnp.stack(distance), jnp.stack(weight)

    present_true, present_pred = presence_true & jnp.isfinite(x_true), presence_pred & jnp.isfinite(x_pred)
    x_true, x_pred = (
        jnp.where(present, x.astype(jnp.float32), 0.0)
        for x, present in ((x_true, present_true), (x_pred, present_pred))
    )
    distance, weight = jax.vmap(both_ways)(x_true, present_true, x_pred, present_pred)
    return CurveDistances(distance_px=distance, weight_px=weight)


def _one_way(
    x: Float[Array, " height"],
    there: Bool[Array, " height"],
    target: Float[Array, " height"],
    target_there: Bool[Array, " height"],
    *,
    known: Bool[Array, ""],
    reach: int,
) -> tuple[Float[Array, " points"], Float[Array, " points"]]:
    across, down, weight = _points(x, there)
    distance = _distance(across, down, target, target_there, reach=reach)
    judged = jnp.broadcast_to((there & known)[None, :], distance.shape)
    return jnp.where(judged, distance, jnp.nan).reshape(-1), jnp.where(judged, weight, 0.0).reshape(-1)


def _points(
    x: Float[Array, " height"], there: Bool[Array, " height"]
) -> tuple[Float[Array, "{POINTS} height"], Float[Array, "{POINTS} height"], Float[Array, "{POINTS} height"]]:
    """Each row's points: x [px], how far below the row's centre [px], and weight [px]."""
    joined, edge = there[:-1] & there[1:], jnp.zeros(1, bool)
    step = jnp.where(joined, jnp.diff(x), 0.0)
    still = jnp.zeros(1, step.dtype)
    # From each vertex towards the one above, then towards the one below.
    slope = jnp.stack([jnp.concatenate([still, -step]), jnp.concatenate([step, still])])
    whole = jnp.stack(
        [-jnp.concatenate([edge, joined]).astype(x.dtype), jnp.concatenate([joined, edge]).astype(x.dtype)]
    )
    along = (jnp.arange(POINTS // 2, dtype=x.dtype)[None, :, None] + 0.5) / POINTS
    across = x[None, None, :] + along * slope[:, None]
    down = along * whole[:, None]
    weight = jnp.broadcast_to((jnp.hypot(slope, 1.0) / POINTS)[:, None], across.shape)
    across, down, weight = (values.reshape(POINTS, -1) for values in (across, down, weight))
    return across, down, weight


def _distance(
    across: Float[Array, "points height"],
    down: Float[Array, "points height"],
    x: Float[Array, " height"],
    there: Bool[Array, " height"],
    *,
    reach: int,
) -> Float[Array, "points height"]:
    """Of each point to the segments and lone vertices of the polyline within reach of its row, at most the reach."""
    height, margin = x.shape[0], reach + 1
    joined = jnp.append(there[:-1] & there[1:], False)
    step = jnp.where(joined, jnp.append(jnp.diff(x), 0.0), 0.0)
    x, step, joined, there = (jnp.pad(values, margin) for values in (x, step, joined, there))

    def nearer(k: Array, squared: Array) -> Array:
        row_x, slope, whole, here = (
            jax.lax.dynamic_slice_in_dim(values, k, height)[None, :] for values in (x, step, joined, there)
        )
        offset = (k - margin).astype(row_x.dtype)  # rows from the point's row down to the segment's first vertex
        dx, dy = across - row_x, down - offset
        along = jnp.clip((dx * slope + dy) / (slope**2 + 1), 0, 1) * whole.astype(row_x.dtype)
        candidate = (dx - along * slope) ** 2 + (dy - along) ** 2
        return jnp.where(here, jnp.minimum(squared, candidate), squared)

    far = jnp.full(across.shape, reach**2, across.dtype)
    return jnp.sqrt(jax.lax.fori_loop(0, 2 * margin, nearer, far))


def curve_distance_sums(distances: CurveDistances) -> dict[str, Any]:
    """The distances of a log as sums that add over logs, both ways together.

    Args:
        distances: of one log

    Returns:
        By curve: `length_px`, the sum of the weights, `weighted_px`, that of the weighted distances [px^2], and
        `bins`, the histogram of `metrics.histogram` in which each point counts by its weight.
    """
    curves = distances.weight_px.shape[0]
    weight = distances.weight_px.reshape(curves, -1)
    distance = jnp.where(weight > 0, distances.distance_px.reshape(curves, -1), 0.0)
    return {
        "length_px": jnp.sum(weight, axis=-1),
        "weighted_px": jnp.sum(weight * distance, axis=-1),
        "bins": distance_histogram(distance, weight),
    }


def curve_distance_px(sums: Mapping[str, Any]) -> dict[str, Float[np.ndarray, "*n"]]:
    """Mean, median and 95th percentile of the distance [px], the last two good to a bin; NaN without curves.

    Args:
        sums: of `curve_distance_sums`, with any leading axes
    """
    return {
        "mean": quotient(sums["weighted_px"], sums["length_px"]),
        "median": quantile_px(sums["bins"], 0.5),
        "p95": quantile_px(sums["bins"], 0.95),
    }


def weighted_summary(
    distance_px: Float[np.ndarray, "*n points"], weight_px: Num[np.ndarray, "*n points"]
) -> dict[str, Float[np.ndarray, "*n"]]:
    """Mean, median and 95th percentile of weighted values.

    A percentile is the least value up to which the values hold that share of the weight.

    For the symmetric distance of each curve, join the two ways: `values.reshape(curves, -1)`; for that of a pool of
    logs, join their points.

    Args:
        distance_px: values [px]; those of weight 0 may be NaN
        weight_px: their weights, at least 0

    Returns:
        Values [px]; NaN where all weights are 0.

    Example:
        >>> summary = weighted_summary(np.array([1.0, 5.0, 2.0]), np.array([2.0, 1.0, 1.0]))
        >>> {name: value.item() for name, value in summary.items()}
        {'mean': 2.25, 'median': 1.0, 'p95': 5.0}
    """
    weight = np.asarray(weight_px, np.float64)
    distance = np.where(weight > 0, np.asarray(distance_px, np.float64), 0.0)
    order = np.argsort(distance, axis=-1)
    ordered = np.take_along_axis(distance, order, axis=-1)
    upto = np.cumsum(np.take_along_axis(weight, order, axis=-1), axis=-1)
    total = upto[..., -1]

    def quantile(share: float) -> np.ndarray:
        index = np.minimum((upto < share * total[..., None]).sum(axis=-1), ordered.shape[-1] - 1)
        value = np.take_along_axis(ordered, index[..., None], axis=-1)[..., 0]
        return np.where(total > 0, value, np.nan)

    mean = quotient((weight * distance).sum(axis=-1), weight.sum(axis=-1))
    return {"mean": mean, "median": quantile(0.5), "p95": quantile(0.95)}
