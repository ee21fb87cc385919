"""How far a predicted curve lies from the true one in each row, and how much of the truth it covers.

A per-row distance sees neither a peak lost inside one row nor, fairly, a spiky curve set off by one row: the
tolerance figures stand beside it. A row with no finite x is one where the curve is absent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from veerjax.metrics.histogram import distance_histogram, quantile_px
from veerjax.metrics.ratio import quotient


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class RowErrors:
    """The rows of curves, each covered, missed, extra or empty."""

    error_px: Float[Array, "*curves height"]  # |dx| [px] where the row is covered, else NaN
    missed: Bool[Array, "*curves height"]  # the truth is present and the prediction absent
    extra: Bool[Array, "*curves height"]  # the prediction is present and the truth absent


def row_errors(
    x_true: Float[Array, "*curves height"],
    presence_true: Bool[Array, "*curves height"],
    x_pred: Float[Array, "*curves height"],
    presence_pred: Bool[Array, "*curves height"],
) -> RowErrors:
    """The horizontal distance of every row, curve by curve of the same name.

    Args:
        x_true: where the true curve crosses each row's centre [px]
        presence_true: whether the true curve is there
        x_pred: where the predicted curve crosses it [px]
        presence_pred: whether the predicted curve is there

    Returns:
        `|x_pred - x_true|` of the covered rows [px], and which rows are missed or extra.
    """
    present_true, present_pred = presence_true & jnp.isfinite(x_true), presence_pred & jnp.isfinite(x_pred)
    distance = jnp.abs(x_pred.astype(jnp.float32) - x_true.astype(jnp.float32))
    return RowErrors(
        error_px=jnp.where(present_true & present_pred, distance, jnp.nan),
        missed=present_true & ~present_pred,
        extra=present_pred & ~present_true,
    )


def row_error_sums(rows: RowErrors, *, track_width_px: float) -> dict[str, Any]:
    """The rows of a log as sums that add over logs.

    Args:
        rows: of one log
        track_width_px: the error of a missed row, where all rows are counted [px]

    Returns:
        By curve, in int32 `covered`, `missed`, `extra` and the histograms `covered_bins` and `all_bins`; in float32
        `covered_px` and `all_px`, the sums of the errors over covered rows and over all true rows.
    """
    covered = jnp.isfinite(rows.error_px)
    error = jnp.where(covered, rows.error_px, 0.0)
    all_error = jnp.where(rows.missed, jnp.float32(track_width_px), error)
    return {
        **{
            name: jnp.sum(mask, axis=-1, dtype=jnp.int32)
            for name, mask in {"covered": covered, "missed": rows.missed, "extra": rows.extra}.items()
        },
        "covered_px": jnp.sum(error, axis=-1),
        "all_px": jnp.sum(all_error, axis=-1),
        "covered_bins": distance_histogram(error, covered),
        "all_bins": distance_histogram(all_error, covered | rows.missed),
    }


def coverage(sums: Mapping[str, np.ndarray]) -> Float[np.ndarray, "*n"]:
    """The share of the rows with a true curve that have a predicted one; NaN where there is no true row.

    Args:
        sums: of `row_error_sums`, with any leading axes
    """
    return quotient(sums["covered"], sums["covered"] + sums["missed"])


def covered_row_error_px(sums: Mapping[str, Any]) -> dict[str, Float[np.ndarray, "*n"]]:
    """Mean, median and 95th percentile of the error [px] over the covered rows; NaN where there are none.

    It says nothing of the rows that were not found: `coverage` stands beside it.

    Args:
        sums: of `row_error_sums`, with any leading axes
    """
    return _spread(sums["covered_px"], sums["covered"], sums["covered_bins"])


def all_row_error_px(sums: Mapping[str, Any]) -> dict[str, Float[np.ndarray, "*n"]]:
    """The same over all rows with a true curve, a missed row at the track width.

    Args:
        sums: of `row_error_sums`, with any leading axes
    """
    return _spread(sums["all_px"], sums["covered"] + sums["missed"], sums["all_bins"])


def _spread(
    total_px: np.ndarray, rows: np.ndarray, bins: Mapping[str, np.ndarray]
) -> dict[str, Float[np.ndarray, "*n"]]:
    return {
        "mean": quotient(total_px, rows),
        "median": quantile_px(bins, 0.5),
        "p95": quantile_px(bins, 0.95),
    }
