"""How far a predicted curve lies from the true one in each row, and how much of the truth it covers.

A per-row distance sees neither a peak lost inside one row nor, fairly, a spiky curve set off by one row: the
tolerance figures stand beside it. A row with no finite x is one where the curve is absent.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from veerjax.metrics.ratio import HostOrDevice, quotient


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class RowErrors:
    """The rows of curves, each covered, missed, extra or empty."""

    error_px: Float[HostOrDevice, "*curves height"]  # |dx| [px] where the row is covered, else NaN
    missed: Bool[HostOrDevice, "*curves height"]  # the truth is present and the prediction absent
    extra: Bool[HostOrDevice, "*curves height"]  # the prediction is present and the truth absent


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


def row_counts(rows: RowErrors) -> dict[str, Int[np.ndarray, " curves"]]:
    """The numbers of covered, missed and extra rows of each curve, all logs together.

    Args:
        rows: of one log or of several, curves on the last axis but one
    """
    masks = {"covered": ~np.isnan(rows.error_px), "missed": rows.missed, "extra": rows.extra}
    return {name: _by_curve(mask).sum(axis=-1, dtype=np.int64) for name, mask in masks.items()}


def coverage(rows: RowErrors) -> Float[np.ndarray, " curves"]:
    """The share of the rows with a true curve that have a predicted one; NaN where there is no true row.

    Args:
        rows: of one log or of several, curves on the last axis but one
    """
    counts = row_counts(rows)
    return quotient(counts["covered"], counts["covered"] + counts["missed"])


def covered_row_error_px(rows: RowErrors) -> dict[str, Float[np.ndarray, " curves"]]:
    """Mean, median and 95th percentile of the error [px] over the covered rows; NaN where there are none.

    It says nothing of the rows that were not found: `coverage` stands beside it.

    Args:
        rows: of one log or of several, curves on the last axis but one
    """
    return _summary(_by_curve(rows.error_px))


def all_row_error_px(rows: RowErrors, *, track_width_px: float) -> dict[str, Float[np.ndarray, " curves"]]:
    """Mean, median and 95th percentile over all rows with a true curve, a missed row at the track width.

    Args:
        rows: of one log or of several, curves on the last axis but one
        track_width_px: the error of a missed row [px]

    Returns:
        The figures [px]; NaN for a curve that is never present in truth.
    """
    return _summary(_by_curve(np.where(rows.missed, track_width_px, rows.error_px)))


def _by_curve(values: HostOrDevice) -> np.ndarray:
    """`[..., curves, height]` as `[curves, rows of all logs]`."""
    values = np.asarray(values)
    return np.moveaxis(values, -2, 0).reshape(values.shape[-2], -1)


def _summary(errors_px: Float[np.ndarray, "curves rows"]) -> dict[str, Float[np.ndarray, " curves"]]:
    known = [row[~np.isnan(row)].astype(np.float64) for row in errors_px]
    figures = {"mean": np.mean, "median": np.median, "p95": lambda row: np.percentile(row, 95)}
    return {name: np.array([figure(row) if row.size else np.nan for row in known]) for name, figure in figures.items()}
