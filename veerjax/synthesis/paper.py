"""What the ink lies on and what the scanner adds: grid, paper tone, blur, noise, thresholding."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from veerjax.synthesis.noise import bernoulli, log_uniform, uniform

LINES = 128  # jittered grid lines that an image may hold at most before the jitter repeats
DEPTH_WEIGHTS = jnp.array([0.25, 0.5, 0.75, 1.0])  # of 2, 10, 50 and 100 ft lines


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Tones:
    """Grey levels of one scan, 0 black to 1 white."""

    paper: Float[Array, ""]
    inks: Float[Array, " 2"]
    grid: Float[Array, ""]  # of the heaviest line


def random_tones(key: PRNGKeyArray) -> Tones:
    """Paper 128-250, ink 20-180 and at least 45 darker, heavy grid .2 to 1 times the ink's contrast (in 255ths)."""
    keys = jax.random.split(key, 4)
    paper = jnp.where(bernoulli(keys[0], 0.75), uniform(keys[1], 0.8, 0.98), uniform(keys[1], 0.5, 0.8))
    darkest = jax.random.uniform(keys[2], (2,), minval=0.08, maxval=0.7) ** 1.3
    inks = jnp.minimum(darkest, paper - 0.18)
    contrast = uniform(keys[3], 0.2, 1.0) * (paper - jnp.max(inks))
    return Tones(paper=paper, inks=inks, grid=paper - contrast)


def lines(
    distance_in_pitches: Float[Array, " n"], pitch: Float[Array, ""], thickness: Float[Array, " n"]
) -> Float[Array, " n"]:
    """Coverage in [0, 1] by lines at the whole numbers of a coordinate that counts pitches."""
    distance = jnp.abs(distance_in_pitches - jnp.round(distance_in_pitches)) * pitch
    return jnp.clip(thickness / 2 + 0.5 - distance, 0, 1)


def depth_lines(key: PRNGKeyArray, *, height: int, scale: Float[Array, ""]) -> Float[Array, " height"]:
    """Strength of the horizontal lines: every 2 ft light, 10, 50 and 100 ft heavier and thicker, pitch jittered 1 px."""
    keys = jax.random.split(key, 5)
    pitch = 10 * scale * uniform(keys[0], 0.8, 1.3)
    jitter = jax.random.uniform(keys[1], (LINES,), minval=-1.0)
    coordinate = (jnp.arange(height) + 0.5) / pitch + jax.random.randint(keys[2], (), 0, 50)
    index = jnp.round(coordinate).astype(jnp.int32)
    rank = (index % 5 == 0).astype(jnp.int32) + (index % 25 == 0) + (index % 50 == 0)
    thickness = jnp.maximum(scale * log_uniform(keys[3], 0.5, 1.5), 0.8) * (1 + 0.4 * rank)
    amount = jnp.minimum(uniform(keys[4], 0.25, 1.0) + 0.25 * rank, 1.0) * DEPTH_WEIGHTS[rank] ** 0.5
    return amount * lines(coordinate + jitter[index % LINES] / pitch, pitch, thickness)


def scale_lines(key: PRNGKeyArray, *, width: int, scale: Float[Array, ""]) -> Float[Array, " width"]:
    """Strength of the vertical lines: ten linear divisions with heavier centre and edges, or logarithmic decades."""
    keys = jax.random.split(key, 6)
    pitch = 25 * scale * uniform(keys[0], 0.85, 1.15)
    thickness = jnp.maximum(scale * log_uniform(keys[1], 0.5, 2.0), 0.8)
    light = uniform(keys[2], 0.3, 1.0)
    column = jnp.arange(width) + 0.5
    # Half of the images are a whole track with its edges at the image's edges, the others start anywhere.
    start = jnp.where(bernoulli(keys[3], 0.5), 0.0, uniform(keys[4], 0.0, 10.0))
    pitch = jnp.where(start == 0.0, width / jnp.maximum(jnp.round(width / pitch), 1), pitch)
    coordinate = column / pitch + start
    heavy = (jnp.round(coordinate).astype(jnp.int32) % 5 == 0).astype(jnp.float32)
    linear = jnp.maximum(light, heavy) * lines(coordinate, pitch, thickness * (1 + 0.5 * heavy))
    decade = 2.5 * pitch
    mantissa = 10 ** jnp.mod(column / decade + start, 1.0)
    nearest_digit = jnp.clip(jnp.round(mantissa), 1, 10)
    distance = jnp.abs(jnp.log10(mantissa) - jnp.log10(nearest_digit)) * decade
    major = ((nearest_digit == 1) | (nearest_digit == 10)).astype(jnp.float32)
    logarithmic = jnp.maximum(light, major) * jnp.clip(thickness * (1 + 0.5 * major) / 2 + 0.5 - distance, 0, 1)
    return jnp.where(bernoulli(keys[5], 0.25), logarithmic, linear)


def grid(key: PRNGKeyArray, *, height: int, width: int, scale: Float[Array, ""]) -> Float[Array, "height width"]:
    """Strength of the grid in [0, 1]; one scan in twelve has none."""
    keys = jax.random.split(key, 3)
    across = depth_lines(keys[0], height=height, scale=scale)[:, None]
    down = scale_lines(keys[1], width=width, scale=scale)[None, :]
    return jnp.where(bernoulli(keys[2], 1 / 12), 0.0, jnp.maximum(across, down))


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


def scanned(key: PRNGKeyArray, image: Float[Array, "height width"], tones: Tones) -> Float[Array, "height width"]:
    """What a scanner makes of the drawing: stained, blurred, noisy, and in three of ten cases 1-bit."""
    keys = jax.random.split(key, 8)
    height, width = image.shape
    stains = jax.image.resize(jax.random.normal(keys[0], (5, 5)), (height, width), "linear")
    image = image + uniform(keys[1], 0.0, 0.03) * stains
    image = blurred(image, uniform(keys[2], 0.0, 1.1))
    noise = jax.random.normal(keys[3], (height, width))
    image = image + uniform(keys[4], 0.0, 0.07) * noise
    middle = jnp.max(tones.inks) + uniform(keys[5], 0.35, 0.65) * (tones.paper - jnp.max(tones.inks))
    bitonal = (image > middle).astype(image.dtype)
    image = jnp.where(bernoulli(keys[6], 0.3), bitonal, image)
    return jnp.round(jnp.clip(image, 0, 1) * 255) / 255
