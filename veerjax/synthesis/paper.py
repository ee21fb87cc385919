"""Tones of paper and ink, and what an ordinary scanner adds: stains, blur, noise, thresholding."""

import dataclasses
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from veerjax.synthesis.noise import between, dice, patches


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Tones:
    """Grey levels of one scan, 0 black to 1 white."""

    paper: Float[Array, ""]
    inks: Float[Array, " 2"]
    grid: Float[Array, ""]  # of the heaviest line
    others: Float[Array, " n"]  # of ink that belongs to no declared curve


def random_tones(key: PRNGKeyArray, *, contrast: float = 1.0, palest: float = 0.7, others: int = 0) -> Tones:
    """Paper 128-250, ink 10-160 and at least 51 darker, heavy grid .2 to `contrast` times the ink's (in 255ths).

    Args:
        key: random key
        contrast: most of the heavy grid's against the ink's
        palest: of inks, before a power of 1.3 makes most of them darker; .77 reaches 180
        others: how many tones for other ink
    """
    u = dice(key, 5)
    paper = jnp.where(u[0] < 0.75, between(u[1], 0.8, 0.98), between(u[1], 0.5, 0.8))
    darkest = between(u[2:4], 0.08, palest) ** 1.3
    inks = jnp.minimum(darkest, paper - 0.2)
    heavy = between(u[4], 0.2, contrast) * (paper - jnp.max(inks))
    strange = dice(jax.random.fold_in(key, 1), others) if others else jnp.zeros(0)
    return Tones(paper=paper, inks=inks, grid=paper - heavy, others=between(strange, 0.05, paper - 0.15))


def in_one_ink(tones: Tones) -> Tones:
    """Both curves in the tone of the first."""
    return dataclasses.replace(tones, inks=jnp.broadcast_to(tones.inks[:1], tones.inks.shape))


def patchy(u: Float[Array, " n"], strength: float | Array, *, shape: tuple[int, ...]) -> Float[Array, "height width"]:
    """How much ink holds on the paper: down to 40 % in patches."""
    return 1 - 0.6 * strength * jnp.clip(2 * (patches(u, shape=shape, across=9) - 0.4), 0, 1)


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


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Scanner:
    """What an ordinary scanner does to a print."""

    stains: Float[Array, ""]  # amplitude, of the range from black to white
    blur: Float[Array, ""]  # sigma [px]
    noise: Float[Array, ""]  # sigma, of the range from black to white
    threshold: Float[Array, ""]  # grey level above which a 1-bit scan is white
    bitonal: Bool[Array, ""]


def random_scanner(
    key: PRNGKeyArray, tones: Tones, *, thinnest: Float[Array, ""], wear: float = 1.0, bitonal: float = 0.3
) -> Scanner:
    """An ordinary scanner.

    What a scanner does to a legible print leaves it legible: the blur stays below the thinnest stroke [px] and the
    noise below the faintest ink, or the truth would ask for curves that nobody can see.

    Args:
        key: random key
        tones: of the print
        thinnest: of its strokes [px]
        wear: of stains, blur and noise, 0 for none
        bitonal: share of 1-bit scanners
    """
    u = dice(key, 5)
    faintest = jnp.max(tones.inks)
    return Scanner(
        stains=wear * between(u[0], 0.0, 0.03),
        blur=wear * (u[1] * jnp.minimum(0.4 * thinnest, 1.1)),
        noise=wear * (u[2] * jnp.minimum(0.3 * (tones.paper - faintest), 0.07)),
        threshold=faintest + between(u[3], 0.35, 0.65) * (tones.paper - faintest),
        bitonal=u[4] < bitonal,
    )


def stained(
    key: PRNGKeyArray, image: Float[Array, "height width"], amount: Float[Array, ""]
) -> Float[Array, "height width"]:
    """Soft light and dark patches."""
    return image + amount * jax.image.resize(jax.random.normal(key, (5, 5)), image.shape, "linear")


def noisy(
    key: PRNGKeyArray, image: Float[Array, "height width"], sigma: Float[Array, ""]
) -> Float[Array, "height width"]:
    """Independent noise of each pixel."""
    return image + sigma * jax.random.normal(key, image.shape)


def thresholded(image: Float[Array, "..."], level: Array, there: Bool[Array, ""]) -> Float[Array, "..."]:
    """Black and white where the scan is 1-bit."""
    return jnp.where(there, (image > level).astype(image.dtype), image)


def quantised(image: Float[Array, "..."]) -> Float[Array, "..."]:
    """In 255ths from 0 to 1."""
    return jnp.round(jnp.clip(image, 0, 1) * 255) / 255
