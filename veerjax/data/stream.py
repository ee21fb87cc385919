"""Endless streams of training batches, addressed by an integer step and shared out over processes.

Both streams obey one contract. The batch of a step is a function of (seed, step); of P processes, process p gets the
batch's examples p, p + P, p + 2 P and so on; and a stream from step s on is the rest of the stream from the beginning.
"""

import functools
import itertools
from collections.abc import Generator
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
    process: int = 0,
    processes: int = 1,
) -> Batches:
    """Batches of a built dataset in an order that (seed, step) fixes: every example once an epoch, newly shuffled.

    Args:
        source: of `built.load_built`
        batch: examples a step, over all processes
        seed: of the order and of the augmentation
        step: batches to skip, so that a stream goes on where it was
        augment: how much examples are varied, anew in each epoch; not at all if None
        process: which of the processes this one is
        processes: how many share each batch

    Raises:
        InputError: an empty source, a batch below 1 or that does not divide over the processes, a negative step, or no
            such process.
    """
    require(len(source) > 0, "the dataset has no example; build it with some.")
    share = share_of(batch, step=step, process=process, processes=processes)
    import grain

    examples = grain.MapDataset.source(cast(Any, source)).seed(seed).shuffle().repeat()
    if augment is not None:
        examples = examples.random_map(functools.partial(_varied, augment))
    batches = examples[process::processes].batch(share, batch_fn=collated)[step:]
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
    process: int = 0,
    processes: int = 1,
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
        process: which of the processes this one is
        processes: how many share each batch

    Raises:
        InputError: unknown setting, a batch below 1 or that does not divide over the processes, a negative step, or no
            such process.
    """
    settings_in(setting)
    share = share_of(batch, step=step, process=process, processes=processes)
    draw = functools.partial(
        rendered_examples, setting, split="train", seed=seed, height=height, width=width, channels=channels
    )

    def stream() -> Batches:
        for current in itertools.count(step):
            yield draw(indices=current * batch + process + processes * jnp.arange(share))

    return stream()


def share_of(batch: int, *, step: int, process: int, processes: int) -> int:
    """How many examples of a batch each process gets.

    Raises:
        InputError: it does not divide, or a number is out of its range.
    """
    require(batch >= 1, f"the batch is {batch}; it must be at least 1.")
    require(step >= 0, f"the step is {step}; it must be at least 0.")
    require(0 <= process < processes, f"there is no process {process} of {processes}; they count from 0.")
    nearest = max(round(batch / processes), 1) * processes
    require(
        batch % processes == 0,
        f"the batch is {batch}, which does not divide over {processes} processes; the nearest that does is {nearest}.",
    )
    return batch // processes


def _varied(augment: Augmentation, example: Any, rng: Any) -> Any:
    return augmented(example, rng, augment)
