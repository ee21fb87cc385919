"""How broad a curve was drawn: measured on the scan across the place where the LAS file says that it runs."""

import functools

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Float64, UInt8

from veerjax.data.scans.placed import MARGIN_ROWS, WIDEST_STROKE_PX, padded_rows
from veerjax.polyline import distance_field

PROBE_ROWS = 256  # rows over which one profile is averaged
MOST_PROBES = 12
LEAST_PRESENT = 0.5  # of a probe's rows
LEAST_CONTRAST = 0.04  # of the scale from black to white; paper alone varies as much
BINS_PER_PX = 2
BASE_PERCENTILE = 20  # of a profile: the paper and the grid beside the curve
NARROWEST_PX = 1.0


def stroke_width(
    image: UInt8[np.ndarray, "height width"], x: Float64[np.ndarray, " rows"], presence: Bool[np.ndarray, " height"]
) -> float | None:
    """The full width at half height of the ink's profile across the curve [px], the median of several stretches.

    Profiles are means of darkness by the signed distance from the curve, so that dashes, grid lines and a scan that
    lies a few px beside its LAS file change their height or place, but hardly their width.

    Args:
        image: the strip, 0 black to 255 white
        x: where the curve crosses each row's centre [px], with `placed.MARGIN_ROWS` rows more at both ends; NaN where
            it is null
        presence: the rows in which it is on the track

    Returns:
        The width, or None where no stretch shows ink along the curve.
    """
    starts = probe_starts(presence)
    found = [profile_width(*profile_at(image, x, start)) for start in starts]
    widths = [width for width in found if width is not None]
    return float(np.clip(np.median(widths), NARROWEST_PX, WIDEST_STROKE_PX)) if widths else None


def probe_starts(presence: Bool[np.ndarray, " height"]) -> list[int]:
    """First rows of stretches that hold the curve, spread evenly down the strip; the fullest one if all are poor."""
    starts = np.arange(0, len(presence), PROBE_ROWS)
    share = np.array([np.sum(presence[start : start + PROBE_ROWS]) / PROBE_ROWS for start in starts])
    usable = starts[share >= LEAST_PRESENT]
    if len(usable) == 0:
        return [int(starts[np.argmax(share)])] if share.any() else []
    chosen = np.unique(np.linspace(0, len(usable) - 1, MOST_PROBES).round().astype(int))
    return [int(usable[place]) for place in chosen]


def profile_at(
    image: UInt8[np.ndarray, "height width"], x: Float64[np.ndarray, " rows"], start: int
) -> tuple[Float64[np.ndarray, " bins"], Float64[np.ndarray, " bins"]]:
    """Signed distances from the curve [px], negative on its left, and the mean darkness there, over one stretch."""
    rows = padded_rows(x[None, start : start + PROBE_ROWS + 2 * MARGIN_ROWS], PROBE_ROWS + 2 * MARGIN_ROWS, fill=np.nan)
    stretch = image[start : start + PROBE_ROWS]
    drawn = np.isfinite(rows[0])
    x_px = np.where(drawn, rows[0], 0).astype(np.float32)
    distance = np.asarray(distances(x_px, drawn, width=image.shape[1]), np.float64)[: len(stretch)]
    own = x_px[MARGIN_ROWS : MARGIN_ROWS + len(stretch), None]
    signed = np.where(np.arange(image.shape[1])[None] + 0.5 < own, -distance, distance)
    near = distance < MARGIN_ROWS
    bins = np.floor((signed[near] + MARGIN_ROWS) * BINS_PER_PX).astype(int)
    count, at, darkness = (np.bincount(bins, weights) for weights in (None, signed[near], 1 - stretch[near] / 255))
    held = count > 0
    return at[held] / count[held], darkness[held] / count[held]


@functools.partial(jax.jit, static_argnames="width")
def distances(x: Float[Array, " rows"], drawn: Bool[Array, " rows"], *, width: int) -> Float[Array, "height width"]:
    """Of each pixel from the curve [px], up to `MARGIN_ROWS`."""
    return distance_field(x, drawn, width=width, reach=MARGIN_ROWS)[0]


def profile_width(at: Float64[np.ndarray, " bins"], darkness: Float64[np.ndarray, " bins"]) -> float | None:
    """The width of a profile's hump at half of its height; None where there is none, or it has no two sides."""
    if len(at) < 3:
        return None
    base, top = np.percentile(darkness, BASE_PERCENTILE), int(np.argmax(darkness))
    if darkness[top] - base < LEAST_CONTRAST:
        return None
    half = (darkness[top] + base) / 2
    below = darkness < half
    left, right = np.flatnonzero(below[:top]), np.flatnonzero(below[top:])
    if len(left) == 0 or len(right) == 0:
        return None
    before, after = int(left[-1]), top + int(right[0])
    return crossing(at, darkness, after, after - 1, half) - crossing(at, darkness, before, before + 1, half)


def crossing(
    at: Float64[np.ndarray, " bins"], darkness: Float64[np.ndarray, " bins"], low: int, high: int, level: float
) -> float:
    """Where a profile passes a level between a bin below it and a neighbour above."""
    part = (level - darkness[low]) / (darkness[high] - darkness[low])
    return float(at[low] + part * (at[high] - at[low]))
