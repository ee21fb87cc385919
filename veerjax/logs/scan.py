"""Reading scans: any bit depth, polarity and palette becomes 8-bit grey on white."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from veerjax.errors import InputError

MAX_PIXELS = 500_000_000  # 2,475 px x 200,000 rows
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
BLOCK_ROWS = 1024  # rows composited at once, so that a long colour strip is not held as floats

_log = logging.getLogger(__name__)


def read_scan(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> UInt8[np.ndarray, "height width"]:
    """The first page of a scan as grey levels, 0 black to 255 white, transparency over white.

    A file of several pages is read with a warning that says how many were left out.

    Raises:
        InputError: the file is missing, a folder, empty, no image, truncated, without pixels or larger than
            `max_pixels`; or its pixels are 32-bit numbers, whose white is not defined.
    """
    path = Path(path)
    _check_file(path)
    try:
        with _opened(path) as file:
            header = file.metadata(index=0, exclude_applied=False)
            _check_header(path, header, max_pixels)
            pages = file.properties(index=...).n_images or 1
            grey = _grey(file, header)
    except InputError:
        raise
    # Damage surfaces as whatever a decoder stumbled over, struct.error and SyntaxError among them.
    except Exception as error:
        raise InputError(
            f"{path} cannot be read as an image ({_reason(error)}); it is truncated, without pixels"
            " or no image: give a whole TIFF, PNG or JPEG."
        ) from error
    if grey.size == 0:
        raise InputError(f"{path} is {grey.shape[1]} x {grey.shape[0]} px; a scan needs at least one pixel.")
    if pages > 1:
        _log.warning("%s has %d pages; only the first is read.", path, pages)
    return grey


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the scan itself, a TIFF, PNG or JPEG file.")
    if not path.is_file():
        raise InputError(f"there is no scan {str(path)!r}; give the path of a TIFF, PNG or JPEG file.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty; give a whole TIFF, PNG or JPEG file.")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file behind imageio's pillow plugin; pillow's own size limit and chatter are off meanwhile."""
    import imageio.v3 as iio

    with pictures_of_any_size(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if _first_bytes(path) in TIFF_STARTS:
            # pillow goes on with half a directory of tags, and libtiff then writes to stderr by itself.
            warnings.filterwarnings("error", message="Corrupt EXIF data")
        with iio.imopen(path, "r", plugin="pillow") as file:
            yield file


@contextmanager
def pictures_of_any_size() -> Iterator[None]:
    """Pillow's own size limit is off meanwhile; whoever opens a picture checks its size against `MAX_PIXELS`."""
    from PIL import Image

    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _check_header(path: Path, header: dict[str, Any], max_pixels: int) -> None:
    width, height = header["shape"]
    if width * height == 0:
        raise InputError(f"{path} is {width} x {height} px; a scan needs at least one pixel.")
    if width * height > max_pixels:
        raise InputError(
            f"{path} is {width} x {height} px, {width * height / 1e6:.0f} million pixels, above the limit of"
            f" {max_pixels / 1e6:g} million; cut it into sections or raise max_pixels."
        )
    declared, held = _declared_bytes(header), path.stat().st_size
    if declared > held:
        raise InputError(f"{path} is truncated: it declares pixels up to byte {declared} but ends at {held}.")
    if header["mode"] in ("I", "F"):
        raise InputError(f"{path} holds 32-bit numbers; save it as 8-bit or 16-bit grey.")


def _declared_bytes(header: dict[str, Any]) -> int:
    """Where the last strip or tile of a TIFF ends; past the file's end a decoder may make rows up."""
    ends = [0]
    for kind in ("Strip", "Tile"):
        offsets = np.atleast_1d(header.get(f"{kind}Offsets", ()))
        counts = np.atleast_1d(header.get(f"{kind}ByteCounts", ()))
        ends += [int(offset) + int(count) for offset, count in zip(offsets, counts, strict=False)]
    return max(ends)


def _grey(file: Any, header: dict[str, Any]) -> UInt8[np.ndarray, "height width"]:
    mode = header["mode"]
    if mode.startswith("I;16"):
        bits = int(np.max(header.get("BitsPerSample", 16)))
        grey = (file.read(index=0).astype(np.uint32) * 255 // (2**bits - 1)).astype(np.uint8)
        # pillow honours WhiteIsZero up to 8 bits only.
        return 255 - grey if header.get("PhotometricInterpretation") == 0 else grey
    if mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in header:
        return _over_white(file.read(index=0, mode="RGBA"))
    return file.read(index=0, mode="L")


def _over_white(rgba: UInt8[np.ndarray, "height width 4"]) -> UInt8[np.ndarray, "height width"]:
    grey = np.empty(rgba.shape[:2], np.uint8)
    for top in range(0, len(rgba), BLOCK_ROWS):
        block = rgba[top : top + BLOCK_ROWS].astype(np.float32)
        luma = block[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)
        alpha = block[..., 3] / 255
        grey[top : top + BLOCK_ROWS] = np.round(255 + alpha * (luma - 255))
    return grey


def _reason(error: Exception) -> str:
    """The first cause, for imageio wraps pillow's reason in a sentence about itself."""
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):
        error = error.__cause__
    text = " ".join(str(error).split()).rstrip(".")
    return text[:120] or type(error).__name__
