"""How much of the ink in a track the curves that were read account for."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from veerjax.jobs.reader import TrackCurves
from veerjax.logs.page import Page

BLOCK_ROWS = 512  # looked at once: lines that drift by less than their thickness in these are found
LINE_SHARE = 0.6  # of a block's rows, or of a row's columns: what is dark on more of them is a line of the grid
NEAR_SHARE = 0.012  # of the track's width: ink this near to a curve is its stroke
PAPER, INK = 50, 1  # percentiles of grey; darker than half-way between is ink


@dataclass(frozen=True, kw_only=True)
class InkCount:
    """Dark pixels of a track that are no line of the grid, and those of them that lie on a curve that was read."""

    ink: int
    explained: int

    @property
    def share(self) -> float | None:
        """Of the ink that is explained; None where there is no ink."""
        return self.explained / self.ink if self.ink else None


def count_ink(grey: UInt8[np.ndarray, "height width"] | Page, track: TrackCurves) -> InkCount:
    """The ink between the edges of a track, in the rows of its section, and how much of it the curves draw again.

    A simple estimate: dark is what is nearer to the darkest percentile than to the median of a block of rows; columns
    and rows that are mostly dark are taken for the grid and left out. What remains holds text, stains and curves that
    nobody declared as well, which no curve explains.

    Args:
        grey: the scan
        track: its edges and curves
    """
    left, right = int(np.ceil(track.left_px.max())), int(np.floor(track.right_px.min()))
    near_px = max(2, round(NEAR_SHARE * (right - left)))
    ink = explained = 0
    height = track.x.shape[1]
    for start in range(0, height, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, height)
        block = np.asarray(grey[track.first_row + start : track.first_row + stop, left:right])
        dark = ink_of(block)
        drawn = strokes_of(track, start, stop, left=left, width=right - left, near_px=near_px)
        ink += int(dark.sum())
        explained += int((dark & drawn).sum())
    return InkCount(ink=ink, explained=explained)


def ink_of(
    block: UInt8[np.ndarray, "rows columns"] | Float[np.ndarray, "rows columns"],
) -> Bool[np.ndarray, "rows columns"]:
    """The dark pixels of a block of rows that are no line of its grid."""
    ink, paper = np.percentile(block, [INK, PAPER])
    dark = block < (ink + paper) / 2
    lines = (dark.mean(axis=0) > LINE_SHARE)[None] | (dark.mean(axis=1) > LINE_SHARE)[:, None]
    return dark & ~lines


def strokes_of(
    track: TrackCurves, start: int, stop: int, *, left: int, width: int, near_px: int
) -> Bool[np.ndarray, "rows columns"]:
    """The pixels between the least and the greatest x of a curve within `near_px` rows, and `near_px` beside them.

    Args:
        track: its curves
        start: first row of the section
        stop: the row after the last
        left: first column of the scan
        width: of the part [px]
        near_px: how near
    """
    rows = slice(max(start - near_px, 0), min(stop + near_px, track.x.shape[1]))
    there, outside = track.presence[:, rows], (near_px - start + rows.start, stop + near_px - rows.stop)
    columns = left + np.arange(width) + 0.5
    drawn = np.zeros((stop - start, width), bool)
    for present, lo, hi in zip(there, track.lo[:, rows], track.hi[:, rows], strict=True):
        least, most = (
            np.pad(np.where(present, ends, absent), outside, constant_values=absent)
            for ends, absent in ((lo, np.inf), (hi, -np.inf))
        )
        windows = 2 * near_px + 1
        low = np.lib.stride_tricks.sliding_window_view(least, windows).min(axis=1) - near_px
        high = np.lib.stride_tricks.sliding_window_view(most, windows).max(axis=1) + near_px
        drawn |= (columns >= low[:, None]) & (columns <= high[:, None])
    return drawn
