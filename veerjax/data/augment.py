"""Stored examples varied anew each time they are read: pure functions of an example, random numbers and a strength.

The truth follows every change exactly. A strength of 0 is exactly the identity. The provenance stays that of the stored
example, and so does the coding: a mirrored dash is a dash. Curves in identical ink change their places where the one
that was on the left is not so any more.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8
from PIL import Image, ImageFilter

from veerjax.config import require
from veerjax.data.example import Example
from veerjax.data.identity import in_order
from veerjax.types import LUMA

FRINGE_PX = 2  # how far a stroke's grey seam reaches beyond its mask
GREYS = np.arange(256) / 255


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How much each change may do, 0 to 1; of `mirror` and `threshold` how often they do it."""

    mirror: float = 0.5
    shift: float = 0.5
    crop: float = 0.5
    contrast: float = 0.5
    brightness: float = 0.5
    gamma: float = 0.5
    blur: float = 0.5
    noise: float = 0.5
    threshold: float = 0.15

    def __post_init__(self) -> None:
        for name, strength in vars(self).items():
            require(0 <= strength <= 1, f"augmentation.{name} is {strength}; write a number from 0 to 1.")


def augmented(example: Example, rng: np.random.Generator, strengths: Augmentation) -> Example:
    """One variation: moved as a print may lie, toned as it may be exposed, and then scanned."""
    u = rng.random(9).tolist()
    example = mirrored(example, u[0], strength=strengths.mirror)
    example = shifted(example, u[1], strength=strengths.shift)
    example = cropped(example, u[2], strength=strengths.crop)
    example = contrasted(example, u[3], strength=strengths.contrast)
    example = brightened(example, u[4], strength=strengths.brightness)
    example = bent(example, u[5], strength=strengths.gamma)
    example = blurred(example, u[6], strength=strengths.blur)
    example = noisy(example, u[7], rng, strength=strengths.noise)
    return thresholded(example, u[8], strength=strengths.threshold)


def mirrored(example: Example, u: float, *, strength: float) -> Example:
    """Left and right exchanged, with the probability `strength`."""
    if u >= strength:
        return example
    width = example.label.shape[1]
    x = width - example.centreline
    # A curve on the very left edge is on the track; the right edge itself is off it.
    last = float(np.nextafter(np.float32(width), np.float32(0)))
    return in_order(
        dataclasses.replace(
            example,
            image=np.ascontiguousarray(example.image[:, ::-1]),
            strokes=np.ascontiguousarray(example.strokes[..., ::-1]),
            label=np.ascontiguousarray(example.label[:, ::-1]),
            centreline=np.where(example.presence, np.minimum(x, last), x),
        )
    )


def shifted(example: Example, u: float, *, strength: float) -> Example:
    """Moved sideways by whole px, at most a sixteenth of the width; a curve that leaves the image is absent there."""
    right = round((2 * u - 1) * strength * example.label.shape[1] / 16)
    if right == 0:
        return example
    x = example.centreline + right
    there = example.presence & (x >= 0) & (x < example.label.shape[1])
    return in_order(dataclasses.replace(with_pictures_moved(example, right, axis=1), centreline=x, presence=there))


def cropped(example: Example, u: float, *, strength: float) -> Example:
    """Moved up or down by whole px, at most an eighth of the height; in the rows that come in the curves are absent."""
    down = round((2 * u - 1) * strength * example.label.shape[0] / 8)
    if down == 0:
        return example
    edge = example.centreline[:, :1] if down > 0 else example.centreline[:, -1:]
    return in_order(
        dataclasses.replace(
            with_pictures_moved(example, down, axis=0),
            centreline=moved(example.centreline, down, axis=1, fill=edge),
            presence=moved(example.presence, down, axis=1, fill=np.array(False)),
        )
    )


def with_pictures_moved(example: Example, by: int, *, axis: int) -> Example:
    """Image, strokes and label moved; what comes in repeats the image's edge without the strokes on it."""
    nothing = np.array(0)
    return dataclasses.replace(
        example,
        image=moved(example.image, by, axis=axis, fill=bare_edge(example, by, axis=axis)),
        strokes=moved(example.strokes, by, axis=axis + 1, fill=nothing),
        label=moved(example.label, by, axis=axis, fill=nothing),
    )


