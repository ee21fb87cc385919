"""From a folder of LAS files to pairs of real curves, placed on a track as a plotter would place them."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64

from veerjax import labels
from veerjax.config import require
from veerjax.data.tried import tried
from veerjax.data.wells.pairs import TYPICAL_PAIRS, PlottedCurve, TypicalCurve, candidates, plotted
from veerjax.errors import InputError
from veerjax.logs.las import Well, read_las
from veerjax.logs.units import FT_PER_M
from veerjax.synthesis.draw import MARGIN_PX

TRACK_IN = 2.5  # a track is this wide, and becomes the working width
DEPTH_IN_PER_FT = 0.05  # 5 in per 100 ft
MAX_STEPS = 2.5  # samples further apart than this many sampling steps have a gap between them
MIN_PRESENT = 0.5  # of a window's rows, for each curve


@dataclass(frozen=True, kw_only=True)
class WindowSpec:
    """Two real curves over one window of one well, ready for `synthesis.draw.draw_curves`."""

    well: str
    file: str
    pair: str  # a name of `TYPICAL_PAIRS`
    index: int  # of the window, from the top of the well
    curves: tuple[PlottedCurve, PlottedCurve]  # mnemonics and scales
    depth_top_ft: float  # at the top edge of the image's first row
    depth_bottom_ft: float  # at the bottom edge of its last
    width: int  # of the track [px]
    x: Float64[np.ndarray, "2 rows"]  # [px], `MARGIN_PX` rows more at both ends; NaN where the curve is null

    @property
    def name(self) -> str:
        """Unlike that of any other window of the same folder."""
        return f"{self.file}/{self.pair}/{self.index:05d}"

    @property
    def drawn(self) -> Bool[np.ndarray, "2 rows"]:
        """Where there are values, off the track included."""
        return np.isfinite(self.x)

    @property
    def filled(self) -> Float64[np.ndarray, "2 rows"]:
        """`x` without nulls: a renderer computes with these rows, although it draws nothing there."""
        return bridged(self.x)

    @property
    def centreline(self) -> Float64[np.ndarray, "2 height"]:
        """`filled` for the image's own rows [px]."""
        return self.filled[:, MARGIN_PX:-MARGIN_PX]

    @property
    def presence(self) -> Bool[np.ndarray, "2 height"]:
        """The image's own rows in which the curve has a value on the track."""
        return present_rows(self.x, width=self.width)


def well_windows(folder: str | Path, *, height: int, width: int, px_per_ft: float | None = None) -> list[WindowSpec]:
    """Windows of `height` rows down every well, for every pair of curves both on the track in half of them.

    Files come by name, pairs in the order of `TYPICAL_PAIRS`, windows from the top of the well. A warning
    names the files that cannot be read or give no window.

    Args:
        folder: holds `.las` files
        height: of a window [px]
        width: of a track [px]
        px_per_ft: depth scale; by default 5 in/100 ft beside a track of 2.5 in

    Raises:
        InputError: there is no such folder, it has no LAS file, or none gives a window.
    """
    paths = las_files(folder)
    size = {"height": height, "width": width, "px_per_ft": px_per_ft or px_per_ft_of(width)}
    found, refused = tried(paths, lambda path: windows_of_well(read_las(path), file=path.name, **size), keep_going=True)
    check_usable(found, refused, folder=folder)
    if refused:
        warnings.warn(f"{len(refused)} of {len(paths)} LAS files left out: {' '.join(refused)}", stacklevel=2)
    return [window for windows in found for window in windows]


def check_usable(found: Sequence[Any] | Mapping[str, Any], refused: Sequence[str], *, folder: str | Path) -> None:
    """Refuses a folder of which no file can be used.

    Raises:
        InputError: nothing was found.
    """
    known = ", ".join("+".join(curve.name for curve in pair) for pair in TYPICAL_PAIRS.values())
    require(
        bool(found),
        f"no LAS file in {folder} is usable: {'; '.join(text.rstrip('.') for text in refused)}; give LAS files that "
        f"hold one of the pairs {known} on their usual scales.",
    )


def las_files(folder: str | Path) -> list[Path]:
    """The LAS files of a folder, by name.

    Raises:
        InputError: there is no such folder, or no LAS file in it.
    """
    require(Path(folder).is_dir(), f"there is no folder {str(folder)!r}; give one that holds LAS files.")
    paths = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() == ".las")
    require(bool(paths), f"the folder {str(folder)!r} holds no LAS file; give one that does.")
    return paths


