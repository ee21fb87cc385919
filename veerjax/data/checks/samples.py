"""Examples as a person or a check looks at them: one by one on the host, by split, wherever they come from."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, UInt8

from veerjax.config import choice, require
from veerjax.data.built import Source, load_built, split_names
from veerjax.data.example import Example
from veerjax.data.logset import ALL, TEST_HEIGHT, TEST_WIDTH
from veerjax.data.rendered import rendered_examples
from veerjax.data.rendered_source import channels_of
from veerjax.labels import CODINGS, UNKNOWN_CODING
from veerjax.synthesis.draw import SETTINGS, SPLITS
from veerjax.synthesis.settings import has_second_pair
from veerjax.types import Batch

PREFIX = "raster_logs/"
TOGETHER = 8  # examples drawn or read at a time
ANY_SPLIT = (*SPLITS, ALL)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One example on the host."""

    name: str
    split: str
    image: Float[np.ndarray, "height width channels"]  # grey level or red, green, blue, 0 black to 1 white
    strokes: Bool[np.ndarray, "2 height width"]
    label: UInt8[np.ndarray, "height width"]
    centreline: Float[np.ndarray, "2 height"]  # [px]
    presence: Bool[np.ndarray, "2 height"]
    coding: tuple[str, ...] = ("", "")  # of each curve, empty where it is not known
    well: str | None = None
    second_pair: bool = False  # strokes hold two curves of each class, and rows speak of the first ones


@dataclass(frozen=True, kw_only=True)
class SampleSplit:
    """The examples of one split, read by position."""

    data: str
    split: str
    count: int
    read: Callable[[Sequence[int]], list[Sample]]  # raises InputError for what cannot be read
    together: int = TOGETHER  # examples that `read` is best asked for at once
    seeded: bool = False  # another seed names other examples

    def chunks(self, limit: int | None = None) -> Iterator[range]:
        """The first positions, or all, a few at a time."""
        count = min(self.count, limit or self.count)
        for start in range(0, count, self.together):
            yield range(start, min(start + self.together, count))


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a rendered setting is drawn; what is None is the default."""

    height: int | None = None  # [px]
    width: int | None = None  # [px]
    channels: int | None = None
    seed: int | None = None  # of the training split

    def __post_init__(self) -> None:
        for name, value in (("height", self.height), ("width", self.width)):
            require(value is None or value >= 16, f"--{name} is {value}; it must be at least 16 px.")
        require(self.channels in (None, 1, 3), f"--channels is {self.channels}; write 1 (grey) or 3 (colour).")


def open_samples(
    name: str, *, split: str = ALL, data_dir: Path | None = None, count: int, look: Look | None = None
) -> list[SampleSplit]:
    """The splits that a name stands for, each with its first examples.

    Args:
        name: a rendered setting (`standard` or `raster_logs/standard`), a built dataset when `data_dir` is given, or a
            folder of pairs (see `data.folder`)
        split: train, validation, test, or `all`; a folder of pairs has none, and takes any of these
        data_dir: where a built dataset lies
        count: examples of a rendered split, which has no end
        look: of a rendered setting

    Raises:
        InputError: unknown data or split, nothing there, or a look for data that has its own.
    """
    bare, look = name.removeprefix(PREFIX), look or Look()
    if data_dir is None and bare in SETTINGS:
        choice("--split", split, ANY_SPLIT)
        return [rendered_split(bare, part, count=count, look=look) for part in (SPLITS if split == ALL else [split])]
    require(
        look.height is None and look.width is None and look.channels is None,
        f"{name} has its own size and channels; leave --height, --width and --channels out.",
    )
    if data_dir is not None:
        return built_splits(PREFIX + bare, split=split, data_dir=data_dir)
    require(
        not name.startswith(PREFIX),
        f"{name} is no rendered setting ({', '.join(SETTINGS)}); if it is built, say where it lies with --data-dir.",
    )
    require(
        Path(name).is_dir(),
        f"there is no data {name!r}; write a rendered setting ({', '.join(SETTINGS)}), a built dataset such as "
        "raster_logs/las with --data-dir, or a folder of pairs NAME.png and NAME.label.png.",
    )
    choice("--split", split, ANY_SPLIT)
    return [folder_split(Path(name))]


def rendered_split(setting: str, split: str, *, count: int, look: Look) -> SampleSplit:
    """The first examples of a setting's split, drawn when they are read."""
    seed = look.seed or 0

    def read(positions: Sequence[int]) -> list[Sample]:
        filled = [*positions, *[positions[-1]] * (TOGETHER - len(positions))]  # one size compiles once
        batch = rendered_examples(
            setting,
            split=split,
            indices=jnp.asarray(filled),
            height=look.height or TEST_HEIGHT,
            width=look.width or TEST_WIDTH,
            seed=seed,
            channels=look.channels or channels_of(setting),
        )
        drawn = samples_of(batch, [f"{setting}/{split}/{seed}/{index:08d}" for index in positions], split=split)
        return [replace(sample, second_pair=has_second_pair(setting)) for sample in drawn]

    return SampleSplit(data=setting, split=split, count=count, read=read, seeded=split == "train")


def samples_of(batch: Batch, names: Sequence[str], *, split: str) -> list[Sample]:
    """The first examples of a batch, as many as have names."""
    arrays = {key: value for key, value in jax.device_get(vars(batch)).items() if value is not None}
    unknown = np.full((len(names), 2), UNKNOWN_CODING)
    coding = [tuple("" if i == UNKNOWN_CODING else CODINGS[i] for i in row) for row in arrays.get("coding", unknown)]
    fields = ("image", "strokes", "label", "centreline", "presence")
    return [
        Sample(name=name, split=split, coding=coding[row], **{field: arrays[field][row] for field in fields})
        for row, name in enumerate(names)
    ]


def built_splits(name: str, *, split: str, data_dir: Path) -> list[SampleSplit]:
    """Splits of a built dataset; their images and centrelines are those on the disk, in full precision."""
    parts = split_names(name, data_dir=data_dir) if split == ALL else [split]
    return [built_split(name, part, load_built(name, data_dir=data_dir, split=part)) for part in parts]


def built_split(name: str, split: str, source: Source) -> SampleSplit:
    """One split of a built dataset."""

    def read(positions: Sequence[int]) -> list[Sample]:
        return [sample(source[position]) for position in positions]

    def sample(example: Example) -> Sample:
        image = example.image if example.image.ndim == 3 else example.image[..., None]
        return Sample(
            name=example.key,
            split=split,
            image=image.astype(np.float32) / 255,
            strokes=example.strokes,
            label=example.label,
            centreline=example.centreline,
            presence=example.presence,
            coding=tuple(example.metadata.get("coding", ("", ""))),
            well=example.metadata.get("well"),
            second_pair=has_second_pair(name),
        )

    return SampleSplit(data=name, split=split, count=len(source), read=read)


def folder_split(folder: Path) -> SampleSplit:
    """The pairs of a folder, one by one, because sizes may differ and any of them may be unreadable."""
    from veerjax.data.folder import batch_of, check_names, image_paths, label_path, size_of

    paths = image_paths(folder)

    def read(positions: Sequence[int]) -> list[Sample]:
        return [sample(paths[position]) for position in positions]

    def sample(path: Path) -> Sample:
        check_names([other for other in paths if label_path(other) == label_path(path)])
        size_of(label_path(path))
        return samples_of(batch_of([path]), [path.stem], split=ALL)[0]

    return SampleSplit(data=str(folder), split=ALL, count=len(paths), read=read, together=1)
