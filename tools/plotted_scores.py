"""Scores what `veerjax digitize` read off the strips of `plotted_set` against the samples that were drawn.

Values come from the LAS, so the truth is averaged over its steps too; peaks are looked for in these. Rows (lag, swaps
and confidence) come from the pixel table. A curve off its scale has no truth there, and is not scored.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Float64

from veerjax.config import require
from veerjax.logs.calibration import Calibration, CurveScale, Section, Track, read_calibration
from veerjax.logs.las import read_las
from veerjax.logs.tables import read_pixels_csv
from veerjax.metrics.crossings import FAR_STROKES, swap_counts
from veerjax.metrics.peaks import peak_errors
from veerjax.metrics.values import value_figures, value_sums
from veerjax.tracing.confidence import SURE

STEP_FT, PARTS = 0.5, 20  # the step of the LAS, and how many points of the drawn line are averaged over it
LAG_STEP_FT, LAG_REACH = 0.05, 40  # lags are tried up to 2 ft
LEAST_LENGTH = 1024  # of series, which are padded
PEAK_REACH = 2  # steps, so 1 ft
PER_ROWS = 2000  # swaps are told for so many
THRESHOLDS = (0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 0.95, SURE, 0.98, 0.99, 0.999)  # `SURE` was found on validation logs
SURE_SHARE, CLOSE_PERCENT = 0.99, 1.0  # of accepted rows that are to lie within this of the scale

# What the project asks of the curves at 150 to 300 dpi: the median curve at most, the worst curve at most.
LIMITS = {
    "mae": (0.3, 1.5),
    "p95": (1.0, 4.0),
    "bias": (0.2, 0.2),
    "peak_error": (0.4, 2.0),
    "peak_recall": (0.97, 0.97),
    "lag_ft": (0.15, 0.15),
    "coverage": (0.98, 0.98),
    "swaps": (1.0, 1.0),
}
ROUNDING = 1e-9  # lags are sums of steps of .05 ft
AT_LEAST = ("peak_recall", "coverage")  # greater is better
Steps = Float64[np.ndarray, " steps"]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The samples that were drawn, and where they lie on the strip."""

    calibration: Calibration
    depth_ft: Float64[np.ndarray, " samples"]
    values: dict[str, Float64[np.ndarray, " samples"]]  # NaN where null

    @property
    def section(self) -> Section:
        """The strip's only one."""
        (section,) = self.calibration.sections
        return section

    @property
    def extent_ft(self) -> tuple[float, float]:
        """Between which depths the strip has curves."""
        depths = [depth for _, depth in self.section.depth_scale.anchors]
        return depths[0], depths[-1]

    def fraction(self, scale: CurveScale, depth_ft: np.ndarray) -> np.ndarray:
        """The drawn line's place on its track; NaN off the strip, off the scale and in gaps."""
        places = scale.x(self.values[scale.mnemonic], 0.0, 1.0)
        top, bottom = self.extent_ft
        found = np.interp(depth_ft, self.depth_ft, places)  # NaN on either side of a null, as matplotlib draws
        inside = (depth_ft >= top) & (depth_ft <= bottom) & (found >= 0) & (found <= 1)
        return np.where(inside, found, np.nan)

    def averaged(self, scale: CurveScale, depth_ft: Steps) -> Steps:
        """The mean place over each step; NaN unless the whole step is drawn."""
        offsets = ((np.arange(PARTS) + 0.5) / PARTS - 0.5) * STEP_FT
        return self.fraction(scale, depth_ft[:, None] + offsets[None]).mean(axis=1)


def read_truth(folder: Path, name: str) -> Truth:
    """What stands beside a strip."""
    with (folder / f"{name}.truth.csv").open(newline="") as file:
        header, *rows = list(csv.reader(file))
    table = np.array([[float(cell or "nan") for cell in row] for row in rows]).T
    columns = dict(zip(header, table, strict=True))
    return Truth(
        calibration=read_calibration(folder / f"{name}.toml"), depth_ft=columns.pop("DEPT"), values=dict(columns)
    )


