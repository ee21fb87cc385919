"""What the ink lies on and what the scanner adds: grid, paper tone, blur, noise, thresholding."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from veerjax.synthesis.noise import between, dice, log_between

JITTERED_LINES = 128  # before the jitter of the pitch repeats
DEPTH_WEIGHTS = jnp.array([0.25, 0.5, 0.75, 1.0])  # of 2, 10, 50 and 100 ft lines


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Tones:
    """Grey levels of one scan, 0 black to 1 white."""

    paper: Float[Array, ""]
    inks: Float[Array, " 2"]
    grid: Float[Array, ""]  # of the heaviest line


def random_tones(key: PRNGKeyArray) -> Tones:
    """Paper 128-250, ink 20-180 and at least 51 darker, heavy grid .2 to 1 times the ink's contrast (in 255ths)."""
    u = dice(key, 5)
    paper = jnp.where(u[0] < 0.75, between(u[1], 0.8, 0.98), between(u[1], 0.5, 0.8))
    darkest = between(u[2:4], 0.08, 0.7) ** 1.3
    inks = jnp.minimum(darkest, paper - 0.2)
    contrast = between(u[4], 0.2, 1.0) * (paper - jnp.max(inks))
    return Tones(paper=paper, inks=inks, grid=paper - contrast)


def lines(
    distance_in_pitches: Float[Array, " n"], pitch: Float[Array, ""], thickness: Float[Array, " n"]
) -> Float[Array, " n"]:
    """Coverage in [0, 1] by lines at the whole numbers of a coordinate that counts pitches."""
    distance = jnp.abs(distance_in_pitches - jnp.round(distance_in_pitches)) * pitch
    return jnp.clip(thickness / 2 + 0.5 - distance, 0, 1)


def depth_lines(
    u: Float[Array, " 4"], jitter: Float[Array, " lines"], *, height: int, scale: Float[Array, ""]
) -> Float[Array, " height"]:
    """Strength of the horizontal lines: every 2 ft light, 10, 50 and 100 ft heavier and thicker, pitch jittered 1 px.

    Args:
        u: random numbers in [0, 1]
        jitter: one more for each line, used again from the first when there are more lines
        height: of the image [px]
        scale: how many times 100 dpi the drawing is
    """
    pitch = 10 * scale * between(u[0], 0.8, 1.3)
    coordinate = (jnp.arange(height) + 0.5) / pitch + jnp.floor(u[1] * 50)
    index = jnp.round(coordinate).astype(jnp.int32)
    rank = (index % 5 == 0).astype(jnp.int32) + (index % 25 == 0) + (index % 50 == 0)
    thickness = jnp.maximum(scale * log_between(u[2], 0.5, 1.5), 0.8) * (1 + 0.4 * rank)
    amount = jnp.minimum(between(u[3], 0.25, 1.0) + 0.25 * rank, 1.0) * DEPTH_WEIGHTS[rank] ** 0.5
    shifted = coordinate + between(jitter[index % jitter.shape[0]], -1.0, 1.0) / pitch
    return amount * lines(shifted, pitch, thickness)


def scale_lines(u: Float[Array, " 6"], *, width: int, scale: Float[Array, ""]) -> Float[Array, " width"]:
    """Strength of the vertical lines: linear divisions with heavier centre and edges, or logarithmic decades.

    Half of the images are a whole track with its edges at the image's edges, the others start anywhere.
    """
    pitch = 25 * scale * between(u[0], 0.85, 1.15)
    thickness = jnp.maximum(scale * log_between(u[1], 0.5, 2.0), 0.8)
    light = between(u[2], 0.3, 1.0)
    whole = u[3] < 0.5
    start = jnp.where(whole, 0.0, u[4] * 10)
    pitch = jnp.where(whole, width / jnp.maximum(jnp.round(width / pitch), 1), pitch)
    coordinate = (jnp.arange(width) + 0.5) / pitch + start
    heavy = (jnp.round(coordinate).astype(jnp.int32) % 5 == 0).astype(jnp.float32)
    linear = jnp.maximum(light, heavy) * lines(coordinate, pitch, thickness * (1 + 0.5 * heavy))
    logarithmic = decade_lines(coordinate / 2.5, 2.5 * pitch, thickness, light)
    return jnp.where(u[5] < 0.25, logarithmic, linear)


def decade_lines(
    coordinate: Float[Array, " n"],
    decade: Float[Array, ""],
    thickness: Float[Array, ""],
    light: Float[Array, ""],
) -> Float[Array, " n"]:
    """Strength of logarithmic lines at 1, 2, .. 9 times the powers of ten of a coordinate that counts decades."""
    mantissa = 10 ** jnp.mod(coordinate, 1.0)
    digit = jnp.clip(jnp.round(mantissa), 1, 10)
    distance = jnp.abs(jnp.log10(mantissa) - jnp.log10(digit)) * decade
    major = ((digit == 1) | (digit == 10)).astype(jnp.float32)
    return jnp.maximum(light, major) * jnp.clip(thickness * (1 + 0.5 * major) / 2 + 0.5 - distance, 0, 1)


def grid(key: PRNGKeyArray, *, height: int, width: int, scale: Float[Array, ""]) -> Float[Array, "height width"]:
    """Strength of the grid in [0, 1]; one scan in twelve has none."""
    u = dice(key, 11 + JITTERED_LINES)
    across = depth_lines(u[:4], u[11:], height=height, scale=scale)[:, None]
    down = scale_lines(u[4:10], width=width, scale=scale)[None, :]
    return jnp.where(u[10] < 1 / 12, 0.0, jnp.maximum(across, down))


def blurred(image: Float[Array, "height width"], sigma: Float[Array, ""]) -> Float[Array, "height width"]:
    """A Gaussian blur of `sigma` px, cut at 3 px; the edge is repeated outwards."""
    offsets = jnp.arange(-3, 4)
    kernel = jnp.exp(-0.5 * (offsets / jnp.maximum(sigma, 0.05)) ** 2)
    kernel = kernel / jnp.sum(kernel)
    for axis in (0, 1):
        padded = jnp.pad(image, [(3, 3) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        size = image.shape[axis]
        shifted = (jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(7))
        image = sum((weight * part for weight, part in zip(kernel, shifted, strict=True)), jnp.zeros_like(image))
    return image


def scanned(
    key: PRNGKeyArray, image: Float[Array, "height width"], tones: Tones, *, thinnest: Float[Array, ""]
) -> Float[Array, "height width"]:
    """What a scanner makes of the drawing: stained, blurred, noisy, and in three of ten cases 1-bit.

    What a scanner does to a legible print leaves it legible: the blur stays below the thinnest stroke [px] and the
    noise below the faintest ink, or the truth would ask for curves that nobody can see.
    """
    stain_key, noise_key, number_key = jax.random.split(key, 3)
    u = dice(number_key, 5)
    stains = jax.image.resize(jax.random.normal(stain_key, (5, 5)), image.shape, "linear")
    image = blurred(image + between(u[0], 0.0, 0.03) * stains, u[1] * jnp.minimum(0.4 * thinnest, 1.1))
    faintest = jnp.max(tones.inks)
    sigma = u[2] * jnp.minimum(0.3 * (tones.paper - faintest), 0.07)
    image = image + sigma * jax.random.normal(noise_key, image.shape)
    middle = faintest + between(u[3], 0.35, 0.65) * (tones.paper - faintest)
    image = jnp.where(u[4] < 0.3, (image > middle).astype(image.dtype), image)
    return jnp.round(jnp.clip(image, 0, 1) * 255) / 255
