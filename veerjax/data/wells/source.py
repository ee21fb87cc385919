"""The curves of LAS files, drawn, as a source of examples."""

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Float64, UInt32

from veerjax.config import require
from veerjax.data.digest import file_digest, name_number
from veerjax.data.example import Example
from veerjax.data.identity import exchanged, out_of_order
from veerjax.data.rendered_source import CHUNK, coding_names, pictures, rows_of
from veerjax.data.source import LAS
from veerjax.data.tried import tried
from veerjax.data.wells.split import split_of_wells
from veerjax.data.wells.variants import variant
from veerjax.data.wells.windows import (
    WindowSpec,
    bridged,
    check_usable,
    depth_in_feet,
    las_files,
    present_rows,
    px_per_ft_of,
    windows_of_well,
)
from veerjax.logs.las import read_las
from veerjax.synthesis.draw import MARGIN_PX, RENDERER, SPLITS, draw_curves
from veerjax.synthesis.settings import setting_of
from veerjax.types import Batch

OPEN_FILES = 4  # whose curves a process keeps


@dataclass(frozen=True, kw_only=True)
class RealWindow:
    """Two real curves ready to draw, with all that is known of them: what a worker needs, wherever it runs."""

    key: str
    x: Float64[np.ndarray, "2 rows"]  # [px], margin rows included; NaN where null
    provenance: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class WindowPlace:
    """Where a window is found again."""

    file: str
    position: int  # among the file's windows
    copy: int  # 0 for the window itself


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a folder holds."""

    wells: dict[str, list[str]]  # the well of each window, by file
    refused: tuple[str, ...]  # a sentence on each file that cannot be used


@dataclass(frozen=True, kw_only=True)
class LasSource:
    """Every window of every well of a folder of LAS files, and changed copies of those for training."""

    folder: Path
    height: int  # [px]
    width: int  # [px]
    seed: int = 0  # of the looks and the copies
    look: str = "standard"  # the rendered setting that they are drawn under
    augment: int = 0  # copies of each training window
    keep_going: bool = False  # leave out files that cannot be used

    def chunks(self) -> dict[str, Sequence[tuple[RealWindow, ...]]]:
        """Windows of each split, by file, pair and depth; copies follow their window.

        Raises:
            InputError: no such folder, no LAS file in it, one that cannot be used (unless `keep_going`), or none that
                can.
        """
        found, split_of = self.found(), self.splits()
        places: dict[str, list[WindowPlace]] = {split: [] for split in SPLITS}
        for file, wells in found.wells.items():
            for position, well in enumerate(wells):
                split = split_of[well]
                copies = self.augment if split == "train" else 0
                places[split] += [WindowPlace(file=file, position=position, copy=copy) for copy in range(copies + 1)]
        return {split: WindowChunks(self, split, held) for split, held in places.items() if held}

    def make(self, split: str, chunk: tuple[RealWindow, ...]) -> list[Example]:
        """The windows drawn, each under a look that its key and the seed fix."""
        del split
        padded = [*chunk, *[chunk[-1]] * (CHUNK - len(chunk))]
        batch = draw_windows(
            np.int32(self.seed),
            np.array([look_number(window.key) for window in padded], np.uint32),
            np.stack([bridged(window.x) for window in padded]).astype(np.float32),
            np.stack([np.isfinite(window.x) for window in padded]),
            width=self.width,
            look=self.look,
        )
        return [example_of_window(window, drawn) for window, drawn in zip(chunk, rows_of(batch), strict=False)]

    def as_metadata(self) -> dict[str, Any]:
        """What the examples depend on; the folder counts by what its files hold."""
        plain = {key: value for key, value in dataclasses.asdict(self).items() if key not in ("folder", "keep_going")}
        return {
            "config": LAS,
            **plain,
            "renderer": RENDERER,
            "las_files": self.digests,
            "wells": self.splits(),
            "left_out": list(self.refused),
        }

    @functools.cached_property
    def digests(self) -> dict[str, str]:
        """What the LAS files of the folder held when they were first asked for, by name.

        Raises:
            InputError: there is no such folder, or no LAS file in it.
        """
        return {path.name: file_digest(path) for path in las_files(self.folder)}

    @property
    def refused(self) -> tuple[str, ...]:
        """A sentence on each file that is left out."""
        return self.found().refused

    def splits(self) -> dict[str, str]:
        """The split of each well."""
        return split_of_wells(well for wells in self.found().wells.values() for well in wells)

    def found(self) -> Found:
        """The usable files.

        Raises:
            InputError: no such folder, no LAS file in it, one that cannot be used (unless `keep_going`), or none that
                can.
        """
        found = found_in(self.folder, tuple(self.digests.items()), self.height, self.width)
        check_usable(found.wells, found.refused, folder=self.folder)
        require(
            self.keep_going or not found.refused,
            f"{len(found.refused)} of {len(self.digests)} LAS files cannot be used: {' '.join(found.refused)} Correct "
            "or remove them, or build from the others with --keep-going.",
        )
        return found

    def window(self, split: str, place: WindowPlace) -> RealWindow:
        """The window of that place."""
        path, digest = self.folder / place.file, self.digests[place.file]
        depth_ft, windows = windows_of_file(path, digest, self.height, self.width)
        window, change = windows[place.position], None
        if place.copy:
            window, change = variant(window, depth_ft, number=place.copy, seed=self.seed)
        provenance = {
            "setting": LAS,
            "look": self.look,
            "seed": self.seed,
            "split": split,
            "index": window.index,
            "well": window.well,
            "file": window.file,
            "pair": window.pair,
            "curves": [dataclasses.asdict(curve.scale) for curve in window.curves],
            "depth_top_ft": window.depth_top_ft,
            "depth_bottom_ft": window.depth_bottom_ft,
            "augmentation": change,
        }
        key = f"{window.name}/{place.copy}" if place.copy else window.name
        found = RealWindow(key=key, x=window.x, provenance=provenance)
        return left_one_first(found, width=self.width) if setting_of(self.look).pens == "identical" else found


class WindowChunks(Sequence[tuple[RealWindow, ...]]):
    """Windows a chunk at a time, read when they are asked for: curves of many wells need not be in memory at once."""

    def __init__(self, source: LasSource, split: str, places: list[WindowPlace]) -> None:
        self.source, self.split, self.places = source, split, places

    def __len__(self) -> int:
        return -(-len(self.places) // CHUNK)

    @overload
    def __getitem__(self, index: int) -> tuple[RealWindow, ...]: ...

    @overload
    def __getitem__(self, index: slice) -> list[tuple[RealWindow, ...]]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        position = range(len(self))[index]
        places = self.places[position * CHUNK : (position + 1) * CHUNK]
        return tuple(self.source.window(self.split, place) for place in places)


@functools.lru_cache(maxsize=1)
def found_in(folder: Path, digests: tuple[tuple[str, str], ...], height: int, width: int) -> Found:
    """The windows of a folder's files, and why others have none; digests tell a folder from what it was."""

    def wells_of(file: tuple[str, str]) -> tuple[str, list[str]]:
        name, digest = file
        return name, [window.well for window in windows_of_file(folder / name, digest, height, width)[1]]

    wells, refused = tried(digests, wells_of, keep_going=True)
    return Found(wells=dict(wells), refused=refused)