@dataclass(frozen=True, kw_only=True)
class Rows:
    """One track, row by row of the scan, in fractions of the track."""

    depth_ft: Float64[np.ndarray, " rows"]
    true: Float64[np.ndarray, "2 rows"]
    read: Float64[np.ndarray, "2 rows"]
    confidence: Float64[np.ndarray, "2 rows"]


def rows_of(truth: Truth, track: Track, pixels: Mapping[str, np.ndarray]) -> Rows:
    """The pixel table of one track beside its truth."""
    row_px, width = pixels["row_px"], track.right_px - track.left_px
    depth = truth.section.depth_scale.depth(row_px)
    scales = sorted(track.curves, key=lambda scale: scale.curve_class)
    return Rows(
        depth_ft=depth,
        true=np.stack([truth.fraction(scale, depth) for scale in scales]),
        read=np.stack([(pixels[f"curve_{scale.curve_class}_px"] - track.left_px) / width for scale in scales]),
        confidence=np.stack([pixels[f"confidence_{scale.curve_class}"] for scale in scales]),
    )


def tracks_of(folder: Path, read: Path, entry: Mapping[str, Any]) -> list[tuple[Track, Rows]]:
    """The tracks of a strip and what was read of them."""
    truth, name, found = read_truth(folder, entry["name"]), entry["name"], []
    for number, track in enumerate(truth.section.tracks, start=1):
        pixels = read_pixels_csv(read / f"{name}{'' if number == 1 else f'.track{number}'}.pixels.csv")
        found.append((track, rows_of(truth, track, pixels)))
    return found


