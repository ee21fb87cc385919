"""The working resolution: a track cropped out of its scan and rescaled to the width that models read."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float, UInt8
from PIL import Image

BAND_ROWS = 2048  # rows held as floats at once, so that a long strip is not
FULL = 0.99  # a pixel covered this much belongs to a stroke of a pixel or more
LEAST_COVER = 0.05  # what covers less of a pixel leaves nothing there
# Wells are sampled every half foot; with fewer than two working rows for each, kicks from sample to sample alias.
ROWS_PER_FT = 4.0
# Of 8 strips at 2 in per 100 ft (tools/plotted_set.py), the worst MAE fell from 2.4 to 1.5 % at 2; at 3, broken curves
# were lost.
MOST_STRETCH = 2.0


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A track's place in its scan, and the size it is read at."""

    left: int  # first column of the track in the scan [px]
    right: int  # first column beyond it [px]
    height: int  # of the scan [px]
    width: int  # working width [px]

    @property
    def columns(self) -> slice:
        """The track's columns in the scan."""
        return slice(self.left, self.right)

    @property
    def rows(self) -> int:
        """Rows at the working resolution."""
        return working_rows(self.height, self.right - self.left, self.width)

    @property
    def scale(self) -> float:
        """Working px for each px of the scan."""
        return self.width / (self.right - self.left)

    def x(self, scan_px: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Working columns [px] of columns of the scan [px]."""
        return (np.asarray(scan_px, np.float64) - self.left) * self.scale

    def scan_row(self, row_px: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Rows of the scan [px] of working rows [px]."""
        return np.asarray(row_px, np.float64) * (self.height / self.rows)


def working_rows(height: int, crop_width: int, width: int) -> int:
    """The rows that a crop of a width has at the working width, at least one."""
    return max(round(height * (width / crop_width)), 1)


def row_stretch(rows_per_ft: float, scale: float) -> float:
    """By how much more than its columns the rows of a track are to be scaled, so that its depths are resolved.

    Never more rows than the scan has, where the columns are shrunk; 1 where depth is drawn large enough.

    Args:
        rows_per_ft: of the scan
        scale: working px for each px of the scan, across

    Example:
        >>> row_stretch(15.0, 0.4), row_stretch(6.0, 0.4), row_stretch(3.0, 0.4), row_stretch(2.0, 1.0)
        (1.0, 1.6666666666666665, 2.0, 1.0)
    """
    return min(max(min(ROWS_PER_FT, rows_per_ft) / (rows_per_ft * scale), 1.0), MOST_STRETCH)


def rescaled(
    crop: Float[np.ndarray, "height width"] | UInt8[np.ndarray, "height width"], width: int, *, stretch: float = 1.0
) -> Float[np.ndarray, "rows width"]:
    """The crop at the working width, its rows scaled alike; shrinking averages, so thin lines turn pale, not lost.

    Args:
        crop: grey levels, 0 to 1, or 0 to 255 as bytes
        width: the working width [px]
        stretch: by which the rows are scaled more
    """
    rows = max(round(crop.shape[0] * stretch * (width / crop.shape[1])), 1)
    if (rows, width) == crop.shape:
        return _unit(crop)
    finer = width > crop.shape[1]
    return np.clip(_resized(crop, rows, width, Image.Resampling.BICUBIC if finer else Image.Resampling.BOX), 0, 1)


def rescaled_mask(mask: Bool[np.ndarray, "height width"], width: int) -> Bool[np.ndarray, "rows width"]:
    """A stroke at the working width: the pixels that it covers by half, and a line of one pixel where it is thinner."""
    rows = working_rows(mask.shape[0], mask.shape[1], width)
    if (rows, width) == mask.shape:
        return mask
    finer = width > mask.shape[1]
    share = _resized(mask, rows, width, Image.Resampling.BILINEAR if finer else Image.Resampling.BOX)
    return (share >= 0.5) | _thin_lines(share)


def _thin_lines(share: Float[np.ndarray, "rows width"]) -> Bool[np.ndarray, "rows width"]:
    """Ridges of coverage, one pixel wide, away from strokes that cover whole pixels: their ragged edges have ridges."""
    padded = np.pad(share, 1)
    left, right = padded[1:-1, :-2], padded[1:-1, 2:]
    above, below = padded[:-2, 1:-1], padded[2:, 1:-1]
    ridge = ((share > left) & (share >= right)) | ((share > above) & (share >= below))
    full = padded >= FULL
    full = full[:, :-2] | full[:, 1:-1] | full[:, 2:]
    return ridge & (share >= LEAST_COVER) & ~(full[:-2] | full[1:-1] | full[2:])


def _resized(
    crop: np.ndarray, rows: int, width: int, resample: Image.Resampling
) -> Float[np.ndarray, "{rows} {width}"]:
    """What pillow makes of the whole, which is first all rows by themselves and then all columns."""
    bands = (_unit(crop[top : top + BAND_ROWS]) for top in range(0, len(crop), BAND_ROWS))
    narrow = [np.asarray(Image.fromarray(band).resize((width, len(band)), resample)) for band in bands]
    return np.asarray(Image.fromarray(np.concatenate(narrow)).resize((width, rows), resample))


def _unit(values: np.ndarray) -> Float[np.ndarray, "..."]:
    """Floats from 0 to 1."""
    if values.dtype == np.uint8:
        return values.astype(np.float32) / 255
    return values.astype(np.float32) if values.dtype == np.bool_ else values
