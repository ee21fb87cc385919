"""Real scans as a source of examples: windows of calibrated tracks, their truth given by a label or drawn from LAS."""

import dataclasses
import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veerjax.config import require
from veerjax.data.digest import file_digest
from veerjax.data.example import Example
from veerjax.data.scans.files import groups, log_of
from veerjax.data.scans.manifest import ManifestLogs, manifest_rows
from veerjax.data.scans.opened import LabelFiles, PlacedStrip, ScannedLog, opened
from veerjax.data.scans.strips import WorkingStrip, working_strips
from veerjax.data.source import FOLDER, KGS, Chunk
from veerjax.data.tried import tried
from veerjax.data.wells.split import split_of_wells, well_key
from veerjax.labels import label_of
from veerjax.logs.units import FT_PER_M
from veerjax.synthesis.draw import SPLITS

MANIFEST = "manifest.csv"
CHUNK_WINDOWS = 32


@dataclass(frozen=True, kw_only=True)
class StripPlan:
    """The windows to cut out of one track of a scan."""

    log: ScannedLog
    number: int  # of the track
    well: str | None
    windows: tuple[int, ...]  # their positions down the strip

    @property
    def origin(self) -> str:
        """What belongs to one split as a whole: the well, or a scan of unknown well by itself."""
        return well_key(self.well or self.log.name)


@dataclass(frozen=True, kw_only=True)
class ScanSource:
    """Windows of scans, an `ExampleSource`; made by `folder_source` or `kgs_source`, which have checked every file."""

    setting: str
    folder: Path
    height: int  # of a window [px]
    width: int  # that tracks are rescaled to [px]
    stroke_px: float | None  # of strokes to draw [px of the scan]; measured where None
    strips: tuple[StripPlan, ...]
    splits: dict[str, str]  # by origin
    refused: tuple[str, ...]  # why some scans were left out, a sentence for each

    def chunks(self) -> dict[str, Sequence[Chunk]]:
        """Some windows of one strip each: the strip's position and those of the first window and the one after."""
        found: dict[str, list[Chunk]] = {split: [] for split in SPLITS}
        for position, strip in enumerate(self.strips):
            count = len(strip.windows)
            starts = range(0, count, CHUNK_WINDOWS)
            found[self.splits[strip.origin]] += [(position, s, min(s + CHUNK_WINDOWS, count)) for s in starts]
        return {split: chunks for split, chunks in found.items() if chunks}

    def make(self, split: str, chunk: Chunk) -> list[Example]:
        """The windows of a chunk."""
        position, first, after = chunk
        plan = self.strips[position]
        strip = working_strips(plan.log, width=self.width, stroke_px=self.stroke_px)[plan.number]
        return [self.example(plan, strip, index, split=split) for index in plan.windows[first:after]]

    def example(self, plan: StripPlan, strip: WorkingStrip, index: int, *, split: str) -> Example:
        """One window with its provenance."""
        rows = strip.place.frame.rows
        start = window_start(index, rows=rows, height=self.height)
        image, truth = strip.window(start, self.height)
        provenance = {
            "setting": self.setting,
            "split": split,
            "index": index,
            "well": plan.well,
            "file": self.relative(plan.log.scan),
            "las": None if plan.log.truth.las is None else self.relative(plan.log.truth.las),
            "track": plan.number,
            "truth": "given" if isinstance(plan.log.truth, LabelFiles) else "drawn",
            "curves": [dataclasses.asdict(curve) for curve in strip.place.curves],
            **depths_ft(strip, start, start + self.height),
            "stroke_px": truth.stroke_px,
            "row_px": float(strip.place.frame.scan_row(start)),
            "left_px": strip.place.frame.left,
            "px_per_scan_px": strip.place.frame.scale,
        }
        return Example(
            key=f"{self.setting}/{plan.log.name}/track{plan.number}/{index:05d}",
            image=image,
            strokes=truth.strokes,
            label=label_of(truth.strokes),
            centreline=truth.centreline,
            presence=truth.presence,
            metadata=provenance,
        )

    def as_metadata(self) -> dict[str, Any]:
        """All that the examples depend on."""
        return {
            "setting": self.setting,
            "height": self.height,
            "width": self.width,
            "stroke_px": self.stroke_px,
            "files": self.digests,
            "wells": self.splits,
        }

    @functools.cached_property
    def digests(self) -> dict[str, str]:
        """What the files hold, by their names as seen from the folder."""
        paths = {path for strip in self.strips for path in strip.log.files}
        return {self.relative(path): file_digest(path) for path in sorted(paths)}

    def relative(self, path: Path) -> str:
        """A file's name as seen from the folder."""
        return Path(os.path.relpath(path, self.folder)).as_posix()


