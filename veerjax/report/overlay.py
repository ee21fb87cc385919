"""The scan, pale, with the curves that were read off it drawn over it."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw

from veerjax.logs.page import Page

COLOURS = ((205, 20, 20), (20, 60, 215))  # curve 1, curve 2
OCCLUDED_COLOURS = ((245, 160, 160), (150, 175, 250))
# Of as many curves as a track may have, in turn.
ALL_COLOURS = (*COLOURS, (10, 135, 50), (200, 100, 0), (140, 20, 160), (0, 130, 140))
ALL_OCCLUDED = (*OCCLUDED_COLOURS, (150, 215, 170), (245, 200, 140), (220, 170, 230), (150, 215, 220))
PALE = 0.55  # of the scan's contrast that is left
LINE_PX = 2
BLOCK_ROWS = 1024  # rows of a long strip that are held as bytes at once
PALETTE = (*ALL_COLOURS, *ALL_OCCLUDED, *((level, level, level) for level in range(2 * len(ALL_COLOURS), 256)))


class Curves(Protocol):
    """The curves of one track, such as a trace without its batch axis; x, lo and hi in pixels of the scan.

    They may also have a `wrap`, how often each has left the track, and a method `row_px` that gives the row of the scan
    [px] of a point of each row; else rows are counted from the scan's first one.
    """

    @property
    def x(self) -> Float[np.ndarray, "curves height"]: ...
    @property
    def lo(self) -> Float[np.ndarray, "curves height"]: ...
    @property
    def hi(self) -> Float[np.ndarray, "curves height"]: ...
    @property
    def presence(self) -> Bool[np.ndarray, "curves height"]: ...
    @property
    def occluded(self) -> Bool[np.ndarray, "curves height"]: ...


def overlay(
    grey: Float[np.ndarray, "height width"] | UInt8[np.ndarray, "height width"], tracks: Sequence[Curves] | Curves
) -> UInt8[np.ndarray, "height width 3"]:
    """The scan at its own size with curve 1 in red and curve 2 in blue, paler where another curve hides it.

    Args:
        grey: 0 to 255 as bytes, or 0 to 1 as floats
        tracks: the curves of one track or of several
    """
    return np.asarray(overlay_picture(grey, tracks).convert("RGB"))


def overlay_picture(grey: np.ndarray | Page, tracks: Sequence[Curves] | Curves) -> Image.Image:
    """The same as a palette picture, a byte a pixel, for long strips."""
    height, width = grey.shape
    picture = Image.new("P", (width, height))
    picture.putpalette([level for colour in PALETTE for level in colour])
    for top in range(0, height, BLOCK_ROWS):
        picture.paste(Image.fromarray(pale(grey[top : top + BLOCK_ROWS])), (0, top))
    pen = ImageDraw.Draw(picture)
    for curves in tracks if isinstance(tracks, Sequence) else [tracks]:
        for curve in reversed(range(len(curves.x))):
            draw_curve(pen, curves, curve)
    return picture


def pale(grey: np.ndarray) -> UInt8[np.ndarray, "height width"]:
    """Palette indices of the scan's grey levels, which leave the indices of the curves free."""
    bytes_ = grey if grey.dtype == np.uint8 else np.round(np.clip(grey, 0, 1) * 255).astype(np.uint8)
    return (255 - PALE * (255.0 - np.arange(256))).astype(np.uint8)[bytes_]


def draw_curve(pen: ImageDraw.ImageDraw, curves: Curves, curve: int) -> None:
    """The polyline from row centre to row centre, and each row's span where it reaches further."""
    x, lo, hi = (np.asarray(part)[curve] for part in (curves.x, curves.lo, curves.hi))
    presence, occluded = np.asarray(curves.presence)[curve], np.asarray(curves.occluded)[curve]
    wrap = getattr(curves, "wrap", np.zeros((curve + 1, len(x)), int))[curve]
    there = presence & np.isfinite(x)
    row_px = getattr(curves, "row_px", lambda _: np.arange(len(x)) + 0.5)
    # ImageDraw puts pixel centres at whole numbers.
    y, y_lo, y_hi = (np.floor(row_px(part)) for part in (x, lo, hi))
    goes_on = np.append(there[:-1] & there[1:] & (np.diff(wrap) == 0), False)  # else it is at the other edge
    place = curve % len(ALL_COLOURS)  # in the palette
    for row in map(int, np.flatnonzero(there)):
        colour = place + len(ALL_COLOURS) if occluded[row] else place
        if np.isfinite(lo[row]) and np.isfinite(hi[row]):
            pen.line([(float(lo[row]) - 0.5, float(y_lo[row])), (float(hi[row]) - 0.5, float(y_hi[row]))], fill=colour)
        if goes_on[row]:
            ends = [(float(x[at]) - 0.5, float(y[at])) for at in (row, row + 1)]
            pen.line(ends, fill=colour, width=LINE_PX)