@functools.lru_cache(maxsize=OPEN_FILES)
def windows_of_file(
    path: Path, digest: str, height: int, width: int
) -> tuple[Float64[np.ndarray, " samples"], list[WindowSpec]]:
    """Depth [ft] and windows of one file, kept for a while; the digest tells it from what lay there before.

    Raises:
        InputError: it cannot be read, or has no window; the file is named.
    """
    del digest
    well = read_las(path)
    windows = windows_of_well(well, file=path.name, height=height, width=width, px_per_ft=px_per_ft_of(width))
    return depth_in_feet(well), windows


def left_one_first(window: RealWindow, *, width: int) -> RealWindow:
    """A window for identical ink, its curves in the order that the renderer gives them, so that it finds them so."""
    x = window.x.astype(np.float32)  # as it is drawn
    if not out_of_order(x[:, MARGIN_PX:-MARGIN_PX], present_rows(x, width=width)):
        return window
    return dataclasses.replace(window, x=window.x[::-1], provenance=exchanged(window.provenance))


def look_number(key: str) -> int:
    """The look of an example depends on its key alone, so that it stays when others come and go."""
    return name_number(key, bits=32)


@functools.partial(jax.jit, static_argnames=("width", "look"))
def draw_windows(
    seed: Array,
    numbers: UInt32[Array, " batch"],
    x: Float[Array, "batch 2 rows"],
    drawn: Bool[Array, "batch 2 rows"],
    *,
    width: int,
    look: str,
) -> Batch:
    """A batch of given curves, each under the look of its number."""
    keys = jax.vmap(lambda number: jax.random.fold_in(jax.random.key(seed), number))(numbers)
    return jax.vmap(lambda key, x, drawn: draw_curves(key, x, drawn, width=width, setting=look))(keys, x, drawn)


def example_of_window(window: RealWindow, drawn: dict[str, np.ndarray]) -> Example:
    """A drawn window; its centreline is exact wherever drawing has not moved the curve."""
    height = drawn["centreline"].shape[1]
    margin = (window.x.shape[1] - height) // 2
    exact = bridged(window.x)[:, margin : margin + height]
    unmoved = drawn["centreline"] == exact.astype(np.float32)
    return Example(
        key=window.key,
        centreline=np.where(unmoved, exact, drawn["centreline"].astype(np.float64)),
        presence=drawn["presence"],
        metadata={**window.provenance, "coding": coding_names(drawn)},
        **pictures(drawn),
    )
