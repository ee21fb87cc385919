"""Draws one track whose edges drift and whose rows tilt by a known amount, for tests of its geometry."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8

LINEAR = tuple(k / 10 for k in range(11))
LOG = tuple(np.log10([1, *(d * 10**p for p in range(4) for d in range(2, 11))]) / 4)


@dataclass(frozen=True, kw_only=True)
class Bent:
    """A track as it was drawn."""

    image: UInt8[np.ndarray, "height width"]
    left_px: Float64[np.ndarray, " height"]
    right_px: Float64[np.ndarray, " height"]
    tilt_px: float


def bent_strip(
    *,
    height: int,
    track_px: float,
    drift: Callable[[np.ndarray], np.ndarray],
    tilt_px: float = 0.0,
    margin_px: int = 120,
    lines: tuple[float, ...] = LINEAR,
    thick_px: float = 2.0,
    pitch_px: float | None = 30.0,
    bits: bool = True,
    curves: bool = True,
    broken: float = 0.0,
    stretch: float = 0.0,
    seed: int = 0,
) -> Bent:
    """Lines wherever a pixel's place in the straight track says so.

    Args:
        height: rows
        track_px: width of the track
        drift: how far right of `margin_px` the left edge lies, by row [px]
        tilt_px: by how much a depth lies lower at the right edge
        margin_px: of paper on either side
        lines: vertical ones, in fractions of the width
        thick_px: of the lines; the edges' are half as thick again
        pitch_px: of horizontal lines; none where None
        bits: black and white, else grey with pale lines
        curves: a thick kinked and a thin straight one
        broken: share of the pixels that are turned white
        stretch: of the width, from the top to the bottom
        seed: of noise
    """
    generator = np.random.default_rng(seed)
    y = np.arange(height)[:, None] + 0.5
    x = np.arange(int(track_px) + 2 * margin_px)[None] + 0.5
    left = margin_px + drift(y[:, 0])
    wide = track_px * (1 + stretch * y[:, 0] / height)
    across = (x - left[:, None]) / wide[:, None]
    depth = y - tilt_px * (across - 0.5)
    inside = (across > -0.002) & (across < 1.002)
    dark = np.zeros(across.shape)
    for line in lines:
        half = thick_px * (0.75 if line in (0.0, 1.0) else 0.5)
        dark = np.maximum(dark, np.clip(half + 0.5 - np.abs(across - line) * wide[:, None], 0, 1))
    if pitch_px is not None:
        away = np.abs((depth + pitch_px / 2) % pitch_px - pitch_px / 2)
        dark = np.maximum(dark, inside * np.clip(thick_px / 2 + 0.5 - away, 0, 1))
    dark *= 1.0 if bits else 0.5
    if curves:
        kinked = 0.45 + 0.2 * np.sin(depth / 40) + 0.08 * np.sign(np.sin(depth / 13))
        for place, half in ((kinked, 4.0), (0.113, 1.5)):  # the second runs beside a grid line all the way
            dark = np.maximum(dark, np.clip(half + 0.5 - np.abs(across - place) * wide[:, None], 0, 1))
    dark = np.where(generator.random(dark.shape) < broken, 0, dark)
    grey = 235 - 200 * dark + generator.normal(0, 18 if bits else 6, dark.shape)
    image = np.where(grey > 128, 255, 0) if bits else np.clip(grey, 0, 255)
    return Bent(image=image.astype(np.uint8), left_px=left, right_px=left + wide, tilt_px=tilt_px)
