"""Reading a track without learning: what one would do with an image library and dynamic programming.

Paper and grid are levelled out, the rest is thresholded, and the cheapest path down the rows is found twice, the second
time without the ink of the first. The path on the more continuous ink is curve 1, for it is drawn solid. It is the
baseline of every table, and `digitize --tracer classical`.

Reference:
    Otsu 1979, A threshold selection method from gray-level histograms.
"""

from dataclasses import dataclass
from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from veerjax.errors import InputError
from veerjax.labels import BACKGROUND, CURVE_1, CURVE_2
from veerjax.polyline import distance_field, spans
from veerjax.tracing.rows import interpolated, neighbours
from veerjax.tracing.trace import Trace
from veerjax.tracing.viterbi import viterbi
from veerjax.types import Prediction

BLUR_PX = 0.6  # against noise
SPECK_PX = 12  # pieces of ink of fewer pixels are dirt
FAINT = 0.3  # what is left of dirt
PAPER_PX = 25  # longer than any stroke is wide: the lightest pixel this near is paper
GRID_ROWS = 512  # a line that is dark in most of so many rows is grid
REACH_PX = 8  # of half a stroke
ABSENT = -np.log(0.12)  # the cost of a row without the curve
GAP_ROWS = 16  # the longest gap between dashes, and one
FLOOR = 0.05  # evidence below which all columns are alike
CLEAR_PX = 2.0  # around the first stroke, left out when the second is sought
EDGE_PX = 0.5  # of a run of ink that is only its blurred edge


@dataclass(frozen=True, kw_only=True)
class PathCosts:
    """Prices of the cheapest path, as in `tracing.viterbi`; chosen on 32 validation logs of `standard`."""

    slope_cost: float = 0.25
    jump_cap: float = 12.0
    switch_cost: float = 8.0


