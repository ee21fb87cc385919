"""Reading scans: any page of a TIFF, PNG, JPEG or PDF, of any bit depth, polarity and palette, is grey on white."""

import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import UInt8

from veerjax.errors import InputError
from veerjax.logs.page import Page, checked
from veerjax.logs.pdf import count_pdf_pages, is_pdf, read_pdf
from veerjax.logs.picture import read_picture
from veerjax.logs.tiff import STARTS, count_tiff_pages, read_tiff

MAX_PIXELS = 500_000_000  # of a page: 2,475 px x 200,000 rows
KINDS = "TIFF, PNG, JPEG or PDF"

Read = TypeVar("Read")
_log = logging.getLogger(__name__)


def read_scan(
    path: str | Path, *, page: int | None = None, max_pixels: int = MAX_PIXELS
) -> UInt8[np.ndarray, "height width"]:
    """One page of a scan as grey levels, 0 black to 255 white, transparency over white, upright by its own tag.

    A negative is turned into a positive, and what `Page.remarks` say is logged as a warning.

    Args:
        path: of the file
        page: its number, from 1; without one the first is read, with a warning if there are more
        max_pixels: of the page, by its header

    Raises:
        InputError: the file is missing, a folder, empty, no image, truncated, damaged, without pixels or larger than
            `max_pixels`; it has no such page; or its pixels are 32-bit numbers, whose white is not defined.
    """
    found = read_page(path, page=1 if page is None else page, max_pixels=max_pixels)
    if found.pages > 1 and page is None:
        _log.warning("%s has %d pages; only the first is read.", path, found.pages)
    for remark in found.remarks:
        _log.warning("%s: %s.", path, remark)
    return np.asarray(found)


def scan_pages(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Iterator[Page]:
    """Every page of a scan in turn, read when it is asked for.

    Raises:
        InputError: as `read_page`.
    """
    for number in range(1, count_pages(path) + 1):
        yield read_page(path, page=number, max_pixels=max_pixels)


def count_pages(path: str | Path) -> int:
    """How many pages a file declares and holds; thumbnails are none.

    Raises:
        InputError: it is missing, no scan, or ends before its last page.
    """
    path = Path(path)
    _check_file(path)
    if _is_tiff(path):
        return max(_sentence(path, lambda: count_tiff_pages(path)), 1)
    return count_pdf_pages(path) if is_pdf(path) else 1


def read_page(path: str | Path, *, page: int = 1, max_pixels: int = MAX_PIXELS) -> Page:
    """One page, held as bits where it is black and white.

    Raises:
        InputError: as `read_scan`.
    """
    path, pages = Path(path), count_pages(path)
    if not 1 <= page <= pages:
        raise InputError(f"{path} has {pages} page(s), and page {page} is asked for; pages count from 1.")
    if _is_tiff(path):
        found = _sentence(path, lambda: read_tiff(path, page, max_pixels=max_pixels))
    elif is_pdf(path):
        found = read_pdf(path, page, max_pixels=max_pixels)
    else:
        found = _sentence(path, lambda: read_picture(path, max_pixels=max_pixels))
    return checked(replace(found, number=page, pages=pages))


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the scan itself, a {KINDS} file.")
    if not path.is_file():
        raise InputError(f"there is no scan {str(path)!r}; give the path of a {KINDS} file.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty; give a whole {KINDS} file.")


def _is_tiff(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in STARTS


def _sentence(path: Path, read: Callable[[], Read]) -> Read:
    """What `read` returns; damage surfaces as whatever a decoder stumbled over, and becomes one error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read()
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()).rstrip(".")[:120] or type(error).__name__
        raise InputError(
            f"{path} cannot be read as an image ({reason}); it is truncated, without pixels or no image:"
            f" give a whole {KINDS} file."
        ) from error
