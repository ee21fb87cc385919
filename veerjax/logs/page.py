"""One page of a scan in memory: a bit a pixel where it is black and white, a byte a pixel where it is grey."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import UInt8

BLOCK_ROWS = 1024  # rows looked at once, so that a long page is not unpacked as a whole
DARK_PAPER = 96  # a median grey level below this is a negative: paper of 128 and more was measured
WIDE = 2  # times as wide as tall: no strip, its depth may run across


@dataclass(frozen=True, kw_only=True, eq=False)
class Page:
    """Grey levels, 0 black to 255 white, that are taken by rows and columns like those of an array."""

    data: UInt8[np.ndarray, "height bytes"]  # grey levels, or bits with 1 for white, the last byte of a row padded
    width: int  # [px]
    bits: bool
    number: int = 1  # in its file
    pages: int = 1  # of its file
    remarks: tuple[str, ...] = ()  # what a person should know of how it was read
    dtype = np.dtype(np.uint8)
    ndim = 2

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.data), self.width

    @property
    def size(self) -> int:
        return len(self.data) * self.width

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, key: slice | tuple[slice, slice]) -> UInt8[np.ndarray, "rows columns"]:
        """Grey levels of a range of rows, or of rows and columns; without steps."""
        rows, columns = key if isinstance(key, tuple) else (key, slice(None))
        left, right, _ = columns.indices(self.width)
        if not self.bits:
            return self.data[rows, left:right]
        first = left // 8
        bits = np.unpackbits(self.data[rows, first : -(-right // 8)], axis=1)
        grey = bits[:, left - 8 * first : right - 8 * first]
        return np.multiply(grey, 255, out=grey)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self[:], dtype=dtype, copy=copy)


def histogram(page: Page) -> np.ndarray:
    """How many pixels have each of the 256 grey levels."""
    if page.bits:
        blocks = range(0, len(page), BLOCK_ROWS)
        white = sum(int(np.count_nonzero(page[top : top + BLOCK_ROWS])) for top in blocks)
        return np.array([page.size - white, *[0] * 254, white])
    counts = np.zeros(256, np.int64)
    for top in range(0, len(page), BLOCK_ROWS):
        counts += np.bincount(page.data[top : top + BLOCK_ROWS].ravel(), minlength=256)
    return counts


def checked(page: Page) -> Page:
    """The page with its paper light, and remarks on what was done or looks odd."""
    remarks = list(page.remarks)
    median = np.searchsorted(np.cumsum(histogram(page)), page.size / 2, side="right")
    dark = median < DARK_PAPER
    if dark:
        remarks.append("most of the page is dark, as on a negative, so black and white were exchanged")
    if page.width > WIDE * len(page):
        remarks.append(f"the page is {page.width} x {len(page)} px, wider than tall; turn it if depth runs across")
    data = np.invert(page.data, out=page.data) if dark else page.data
    return replace(page, data=data, remarks=tuple(remarks))


def turned(page: Page, orientation: int) -> Page:
    """The page as it is to be looked at.

    Args:
        page: as it is stored
        orientation: TIFF's and EXIF's number, 1 to 8, of where the stored rows and columns begin
    """
    if orientation not in range(2, 9):
        return page
    grey = page[:]
    if orientation >= 5:
        grey = grey.T
    across, down = orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)
    grey = grey[:: -1 if down else 1, :: -1 if across else 1]
    data = np.packbits(grey > 0, axis=1) if page.bits else np.ascontiguousarray(grey)
    return replace(page, data=data, width=grey.shape[1])
