"""Reading built datasets by position: examples one by one, and the same `Batch` that the renderer yields."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from veerjax.config import nearest, require
from veerjax.data.example import Example, example_of
from veerjax.errors import InputError
from veerjax.types import Batch


class Source(Protocol):
    """Examples by position, as Grain wants them."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Example: ...


@dataclass(frozen=True)
class BuiltSplit:
    """One split of a built dataset. Reading is independent for each position, so it may be shared out."""

    records: Any  # of tfds.data_source

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int, /) -> Example:
        return example_of(self.records[index])


def load_built(name: str, *, data_dir: str | Path, split: str) -> BuiltSplit:
    """A split of a dataset that `veerjax data build` has made.

    Args:
        name: `raster_logs/CONFIG`
        data_dir: the folder it was built in
        split: of those it has

    Raises:
        InputError: unknown name, not built there, or no such split.
    """
    import tensorflow_datasets as tfds

    from veerjax.data.raster_logs import RasterLogs, config_of

    builder = RasterLogs(data_dir=Path(data_dir), config=config_of(name))
    if not builder.data_path.exists():
        raise InputError(
            f"{name} is not built in {data_dir}; build it by veerjax data build --name {name} --data-dir {data_dir}."
        )
    splits = list(builder.info.splits)
    require(split in splits, f"{name} has no split {split!r}; it has {', '.join(splits)}{nearest(split, splits)}.")
    return BuiltSplit(tfds.data_source(name, data_dir=Path(data_dir), split=split))


def batches(source: Source, *, batch: int, limit: int | None = None) -> Iterator[Batch]:
    """Examples in order; every one is valid once, and the last batch is filled up with its last example.

    Args:
        source: a built split, or anything like one
        batch: examples a batch
        limit: examples in all; every one if None

    Raises:
        InputError: a batch or a limit below 1.
    """
    require(batch >= 1, f"the batch is {batch}; it must be at least 1.")
    require(limit is None or limit >= 1, f"the limit is {limit}; it must be at least 1.")
    count = len(source) if limit is None else min(limit, len(source))

    def stream() -> Iterator[Batch]:
        for start in range(0, count, batch):
            group = [source[index] for index in range(start, min(start + batch, count))]
            yield collated(group, size=batch)

    return stream()


def collated(examples: Sequence[Example], *, size: int) -> Batch:
    """One batch of `size`, the last example repeated as invalid."""
    padded = [*examples, *[examples[-1]] * (size - len(examples))]

    def stacked(field: str, *, dtype: type) -> jax.Array:
        return jnp.asarray(np.stack([getattr(example, field) for example in padded]).astype(dtype))

    return Batch(
        image=stacked("image", dtype=np.float32)[..., None] / 255,
        strokes=stacked("strokes", dtype=np.bool_),
        label=stacked("label", dtype=np.uint8),
        centreline=stacked("centreline", dtype=np.float32),
        presence=stacked("presence", dtype=np.bool_),
        valid=jnp.arange(size) < len(examples),
    )
