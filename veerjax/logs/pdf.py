"""Pages of PDF files as grey levels, rendered by PDFium at the resolution of the scan that they hold."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from veerjax.errors import InputError
from veerjax.logs.page import Page
from veerjax.logs.picture import check_size

POINTS = 72  # to the inch
DRAWN_DPI = 300  # of a page without pictures
MARGIN = 1e-3  # [points]
HEAD_BYTES = 1024  # within which a PDF says that it is one


def is_pdf(path: Path) -> bool:
    with path.open("rb") as file:
        return b"%PDF-" in file.read(HEAD_BYTES)


def count_pdf_pages(path: Path) -> int:
    with opened(path) as document:
        return len(document)


def read_pdf(path: Path, number: int, *, max_pixels: int) -> Page:
    """A page at the resolution of its finest picture, so that a scan keeps its pixels; 300 dpi without one.

    Raises:
        InputError: pypdfium2 is not installed; the file is encrypted, damaged or without pages; the page or a picture
            on it is larger than `max_pixels`, or nothing of a picture was rendered.
    """
    import pypdfium2

    with opened(path) as document:
        page = document[number - 1]
        pictures = list(page.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]))
        for picture in pictures:
            across, down = picture.get_px_size()
            check_size(path, across, down, max_pixels)
        scale = max((finest(picture) for picture in pictures), default=DRAWN_DPI / POINTS)
        across, down = page.get_size()
        wider, taller = widened(page)
        scale *= min(across / wider, down / taller) * (1 - 1e-6)  # a hair less, for the size is rounded up
        check_size(path, math.ceil(wider * scale), math.ceil(taller * scale), max_pixels)
        grey = page.render(scale=scale, grayscale=True).to_numpy()
        grey = np.array(grey.reshape(grey.shape[:2]))
        if pictures and grey.min() == grey.max():
            raise InputError(f"{path}, page {number}: nothing of its picture can be decoded; save it again.")
    return Page(data=grey, width=grey.shape[1], bits=False)


def widened(page: Any) -> tuple[float, float]:
    """The size [points] of a page after a margin was put around it.

    PDFium keeps places in single precision: a picture that ends with its page may end a trifle beyond, and is then
    stretched by a pixel. With the margin, 150 pages of random sizes and resolutions kept every pixel; without, 128.
    """
    left, bottom, right, top = page.get_mediabox()
    crop = page.get_cropbox()
    page.set_mediabox(left - MARGIN, bottom - MARGIN, right + MARGIN, top + MARGIN)
    page.set_cropbox(crop[0] - MARGIN, crop[1] - MARGIN, crop[2] + MARGIN, crop[3] + MARGIN)
    return page.get_size()


def finest(picture: Any) -> float:
    """Pixels of a picture to the point of the page, across or down, whichever has more."""
    left, bottom, right, top = picture.get_bounds()
    sides = sorted((abs(right - left), abs(top - bottom)))
    pixels = sorted(picture.get_px_size())  # sorted, for it may be placed turned by 90 degrees
    return max(px / side for px, side in zip(pixels, sides, strict=True) if side > 0)


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    try:
        import pypdfium2
    except ImportError as error:
        raise InputError(
            f"{path} is a PDF, and pypdfium2 is not installed; run: pip install 'veerjax[pdf]', or save it as TIFF."
        ) from error
    try:
        document = pypdfium2.PdfDocument(path)
        pages = len(document)
    except pypdfium2.PdfiumError as error:
        locked = "assword" in str(error)
        what = "is encrypted; save it without a password" if locked else "is a damaged PDF; save it again"
        raise InputError(f"{path} {what}.") from error
    try:
        if pages == 0:
            raise InputError(f"{path} is a PDF without pages; give one that holds a scan.")
        yield document
    except pypdfium2.PdfiumError as error:
        raise InputError(f"{path} holds a page that cannot be rendered ({error}); save it again.") from error
    finally:
        document.close()
