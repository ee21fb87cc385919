"""Whether a tracer's confidence can be trusted: how often rows of a confidence are right, and what is left when only
the surest are kept.

Reference:
    Guo, Pleiss, Sun and Weinberger 2017, On calibration of modern neural networks, equation 3 (expected calibration
    error); Geifman and El-Yaniv 2017, Selective classification for deep neural networks (risk and coverage).
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from veerjax.metrics.centreline import RowErrors
from veerjax.metrics.ratio import quotient
from veerjax.metrics.strata import WITHIN_PX

BINS = 50  # of confidence, from 0 to 1
KEPT_SHARES = tuple(round(0.05 * step, 2) for step in range(1, 21))


def confidence_sums(
    rows: RowErrors,
    confidence: Float[Array, "2 height"],
    *,
    track_width_px: float,
) -> dict[str, Array]:
    """The rows that a curve is read in, by confidence.

    Args:
        rows: of one log
        confidence: from 0 to 1
        track_width_px: the error of a row in which there is no such curve [px]

    Returns:
        For each curve and bin: `rows` and `right` in int32, `confidence` and `error_px` summed in float32.
    """
    covered = jnp.isfinite(rows.error_px)
    read = covered | rows.extra
    error = jnp.where(read, jnp.where(covered, rows.error_px, jnp.float32(track_width_px)), 0.0)
    bins = jnp.clip((confidence * float(BINS)).astype(jnp.int32), 0, BINS - 1)
    curve = jnp.broadcast_to(jnp.arange(confidence.shape[0])[:, None], bins.shape)

    def added(values: Array) -> Array:
        return jnp.zeros((confidence.shape[0], BINS), values.dtype).at[curve, bins].add(values)

    return {
        "rows": added(read.astype(jnp.int32)),
        "right": added((covered & (error <= WITHIN_PX)).astype(jnp.int32)),
        "confidence": added(jnp.where(read, confidence, 0.0)),
        "error_px": added(error),
    }


def expected_calibration_error(sums: Mapping[str, np.ndarray]) -> Float[np.ndarray, "*n curves"]:
    """The mean distance between the confidence of rows and the share of them within 2 px; NaN without a row.

    Args:
        sums: of `confidence_sums`, with any leading axes
    """
    rows = sums["rows"]
    gap = np.abs(quotient(sums["right"], rows) - quotient(sums["confidence"], rows))
    return quotient(np.nansum(gap * rows, axis=-1), rows.sum(axis=-1))


def calibration(sums: Mapping[str, np.ndarray]) -> dict[str, Float[np.ndarray, "*n curves bins"]]:
    """The mean confidence of each bin, the share of its rows within 2 px, and how many they are."""
    rows = sums["rows"]
    return {
        "confidence": quotient(sums["confidence"], rows),
        "within_2px": quotient(sums["right"], rows),
        "rows": rows,
    }


def risk_coverage(sums: Mapping[str, np.ndarray]) -> dict[str, Float[np.ndarray, "*n curves shares"]]:
    """The mean error [px] and the share of wrong rows among the surest `KEPT_SHARES` of the rows that were read.

    Rows of a bin of confidence are taken together: a share that ends within a bin takes that part of each of its sums.

    Args:
        sums: of `confidence_sums`, with any leading axes
    """
    rows, error, wrong = (np.asarray(part, np.float64)[..., ::-1] for part in (
        sums["rows"], sums["error_px"], sums["rows"] - sums["right"]
    ))  # fmt: skip
    before = np.cumsum(rows, axis=-1) - rows
    total = rows.sum(axis=-1, keepdims=True)
    found: dict[str, list[np.ndarray]] = {"mean_error_px": [], "wrong": []}
    for share in KEPT_SHARES:
        part = np.clip(np.divide(share * total - before, rows, out=np.zeros_like(rows), where=rows > 0), 0, 1)
        kept = (part * rows).sum(axis=-1)
        found["mean_error_px"].append(quotient((part * error).sum(axis=-1), kept))
        found["wrong"].append(quotient((part * wrong).sum(axis=-1), kept))
    return {name: np.stack(values, axis=-1) for name, values in found.items()}
