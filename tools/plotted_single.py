"""Strips of a single track, of whatever curves, from one half of a well or from all of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from plotted_scores import Truth, read_truth
from plotted_strips import MARGIN_IN, START_FT, TRACK_IN, DrawnTrack, Kind, Strip, look_of, usable_starts

from veerjax.data.digest import name_number
from veerjax.data.wells.pairs import PlottedCurve
from veerjax.logs.calibration import CurveScale
from veerjax.logs.tables import column_numbers, read_pixels_csv

CLOSE_SHARE = 0.01  # of the track's width, within which a row is read well

Series = Float64[np.ndarray, " samples"]


def starts_of(depth: Series, curves: Sequence[PlottedCurve], *, feet: int, half: str | None) -> Series:
    """Where stretches may start: of those with all curves the upper ones, the lower ones, which share none, or all."""
    starts = np.arange(np.ceil(depth[0] / START_FT) * START_FT, depth[-1] - feet, START_FT)
    if len(starts) == 0:
        return starts
    starts = starts[usable_starts(depth, curves, starts, feet=feet)]
    if half is None or len(starts) == 0:
        return starts
    middle = (starts[0] + starts[-1] + feet) / 2
    return starts[starts + feet <= middle] if half == "upper" else starts[starts >= middle]


def single_track(
    name: str, kind: Kind, *, track: str, depth: Series, curves: Sequence[PlottedCurve], start_ft: float
) -> Strip:
    """The strip of these curves; how it looks follows from its name."""
    look = look_of(kind, np.random.default_rng(name_number(name)))
    near = np.flatnonzero((depth >= start_ft) & (depth <= start_ft + kind.feet))
    rows = slice(max(near[0] - 1, 0), near[-1] + 2)
    left = MARGIN_IN * kind.dpi + look.offset_px[0]
    drawn = DrawnTrack(
        pair=track,
        left_px=left,
        right_px=left + TRACK_IN * kind.dpi,
        curves=tuple(replace(curve, fraction=curve.fraction[rows]) for curve in curves),
    )
    return Strip(
        name=name,
        kind=kind,
        look=look,
        start_ft=start_ft,
        top_px=MARGIN_IN * kind.dpi + look.offset_px[1],
        depth_ft=depth[rows],
        tracks=(drawn,),
    )


def place(truth: Truth, scale: CurveScale, depth_ft: np.ndarray) -> np.ndarray:
    """Where the drawn line is, in widths of the track from its left edge, on the scale or off it; NaN in gaps."""
    found = np.interp(depth_ft, truth.depth_ft, scale.x(truth.values[scale.mnemonic], 0.0, 1.0))
    top, bottom = truth.extent_ft
    return np.where((depth_ft >= top) & (depth_ft <= bottom), found, np.nan)


def read_rows(folder: Path, read: Path, entry: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each curve in each row of the scan where it is drawn and where it is read [tracks], and its wrap count."""
    truth = read_truth(folder, entry["name"])
    (track,) = truth.section.tracks
    pixels = read_pixels_csv(read / f"{entry['name']}.pixels.csv")
    depth = truth.section.depth_scale.depth(pixels["row_px"])
    true, found, wraps = [], [], []
    for number, scale in zip(column_numbers([scale.curve_class for scale in track.curves]), track.curves, strict=True):
        true.append(place(truth, scale, depth))
        wrap = pixels.get(f"wrap_{number}", np.zeros(len(depth)))
        within = (pixels[f"curve_{number}_px"] - track.left_px) / (track.right_px - track.left_px)
        found.append(within + wrap)
        wraps.append(wrap)
    return np.stack(true), np.stack(found), np.stack(wraps)
