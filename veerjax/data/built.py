"""Reading built datasets by position: examples one by one, and the same `Batch` that the renderer yields."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from jaxtyping import Array, Float

from veerjax.config import nearest, require
from veerjax.data.example import Example, example_of
from veerjax.errors import InputError
from veerjax.labels import CODINGS, UNKNOWN_CODING
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

    splits = split_names(name, data_dir=data_dir)
    require(split in splits, f"{name} has no split {split!r}; it has {', '.join(splits)}{nearest(split, splits)}.")
    return BuiltSplit(tfds.data_source(name, data_dir=Path(data_dir), split=split))


def split_names(name: str, *, data_dir: str | Path) -> list[str]:
    """The splits that a built dataset has.

    Raises:
        InputError: unknown name, or not built there.
    """
    from veerjax.data.build.raster_logs import RasterLogs, config_of

    builder = RasterLogs(data_dir=Path(data_dir), config=config_of(name))
    if not builder.data_path.exists():
        raise InputError(
            f"{name} is not built in {data_dir}; build it by veerjax data build --name {name} --data-dir {data_dir}."
        )
    return list(builder.info.splits)


def content_digest(name: str, *, data_dir: str | Path) -> str:
    """A digest of what a built dataset was made of and how many examples came of it; the same wherever it lies.

    Raises:
        InputError: unknown name, or not built there.
    """
    from veerjax.data.build.raster_logs import RasterLogs, config_of

    split_names(name, data_dir=data_dir)
    info = RasterLogs(data_dir=Path(data_dir), config=config_of(name)).info
    counts = {split: found.num_examples for split, found in sorted(info.splits.items())}
    content = json.dumps([name, dict(info.metadata or {}), counts], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def collated(examples: Sequence[Example]) -> Batch:
    """One batch of examples of one size, in the host's memory: it is for the reader to say which devices get it."""

    def stacked(field: str, *, dtype: type) -> Any:
        return np.stack([getattr(example, field) for example in examples]).astype(dtype)

    codings = [[coding_index(name) for name in example.metadata.get("coding", ("", ""))] for example in examples]
    return Batch(
        image=with_channel_axis(stacked("image", dtype=np.float32)) / 255,
        strokes=stacked("strokes", dtype=np.bool_),
        label=stacked("label", dtype=np.uint8),
        centreline=stacked("centreline", dtype=np.float32),
        presence=stacked("presence", dtype=np.bool_),
        valid=cast(Any, np.ones(len(examples), bool)),
        coding=cast(Any, np.asarray(codings, np.int32)),
    )


def with_channel_axis(
    images: Float[Array, "batch height width *channels"],
) -> Float[Array, "batch height width channels"]:
    """Images with an axis for their channels."""
    return images[..., None] if images.ndim == 3 else images


def coding_index(name: str) -> int:
    """The position in `labels.CODINGS`, or `UNKNOWN_CODING`."""
    return CODINGS.index(name) if name in CODINGS else UNKNOWN_CODING
