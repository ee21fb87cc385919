"""Colour prints: inks whose luma was measured on real ones, grids and papers of their usual hues."""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from veerjax.synthesis.noise import between, dice
from veerjax.synthesis.paper import Tones
from veerjax.types import luma

# Measured lumas: black 12, blue 23 or 163, green 99, orange 123, cyan 179; red and magenta beside them.
INKS = np.array(
    [
        [12, 12, 12],
        [10, 18, 83],
        [120, 170, 230],
        [40, 140, 45],
        [230, 85, 35],
        [110, 205, 230],
        [200, 30, 40],
        [190, 40, 140],
    ],
    np.float32,
) / 255  # fmt: skip
GRIDS = np.array([[120, 120, 120], [225, 140, 60], [70, 150, 80], [80, 120, 200], [210, 90, 80]], np.float32) / 255
PAPERS = (
    np.array([[250, 250, 250], [244, 236, 214], [236, 226, 196], [206, 220, 236], [228, 228, 226]], np.float32) / 255
)


def random_colours(key: PRNGKeyArray, *, others: int) -> Tones:
    """The tones of a colour print, red, green and blue along the first axis; both curves have inks of their own.

    Args:
        key: random key
        others: how many tones for other ink
    """
    u = dice(key, 9 + others)
    paper = jnp.asarray(PAPERS)[jnp.floor(u[0] * len(PAPERS)).astype(jnp.int32)] * between(u[1], 0.88, 1.0)
    first = jnp.floor(u[2] * len(INKS)).astype(jnp.int32)
    second = (first + 1 + jnp.floor(u[3] * (len(INKS) - 1)).astype(jnp.int32)) % len(INKS)
    rest = jnp.floor(u[9:] * len(INKS)).astype(jnp.int32)
    pale = between(u[4:6], 0.0, 0.25)
    inks = jnp.asarray(INKS)
    chosen = jnp.stack([inks[first] + pale[0] * (paper - inks[first]), inks[second] + pale[1] * (paper - inks[second])])
    line = jnp.asarray(GRIDS)[jnp.floor(u[6] * len(GRIDS)).astype(jnp.int32)]
    grid = paper + between(u[7], 0.3, 1.0) * (line - paper)
    return Tones(paper=paper, inks=chosen.T, grid=grid, others=inks[rest].T)


def grey_tones(tones: Tones) -> Tones:
    """The lumas of colour tones."""
    fields = {field.name: jnp.moveaxis(getattr(tones, field.name), 0, -1) for field in dataclasses.fields(tones)}
    return Tones(**{name: luma(values) for name, values in fields.items()})
