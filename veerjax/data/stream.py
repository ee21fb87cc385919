"""Endless streams of training batches, addressed by an integer step and shared out over processes.

Both streams obey one contract. The batch of a step is a function of (seed, step), whatever the number of processes; a
process gets the examples at its own places of each batch, such as its first half; and a stream from step s on is the
rest of the stream from the beginning.
"""

import functools
import itertools
from collections.abc import Generator, Sequence
from typing import Any, cast

import jax.numpy as jnp

from veerjax.config import require
from veerjax.data.augment import Augmentation, augmented
from veerjax.data.built import Source, collated
from veerjax.data.rendered import rendered_examples
from veerjax.synthesis.settings import settings_in
from veerjax.types import Batch

READ_THREADS = 2  # on two cores, as fast as processes
Batches = Generator[Batch, None, None]  # close it to end its threads


def built_batches(
    source: Source,
    *,
    batch: int,
    seed: int,
    step: int = 0,
    augment: Augmentation | None = None,
    places: Sequence[int] | None = None,
) -> Batches:
    """Batches of a built dataset in an order that (seed, step) fixes: every example once an epoch, newly shuffled.

    Args:
        source: of `built.load_built`
        batch: examples a step, over all processes
        seed: of the order and of the augmentation
        step: batches to skip, so that a stream goes on where it was
        augment: how much examples are varied, anew in each epoch; not at all if None
        places: of each batch's examples, in the order wanted; all by default

    Raises:
        InputError: an empty source, a batch below 1, a negative step, or places that no batch has.
    """
    require(len(source) > 0, "the dataset has no example; build it with some.")
    places = checked_places(places, batch=batch, step=step)
    import grain

    from veerjax.data.places import AtPlaces

    examples = grain.MapDataset.source(cast(Any, source)).seed(seed).shuffle().repeat()
    if augment is not None:
        examples = examples.random_map(functools.partial(_varied, augment))
    if len(places) < batch:
        examples = AtPlaces(examples, batch=batch, places=places)
    batches = examples.batch(len(places), batch_fn=collated)[step:]
    threads = grain.ReadOptions(num_threads=READ_THREADS, prefetch_buffer_size=8)

    def stream() -> Batches:
        iterator = iter(batches.to_iter_dataset(threads))
        try:
            yield from iterator
        finally:
            cast(Any, iterator).close()

    return stream()


def drawn_batches(
    setting: str,
    *,
    seed: int,
    batch: int,
    height: int,
    width: int,
    step: int = 0,
    channels: int = 1,
    places: Sequence[int] | None = None,
) -> Batches:
    """The batches of a rendered setting that training draws for itself, step by step.

    Args:
        setting: of `synthesis.draw.SETTINGS`, or a mixture of several as in `draw_batch`
        seed: names the samples
        batch: examples a step, over all processes
        height: of an image [px]
        width: of an image [px]
        step: batches to skip
        channels: 1 for grey, 3 for red, green and blue
        places: of each batch's examples, in the order wanted; all by default

    Raises:
        InputError: unknown setting, a batch below 1, a negative step, or places that no batch has.
    """
    settings_in(setting)
    places = checked_places(places, batch=batch, step=step)
    draw = functools.partial(
        rendered_examples, setting, split="train", seed=seed, height=height, width=width, channels=channels
    )

    def stream() -> Batches:
        for current in itertools.count(step):
            yield draw(indices=current * batch + jnp.asarray(places))

    return stream()


def checked_places(places: Sequence[int] | None, *, batch: int, step: int) -> Sequence[int]:
    """The places of a batch that are asked for, all of them where None are.

    Raises:
        InputError: a number is out of its range.
    """
    require(batch >= 1, f"the batch is {batch}; it must be at least 1.")
    require(step >= 0, f"the step is {step}; it must be at least 0.")
    places = range(batch) if places is None else places
    require(len(places) > 0, "there are no places; a process needs at least one example of each batch.")
    for place in places:
        require(0 <= place < batch, f"there is no place {place} in a batch of {batch}; they count from 0.")
    return places


def _varied(augment: Augmentation, example: Any, rng: Any) -> Any:
    return augmented(example, rng, augment)
