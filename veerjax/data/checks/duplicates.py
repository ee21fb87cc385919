"""Which examples repeat one another: exactly, by digest; nearly, by a coarse picture of each; or by their curves."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float, Float16
from PIL import Image

from veerjax.data.checks.health import grey_of
from veerjax.data.checks.samples import Sample

COARSE_ROWS, COARSE_COLUMNS = 64, 32  # of the coarse picture
ALIKE = 0.95  # mean correlation of coarse pictures from which images are nearly the same
FAINT = 0.002  # deviation of a coarse picture below which it shows nothing
CURVE_PX = 0.01  # to which curves are compared
CURVE_ROWS, CURVE_SPREAD_PX = 32, 1.0  # a curve present in fewer rows, or straighter, is nobody's own
BLOCK = 1024  # examples compared at once

Coarse = Float16[np.ndarray, " cells"]


def image_digest(sample: Sample) -> bytes:
    """A digest of the image's 8-bit pixels and size."""
    pixels = np.rint(np.nan_to_num(sample.image).clip(0, 1) * 255).astype(np.uint8)
    return hashlib.blake2b(pixels.tobytes(), digest_size=16, person=repr(pixels.shape).encode()[:16]).digest()


def curve_digests(sample: Sample) -> list[bytes]:
    """A digest of each curve that is long and winding enough to be recognised; the same in either place of a pair."""
    return [
        curve_digest(x, there) for x, there in zip(sample.centreline, sample.presence, strict=True) if own(x, there)
    ]


def own(x: Float[np.ndarray, " height"], there: Bool[np.ndarray, " height"]) -> bool:
    """Whether a curve is unlikely to be like another by chance, as a straight line at the border is."""
    return bool(there.sum() >= CURVE_ROWS and np.isfinite(x[there]).all() and np.std(x[there]) >= CURVE_SPREAD_PX)


def curve_digest(x: Float[np.ndarray, " height"], there: Bool[np.ndarray, " height"]) -> bytes:
    """A digest of where the curve runs and in which rows it is present."""
    units = np.where(there, np.rint(np.nan_to_num(x) / CURVE_PX), -1).astype(np.int64)
    return hashlib.blake2b(units.tobytes(), digest_size=16).digest()


def coarse_picture(sample: Sample) -> Coarse | None:
    """A small picture of the image, beside the part of it that is constant neither along rows nor along columns.

    The part alone is blind to straight curves, the whole sees grids and uneven paper first: two images are nearly the
    same where both are.

    Returns:
        Values whose products between two images are the mean of the two correlations; None where there is nothing
        to see.
    """
    grey = Image.fromarray(np.nan_to_num(grey_of(sample.image)).astype(np.float32))
    small = np.asarray(grey.resize((COARSE_COLUMNS, COARSE_ROWS), Image.Resampling.BOX))
    whole = small - small.mean()
    part = whole - whole.mean(axis=0, keepdims=True) - whole.mean(axis=1, keepdims=True)
    if min(whole.std(), part.std()) < FAINT:
        return None
    pictures = np.stack([whole / np.linalg.norm(whole), part / np.linalg.norm(part)])
    return (pictures / np.sqrt(2)).ravel().astype(np.float16)  # half the memory; correlations keep three digits


def alike(pictures: Sequence[Coarse | None], *, threshold: float = ALIKE) -> Iterator[tuple[int, int, float]]:
    """Each picture that is nearly the same as an earlier one: its position, that of the likest one, the correlation.

    Args:
        pictures: of `coarse_picture`
        threshold: correlation from which two are nearly the same
    """
    known = np.array([i for i, picture in enumerate(pictures) if picture is not None])
    for start in range(0, len(known), BLOCK):
        rows = known[start : start + BLOCK]
        ours = np.stack([pictures[i] for i in rows]).astype(np.float32)
        best, like = np.zeros(len(rows), int), np.full(len(rows), -1.0)
        for before in range(0, start + 1, BLOCK):
            others = known[before : before + BLOCK]
            found = ours @ np.stack([pictures[i] for i in others]).astype(np.float32).T
            found[others[None, :] >= rows[:, None]] = -1  # earlier ones only
            top = found.max(axis=1)
            best, like = np.where(top > like, others[found.argmax(axis=1)], best), np.maximum(like, top)
        for row in np.flatnonzero(like >= threshold):
            yield int(rows[row]), int(best[row]), float(like[row])
