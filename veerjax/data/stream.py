"""The stream of a built dataset: shuffled batches without end, read by Grain, addressed by an integer step."""

from collections.abc import Iterator
from typing import Any, cast

from veerjax.config import require
from veerjax.data.built import Source, collated
from veerjax.types import Batch

READ_THREADS = 2  # on two cores, as fast as processes


def built_batches(source: Source, *, batch: int, seed: int, step: int = 0) -> Iterator[Batch]:
    """Batches of a built dataset in an order that (seed, step) fixes: every example once an epoch, newly shuffled.

    Args:
        source: of `built.load_built`
        batch: examples a batch
        seed: of the order
        step: batches to skip, so that a stream goes on where it was

    Raises:
        InputError: an empty source, or a batch below 1.
    """
    require(len(source) > 0, "the dataset has no example; build it with some.")
    require(batch >= 1, f"the batch is {batch}; it must be at least 1.")
    import grain

    examples = grain.MapDataset.source(cast(Any, source)).seed(seed).shuffle().repeat()
    batches = examples.batch(batch, batch_fn=collated)[step:]
    return iter(batches.to_iter_dataset(grain.ReadOptions(num_threads=READ_THREADS, prefetch_buffer_size=8)))
