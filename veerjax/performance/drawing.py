"""What each part of the drawing costs, so that a slow artefact has a name."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from veerjax.config import DataConfig
from veerjax.performance.timing import Timing, timed
from veerjax.synthesis import curves, paper, strokes
from veerjax.synthesis.draw import drawing_scale, sample_key
from veerjax.training.sharding import over_examples

Part = Callable[[jax.Array], Any]


def parts(data: DataConfig) -> dict[str, Part]:
    """The parts of one drawing, each a function of the sample's key alone."""
    height, width = data.height, data.width
    rows = height + 2 * strokes.REACH_PX

    def pair(key: jax.Array) -> Any:
        return curves.random_pair(key, rows=rows, width=width, scale=drawing_scale(key))

    def ink(key: jax.Array) -> Any:
        # Straight curves: the cost of a stroke does not depend on where it runs.
        x = jnp.broadcast_to(jnp.linspace(0.1, 0.9, rows) * width, (2, rows))
        pens = strokes.random_pens(key, scale=drawing_scale(key))
        return jax.vmap(functools.partial(strokes.ink_and_mask, width=width))(x, jnp.ones((2, rows), bool), pens)

    def grid(key: jax.Array) -> Any:
        return paper.grid(key, height=height, width=width, scale=drawing_scale(key))

    def scan(key: jax.Array) -> Any:
        blank = jnp.full((height, width), 0.9) + 0.01 * key_fraction(key)
        return paper.scanned(key, blank, paper.random_tones(key), thinnest=jnp.asarray(2.0))

    def blur(key: jax.Array) -> Any:
        return paper.blurred(jnp.full((height, width), 0.9) + 0.01 * key_fraction(key), jnp.asarray(0.7))

    return {
        "curves": pair,
        "strokes and masks": ink,
        "grid": grid,
        "scanner (stains, blur, noise, threshold)": scan,
        "of which blur": blur,
    }


def key_fraction(key: jax.Array) -> jax.Array:
    """A number that the compiler cannot know, so that a constant image is not computed beforehand."""
    return jax.random.uniform(key)


def part_times(data: DataConfig, mesh: Mesh, *, batch: int, warmup: int, steps: int) -> dict[str, Timing]:
    """The time of each part for a whole batch; parts overlap when they run as one drawing, so sums are no total."""
    keys = jax.jit(jax.vmap(lambda index: sample_key(0, "train", index)), out_shardings=over_examples(mesh))(
        jnp.arange(batch)
    )
    found = {}
    for name, part in parts(data).items():
        compiled = jax.jit(jax.vmap(part))
        found[name] = timed(functools.partial(compiled, keys), warmup=warmup, steps=steps)
    return found
