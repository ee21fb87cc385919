"""By how many rows a depth lies lower at a track's right edge than at its left one, from its horizontal grid lines."""

import numpy as np
from jaxtyping import Float64, UInt8

from veerjax.logs.page import Page
from veerjax.logs.track_shape import windowed

SEGMENTS = 12  # across the track, each with a profile down its rows
STRETCH, LEAST_STRETCH, MOST_STRETCH = 1 / 3, 80, 400  # rows taken together: a share of the width, within [px]
MOST = 0.055  # of the width that is tried: 3 degrees
FINE = 8  # positions in a row
TILT_STEP_PX = 0.5  # the best is interpolated
LOCAL_PX = 3.0  # a stretch tilts by no more than this otherwise than the whole
CLEAR = 1.5  # times as uneven as at most tilts is the mean profile where there are lines
COHERENT = 0.3  # of the variance of single profiles is left in their mean: a curve is met in a few segments only
SURROUNDINGS = 1 / 25  # of the width: rows whose mean a profile is told from


def track_tilt(
    image: UInt8[np.ndarray, "height _"] | Page,
    left_px: Float64[np.ndarray, " height"],
    right_px: Float64[np.ndarray, " height"],
) -> Float64[np.ndarray, " height"]:
    """The tilt of each row [px]; 0 everywhere where no horizontal lines are seen.

    Rows are averaged over segments across the track. Where the segments' profiles are moved by the right tilt, the
    grid lines fall on one another and their sum is most uneven; lines a pitch apart cannot be mistaken for one
    another, because neighbouring segments differ by a twelfth of the tilt.

    Args:
        image: the scan, grey, paper light
        left_px: of the track's left edge in each row
        right_px: of its right edge
    """
    height, width = len(left_px), float(np.median(right_px - left_px))
    rows = int(np.clip(STRETCH * width, LEAST_STRETCH, MOST_STRETCH))
    most = MOST * width
    steps = int(most / TILT_STEP_PX) + 2  # at the last ones the best is none: it lies beyond
    tilts = TILT_STEP_PX * np.arange(-steps, steps + 1)
    tops = range(0, max(height - rows // 2, 1), rows)
    stops = [*tops[1:], height]
    margin = int(np.ceil(most / 2)) + 3
    parts = [
        unevenness(segment_profiles(image, left_px, right_px, rows=(top - margin, stop + margin)), tilts, margin=margin)
        for top, stop in zip(tops, stops, strict=True)
    ]
    energy, single = np.stack([part[0] for part in parts]), np.array([part[1] for part in parts])
    total = energy.sum(axis=0)
    whole = tilts[int(np.argmax(total))]
    if abs(whole) > most or not shows_lines(total, single.sum()):
        return np.zeros(height)
    near = np.abs(tilts - whole) <= LOCAL_PX
    clear = [shows_lines(one, alone) for one, alone in zip(energy, single, strict=True)]
    found = np.array(
        [peak(tilts[near], (one if sees else total)[near]) for one, sees in zip(energy, clear, strict=True)]
    )
    if len(found) >= 3:
        found = np.median(np.stack([np.pad(found, 1, mode="edge")[k : k + len(found)] for k in range(3)]), axis=0)
    middles = (np.array(tops) + np.array(stops)) / 2
    return np.interp(np.arange(height) + 0.5, middles, found)


def segment_profiles(
    image: UInt8[np.ndarray, "height _"] | Page,
    left_px: Float64[np.ndarray, " height"],
    right_px: Float64[np.ndarray, " height"],
    *,
    rows: tuple[int, int],
) -> Float64[np.ndarray, "segments rows"]:
    """Mean darkness of each row in each segment, less that of the rows around it."""
    middle = min(max(sum(rows) // 2, 0), len(left_px) - 1)
    edges = np.linspace(left_px[middle], right_px[middle], SEGMENTS + 1).round().astype(int)
    part = windowed(image, rows=rows, columns=(int(edges[0]), int(edges[-1])))
    dark = 1 - part.astype(np.float32) / 255
    means = np.stack([dark[:, a:b].mean(axis=1) for a, b in zip(edges - edges[0], edges[1:] - edges[0], strict=False)])
    half = int(SURROUNDINGS * (edges[-1] - edges[0]) / 2) + 1
    padded = np.pad(means.astype(np.float64), ((0, 0), (half, half)), mode="edge")
    return means - np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=1).mean(axis=2)


def unevenness(
    profiles: Float64[np.ndarray, "segments rows"], tilts: Float64[np.ndarray, " tilts"], *, margin: int
) -> tuple[Float64[np.ndarray, " tilts"], float]:
    """The variance, down the rows, of the segments' mean when each is moved by its share of a tilt; and their own."""
    rows = np.arange(margin, profiles.shape[1] - margin)
    fine_rows = np.arange(profiles.shape[1] * FINE) / FINE
    fine = np.stack([np.interp(fine_rows, np.arange(profiles.shape[1]), one) for one in profiles])
    shares = (np.arange(SEGMENTS) + 0.5) / SEGMENTS - 0.5
    moved = np.round(tilts[:, None] * shares[None] * FINE).astype(int)  # [tilts, segments]
    places = rows[None, None] * FINE + moved[..., None]
    together = fine[np.arange(SEGMENTS)[None, :, None], places].mean(axis=1).var(axis=1)
    return together, float(profiles[:, rows].var(axis=1).mean())


def shows_lines(energy: Float64[np.ndarray, " tilts"], single: float) -> bool:
    """Whether the segments' profiles fall on one another at some tilt."""
    return bool(single > 0 and energy.max() >= max(CLEAR * np.median(energy), COHERENT * single))


def peak(tilts: Float64[np.ndarray, " tilts"], energy: Float64[np.ndarray, " tilts"]) -> float:
    """The place of the maximum, by the parabola through it and its neighbours."""
    at = int(np.argmax(energy))
    if not 0 < at < len(energy) - 1:
        return float(tilts[at])
    before, there, after = energy[at - 1 : at + 2]
    bend = before - 2 * there + after
    return float(tilts[at] + (tilts[1] - tilts[0]) * (0.5 * (before - after) / bend if bend < 0 else 0.0))
