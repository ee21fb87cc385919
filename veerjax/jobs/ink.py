"""How much of the ink in a track the curves that were read account for."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from veerjax.jobs.crop import crop_of, section_part
from veerjax.jobs.reader import TrackCurves
from veerjax.logs.page import Page

BLOCK_ROWS = 512  # looked at once: lines that drift by less than their thickness in these are found
LINE_CONTRAST = 0.2  # of ink on paper, and more of it on the share of a block's columns, or rows, that a line takes
LINE_ACROSS, LINE_DOWN = 25, 50  # [%] of the pixels that no curve that was read is near; a curve is seldom so flat
LINE_EDGE = 0.3  # of the share that makes a line: the ragged edge of one beside it
LEAST_FREE = 0.2  # of a row's or a column's pixels; where fewer are free of curves, it is the curves'
LEAST_INKED = 0.2  # of the rows of a curve, to tell how wide its stroke is: lines across are dark in fewer
WIDEST_SHARE = 0.08  # of the track's width, that half a stroke may have
BESIDE_PX = 2  # beside a stroke, that its blurred edge takes
PAPER, INK = 50, 1  # percentiles of grey; what is darker than half-way between is dark


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

    A simple estimate: dark is what is nearer to the darkest percentile of a block of rows than to its median; rows and
    columns of which a quarter or half is dark, even a little, where no curve is near are taken for the grid and left
    out, with their ragged edges. A curve explains what lies within half of its stroke, as wide as the median of what is
    dark about it, of where it runs. What remains holds text, stains and curves that nobody declared as well, which no
    curve explains.

    Args:
        grey: the scan
        track: its edges and curves
    """
    height = track.x.shape[1]
    crop = crop_of(section_part(grey, range(track.first_row, track.first_row + height)), track.shape)
    left, right = int(np.ceil(crop.left_px)), int(np.floor(crop.right_px))
    x, lo, hi = (crop.x(track.shape.fraction(part)) - left for part in (track.x, track.lo, track.hi))
    lo, hi = np.where(track.presence, lo, np.inf), np.where(track.presence, hi, -np.inf)
    ink = explained = 0
    for start in range(0, height, BLOCK_ROWS):
        rows = range(start, min(start + BLOCK_ROWS, height))
        block = crop.levels[start : rows.stop, left:right]
        dark, faint = dark_and_faint(block)
        near_px = half_stroke_px(dark, x[:, start : rows.stop]) + BESIDE_PX
        drawn = strokes_of(lo, hi, rows, width=right - left, near_px=near_px)
        dark &= ~lines_of(faint, free=~drawn)
        ink += int(dark.sum())
        explained += int((dark & drawn).sum())
    return InkCount(ink=ink, explained=explained)


Levels = UInt8[np.ndarray, "rows columns"] | Float[np.ndarray, "rows columns"]


def dark_and_faint(block: Levels) -> tuple[Bool[np.ndarray, "rows columns"], Bool[np.ndarray, "rows columns"]]:
    """The pixels nearer to ink than to paper, and those that are darker than paper at all, as lines may be."""
    ink, paper = np.percentile(block, [INK, PAPER])
    return block < (ink + paper) / 2, block < paper - LINE_CONTRAST * (paper - ink)


def lines_of(
    faint: Bool[np.ndarray, "rows columns"], *, free: Bool[np.ndarray, "rows columns"]
) -> Bool[np.ndarray, "rows columns"]:
    """The rows and columns of a block that are lines of its grid, or a curve that was not read and is as straight.

    Args:
        faint: pixels that are darker than paper
        free: pixels that no curve is near, which tell
    """

    def lined(axis: int, percent: float) -> Bool[np.ndarray, " lines"]:
        room, size = free.sum(axis=axis), free.shape[axis]
        seen = np.where(room >= LEAST_FREE * size, (faint & free).sum(axis=axis) / np.maximum(room, 1), 0.0)
        line = 100 * seen >= percent
        beside = np.append(line[1:], False) | np.append(False, line[:-1])
        return line | (beside & (100 * seen >= LINE_EDGE * percent))

    return lined(0, LINE_DOWN)[None] | lined(1, LINE_ACROSS)[:, None]


def half_stroke_px(dark: Bool[np.ndarray, "rows columns"], x: Float[np.ndarray, "curves rows"]) -> int:
    """Half of the width of the strokes that curves run along: the median over rows of what is dark on both sides.

    Args:
        dark: of a block
        x: of each curve, by the block's columns [px]; NaN where absent
    """
    rows = np.nonzero(np.isfinite(x))[1]
    columns = np.floor(x[np.isfinite(x)]).astype(int)
    most = max(1, round(WIDEST_SHARE * dark.shape[1]))
    padded = np.pad(dark, ((0, 0), (most, most)))
    at = np.clip(columns, 0, dark.shape[1] - 1)[:, None] + most
    sides = [padded[rows[:, None], at + side * np.arange(most + 1)] for side in (-1, 1)]
    runs = np.stack([np.logical_and.accumulate(side, axis=1).sum(axis=1) for side in sides])
    inked = runs.min(axis=0) > 0
    known = len(inked) > 0 and inked.mean() >= LEAST_INKED
    return int(np.ceil(np.median(runs[:, inked].sum(axis=0)) / 2)) if known else 0


def strokes_of(
    lo: Float[np.ndarray, "curves height"],
    hi: Float[np.ndarray, "curves height"],
    rows: range,
    *,
    width: int,
    near_px: int,
) -> Bool[np.ndarray, "rows columns"]:
    """The pixels between the least and the greatest x of a curve within `near_px` rows, and `near_px` beside them.

    Args:
        lo: least x of each curve's stroke [px]; infinite where absent
        hi: its greatest x [px]; likewise, below 0
        rows: of the section that the pixels are of
        width: of the part [px]
        near_px: how near
    """
    around = slice(max(rows.start - near_px, 0), min(rows.stop + near_px, lo.shape[1]))
    outside = (near_px - rows.start + around.start, rows.stop + near_px - around.stop)
    columns = np.arange(width) + 0.5
    drawn = np.zeros((len(rows), width), bool)
    for starts, ends in zip(lo[:, around], hi[:, around], strict=True):
        least, most = (
            np.pad(px, outside, constant_values=absent) for px, absent in ((starts, np.inf), (ends, -np.inf))
        )
        windows = 2 * near_px + 1
        low = np.lib.stride_tricks.sliding_window_view(least, windows).min(axis=1) - near_px
        high = np.lib.stride_tricks.sliding_window_view(most, windows).max(axis=1) + near_px
        drawn |= (columns >= low[:, None]) & (columns <= high[:, None])
    return drawn
