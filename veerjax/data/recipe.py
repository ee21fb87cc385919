"""What a dataset is made from, and the making of its examples."""

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, UInt32

from veerjax.config import choice, require
from veerjax.data.example import Example
from veerjax.data.rendered import rendered_batches
from veerjax.data.wells import WindowSpec, las_files, split_of_wells, well_windows
from veerjax.errors import InputError
from veerjax.labels import CODINGS
from veerjax.synthesis.draw import SETTINGS, SPLITS, draw_curves
from veerjax.types import Batch

T = TypeVar("T")

LAS = "las"
CONFIGS = (*SETTINGS, LAS)
RENDER_BATCH = 8  # examples drawn at a time
DEFAULT_NUM = 500


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that a built dataset depends on."""

    config: str  # one of `CONFIGS`
    height: int = 512  # [px]
    width: int = 256  # [px]
    seed: int = 0  # of the training split of a rendered setting, and of the look of real curves
    num: int | None = None  # examples of a rendered setting in each split; `DEFAULT_NUM` if None
    las_dir: Path | None = None  # whose curves `las` draws

    def __post_init__(self) -> None:
        choice("the dataset's config", self.config, CONFIGS)
        size = f"examples of {self.height} x {self.width} px were asked for"
        require(min(self.height, self.width) >= 16, f"{size}; each side must be at least 16 px.")
        require(self.num is None or self.num >= 1, f"{self.num} examples were asked for; at least 1 is needed.")
        if self.config != LAS:
            require(
                self.las_dir is None,
                f"{self.config} draws random curves; a folder of LAS files is for {LAS!r}.",
            )
            return
        require(self.las_dir is not None, f"{LAS!r} draws real curves; give the folder of LAS files (--las-dir).")
        require(self.num is None, f"{LAS!r} takes every window of every well; leave the number of examples out.")

    def as_metadata(self) -> dict[str, Any]:
        """Plain values to store beside the data; a folder counts by what its files hold, wherever it lies."""
        files = las_files(self.las_dir) if self.las_dir else []
        digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**plain, "num": self.count, "las_dir": None, "las_files": digests, "wells": self.wells}

    @property
    def count(self) -> int | None:
        """Examples of a rendered setting in each split; None for real curves, whose windows decide."""
        return self.num or (None if self.config == LAS else DEFAULT_NUM)

    @functools.cached_property
    def windows(self) -> list[WindowSpec]:
        """The windows of the folder's wells; none for a rendered setting."""
        return well_windows(self.las_dir, height=self.height, width=self.width) if self.las_dir else []

    @property
    def wells(self) -> dict[str, str]:
        """The split of each well."""
        return split_of_wells(window.well for window in self.windows)

    def examples(self) -> dict[str, Iterator[Example]]:
        """The examples of each split that has any, drawn while they are asked for."""
        count = self.count
        if count is not None:
            return {split: rendered_examples(self, split, count=count) for split in SPLITS}
        split_of = self.wells
        by_split = {split: [w for w in self.windows if split_of[w.well] == split] for split in SPLITS}
        return {split: real_examples(windows, self, split) for split, windows in by_split.items() if windows}


def rendered_examples(recipe: Recipe, split: str, *, count: int) -> Iterator[Example]:
    """The first `count` samples of a setting's split."""
    batches = rendered_batches(
        recipe.config,
        split=split,
        count=count,
        batch=RENDER_BATCH,
        height=recipe.height,
        width=recipe.width,
        seed=recipe.seed,
    )
    for index, drawn in enumerate(rows_of(one_ahead(batches))):
        provenance = {"setting": recipe.config, "seed": recipe.seed, "split": split, "index": index}
        provenance["coding"] = coding_names(drawn)
        yield Example(
            key=f"{recipe.config}/{split}/{recipe.seed}/{index:08d}",
            centreline=drawn["centreline"].astype(np.float64),
            presence=drawn["presence"],
            metadata=provenance,
            **pictures(drawn),
        )


