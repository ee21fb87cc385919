"""What age and scanners do to a whole page. Each is a pure function of an image in [0, 1], random numbers and a
strength in [0, 1]; at strength 0 the image comes back bit for bit."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt32

from veerjax.synthesis.noise import Dice, patches

Image = Float[Array, "height width"]
Field = Float[Array, "height width"]  # independent numbers in [0, 1]
Strength = float | Float[Array, ""]

BLOCK = 8  # of JPEG [px]
# The luminance table of the JPEG standard (ITU-T T.81, table K.1), for quality 50.
QUANTISATION = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float32,
)


def fields(bits: UInt32[Array, "height width"]) -> tuple[Field, Field]:
    """Two independent fields from one of random bits."""
    return (bits >> 16).astype(jnp.float32) / 65536, (bits & 0xFFFF).astype(jnp.float32) / 65536


def illumination(u: Dice, image: Image, strength: Strength) -> Image:
    """Darker to one side by up to 40 %, and by patches of up to 15 %."""
    height, width = image.shape
    down, across = jnp.linspace(0, 1, height)[:, None], jnp.linspace(0, 1, width)[None, :]
    across, down = jnp.where(u[0] < 0.5, across, 1 - across), jnp.where(u[1] < 0.5, down, 1 - down)
    ramp = u[2] * across + (1 - u[2]) * down
    return image * (1 - strength * (0.4 * u[3] * ramp + 0.15 * patches(u[4:], shape=image.shape, across=4)))


def blots(u: Dice, image: Image, strength: Strength) -> Image:
    """A few stains with soft edges, up to 45 % darker."""
    wet = jnp.clip((patches(u, shape=image.shape, across=7) - 0.72) * 6, 0, 1)
    return image * (1 - 0.45 * strength * wet)


def bleed(u: Dice, image: Image, strength: Strength, *, ink: Field) -> Image:
    """The other side's ink shows through: much like this side's, turned over."""
    other = jnp.where(u[0] < 0.5, ink[:, ::-1], ink[::-1, ::-1])
    return image * (1 - 0.35 * strength * other)


def stripes(u: Dice, image: Image, strength: Strength) -> Image:
    """Columns that are a little too light or too dark, by up to 16 of 255 levels, as dust on a scanner leaves."""
    column = jnp.arange(image.shape[1])
    each = jnp.resize(u, (image.shape[1],)) - 0.5
    sparse = jnp.where(jnp.abs(each) > 0.5 - 0.3 * u[0], each, 0.15 * each * jnp.cos(column * (1 + 2 * u[1])))
    return image + 0.125 * strength * sparse[None, :]


def crease(u: Dice, image: Image, strength: Strength, *, row: Float[Array, ""]) -> Image:
    """A dark or light line of up to 4 px along the row of a fold, in a softer band of up to 30 px."""
    distance = jnp.abs(jnp.arange(image.shape[0]) + 0.5 - row)
    band = 0.35 * jnp.clip(1 - distance / (2 + 13 * u[5]), 0, 1)
    line = jnp.maximum(jnp.clip(0.5 + 2 * u[2] - distance, 0, 1), band)[:, None]
    tone = jnp.where(u[3] < 0.6, 0.25, 1.0)
    return image + strength * line * u[4] * (tone - image)


def gap(u: Dice, strength: Strength, *, height: int) -> Bool[Array, " height"]:
    """The rows of a strip that is gone, up to a sixth of the image."""
    start = u[0] * height
    row = jnp.arange(height)
    return (row >= start) & (row < start + strength * (2 + u[1] * height / 6)) & (jnp.asarray(strength) > 0)


def missing(u: Dice, image: Image, strength: Strength) -> Image:
    """The page without that strip: what lay below it is nearly white or nearly black."""
    tone = jnp.where(u[2] < 0.8, 0.97, 0.03)
    return jnp.where(gap(u, strength, height=image.shape[0])[:, None], tone, image)


def speckle(_: Dice, image: Image, strength: Strength, *, field: Field) -> Image:
    """Dark and light grains on up to 1 % of the pixels each."""
    dark, light = field < 0.01 * strength, field > 1 - 0.01 * strength
    return jnp.where(dark, 0.1, jnp.where(light, 0.95, image))


def bloom(u: Dice, level: Float[Array, ""], strength: Strength, *, contrast: Float[Array, ""]) -> Float[Array, ""]:
    """A 1-bit threshold that is too high, so that strokes grow, or (a third of the time) too low, so that they thin.

    Args:
        u: random numbers
        level: an ordinary one
        strength: by how much
        contrast: between paper and the faintest ink
    """
    return level + jnp.where(u[0] < 0.67, 0.28, -0.25) * strength * contrast


def dropout(u: Dice, level: Field, strength: Strength, *, contrast: Float[Array, ""]) -> Field:
    """A 1-bit threshold that is too low in places, so that strokes break up there; the arguments are `bloom`'s."""
    where = jnp.clip(2.5 * (patches(u, shape=level.shape, across=8) - 0.55), 0, 1)
    grain = patches(u[::-1], shape=level.shape, across=16)
    return level - 0.55 * strength * contrast * where * grain


def runs(_: Dice, image: Image, strength: Strength, *, field: Field) -> Image:
    """Short horizontal runs of wrong pixels."""
    start = field < 0.001 * strength
    for length in (1, 2, 4):
        start = start | (jnp.pad(start, ((0, 0), (length, 0)))[:, : image.shape[1]])
    black = jnp.broadcast_to((jnp.arange(image.shape[0]) % 3 > 0)[:, None], image.shape)
    return jnp.where(start, jnp.where(black, 0.0, 1.0), image)


def jpeg(u: Dice, image: Image, strength: Strength) -> Image:
    """The coarse steps of JPEG's cosine coefficients in blocks of 8 px, down to quality 15 (ITU-T T.81)."""
    height, width = image.shape
    padded = jnp.pad(image, ((0, -height % BLOCK), (0, -width % BLOCK)), mode="edge")
    down, across = (jnp.asarray(block_cosines(side)) for side in padded.shape)
    coefficients = (down @ (255 * (padded - 0.5))) @ across.T
    table = jnp.tile(jnp.asarray(QUANTISATION), (padded.shape[0] // BLOCK, padded.shape[1] // BLOCK))
    step = jnp.maximum(table * strength * (0.3 + 3 * u[0]), 1e-3)
    coarse = jnp.round(coefficients / step) * step
    again = (down.T @ coarse) @ across / 255 + 0.5
    return jnp.where(jnp.asarray(strength) > 0, again[:height, :width], image)


def block_cosines(side: int) -> Float[np.ndarray, "side side"]:
    """The orthonormal cosine transform of each block along a side, as one block-diagonal matrix."""
    k = np.arange(BLOCK)
    rows = np.cos(np.pi * (2 * k[None, :] + 1) * k[:, None] / (2 * BLOCK)) * np.sqrt(2 / BLOCK)
    rows[0] /= np.sqrt(2)
    return np.kron(np.eye(side // BLOCK), rows).astype(np.float32)
