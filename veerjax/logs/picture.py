"""What pillow decodes, as grey levels or bits; and what the C libraries below it say of damage."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from veerjax.errors import InputError
from veerjax.logs.page import BLOCK_ROWS, Page

TRANSPARENT_MODES = ("LA", "PA", "La", "RGBA", "RGBa")


@contextmanager
def pictures_of_any_size() -> Iterator[None]:
    """Pillow's own size limit is off meanwhile; whoever opens a picture checks its size against `MAX_PIXELS`."""
    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


@contextmanager
def decoder_messages() -> Iterator[list[str]]:
    """What libtiff writes to stderr meanwhile, for it tells of damaged rows nowhere else; filled at the end.

    Lines of others go on to stderr.
    """
    said: list[str] = []
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with tempfile.TemporaryFile() as heard:
            os.dup2(heard.fileno(), 2)
            try:
                yield said
            finally:
                os.dup2(kept, 2)
            heard.seek(0)
            for line in heard.read().decode(errors="replace").splitlines():
                if "Decode" in line or line.startswith(("tempfile.tif", "JPEGLib", "TIFF")):
                    said.append(line.strip().rstrip("."))
                else:
                    os.write(2, f"{line}\n".encode())
    finally:
        os.close(kept)


def read_picture(path: Path, *, max_pixels: int) -> Page:
    """The first picture of a PNG, a JPEG or another file that pillow opens, upright by its EXIF tag.

    Raises:
        InputError: it has no pixels or too many, or 32-bit ones; whatever else a decoder stumbles over is raised too.
    """
    with pictures_of_any_size(), Image.open(path) as image:
        check_size(path, *image.size, max_pixels)
        ImageOps.exif_transpose(image, in_place=True)
        image.load()
        width, height = image.size
        if image.mode == "1":
            return Page(data=packed(image), width=width, bits=True)
        return Page(data=grey_of(path, image).reshape(height, width), width=width, bits=False)


def check_size(path: Path, width: int, height: int, max_pixels: int) -> None:
    """Refuses a page by its header, before anything is decoded."""
    if width * height == 0:
        raise InputError(f"{path} is {width} x {height} px; a scan needs at least one pixel.")
    if width * height > max_pixels:
        raise InputError(
            f"{path} is {width} x {height} px, {width * height / 1e6:.0f} million pixels, above the limit of"
            f" {max_pixels / 1e6:g} million; cut it into sections or raise max_pixels."
        )


def packed(image: Image.Image) -> UInt8[np.ndarray, "height bytes"]:
    """The bits of a black and white picture, 1 for white."""
    return np.frombuffer(bytearray(image.tobytes()), np.uint8).reshape(image.height, -1)


def grey_of(
    path: Path, image: Image.Image, *, bits: int = 16, white_is_zero: bool = False
) -> UInt8[np.ndarray, "height width"]:
    """Grey levels, transparency over white.

    Args:
        path: for the sentence of a refusal
        image: decoded
        bits: of its sample, where it has more than 8
        white_is_zero: of a 16-bit TIFF, which pillow leaves as it is
    """
    if image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.uint32) * 255 // (2**bits - 1)
        return (255 - wide if white_is_zero else wide).astype(np.uint8)
    if image.mode in ("I", "F"):
        raise InputError(f"{path} holds 32-bit numbers; save it as 8-bit or 16-bit grey.")
    if image.mode in TRANSPARENT_MODES or "transparency" in image.info:
        return over_white(np.asarray(image.convert("RGBA")))
    return np.array(image.convert("L"))


def over_white(rgba: UInt8[np.ndarray, "height width 4"]) -> UInt8[np.ndarray, "height width"]:
    """What is seen of a transparent picture on white paper."""
    grey = np.empty(rgba.shape[:2], np.uint8)
    for top in range(0, len(rgba), BLOCK_ROWS):
        block = rgba[top : top + BLOCK_ROWS].astype(np.float32)
        luma = block[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)
        alpha = block[..., 3] / 255
        grey[top : top + BLOCK_ROWS] = np.round(255 + alpha * (luma - 255))
    return grey