def windows_of_well(well: Well, *, file: str, height: int, width: int, px_per_ft: float) -> list[WindowSpec]:
    """All windows of one well.

    Raises:
        InputError: it has none, or a curve's unit does not convert; the file is named.
    """
    pairs = pairs_of_well(well, file=file)
    depth_ft = depth_in_feet(well)
    windows = []
    for name, curves in pairs.items():
        for index, (top, x) in enumerate(stretches(depth_ft, curves, height=height, px_per_ft=px_per_ft)):
            window = WindowSpec(
                well=well.name,
                file=file,
                pair=name,
                index=index,
                curves=curves,
                depth_top_ft=top,
                depth_bottom_ft=top + height / px_per_ft,
                width=width,
                x=x * width,
            )
            if np.all(np.mean(window.presence, axis=1) >= MIN_PRESENT):
                windows.append(window)
    found = ", ".join(pairs)
    require(bool(windows), f"{file} ({found}) has no window of {height} rows with both curves on half of them.")
    return windows


def px_per_ft_of(width: int) -> float:
    """The depth scale of 5 in/100 ft beside a track of `width` px, which is 2.5 in wide."""
    return width * DEPTH_IN_PER_FT / TRACK_IN


def depth_in_feet(well: Well) -> Float64[np.ndarray, " samples"]:
    """The depth of each sample [ft]."""
    return well.depth * (FT_PER_M if well.unit == "m" else 1.0)


def pairs_of_well(well: Well, *, file: str) -> dict[str, tuple[PlottedCurve, PlottedCurve]]:
    """The known pairs that a well holds, by name.

    Raises:
        InputError: it has none, only nulls in them, or a curve's unit does not convert; the file is named.
    """
    try:
        pairs = {name: found for name, pair in TYPICAL_PAIRS.items() if (found := pair_of(well, pair))}
    except InputError as error:
        raise InputError(f"{file} cannot be plotted: {error}") from error
    there = [name for name, pair in TYPICAL_PAIRS.items() if all(candidates(well, kind) for kind in pair)]
    require(bool(pairs) or not there, f"{file} holds only nulls in a curve of each pair it has ({', '.join(there)}).")
    require(bool(pairs), f"{file} holds no known pair of curves (it has {', '.join(well.curves) or 'none'}).")
    return pairs


def pair_of(well: Well, pair: tuple[TypicalCurve, TypicalCurve]) -> tuple[PlottedCurve, PlottedCurve] | None:
    """Both curves of a pair, or None where the well lacks one."""
    first, second = (plotted(well, kind, curve_class=k) for k, kind in enumerate(pair, start=labels.CURVE_1))
    return (first, second) if first and second else None


def stretches(
    depth_ft: Float64[np.ndarray, " samples"],
    curves: Sequence[PlottedCurve],
    *,
    height: int,
    px_per_ft: float,
) -> Iterator[tuple[float, Float64[np.ndarray, "2 rows"]]]:
    """The depth [ft] at the top of each window, first sample to last, and the curves in track fractions."""
    offsets = (np.arange(-MARGIN_PX, height + MARGIN_PX) + 0.5) / px_per_ft
    for index in range(int(np.ceil((depth_ft[-1] - depth_ft[0]) * px_per_ft / height))):
        top = float(depth_ft[0]) + index * height / px_per_ft
        yield top, np.stack([interpolated(depth_ft, curve.fraction, top + offsets) for curve in curves])


def interpolated(
    depth: Float64[np.ndarray, " samples"],
    values: Float64[np.ndarray, " samples"],
    at: Float64[np.ndarray, " rows"],
) -> Float64[np.ndarray, " rows"]:
    """Values between samples, along straight lines; NaN beyond the ends and inside gaps.

    A gap is where two neighbouring values lie more than `MAX_STEPS` sampling steps apart. The median step
    counts, because a header's STEP may be 0 and depths jitter.
    """
    finite = np.isfinite(values)
    if not finite.any():
        return np.full(at.shape, np.nan)
    limit = MAX_STEPS * np.median(np.diff(depth))
    depth, values = depth[finite], values[finite]
    after = np.searchsorted(depth, at)
    below = depth[np.minimum(after, len(depth) - 1)]
    above = depth[np.maximum(after - 1, 0)]
    between = (after > 0) & (after < len(depth)) & (below - above <= limit)
    return np.where(between | (below == at), np.interp(at, depth, values), np.nan)


def bridged(x: Float64[np.ndarray, "2 rows"]) -> Float64[np.ndarray, "2 rows"]:
    """Curves with straight lines over their gaps, held at both ends; 0 where a curve is null everywhere.

    What bends or moves curves looks at neighbouring rows too, and would take any other number for a kick.
    """
    filled, rows = np.zeros_like(x), np.arange(x.shape[1])
    for line, values in zip(filled, x, strict=True):
        known = np.isfinite(values)
        if known.any():
            line[:] = np.where(known, values, np.interp(rows, rows[known], values[known]))
    return filled


def present_rows(x: Float[np.ndarray, "2 rows"], *, width: int) -> Bool[np.ndarray, "2 height"]:
    """Whether each curve lies between the edges of the track, margin rows left out; NaN does not."""
    inner = x[:, MARGIN_PX:-MARGIN_PX]
    return (inner >= 0) & (inner < width)