def scored_strip(folder: Path, read: Path, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The figures of every curve of a strip.

    Args:
        folder: of the strips
        read: folder of what `veerjax digitize` wrote
        entry: of the manifest

    Raises:
        InputError: something was not read, or its LAS lacks a curve.
    """
    truth, well = read_truth(folder, entry["name"]), read_las(read / f"{entry['name']}.las")
    figures = []
    for track, rows in tracks_of(folder, read, entry):
        names = swaps(rows, track, entry)
        per = PER_ROWS / names["judged_rows"] if names["judged_rows"] else np.nan
        shared = {
            **{key: entry[key] for key in ("dpi", "bits")},
            "strip": entry["name"],
            **names,
            "swaps": per * names["swapped"],
        }
        for scale in track.curves:
            require(scale.mnemonic in well.curves, f"{entry['name']}.las lacks {scale.mnemonic}.")
            true = truth.averaged(scale, well.depth)
            found = scale.x(well.curves[scale.mnemonic], 0.0, 1.0)
            place = scale.curve_class - 1
            named = {"curve": scale.mnemonic, "coding": "dashed" if place else "solid"}
            peaks = peak_scores(true, found)  # a curve without any does not show where it lies
            lag_ft = lag(truth, scale, rows.depth_ft, rows.read[place]) if peaks["peaks"] else np.nan
            figures.append({**shared, **named, **value_scores(true, found), **peaks, "lag_ft": lag_ft})
    return figures


def padded(*series: np.ndarray) -> list[jax.Array]:
    """The series as rows with NaN behind them, of few lengths, because each is compiled for."""
    room = max(LEAST_LENGTH, 1 << (series[0].shape[-1] - 1).bit_length()) - series[0].shape[-1]
    rows = [np.atleast_2d(one) for one in series]
    return [jnp.asarray(np.pad(one, ((0, 0), (0, room)), constant_values=np.nan)) for one in rows]


def value_scores(true: Steps, found: Steps) -> dict[str, float]:
    """Errors in percent of the scale, and the coverage."""
    figures = value_figures(_value_sums(*padded(true, found)))
    return {name: float(figures[name][0]) for name in ("mae", "p95", "bias", "coverage", "mae_all")}


def peak_scores(true: Steps, found: Steps) -> dict[str, float]:
    """The median error of the true peaks [% of scale], the share that is found and their number."""
    errors = _peak_errors(*padded(100 * true, 100 * found))
    right, peaks = (int(count) for count in np.asarray(errors.counts)[0])
    return {
        "peak_error": float(np.nanmedian(errors.error_px)) if peaks else np.nan,
        "peak_recall": right / peaks if peaks else np.nan,
        "found_peaks": right,
        "peaks": peaks,
    }


def lag(truth: Truth, scale: CurveScale, depth_ft: np.ndarray, found: np.ndarray) -> float:
    """By how much the reading lies deeper than the truth [ft]: where it fits the line best but for an offset.

    The line is moved and not the rows, which are too far apart at 100 dpi.
    """
    lags = LAG_STEP_FT * np.array(sorted(range(-LAG_REACH, LAG_REACH + 1), key=abs))
    errors = [found - truth.fraction(scale, depth_ft - one) for one in lags]
    known = np.isfinite(errors).all(axis=0)
    if not known.any():
        return np.nan
    return float(lags[np.argmin([np.abs(e[known] - np.median(e[known])).mean() for e in errors])])


def swaps(rows: Rows, track: Track, entry: Mapping[str, Any]) -> dict[str, int]:
    """How often the names of two curves are exchanged or set right again, and in how many rows they are exchanged.

    Judged are the rows in which both are read and are apart in truth. Names are those of the assignment of readings to
    curves with the least total distance, as identity switches are counted where objects are tracked; they stay as they
    were unless the other assignment is better by a stroke's width, so one curve that is lost or a row too late is none.
    `nearest` counts the stricter turns of `metrics.crossings.swap_counts`, where either curve's reading is nearer to
    the other one: on a kick beside the other curve a row too early or late is one.

    Reference:
        Bernardin and Stiefelhagen 2008, Evaluating multiple object tracking performance: the CLEAR MOT metrics.
    """
    width = track.right_px - track.left_px
    true, read = width * rows.true, width * rows.read
    nearest, _ = np.asarray(_swaps(*padded(true, read), entry["stroke_px"]))
    gain = np.abs(read - true).sum(axis=0) - np.abs(read - true[::-1]).sum(axis=0)
    with np.errstate(invalid="ignore"):
        judged = np.isfinite(gain) & (np.abs(true[0] - true[1]) > FAR_STROKES * entry["stroke_px"])
    gain = gain[judged]
    clear = np.flatnonzero(np.abs(gain) > entry["stroke_px"])
    exchanged = np.zeros(len(gain), bool)
    if len(clear):
        last = clear[np.maximum(np.searchsorted(clear, np.arange(len(gain)), side="right") - 1, 0)]
        exchanged = (gain[last] > 0) & (np.arange(len(gain)) >= clear[0])
    return {
        "swapped": int(np.count_nonzero(np.diff(exchanged, prepend=False))),
        "judged_rows": len(gain),
        "exchanged_rows": int(np.count_nonzero(exchanged)),
        "nearest": int(nearest),
    }


_value_sums = jax.jit(value_sums)


@jax.jit
def _peak_errors(true: jax.Array, found: jax.Array) -> Any:
    there = jnp.isfinite(true), jnp.isfinite(found)
    x = jnp.nan_to_num(true), jnp.nan_to_num(found)
    return peak_errors(x[0], there[0], x[1], there[1], track_width_px=100.0, reach=PEAK_REACH)


@jax.jit
def _swaps(true: jax.Array, found: jax.Array, stroke_px: jax.Array) -> jax.Array:
    return swap_counts(true, jnp.isfinite(true), found, jnp.isfinite(found), stroke_px=stroke_px)


def row_errors(folder: Path, read: Path, entry: Mapping[str, Any]) -> Float[np.ndarray, "2 rows"]:
    """Confidence (0 where nothing was read) and absolute error [% of scale] of all rows with a true curve."""
    parts = []
    for _, rows in tracks_of(folder, read, entry):
        known = np.isfinite(rows.true)
        error = np.where(np.isfinite(rows.read), 100 * np.abs(rows.read - rows.true), np.inf)
        confidence = np.where(np.isfinite(rows.read), np.nan_to_num(rows.confidence), 0.0)
        parts.append(np.stack([confidence[known], error[known]]))
    return np.concatenate(parts, axis=1)


def risk_coverage(confidence: np.ndarray, error: np.ndarray) -> dict[str, Any]:
    """What share of the rows is accepted at each threshold, and what share of these is close.

    `sure` is the greatest share that can be accepted with 99 % of it close. Its threshold is chosen on these very
    rows, so it is a bound, not a promise.
    """
    close = error <= CLOSE_PERCENT
    order = np.argsort(-confidence, kind="stable")
    right = np.cumsum(close[order]) / np.arange(1, len(order) + 1)
    last = np.append(np.diff(confidence[order]) != 0, True)  # rows of one confidence are accepted together
    fit = np.flatnonzero((right >= SURE_SHARE) & last)
    at = [confidence >= threshold for threshold in THRESHOLDS]
    return {
        "thresholds": [
            {"confidence": threshold, "accepted": float(mask.mean()), "close": share(close, mask)}
            for threshold, mask in zip(THRESHOLDS, at, strict=True)
        ],
        "sure": {
            "accepted": float((fit[-1] + 1) / len(order)) if len(fit) else 0.0,
            "confidence": float(confidence[order][fit[-1]]) if len(fit) else np.nan,
        },
    }


def share(close: Bool[np.ndarray, " rows"], mask: Bool[np.ndarray, " rows"]) -> float:
    return float(close[mask].mean()) if mask.any() else np.nan


def summary(curves: Sequence[Mapping[str, Any]], rows: Sequence[np.ndarray]) -> dict[str, Any]:
    """Medians and worst curves per dpi and coding, those of 150 to 300 dpi together, and the risk of accepted rows."""
    groups: dict[str, list[Mapping[str, Any]]] = {"150 to 300 dpi": [c for c in curves if 150 <= c["dpi"] <= 300]}
    for curve in sorted(curves, key=lambda c: (-c["dpi"], c["bits"], c["coding"] != "solid")):
        kind = f"{curve['dpi']} dpi {'1-bit' if curve['bits'] else 'grey'}, {curve['coding']}"
        groups.setdefault(kind, []).append(curve)
    together = np.concatenate(rows, axis=1)
    return {
        "groups": {name: figures_of(group) for name, group in groups.items() if group},
        "worst": sorted(curves, key=lambda c: -np.nan_to_num(c["mae_all"], nan=100.0))[:10],
        "rows": risk_coverage(*together),
    }


def figures_of(group: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Median, worst and the share of curves within the limit of the worst, for each figure."""
    found: dict[str, Any] = {"curves": len(group), "peaks": sum(curve["peaks"] for curve in group)}
    for name, (_, limit) in LIMITS.items():
        values = np.array([curve[name] for curve in group], np.float64)
        sizes = values if name in AT_LEAST else np.abs(values)
        known = sizes[np.isfinite(sizes)]
        if len(known) == 0:
            continue
        worst = known.min() if name in AT_LEAST else known.max()
        within = known >= limit if name in AT_LEAST else known <= limit + ROUNDING
        found[name] = {"median": float(np.median(known)), "worst": float(worst), "within": float(within.mean())}
    pooled = {"peak_recall": ("found_peaks", "peaks", 1), "swaps": ("swapped", "judged_rows", PER_ROWS)}
    for name, (count, out_of, scale) in pooled.items():
        total = sum(curve[out_of] for curve in group)
        if name in found and total:
            found[name]["pooled"] = scale * sum(curve[count] for curve in group) / total
    for name in ("exchanged_rows", "judged_rows", "nearest"):
        found[name] = sum(curve[name] for curve in group)
    return found
