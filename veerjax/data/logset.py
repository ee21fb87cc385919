"""Logs whose truth is known, by position: drawn, built, or a folder of pairs. What evaluation reads."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from veerjax.config import require
from veerjax.data.rendered import rendered_examples
from veerjax.errors import InputError
from veerjax.synthesis.draw import SETTINGS
from veerjax.types import Batch

TEST_HEIGHT, TEST_WIDTH = 512, 256  # [px] of rendered logs
RENDERED_LOGS = 1000
SPLITS = ("validation", "test")
ALL = "all"  # every split of a built dataset, one after another
Positions = Int[np.ndarray, " logs"]


@dataclass(frozen=True, kw_only=True)
class Portion:
    """Some logs of a set, of one size, with their names."""

    positions: Positions  # in the set; fewer than the batch holds where it is filled up
    batch: Batch
    names: tuple[str, ...]  # of the valid ones
    wells: tuple[str | None, ...]  # where each comes from, if that is known


@dataclass(frozen=True, kw_only=True)
class LogSet:
    """Any number of logs, read by position."""

    data: str
    split: str
    sizes: Sequence[tuple[int, int]]  # height and width [px] of each log
    read: Callable[[Positions], tuple[Batch, list[str], list[str | None]]]  # of logs of one size

    def __len__(self) -> int:
        return len(self.sizes)

    def portions(self, batch: int, *, of: Sequence[int] | None = None) -> Iterator[Portion]:
        """Every log exactly once, logs of a size together; the last portion of a size repeats its last log as invalid.

        Args:
            batch: logs at a time
            of: positions of the logs that are read; all by default
        """
        chosen = np.arange(len(self)) if of is None else np.asarray(of, int)
        sizes = np.asarray(self.sizes)[chosen]
        for size in np.unique(sizes, axis=0):
            positions = chosen[(sizes == size).all(axis=1)]
            for start in range(0, len(positions), batch):
                yield self.portion(positions[start : start + batch], batch=batch)

    def portion(self, positions: Positions, *, batch: int) -> Portion:
        """These logs, which are of one size, filled up to `batch` with their last one."""
        padded = np.concatenate([positions, np.repeat(positions[-1:], batch - len(positions))])
        whole, names, wells = self.read(padded)
        valid = jnp.arange(batch) < len(positions)
        count = len(positions)
        return Portion(
            positions=positions,
            batch=replace(whole, valid=valid),
            names=tuple(names[:count]),
            wells=tuple(wells[:count]),
        )


def open_logs(
    data: str,
    *,
    split: str = "test",
    data_dir: Path | None = None,
    limit: int | None = None,
    channels: int = 1,
) -> LogSet:
    """The logs that a name stands for.

    Args:
        data: a rendered setting, `raster_logs/CONFIG`, or a folder of pairs (see `data.folder`)
        split: `validation` or `test`, also `all` of a built dataset; a folder has none, and takes any of these
        data_dir: where a built dataset lies
        limit: logs at most, at least 1
        channels: of rendered logs; others have their own

    Raises:
        InputError: unknown data or split, nothing there, a limit below 1, or a dataset of other classes.
    """
    require(limit is None or limit >= 1, f"the limit is {limit} logs; it must be at least 1, or None for all.")
    if data in SETTINGS:
        require(split in SPLITS, f"--split is {split!r}; {data} has validation and test.")
        return rendered_set(data, split=split, count=limit or RENDERED_LOGS, channels=channels)
    if data.startswith("raster_logs/"):
        if data_dir is None:
            raise InputError(f"--data {data} is a built dataset; say where it lies with --data-dir.")
        return built_set(data, split=split, data_dir=data_dir, limit=limit)
    require(
        Path(data).is_dir(),
        f"there is no data {data!r}; write a rendered setting ({', '.join(SETTINGS)}), a built dataset such as "
        "raster_logs/las, or a folder of pairs NAME.png and NAME.label.png.",
    )
    require(
        split in (*SPLITS, ALL),
        f"--split is {split!r}; a folder of pairs has no splits, all of it is read: leave it out.",
    )
    from veerjax.data.folder import folder_set

    return folder_set(Path(data), limit=limit)


def rendered_set(
    setting: str,
    *,
    split: str,
    count: int,
    height: int = TEST_HEIGHT,
    width: int = TEST_WIDTH,
    channels: int = 1,
) -> LogSet:
    """The first `count` logs of a setting's split, drawn when they are read."""
    size = {"height": height, "width": width, "channels": channels}

    def read(positions: Positions) -> tuple[Batch, list[str], list[str | None]]:
        batch = rendered_examples(setting, split=split, indices=jnp.asarray(positions), **size)
        return batch, [f"{setting}/{split}/{index:05d}" for index in positions], [None] * len(positions)

    return LogSet(data=setting, split=split, sizes=[(height, width)] * count, read=read)


def built_set(name: str, *, split: str, data_dir: Path, limit: int | None) -> LogSet:
    """The first logs of a built dataset's split, or of `all` its splits."""
    from veerjax.data import built

    names = built.split_names(name, data_dir=data_dir) if split == ALL else [split]
    sources = [built.load_built(name, data_dir=data_dir, split=part) for part in names]
    where = [(source, index) for source in sources for index in range(len(source))][:limit]
    require(len(where) > 0, f"{name} in {data_dir} has no log in the split {split!r}; build it with some.")

    def read(positions: Positions) -> tuple[Batch, list[str], list[str | None]]:
        examples = [where[position][0][where[position][1]] for position in positions]
        wells = [example.metadata.get("well") for example in examples]
        return built.collated(examples), [example.key for example in examples], wells

    height, width = where[0][0][where[0][1]].label.shape
    return LogSet(data=name, split=split, sizes=[(height, width)] * len(where), read=read)


def checked_classes(batch: Batch, names: Sequence[str], *, classes: int) -> None:
    """Refuses labels that hold ids which the metrics would count nowhere.

    Raises:
        InputError: an id of `classes` or more; the first log that holds one is named.
    """
    most = np.asarray(jax.device_get(jnp.max(batch.label, axis=(1, 2))))
    for name, greatest in zip(names, most, strict=False):
        require(
            greatest < classes,
            f"the label of {name} holds the class {greatest}; veerjax knows 0 background, 1 the solid curve and "
            "2 the broken one: relabel the data.",
        )