def folder_source(
    folder: str | Path, *, height: int, width: int, keep_going: bool = False, stroke_px: float | None = None
) -> ScanSource:
    """A user's own scans: each beside `NAME.label.png`, or beside `NAME.las` and the calibration `NAME.toml`.

    A label may have a calibration too, whose tracks it is cut into, a table `NAME.pixels.csv`, and a LAS file, which
    names the well. Windows of one well go to one split; a scan of unknown well counts as one by itself.

    Args:
        folder: holds the files
        height: of a window [px]
        width: that tracks are rescaled to [px]
        keep_going: leave out what cannot be used, and say why in `refused`
        stroke_px: width of the strokes drawn from LAS files [px of the scan], of which 16 px at the working width are
            drawn at most; measured on the scan where None

    Raises:
        InputError: the first file that cannot be used, or none can.
    """
    folder = Path(folder)
    found = groups(folder)
    logs, refused = tried(found, lambda name: log_of(name, found[name]), keep_going=keep_going)
    shape = {"height": height, "width": width}
    return source_of(logs, refused, setting=FOLDER, folder=folder, keep_going=keep_going, stroke_px=stroke_px, **shape)


def kgs_source(
    folder: str | Path,
    *,
    manifest: str | Path | None = None,
    height: int,
    width: int,
    keep_going: bool = False,
    stroke_px: float | None = None,
) -> ScanSource:
    """Scans of the Kansas Geological Survey with the LAS files of the same wells, as the user has downloaded them.

    Args:
        folder: holds the manifest, unless that is given
        manifest: a CSV with the columns scan, las and calibration, paths as seen from the manifest, and optionally
            well and split; `manifest.csv` in the folder if None
        height: of a window [px]
        width: that tracks are rescaled to [px]
        keep_going: leave out what cannot be used, and say why in `refused`
        stroke_px: width of the strokes [px of the scan], as for `folder_source`; measured on the scan where None

    Raises:
        InputError: an unusable manifest, the first row that cannot be used, or none can.
    """
    folder = Path(folder)
    path = folder / MANIFEST if manifest is None else Path(manifest)
    require(folder.is_dir(), f"there is no folder {str(folder)!r}; give the one that holds the scans.")
    logs, refused = tried(manifest_rows(path), ManifestLogs().log, keep_going=keep_going)
    shape = {"height": height, "width": width}
    return source_of(logs, refused, setting=KGS, folder=folder, keep_going=keep_going, stroke_px=stroke_px, **shape)


def source_of(
    logs: Sequence[ScannedLog],
    refused: Sequence[str],
    *,
    height: int,
    width: int,
    keep_going: bool,
    stroke_px: float | None,
    **fields: Any,
) -> ScanSource:
    """The source of some logs, each read once to check it.

    Raises:
        InputError: a log that cannot be used, or none can; scans of one well with different splits; a stroke without
            width.
    """
    require(stroke_px is None or stroke_px > 0, f"the strokes are {stroke_px} px wide; the width must be above 0.")
    planned, more = tried(logs, lambda log: plans_of(log, height=height, width=width), keep_going=keep_going)
    refused = (*refused, *more)
    strips = tuple(strip for strips in planned for strip in strips)
    require(bool(strips), f"no scan in {fields['folder']} can be used: {' '.join(refused)}")
    splits = splits_of(strips)
    return ScanSource(
        height=height, width=width, stroke_px=stroke_px, strips=strips, splits=splits, refused=refused, **fields
    )


def plans_of(log: ScannedLog, *, height: int, width: int) -> list[StripPlan]:
    """The windows of a log's tracks.

    Where curves are to be drawn, windows without any are left out: that a LAS file says nothing of a stretch does not
    mean that nothing is plotted there.

    Raises:
        InputError: its files cannot be used.
    """
    found = opened(log, width=width)
    plans = []
    for strip in found.strips:
        rows = strip.place.frame.rows
        windows = range(max(-(-rows // height), 1))
        if isinstance(strip, PlacedStrip):
            present = strip.placed.presence[0] | strip.placed.presence[1]
            starts = {index: window_start(index, rows=rows, height=height) for index in windows}
            windows = [index for index, start in starts.items() if present[start : start + height].any()]
        plans.append(StripPlan(log=log, number=strip.place.number, well=found.well, windows=tuple(windows)))
    return [plan for plan in plans if plan.windows]


def window_start(index: int, *, rows: int, height: int) -> int:
    """A window's first row; the last window ends with the strip, over rows of the one before."""
    return max(min(index * height, rows - height), 0)


def splits_of(strips: Sequence[StripPlan]) -> dict[str, str]:
    """The split of each origin: the declared one, and of the others by their names.

    Raises:
        InputError: one well is declared to be in two splits.
    """
    declared: dict[str, StripPlan] = {}
    for strip in strips:
        if strip.log.split:
            first = declared.setdefault(strip.origin, strip)
            require(
                first.log.split == strip.log.split,
                f"{first.log.scan} and {strip.log.scan} are of the well {strip.well}, but one is for {first.log.split}"
                f" and the other for {strip.log.split}; a well belongs to one split.",
            )
    rest = split_of_wells({strip.origin for strip in strips} - declared.keys())
    return dict(sorted((rest | {origin: strip.log.split for origin, strip in declared.items()}).items()))


def depths_ft(strip: WorkingStrip, top: int, bottom: int) -> dict[str, float | None]:
    """The depths at the edges of a window [ft]; None without a calibration."""
    depth = strip.place.depth
    names = ("depth_top_ft", "depth_bottom_ft")
    if depth is None:
        return dict.fromkeys(names)
    factor = FT_PER_M if depth.unit == "m" else 1.0
    at = depth.depth(strip.place.frame.scan_row([top, bottom])) * factor
    return dict(zip(names, at.tolist(), strict=True))
