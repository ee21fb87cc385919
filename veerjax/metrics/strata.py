"""Row errors by what makes a row hard: how near a crossing it is, how steep, how thick the pen is, how it is coded."""

import itertools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from veerjax.labels import CODINGS, UNKNOWN_CODING
from veerjax.metrics.centreline import RowErrors
from veerjax.metrics.ratio import quotient
from veerjax.polyline import segment_lengths

WITHIN_PX = 2.0  # a row this near the truth is right
CROSSING_ROWS = (2, 5, 10, 20, 50, 100)  # upper bounds of bins
SLOPES_PX = (0.25, 0.5, 1, 2, 4, 8)  # |dx| per row
STROKES_PX = (2, 3, 4, 6, 9)
NO_CROSSING_ROWS = 2.0**20


def bin_names(bounds: tuple[float, ...], unit: str) -> tuple[str, ...]:
    """What the bins between bounds are called."""
    inner = [f"{low:g}-{high:g}" for low, high in itertools.pairwise(bounds)]
    return tuple(f"{name} {unit}" for name in (f"<= {bounds[0]:g}", *inner, f"> {bounds[-1]:g}"))


STRATA = {
    "crossing_distance": bin_names(CROSSING_ROWS, "rows"),
    "slope": bin_names(SLOPES_PX, "px/row"),
    "stroke_width": bin_names(STROKES_PX, "px"),
    "coding": (*CODINGS, "unknown"),
}


def rows_to_crossing(x: Float[Array, "2 height"], presence: Bool[Array, "2 height"]) -> Float[Array, " height"]:
    """How many rows away the nearest row is at which the two curves change sides; `NO_CROSSING_ROWS` without one.

    Args:
        x: where each curve crosses each row's centre [px]
        presence: whether the curve is there
    """
    both = presence[0] & presence[1]
    side = jnp.where(both, jnp.sign(x[0] - x[1]), 0.0)
    crossed = jnp.append(side[:-1] * side[1:] < 0, False) | (both & (side == 0))
    row = jnp.arange(x.shape[1], dtype=jnp.float32)
    above = jnp.maximum.accumulate(jnp.where(crossed, row, -NO_CROSSING_ROWS))
    below = jnp.minimum.accumulate(jnp.where(crossed, row, 2 * NO_CROSSING_ROWS)[::-1])[::-1]
    return jnp.minimum(jnp.minimum(row - above, below - row), NO_CROSSING_ROWS)


def slope_px(x: Float[Array, "2 height"], presence: Bool[Array, "2 height"]) -> Float[Array, "2 height"]:
    """The steepest of a row's segments, |dx| per row [px]; 0 where it has none."""
    joined = presence[:, :-1] & presence[:, 1:]
    step = jnp.where(joined, jnp.abs(jnp.diff(x, axis=1)), 0.0)
    edge = jnp.zeros((x.shape[0], 1), step.dtype)
    return jnp.maximum(jnp.concatenate([edge, step], axis=1), jnp.concatenate([step, edge], axis=1))


def stroke_width_px(
    strokes: Bool[Array, "2 height width"], x: Float[Array, "2 height"], presence: Bool[Array, "2 height"]
) -> Float[Array, " 2"]:
    """The mean width of each curve's stroke [px]: its area over the length of its polyline, at least one row long."""
    presence = presence & jnp.isfinite(x)
    joined, x = presence[:, :-1] & presence[:, 1:], jnp.where(presence, x, 0.0)
    length = jnp.sum(jnp.where(joined, jax.vmap(segment_lengths)(x), 0.0), axis=1)
    return jnp.sum(strokes, axis=(1, 2), dtype=jnp.float32) / jnp.maximum(length, 1.0)


def stratum_sums(
    rows: RowErrors,
    strokes: Bool[Array, "2 height width"],
    x_true: Float[Array, "2 height"],
    presence_true: Bool[Array, "2 height"],
    *,
    coding: Int[Array, " 2"] | None,
) -> dict[str, dict[str, Array]]:
    """The true rows of each stratum, how many are covered and right, and the sum of the errors.

    Args:
        rows: of one log
        strokes: the ink each true curve owns
        x_true: where the true curve crosses each row's centre [px]
        presence_true: whether the true curve is there
        coding: positions in `labels.CODINGS`, where they are known

    Returns:
        By stratum, for each curve and bin: `true`, `covered` and `right` rows and the `logs` they come from in int32,
        and `error_px` in float32.
    """
    x, there = jnp.where(jnp.isfinite(x_true), x_true, 0.0), presence_true & jnp.isfinite(x_true)
    distance = jnp.broadcast_to(rows_to_crossing(x, there)[None], x.shape)
    width = jnp.broadcast_to(stroke_width_px(strokes, x, there)[:, None], x.shape)
    coding = jnp.full(2, UNKNOWN_CODING) if coding is None else coding
    named = jnp.where(coding == UNKNOWN_CODING, len(CODINGS), coding)
    bins = {
        "crossing_distance": _bin(distance, CROSSING_ROWS),
        "slope": _bin(slope_px(x, there), SLOPES_PX),
        "stroke_width": _bin(width, STROKES_PX),
        "coding": jnp.broadcast_to(named[:, None], x.shape),
    }
    return {name: _sums(rows, there, bins[name], len(STRATA[name])) for name in STRATA}


def _bin(values: Float[Array, "2 height"], bounds: tuple[float, ...]) -> Int[Array, "2 height"]:
    return jnp.searchsorted(jnp.asarray(bounds, jnp.float32), values.astype(jnp.float32))


def _sums(
    rows: RowErrors, there: Bool[Array, "2 height"], bins: Int[Array, "2 height"], count: int
) -> dict[str, Array]:
    curve = jnp.broadcast_to(jnp.arange(2)[:, None], bins.shape)
    covered = jnp.isfinite(rows.error_px)
    error = jnp.where(covered, rows.error_px, 0.0)

    def added(values: Array) -> Array:
        return jnp.zeros((2, count), values.dtype).at[curve, bins].add(values)

    counted = {"true": there, "covered": covered, "right": covered & (error <= WITHIN_PX)}
    sums = {name: added(mask.astype(jnp.int32)) for name, mask in counted.items()}
    return sums | {"logs": (sums["true"] > 0).astype(jnp.int32), "error_px": added(error)}


def stratum_figures(sums: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, dict[str, np.ndarray]]:
    """Of each stratum: its true rows and the logs they come from, the share covered, that within 2 px, the mean error.

    Args:
        sums: of `stratum_sums`, with any leading axes
    """

    def figures(part: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {
            "rows": part["true"],
            "logs": part["logs"],
            "coverage": quotient(part["covered"], part["true"]),
            "within_2px": quotient(part["right"], part["true"]),
            "mean_error_px": quotient(part["error_px"], part["covered"]),
        }

    return {name: figures(sums[name]) for name in STRATA}
