"""Precision, recall, F1 and quality of a predicted curve within a tolerance of the true one.

Both curves are rasterised polylines, distances are Euclidean between pixel centres, and curve k is compared
with curve k only. The ratios take counts with any leading axes, so that per-log, pooled and resampled figures
come from the same functions.

Reference:
    Wiedemann, Heipke, Mayer and Jamet 1998, Empirical evaluation of automatically extracted road axes: their
    correctness (here precision), completeness (recall) and quality. Unlike them, length is counted in pixels,
    and distance alone makes a match, not direction.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from veerjax.config import require
from veerjax.metrics.raster import NOWHERE, row_runs
from veerjax.metrics.ratio import HostOrDevice, quotient

Runs = tuple[Int[Array, " height"], Int[Array, " height"]]  # first and last column of each row

# The last axis of the counts.
CORRECT, PREDICTED, FOUND, TRUE = range(4)


def tolerance_counts(
    x_true: Float[Array, "curves height"],
    presence_true: Bool[Array, "curves height"],
    x_pred: Float[Array, "curves height"],
    presence_pred: Bool[Array, "curves height"],
    *,
    width: int,
    tolerances_px: tuple[float, ...] = (1, 2, 3),
) -> Int[Array, "curves tolerances 4"]:
    """The pixels of two rasterised polylines that lie within each tolerance of one another.

    Args:
        x_true: where the true curve crosses each row's centre [px]
        presence_true: whether the true curve is there
        x_pred: where the predicted curve crosses it [px]
        presence_pred: whether the predicted curve is there
        width: of the image [px]
        tolerances_px: distances that still count as a match [px], each at least 0

    Returns:
        Counts in int32, in this order: predicted pixels within the tolerance of the truth, predicted pixels,
        true pixels within the tolerance of the prediction, true pixels.

    Raises:
        InputError: no tolerance, or a negative one.
    """
    require(
        len(tolerances_px) > 0 and min(tolerances_px) >= 0,
        f"tolerances_px is {tolerances_px}; it needs at least one, each 0 px or more, as in (1, 2, 3).",
    )
    runs = jax.vmap(partial(row_runs, width=width))
    count = jax.vmap(partial(_run_counts, tolerances_px=tuple(tolerances_px)))
    return count(runs(x_true, presence_true), runs(x_pred, presence_pred))


def _run_counts(true: Runs, predicted: Runs, *, tolerances_px: tuple[float, ...]) -> Int[Array, "tolerances 4"]:
    columns = {
        CORRECT: [_pixels_near(predicted, true, tolerance_px=tolerance) for tolerance in tolerances_px],
        PREDICTED: [_pixels(predicted)] * len(tolerances_px),
        FOUND: [_pixels_near(true, predicted, tolerance_px=tolerance) for tolerance in tolerances_px],
        TRUE: [_pixels(true)] * len(tolerances_px),
    }
    return jnp.stack([jnp.stack(columns[column]) for column in sorted(columns)], axis=-1)


def _pixels(runs: Runs) -> Int[Array, ""]:
    first, last = runs
    return jnp.sum(jnp.maximum(last - first + 1, 0), dtype=jnp.int32)


def _pixels_near(runs: Runs, target: Runs, *, tolerance_px: float) -> Int[Array, ""]:
    """The pixels of `runs` within the tolerance of a pixel of `target`.

    The disc around a run, cut by a row, is the run made longer by the half chord of that row; so the pixels
    near the target are, in each row, a union of as many runs as the disc has rows. No image is drawn, which
    takes a quarter of the time of distance transforms on a CPU, and less.
    """
    (first, last), reach = runs, math.floor(tolerance_px)
    # Squared distances are whole, so the tolerance is compared as the greatest whole square it admits.
    chords = [math.isqrt(math.floor(tolerance_px**2) - offset**2) for offset in range(-reach, reach + 1)]
    near = [
        (jnp.maximum(first, start - chord), jnp.minimum(last, end + chord))
        for chord, (start, end) in zip(chords, _row_shifts(target, reach=reach), strict=True)
    ]
    starts, ends = (jnp.stack(columns, axis=-1) for columns in zip(*near, strict=True))
    starts, ends = jax.lax.sort((starts, ends), dimension=1, num_keys=1)
    # In order of their starts, each run adds what lies beyond the furthest end so far.
    total, furthest = jnp.zeros_like(first), first - 1
    for k in range(2 * reach + 1):
        total += jnp.maximum(ends[:, k] - jnp.maximum(starts[:, k] - 1, furthest), 0)
        furthest = jnp.maximum(furthest, ends[:, k])
    return jnp.sum(total, dtype=jnp.int32)


def _row_shifts(runs: Runs, *, reach: int) -> list[Runs]:
    """The runs of the rows from `reach` above to `reach` below each row, empty off the image."""
    first, last = runs
    height = first.shape[0]
    first = jnp.pad(first, reach, constant_values=NOWHERE)
    last = jnp.pad(last, reach, constant_values=-NOWHERE)
    return [(first[k : k + height], last[k : k + height]) for k in range(2 * reach + 1)]


def precision(counts: Int[HostOrDevice, "*n 4"]) -> Float[np.ndarray, "*n"]:
    """Correctness, the share of the predicted pixels within the tolerance of the truth.

    Args:
        counts: of `tolerance_counts`, or sums of them

    Returns:
        The share, from 0 to 1; NaN where both curves are empty, 0 where one is.

    Example:
        >>> precision(np.array([3, 4, 5, 5])).item()
        0.75
    """
    counts = np.asarray(counts)
    return _share(counts, part=CORRECT, whole=PREDICTED)


def recall(counts: Int[HostOrDevice, "*n 4"]) -> Float[np.ndarray, "*n"]:
    """Completeness, the share of the true pixels within the tolerance of the prediction.

    Args:
        counts: of `tolerance_counts`, or sums of them

    Returns:
        The share, from 0 to 1; NaN where both curves are empty, 0 where one is.

    Example:
        >>> recall(np.array([3, 4, 5, 5])).item()
        1.0
    """
    counts = np.asarray(counts)
    return _share(counts, part=FOUND, whole=TRUE)


def f1(counts: Int[HostOrDevice, "*n 4"]) -> Float[np.ndarray, "*n"]:
    """The project's `tolerance_f1`: the harmonic mean of `precision` and `recall`.

    Args:
        counts: of `tolerance_counts`, or sums of them

    Returns:
        The mean, from 0 to 1; NaN where both curves are empty, 0 where one is or nothing matches.

    Example:
        >>> f1(np.array([1, 2, 4, 4])).round(4).item()
        0.6667
    """
    correct, complete = precision(counts), recall(counts)
    total = correct + complete
    return np.where(total == 0, 0.0, quotient(2 * correct * complete, total))


def quality(counts: Int[HostOrDevice, "*n 4"]) -> Float[np.ndarray, "*n"]:
    """TP / (TP + FP + FN): the correct pixels over the predicted ones and the true ones that were not found.

    Args:
        counts: of `tolerance_counts`, or sums of them

    Returns:
        The share, from 0 to 1; NaN where both curves are empty, 0 where one is.

    Example:
        >>> quality(np.array([3, 4, 5, 6])).item()
        0.6
    """
    counts = np.asarray(counts)
    either = counts[..., PREDICTED] + counts[..., TRUE] - counts[..., FOUND]
    return quotient(counts[..., CORRECT], either)


def _share(counts: Int[np.ndarray, "*n 4"], *, part: int, whole: int) -> Float[np.ndarray, "*n"]:
    """One count over another; 0 where only the other curve has pixels, NaN where neither has."""
    empty = (counts[..., whole] == 0) & (counts[..., PREDICTED] + counts[..., TRUE] > 0)
    return np.where(empty, 0.0, quotient(counts[..., part], counts[..., whole]))