def ink_of(image: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """How surely a pixel is ink of a curve, from 0 to 1; one half at Otsu's threshold.

    Args:
        image: grey levels, 0 black to 1 white

    Raises:
        InputError: scikit-image is not installed.
    """
    try:
        from scipy import ndimage
        from skimage.filters import threshold_otsu
    except ImportError as error:
        raise InputError("the classical tracer needs scikit-image; install it by pip install scikit-image.") from error
    image = ndimage.gaussian_filter(np.asarray(image, np.float32), BLUR_PX)
    paper = ndimage.uniform_filter(ndimage.maximum_filter(image, PAPER_PX), PAPER_PX)
    dark = np.maximum(paper - image, 0)
    dark = np.maximum(dark - grid_of(dark), 0)
    if np.ptp(dark) < 1e-3:
        return np.zeros_like(dark)
    ink = np.clip(dark / (2 * threshold_otsu(dark)), 0, 1)
    pieces, _ = cast(tuple[np.ndarray, int], ndimage.label(ink >= 0.5, np.ones((3, 3))))
    large = np.bincount(pieces.ravel()) >= SPECK_PX
    kept = ndimage.maximum_filter(large[pieces] & (pieces > 0), 3)
    return np.where(kept, ink, FAINT * ink)


def grid_of(dark: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """How dark the grid is: what most pixels of a row, or of a stretch of a column, have in common."""
    across = np.median(dark, axis=1, keepdims=True)
    stretches = np.array_split(dark, max(round(len(dark) / GRID_ROWS), 1))
    down = np.concatenate([np.broadcast_to(np.median(part, axis=0), part.shape) for part in stretches])
    return np.maximum(across, down)


def classical_batch(images: Float[np.ndarray, "batch height width"]) -> tuple[Prediction, Trace]:
    """What the classical tracer says of tracks, as any method answers.

    Args:
        images: grey levels, 0 black to 1 white

    Returns:
        A prediction whose masks are strokes of the width measured, drawn along the polylines, and the polylines.

    Raises:
        InputError: scikit-image is not installed.
    """
    ink = np.stack([ink_of(image) for image in images])
    return read_ink(jnp.asarray(ink))


@partial(jax.jit, static_argnames="costs")
def read_ink(ink: Float[Array, "batch height width"], *, costs: PathCosts = PathCosts()) -> tuple[Prediction, Trace]:
    """Both curves of each track from its ink."""
    return jax.vmap(partial(_read, costs=costs))(ink)


def _read(ink: Float[Array, "height width"], *, costs: PathCosts) -> tuple[Prediction, Trace]:
    first, stroke_1, solid_1 = _path(ink, costs)
    left = ink * (1 - _stroke(first, stroke_1 + CLEAR_PX, width=ink.shape[1]))
    second, stroke_2, solid_2 = _path(left, costs)
    found = jax.tree.map(lambda a, b: jnp.stack([a, b]), (first, stroke_1), (second, stroke_2))
    curves, stroke = jax.tree.map(lambda pair: jnp.where(solid_2 > solid_1, pair[::-1], pair), found)
    x, there = curves
    drawn = jax.vmap(partial(_stroke, width=ink.shape[1]))
    masks = drawn(curves, stroke - EDGE_PX)
    near = ink[None] * drawn(curves, stroke + CLEAR_PX)
    strength = jnp.where(there, jnp.max(near, axis=2), 0.0)
    lo, hi = jax.vmap(spans)(x, there)
    label = jnp.where(masks[0] > 0, CURVE_1, jnp.where(masks[1] > 0, CURVE_2, BACKGROUND)).astype(jnp.int32)
    prediction = Prediction(
        masks=masks,
        row_log_prob=jax.nn.log_softmax(jnp.log(masks + 1e-7), axis=-1),
        presence=there.astype(jnp.float32),
        label=label,
    )
    return prediction, Trace(x=x, lo=lo, hi=hi, presence=there, confidence=strength, occluded=there & (strength < 0.5))


def _path(
    ink: Float[Array, "height width"], costs: PathCosts
) -> tuple[tuple[Float[Array, " height"], Bool[Array, " height"]], Float[Array, ""], Float[Array, ""]]:
    """The cheapest path with its stroke's width [px], and the share of its rows that hold ink."""
    height, width = ink.shape
    path = viterbi(
        -jnp.log(ink + FLOOR),
        jnp.full(height, ABSENT),
        slope_cost=costs.slope_cost,
        jump_cap=costs.jump_cap,
        switch_cost=costs.switch_cost,
    )
    there = path >= 0
    column = jnp.arange(width)[None]
    centre = jnp.clip(path, 0, width - 1)[:, None]
    inked = ink >= 0.5
    # The run of ink that the path goes through: from the nearest blank on its left to the one on its right.
    blank_left = jnp.max(jnp.where(~inked & (column <= centre), column, -1), axis=1)
    blank_right = jnp.min(jnp.where(~inked & (column >= centre), column, width), axis=1)
    run = jnp.where(there, blank_right - blank_left - 1, 0)
    has_ink = run > 0
    step = jnp.abs(jnp.diff(path, append=path[-1:]))
    gentle = has_ink & there & (step <= 1)
    stroke = jnp.nanmedian(jnp.where(gentle, run, jnp.nan))
    stroke = jnp.clip(jnp.nan_to_num(stroke, nan=1.0), 1.0, 2.0 * REACH_PX - 4)
    middle = (blank_left + blank_right) / 2 + 0.5
    # A run much wider than the stroke is a kick or another curve: there the path's own column stands.
    x = jnp.where(has_ink & (run <= 2 * stroke + 1), middle, path + 0.5)
    # In the short gaps of a broken line the path goes by steps.
    above, below = neighbours(has_ink)
    dash_gap = (below - above <= GAP_ROWS) & (jnp.abs(x[below % height] - x[above]) <= below - above)
    x = jnp.where(dash_gap, interpolated(x, has_ink), x)
    return (x, there), stroke, jnp.sum(has_ink & there) / jnp.maximum(jnp.sum(there), 1)


def _stroke(
    curve: tuple[Float[Array, " height"], Bool[Array, " height"]], stroke_px: Float[Array, ""], *, width: int
) -> Float[Array, "height width"]:
    """1 within half a stroke of the polyline, else 0."""
    x, there = (jnp.pad(part, REACH_PX) for part in curve)
    distance, _ = distance_field(x, there, width=width, reach=REACH_PX)
    return (distance <= jnp.maximum(stroke_px, 1.0) / 2).astype(jnp.float32)
