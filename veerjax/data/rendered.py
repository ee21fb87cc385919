"""Examples of a rendered setting, drawn on the device from (seed, split, index); nothing is stored."""

import dataclasses
import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from veerjax.config import choice, require
from veerjax.synthesis.draw import SPLITS, draw, sample_key
from veerjax.synthesis.settings import settings_in
from veerjax.types import Batch


@functools.partial(jax.jit, static_argnames="split")
def _keys(seed: int, split: str, indices: Array) -> PRNGKeyArray:
    return jax.vmap(lambda index: sample_key(seed, split, index))(indices)


# `draw_batch` in two halves, so that the drawing is compiled once for all splits and streams of a size.
@functools.partial(jax.jit, static_argnames=("height", "width", "setting", "channels"))
def _drawn(keys: PRNGKeyArray, *, height: int, width: int, setting: str, channels: int) -> Batch:
    return jax.vmap(lambda key: draw(key, height=height, width=width, setting=setting, channels=channels))(keys)


def rendered_examples(
    setting: str, *, split: str, indices: Array, height: int, width: int, seed: int = 0, channels: int = 1
) -> Batch:
    """Samples of a split by their indices, as one batch; the arguments are those of `rendered_batches`.

    Raises:
        InputError: unknown setting or split.
    """
    names = settings_in(setting)
    choice("the split", split, tuple(SPLITS))
    keys = _keys(seed, split, indices)
    size = {"height": height, "width": width, "channels": channels}
    if len(names) == 1:
        return _drawn(keys, setting=setting, **size)
    turn = np.asarray(indices) % len(names)
    parts = [_drawn(keys[turn == k], setting=name, **size) for k, name in enumerate(names) if (turn == k).any()]
    back = np.argsort(np.argsort(turn, kind="stable"))
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves)[back], *parts)


def rendered_batches(
    setting: str,
    *,
    split: str,
    count: int,
    batch: int,
    height: int,
    width: int,
    seed: int = 0,
    channels: int = 1,
) -> Iterator[Batch]:
    """The first `count` samples of a split, in order; every one is valid once, and the last batch is padded.

    Args:
        setting: of `synthesis.draw.SETTINGS`, or a mixture of several as in `draw_batch`
        split: train, validation or test
        count: examples in all
        batch: examples a batch
        height: of an image [px]
        width: of an image [px]
        seed: names the training split's samples; validation and test are the same for every seed
        channels: 1 for grey, 3 for red, green and blue

    Raises:
        InputError: unknown setting or split, or a count or batch below 1.
    """
    settings_in(setting)
    choice("the split", split, tuple(SPLITS))
    require(count >= 1, f"{count} examples were asked for; at least 1 is needed.")
    require(batch >= 1, f"the batch is {batch}; it must be at least 1.")

    def stream() -> Iterator[Batch]:
        for start in range(0, count, batch):
            indices = jnp.arange(start, start + batch)
            drawn = rendered_examples(
                setting,
                split=split,
                indices=indices,
                height=height,
                width=width,
                seed=seed,
                channels=channels,
            )
            yield dataclasses.replace(drawn, valid=indices < count)

    return stream()