def real_examples(windows: Sequence[WindowSpec], recipe: Recipe, split: str) -> Iterator[Example]:
    """Real curves under a random look, which is fixed by the seed and the window's name.

    Centrelines are those of the window in full precision, not the ones that drawing rounds to float32.
    """
    drawn_windows = rows_of(one_ahead(window_batches(windows, seed=recipe.seed)))
    for window, drawn in zip(windows, drawn_windows, strict=True):
        provenance = {
            "setting": recipe.config,
            "seed": recipe.seed,
            "split": split,
            "index": window.index,
            "well": window.well,
            "file": window.file,
            "pair": window.pair,
            "curves": [dataclasses.asdict(curve.scale) for curve in window.curves],
            "depth_top_ft": window.depth_top_ft,
            "depth_bottom_ft": window.depth_bottom_ft,
            "coding": coding_names(drawn),
        }
        yield Example(
            key=window.name,
            centreline=window.centreline,
            presence=window.presence,
            metadata=provenance,
            **pictures(drawn),
        )


def window_batches(windows: Sequence[WindowSpec], *, seed: int) -> Iterator[Batch]:
    """Windows drawn a few at a time; the last batch repeats its last window, marked as not valid."""
    for start in range(0, len(windows), RENDER_BATCH):
        group = windows[start : start + RENDER_BATCH]
        padded = [*group, *[group[-1]] * (RENDER_BATCH - len(group))]
        batch = draw_windows(
            np.int32(seed),
            np.array([look_number(window) for window in padded], np.uint32),
            np.stack([window.filled for window in padded]).astype(np.float32),
            np.stack([window.drawn for window in padded]),
            width=group[0].width,
        )
        yield dataclasses.replace(batch, valid=np.arange(RENDER_BATCH) < len(group))


def look_number(window: WindowSpec) -> int:
    """A number that depends on the window's name alone, so that its look stays when others come and go."""
    return int.from_bytes(hashlib.sha256(window.name.encode()).digest()[:4], "big")


@functools.partial(jax.jit, static_argnames="width")
def draw_windows(
    seed: Array,
    numbers: UInt32[Array, " batch"],
    x: Float[Array, "batch 2 rows"],
    drawn: Bool[Array, "batch 2 rows"],
    *,
    width: int,
) -> Batch:
    """A batch of given curves, each under the look of its number."""
    keys = jax.vmap(lambda number: jax.random.fold_in(jax.random.key(seed), number))(numbers)
    return jax.vmap(lambda key, x, drawn: draw_curves(key, x, drawn, width=width))(keys, x, drawn)


def pictures(drawn: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The 8-bit image, strokes and label of one drawn example."""
    # The renderer rounds to 255ths, so nothing is lost.
    image = np.rint(drawn["image"][..., 0] * 255).astype(np.uint8)
    return {"image": image, "strokes": drawn["strokes"], "label": drawn["label"]}


def coding_names(drawn: dict[str, np.ndarray]) -> list[str]:
    """The codings of one drawn example's curves."""
    return [CODINGS[index] for index in drawn["coding"]]


def rows_of(batches: Iterable[Batch]) -> Iterator[dict[str, np.ndarray]]:
    """The valid examples of batches, one by one, on the host."""
    for batch in batches:
        arrays = jax.device_get(vars(batch))
        for row in np.flatnonzero(arrays["valid"]):
            yield {name: array[row] for name, array in arrays.items()}


def one_ahead(items: Iterable[T]) -> Iterator[T]:
    """Each item once the next was asked for: the device draws one batch while the host encodes another."""
    held: list[T] = []
    for item in items:
        held.append(item)
        if len(held) > 1:
            yield held.pop(0)
    yield from held


def unique(examples: Iterable[Example]) -> Iterator[Example]:
    """The examples as they come; TFDS would report a repeated key as a missing TensorFlow.

    Raises:
        InputError: a key comes twice.
    """
    seen: set[str] = set()
    for example in examples:
        if example.key in seen:
            raise InputError(f"two examples are called {example.key!r}; rename one of the files it comes from.")
        seen.add(example.key)
        yield example
