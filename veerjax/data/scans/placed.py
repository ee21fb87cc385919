"""The curves of a LAS file placed on a scan by its calibration, and the strokes that they stand for."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Float64

from veerjax.config import require
from veerjax.data.wells.windows import interpolated
from veerjax.errors import InputError
from veerjax.labels import NUM_CURVES
from veerjax.logs.calibration import CurveScale, DepthScale, Track
from veerjax.logs.las import Well
from veerjax.logs.units import FT_PER_M, factor_between
from veerjax.logs.working import Frame
from veerjax.polyline import distance_field

REACHES = (4, 7, 10)  # of `distance_field` [px]; each is compiled, and beyond 10 that takes minutes
MARGIN_ROWS = REACHES[-1]  # rows placed beyond both ends of a strip, whose curve may still ink it
WIDEST_STROKE_PX = 2.0 * MARGIN_ROWS - 4  # at the working resolution
FARTHEST = 20.0  # track widths; a curve farther off leaves the track horizontally all the same


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The truth about one window; where a curve is absent its centreline is 0."""

    strokes: Bool[np.ndarray, "2 height width"]
    centreline: Float64[np.ndarray, "2 height"]  # [px]
    presence: Bool[np.ndarray, "2 height"]
    stroke_px: tuple[float | None, ...]  # of each curve; None where it is absent


@dataclass(frozen=True, kw_only=True)
class PlacedCurves:
    """Both curves of a track at the working resolution, row by row."""

    x: Float64[np.ndarray, "2 rows"]  # [px], `MARGIN_ROWS` more at both ends; NaN where null, off the scale included
    left: float  # [px] where the scale begins
    right: float  # [px] where it ends
    width: int  # of the track [px]

    @property
    def presence(self) -> Bool[np.ndarray, "2 rows"]:
        """The strip's own rows in which a curve has a value on its scale."""
        own = self.x[:, MARGIN_ROWS:-MARGIN_ROWS]
        return (own >= self.left) & (own <= self.right) & (own < self.width)

    def truth(self, start: int, *, height: int, stroke_px: tuple[float, float]) -> Truth:
        """The truth about a window; rows past the strip's end hold nothing.

        Args:
            start: its first row in the strip
            height: of the window [px]
            stroke_px: width of each curve's stroke [px], at most `WIDEST_STROKE_PX`
        """
        presence = padded_rows(self.presence[:, start : start + height], height, fill=False)
        rows = padded_rows(self.x[:, start : start + height + 2 * MARGIN_ROWS], height + 2 * MARGIN_ROWS, fill=np.nan)
        reach = next(reach for reach in REACHES if reach >= max(stroke_px) / 2 + 1)
        rows = rows[:, MARGIN_ROWS - reach : rows.shape[1] - MARGIN_ROWS + reach]
        drawn = np.isfinite(rows)
        filled = np.clip(np.where(drawn, rows, 0), -FARTHEST * self.width, FARTHEST * self.width)
        masks = np.array(
            stroke_masks(
                filled.astype(np.float32), drawn, np.array(stroke_px, np.float32), width=self.width, reach=reach
            )
        )
        masks[:, self.x.shape[1] - 2 * MARGIN_ROWS - start :] = False
        centreline = np.where(presence, filled[:, reach : reach + height], 0.0)
        widths = tuple(width if row.any() else None for width, row in zip(stroke_px, presence, strict=True))
        return Truth(strokes=masks, centreline=centreline, presence=presence, stroke_px=widths)


@functools.partial(jax.jit, static_argnames=("width", "reach"))
def stroke_masks(
    x: Float[Array, "2 rows"], drawn: Bool[Array, "2 rows"], stroke_px: Float[Array, " 2"], *, width: int, reach: int
) -> Bool[Array, "2 height width"]:
    """The pixels within half a stroke of each curve, `reach` rows left out at both ends."""
    distance = jax.vmap(lambda x, drawn: distance_field(x, drawn, width=width, reach=reach)[0])(x, drawn)
    return distance <= stroke_px[:, None, None] / 2


def padded_rows(values: np.ndarray, height: int, *, fill: float | bool) -> np.ndarray:
    """Values of curves by row, filled up to a height."""
    return np.pad(values, ((0, 0), (0, height - values.shape[1])), constant_values=fill)


def placed_curves(
    well: Well,
    track: Track,
    values: Mapping[CurveScale, Float64[np.ndarray, " samples"]],
    *,
    depth: DepthScale,
    frame: Frame,
) -> PlacedCurves:
    """A track's curves where the plotter has put them: straight lines on paper between the samples.

    Args:
        well: whose depths the samples have
        track: its edges
        values: samples of each curve [unit of its scale], NaN where null
        depth: of the scan's rows
        frame: of the track
    """
    factor = {("m", "ft"): FT_PER_M, ("ft", "m"): 1 / FT_PER_M}.get((well.unit, depth.unit), 1.0)
    rows = np.arange(-MARGIN_ROWS, frame.rows + MARGIN_ROWS) + 0.5
    at = depth.depth(frame.scan_row(rows))
    x = np.full((NUM_CURVES, len(rows)), np.nan)
    for curve, samples in values.items():
        on_paper = frame.x(curve.x(samples, track.left_px, track.right_px))
        x[curve.curve_class - 1] = interpolated(well.depth * factor, on_paper, at)
    left, right = frame.x([track.left_px, track.right_px])
    return PlacedCurves(x=x, left=float(left), right=float(right), width=frame.width)


def curve_values(well: Well, curve: CurveScale, *, las: Path) -> Float64[np.ndarray, " samples"] | None:
    """The well's curve of that name in the unit of the scale; None where there is none, or only nulls.

    Raises:
        InputError: its unit does not convert.
    """
    name = {name.upper(): name for name in reversed(well.curves)}.get(curve.mnemonic.upper())
    if name is None or not np.isfinite(well.curves[name]).any():
        return None
    try:
        return well.curves[name] * factor_between(well.units.get(name, ""), curve.unit)
    except InputError as error:
        raise InputError(
            f"{las} and its calibration give {name} in different units: {error}; write the LAS file's own unit and the"
            " edges of the scale in it."
        ) from error


def check_curves(well: Well, tracks: tuple[Track, ...], *, las: Path, calibration: Path) -> None:
    """Refuses a LAS file that holds nothing of what the scan is declared to show.

    Raises:
        InputError: it has none of the curves, or only nulls in them.
    """
    declared = [curve.mnemonic for track in tracks for curve in track.curves]
    known = {name.upper() for name in well.curves}
    found = [name for name in declared if name.upper() in known]
    require(
        bool(found),
        f"{las} has no curve {' or '.join(declared)}, which {calibration.name} declares; it has"
        f" {', '.join(well.curves) or 'none'}: write the LAS file's mnemonics in the calibration.",
    )
    curves = [curve for track in tracks for curve in track.curves]
    require(
        any(curve_values(well, curve, las=las) is not None for curve in curves),
        f"{las} has only NULLs in {', '.join(found)}; give a LAS file that holds values of them.",
    )