def moved(
    array: Shaped[np.ndarray, "..."], by: int, *, axis: int, fill: Shaped[np.ndarray, "..."]
) -> Shaped[np.ndarray, "..."]:
    """An array moved by less than its size along one axis, filled with what broadcasts to it."""
    out = np.empty_like(array)
    out[...] = fill
    size = array.shape[axis]
    target = np.moveaxis(out, axis, 0)[max(by, 0) : size + min(by, 0)]
    target[...] = np.moveaxis(array, axis, 0)[max(-by, 0) : size - max(by, 0)]
    return out


def bare_edge(example: Example, by: int, *, axis: int) -> UInt8[np.ndarray, "..."]:
    """The image's edge from which `by` px come in, its usual grey wherever a stroke comes near.

    A stroke drawn out along the edge would be ink that the truth denies.
    """
    image, ink = np.moveaxis(example.image, axis, 0), np.moveaxis(example.strokes[0] | example.strokes[1], axis, 0)
    near = ink[: FRINGE_PX + 1] if by > 0 else ink[-FRINGE_PX - 1 :]
    inked: Bool[np.ndarray, " n"] = np.convolve(near.any(axis=0), np.ones(2 * FRINGE_PX + 1), "same") > 0.5
    line = image[0 if by > 0 else -1].copy()
    line[inked] = np.median(line if inked.all() else line[~inked], axis=0)
    return np.expand_dims(line, axis)


def toned(example: Example, levels: Float[np.ndarray, " 256"]) -> Example:
    """Each grey level replaced by another in [0, 1]; what lies beyond is clipped."""
    table = np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8)
    return dataclasses.replace(example, image=table[example.image])


def contrasted(example: Example, u: float, *, strength: float) -> Example:
    """Contrast times .5 to 1.5 around the mean grey."""
    mean = example.image.mean() / 255
    return toned(example, mean + (GREYS - mean) * (1 + (u - 0.5) * strength))


def brightened(example: Example, u: float, *, strength: float) -> Example:
    """Up to a fifth of the whole range brighter or darker."""
    return toned(example, GREYS + (0.4 * u - 0.2) * strength)


def bent(example: Example, u: float, *, strength: float) -> Example:
    """Greys to a power of one half to two; black and white stay."""
    return toned(example, GREYS ** (2 ** ((2 * u - 1) * strength)))


def blurred(example: Example, u: float, *, strength: float) -> Example:
    """A Gaussian blur of up to 1.2 px."""
    if u * strength == 0:
        return example
    softened = Image.fromarray(example.image).filter(ImageFilter.GaussianBlur(1.2 * u * strength))
    return dataclasses.replace(example, image=np.asarray(softened))


def noisy(example: Example, u: float, rng: np.random.Generator, *, strength: float) -> Example:
    """Gaussian noise of up to 15 grey levels, each pixel for itself."""
    sigma = 15 * u * strength
    if sigma == 0:
        return example
    grains = sigma * rng.standard_normal(example.image.shape, np.float32)
    return dataclasses.replace(example, image=np.rint(np.clip(example.image + grains, 0, 255)).astype(np.uint8))


def thresholded(example: Example, u: float, *, strength: float) -> Example:
    """Black and white only, with the probability `strength`, cut between the fainter ink and the paper."""
    if u >= strength:
        return example
    image = example.image
    grey = image if image.ndim == 2 else image @ np.array(LUMA)
    # The fainter curve decides, by a low percentile: most of a dotted curve's mask is the paper of its gaps.
    darks = [np.percentile(grey[stroke], 15) for stroke in example.strokes if stroke.any()]
    dark = max(darks, default=grey.min())
    cut = dark + (0.35 + 0.3 * u / strength) * (np.median(grey) - dark)
    black_and_white = np.where(grey > cut, np.uint8(255), np.uint8(0))
    if image.ndim == 3:
        black_and_white = np.repeat(black_and_white[..., None], image.shape[2], axis=2)
    return dataclasses.replace(example, image=black_and_white)
