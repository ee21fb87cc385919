"""The shape of a track in its scan: edges that drift and rows that tilt; and the track resampled so that neither does.

A point of a track has a row and a fraction, 0 at the left edge and 1 at the right one. In the straight track its depth
is that of its row, and the fraction alone tells the value. In the scan the point lies at

    row_px = row + tilt_px(row) (fraction - 1/2),    x_px = left_px(row_px) + fraction (right_px - left_px)(row_px),

so rows are named as they run through the middle of the track: depth anchors are to be taken there.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Float64, UInt8

from veerjax.config import require
from veerjax.logs.page import Page

BAND_ROWS = 1024  # resampled at once
MOST_TILT = 0.1  # of the track's width: 5.7 degrees


@dataclass(frozen=True, kw_only=True)
class TrackShape:
    """Where a track's edges run, row by row of its scan."""

    left_px: Float64[np.ndarray, " height"]  # of the left edge at each row's centre
    right_px: Float64[np.ndarray, " height"]
    tilt_px: Float64[np.ndarray, " height"]  # by how much a depth lies lower at the right edge than at the left one
    remarks: tuple[str, ...] = ()  # what a person should know of how it was found

    def __post_init__(self) -> None:
        width = self.right_px - self.left_px
        require(
            len(self.left_px) > 0 and bool((width > 0).all()),
            "the left edge of a track must lie left of its right edge in every row.",
        )
        require(
            bool((np.abs(self.tilt_px) <= MOST_TILT * width).all()),
            f"a track tilts by {np.abs(self.tilt_px).max():.0f} rows; it must be at most {MOST_TILT} of its width: "
            "turn the scan.",
        )

    @property
    def is_straight(self) -> bool:
        """Whether the edges are upright and the rows level."""
        edges = (self.left_px, self.right_px)
        return bool(all((edge == edge[0]).all() for edge in edges) and not self.tilt_px.any())

    @property
    def width_px(self) -> int:
        """The width of the straight track [px]."""
        return max(round(float(np.median(self.right_px - self.left_px))), 1)

    def lower_px(self, x_px: Float[np.ndarray, "*curves height"]) -> Float64[np.ndarray, "*curves height"]:
        """By how many rows each row's point lies lower in the scan than where the row runs through the middle [px].

        Args:
            x_px: of a point of each row, between the edges of that row
        """
        return self.tilt_px * (self.fraction(x_px) - 0.5)

    def fraction(self, x_px: Float[np.ndarray, "*curves height"]) -> Float64[np.ndarray, "*curves height"]:
        """0 at the left edge of each row, 1 at its right one."""
        return (np.asarray(x_px, np.float64) - self.left_px) / (self.right_px - self.left_px)

    def edges(self, row_px: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Left edge and width at rows of the scan [px], the first and last row's carried on beyond them."""
        at, centres = np.asarray(row_px, np.float64), np.arange(len(self.left_px)) + 0.5
        left = np.interp(at, centres, self.left_px)
        return left, np.interp(at, centres, self.right_px) - left

    def in_scan(
        self, row_px: npt.ArrayLike, fraction: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The row and x in the scan [px] of points of the straight track."""
        row_px, fraction = np.asarray(row_px, np.float64), np.asarray(fraction, np.float64)
        row = row_px + self._tilt(row_px) * (fraction - 0.5)
        left, width = self.edges(row)
        return row, left + fraction * width

    def in_track(
        self, row_px: npt.ArrayLike, x_px: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The row [px] and fraction in the straight track of points of the scan, the inverse of `in_scan`."""
        row_px, x_px = np.asarray(row_px, np.float64), np.asarray(x_px, np.float64)
        left, width = self.edges(row_px)
        fraction = (x_px - left) / width
        row = row_px - self._tilt(row_px) * (fraction - 0.5)
        for _ in range(3):  # the tilt is that of the straight row, and it changes slowly
            row = row_px - self._tilt(row) * (fraction - 0.5)
        return row, fraction

    def _tilt(self, row_px: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.interp(row_px, np.arange(len(self.tilt_px)) + 0.5, self.tilt_px)


def straight_shape(left_px: float, right_px: float, *, height: int, remarks: tuple[str, ...] = ()) -> TrackShape:
    """The shape of a track whose declared edges hold in every row."""
    return TrackShape(
        left_px=np.full(height, float(left_px)),
        right_px=np.full(height, float(right_px)),
        tilt_px=np.zeros(height),
        remarks=remarks,
    )


def straightened(
    image: UInt8[np.ndarray, "height _"] | Page, shape: TrackShape, *, width_px: int | None = None
) -> UInt8[np.ndarray, "height width"]:
    """The track with straight edges at its first and last column's outer sides, and level rows; white off the scan.

    Each pixel is interpolated between the four of the scan around its centre's place.

    Args:
        image: the scan, grey
        shape: of the track
        width_px: of the result; the track's own by default

    Raises:
        InputError: the shape is of another height.
    """
    height, width = image.shape[0], shape.width_px if width_px is None else width_px
    require(
        len(shape.left_px) == height,
        f"the shape of the track has {len(shape.left_px)} rows and the scan {height}; they must be of one scan.",
    )
    straight = np.empty((height, width), np.uint8)
    fractions = (np.arange(width)[None] + 0.5) / width
    for top in range(0, height, BAND_ROWS):
        rows = np.arange(top, min(top + BAND_ROWS, height))[:, None] + 0.5
        y, x = shape.in_scan(np.broadcast_to(rows, (len(rows), width)), np.broadcast_to(fractions, (len(rows), width)))
        straight[top : top + len(rows)] = sampled(image, y - 0.5, x - 0.5)
    return straight


def sampled(
    image: UInt8[np.ndarray, "height _"] | Page,
    row: Float[np.ndarray, "rows width"],
    column: Float[np.ndarray, "rows width"],
) -> UInt8[np.ndarray, "rows width"]:
    """Bilinear interpolation where whole numbers are the centres of pixels; white beyond the image."""
    top, left = int(np.floor(row.min())), int(np.floor(column.min()))
    bottom, right = int(np.floor(row.max())) + 2, int(np.floor(column.max())) + 2
    near = windowed(image, rows=(top, bottom), columns=(left, right)).astype(np.float32)
    r, c = np.floor(row).astype(int), np.floor(column).astype(int)
    down, across = (row - r).astype(np.float32), (column - c).astype(np.float32)
    r, c = r - top, c - left
    above = near[r, c] * (1 - across) + near[r, c + 1] * across
    below = near[r + 1, c] * (1 - across) + near[r + 1, c + 1] * across
    return np.round(above * (1 - down) + below * down).astype(np.uint8)


def windowed(
    image: UInt8[np.ndarray, "height _"] | Page, *, rows: tuple[int, int], columns: tuple[int, int]
) -> UInt8[np.ndarray, "rows columns"]:
    """A part of the image, white where it reaches beyond it."""
    height, width = image.shape
    (top, bottom), (left, right) = rows, columns
    part = np.full((bottom - top, right - left), 255, np.uint8)
    inside_rows = slice(min(max(top, 0), height), max(min(bottom, height), 0))
    inside_columns = slice(min(max(left, 0), width), max(min(right, width), 0))
    found = image[inside_rows, inside_columns]
    if found.size:
        first_row, first_column = inside_rows.start - top, inside_columns.start - left
        part[first_row : first_row + found.shape[0], first_column : first_column + found.shape[1]] = found
    return part
