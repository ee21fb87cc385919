"""From tracks as they were read to values on a depth index: scales, wraps, what is off the scale, averages."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from veerjax.config import choice, require
from veerjax.jobs.reader import TrackCurves
from veerjax.logs.las import write_las
from veerjax.logs.resample import DEFAULT_STEP, las_index, pooled, resample
from veerjax.logs.scales import CLIP_SHARE, CurveScale
from veerjax.logs.sections import MAIN, Calibration
from veerjax.logs.tables import X_DECIMALS, write_values_csv

EXTRAS = ("lo", "hi", "conf", "wrap", "clip", "occ")


@dataclass(frozen=True, kw_only=True)
class CurveRows:
    """One declared curve in one section, row by row, as its pixel table says it: nothing else goes into a value."""

    scale: CurveScale
    value: Float64[np.ndarray, " height"]  # [unit of the scale]; NaN where absent or off the scale
    least: Float64[np.ndarray, " height"]  # [unit] of what the stroke covers in the row
    most: Float64[np.ndarray, " height"]
    wrap: Int[np.ndarray, " height"]
    presence: Bool[np.ndarray, " height"]
    off_scale: Bool[np.ndarray, " height"]
    occluded: Bool[np.ndarray, " height"]
    confidence: Float[np.ndarray, " height"]


def curve_rows(track: TrackCurves, place: int) -> CurveRows:
    """What the pixels of a curve mean.

    Args:
        track: as read
        place: of the curve among the track's
    """
    scale, presence, wrap = track.curves[place], track.presence[place], track.wrap[place]
    edges = (track.shape.left_px, track.shape.right_px)
    x, lo, hi = (np.round(part[place].astype(np.float64), X_DECIMALS) for part in (track.x, track.lo, track.hi))
    along = presence & scale.off_scale(x, wrap, *edges)
    ends = np.stack([scale.unwrapped_value(px, wrap, *edges) for px in (lo, hi)])
    beyond = np.zeros_like(presence) if scale.wrap else left_over_an_edge(lo, hi, presence, edges=edges)
    value = np.where(along | ~presence, np.nan, scale.unwrapped_value(x, wrap, *edges))
    known = np.isfinite(value)
    return CurveRows(
        scale=scale,
        value=value,
        least=np.where(known, ends.min(axis=0), np.nan),
        most=np.where(known, ends.max(axis=0), np.nan),
        wrap=np.where(presence, wrap, 0),
        presence=presence,
        off_scale=along | beyond,
        occluded=track.occluded[place] & presence,
        confidence=track.confidence[place],
    )


def left_over_an_edge(
    lo: Float64[np.ndarray, " height"],
    hi: Float64[np.ndarray, " height"],
    presence: Bool[np.ndarray, " height"],
    *,
    edges: tuple[Float64[np.ndarray, " height"], Float64[np.ndarray, " height"]],
) -> Bool[np.ndarray, " height"]:
    """The rows without ink between one where the curve reaches an edge and one where it comes back from the same.

    Args:
        lo: least x of the stroke [px]
        hi: its greatest x [px]
        presence: whether there is one
        edges: left and right of the track [px]
    """
    left, right = edges
    margin = CLIP_SHARE * (right - left)
    side = np.where(presence & (lo <= left + margin), -1, np.where(presence & (hi >= right - margin), 1, 0))
    rows, there = np.arange(len(presence)), np.flatnonzero(presence)
    if not len(there):
        return np.zeros_like(presence)
    after = np.searchsorted(there, rows)
    between = ~presence & (after > 0) & (after < len(there))
    above, below = there[np.maximum(after - 1, 0)], there[np.minimum(after, len(there) - 1)]
    return between & (side[above] != 0) & (side[above] == side[below])


@dataclass(frozen=True, kw_only=True)
class DigitisedLog:
    """The declared curves of all sections of one role on one regular depth index."""

    depth: Float64[np.ndarray, " samples"]
    step: float
    unit: str  # of depth
    curves: dict[str, Float64[np.ndarray, " samples"]]  # NaN where there is none
    extras: dict[str, Float64[np.ndarray, " samples"]]
    units: dict[str, str]
    well: dict[str, str]

    def write(self, target: Path, *, provenance: str) -> None:
        """Writes `<target>.las` and `<target>.csv`.

        Args:
            target: folder and stem
            provenance: for ~O
        """
        columns = self.curves | self.extras
        write_las(
            target.parent / f"{target.name}.las",
            depth=self.depth,
            curves=columns,
            units=self.units,
            unit=self.unit,
            step=self.step,
            header=self.well,
            provenance=provenance,
        )
        write_values_csv(target.parent / f"{target.name}.csv", depth=self.depth, curves=columns)


def values_of(
    tracks: Sequence[TrackCurves],
    calibration: Calibration,
    *,
    step: float | None = None,
    role: str = MAIN,
    extras: Sequence[str] = (),
) -> DigitisedLog:
    """What the pixels mean: declared curves in their units, averaged over the steps of one depth index.

    A depth in whose bin the curve is off its scale in a row has no value: its mean is not known.

    Args:
        tracks: as read
        calibration: scales and depth
        step: of the index [unit of the calibration]; 0.5 ft or 0.1 m by default
        role: of the sections
        extras: of `EXTRAS`, to give with each curve

    Raises:
        InputError: the sections are shorter than a step.
    """
    found = [track for track in tracks if track.role == role]
    depth_scale = calibration.of_role(role)[0].depth_scale
    step = step or DEFAULT_STEP[depth_scale.unit]
    depths = [depths_of(track, calibration) for track in found]
    index = las_index(min(float(depth.min()) for depth in depths), max(float(d.max()) for d in depths), step)
    curves: dict[str, np.ndarray] = {}
    more: dict[str, np.ndarray] = {}
    units: dict[str, str] = {}
    for track, depth in zip(found, depths, strict=True):
        for place, scale in enumerate(track.curves):
            rows = curve_rows(track, place)
            parts = extra_curves(rows, depth, index, step=step)
            means = resample(depth, rows.value, index, log=scale.scale == "log", step=step)
            value = np.where(parts["clip"] > 0, np.nan, means)
            first_known(curves, scale.mnemonic, value)
            units.setdefault(scale.mnemonic, scale.unit)
            for extra in extras:
                name = f"{scale.mnemonic}_{extra.upper()}"
                part = parts[extra]
                first_known(more, name, np.where(np.isfinite(value), part, np.nan) if extra in ("lo", "hi") else part)
                units.setdefault(name, scale.unit if extra in ("lo", "hi") else "")
    return DigitisedLog(
        depth=index, step=step, unit=depth_scale.unit, curves=curves, extras=more, units=units, well=calibration.well
    )


def depths_of(track: TrackCurves, calibration: Calibration) -> Float64[np.ndarray, " height"]:
    """The depth of the centre of each row of a track [unit]."""
    section = calibration.sections[track.section - 1]
    return section.depth_scale.depth(track.first_row + np.arange(track.x.shape[1]) + 0.5)


def extra_curves(
    rows: CurveRows, depth: Float64[np.ndarray, " height"], index: Float64[np.ndarray, " samples"], *, step: float
) -> dict[str, Float64[np.ndarray, " samples"]]:
    """What is known of each step beside its value, by the names of `EXTRAS`; NaN where the scan shows no such depth.

    `lo` and `hi` are the least and the greatest value of the stroke, `conf` the mean confidence, `wrap` the wrap count
    farthest from 0; `clip` and `occ` are 1 where the curve is off its scale, or hidden under another, in any row.
    """

    def any_of(flag: np.ndarray) -> np.ndarray:
        return pooled(np.fmax, depth, flag.astype(np.float64), index, step=step)

    most, least = any_of(rows.wrap), pooled(np.fmin, depth, rows.wrap.astype(np.float64), index, step=step)
    return {
        "lo": pooled(np.fmin, depth, rows.least, index, step=step),
        "hi": pooled(np.fmax, depth, rows.most, index, step=step),
        "conf": resample(depth, np.where(rows.presence, rows.confidence, np.nan), index, log=False, step=step),
        "wrap": np.where(-least > most, least, most),
        "clip": any_of(rows.off_scale),
        "occ": any_of(rows.occluded),
    }


def first_known(columns: dict[str, np.ndarray], name: str, values: Float64[np.ndarray, " samples"]) -> None:
    """Adds a section's part to a column: where two sections share a bin, that of the one read first."""
    there = columns.get(name)
    columns[name] = values if there is None else np.where(np.isnan(there), values, there)


def extras_of(text: str) -> tuple[str, ...]:
    """The extra curves of each curve that `lo,hi` and the like ask for, or `all`.

    Raises:
        InputError: one of them is unknown.
    """
    if text == "all":
        return EXTRAS
    names = tuple(name.strip().lower() for name in text.split(",") if name.strip())
    for name in names:
        choice("--extras", name, (*EXTRAS, "all"))
    return tuple(name for name in EXTRAS if name in names)


def check_names(calibration: Calibration, extras: Sequence[str]) -> None:
    """Refuses extra curves that would have the name of a declared one.

    Raises:
        InputError: one would.
    """
    declared = {curve.mnemonic.upper() for curve in calibration.curves}
    for name in sorted(declared):
        for extra in extras:
            taken = f"{name}_{extra.upper()}"
            require(taken not in declared, f"--extras {extra} makes the curve {taken}, which is declared; rename it.")
