"""What a dataset looks like in numbers: counts that add over examples, and the figures that follow from the sums."""

from dataclasses import dataclass, fields
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from veerjax.data.checks.samples import Sample
from veerjax.labels import CLASS_NAMES, NUM_CLASSES, NUM_CURVES
from veerjax.metrics.crossings import crossing_counts
from veerjax.types import LUMA

PERCENTILES = (5, 25, 50, 75, 95)
SLOPE_PERCENTILES = (50, 90, 99, 100)
WIDTH_EDGES_PX = np.arange(0, 64.25, 0.25)
SLOPE_EDGES_PX = np.concatenate([[0.0], np.geomspace(0.01, 4096, 400)])
GREY_EDGES = np.clip(np.arange(257) - 0.5, 0, 255)
STEEP_PX = 1.0  # |dx| a row up to which the width of a stroke follows from its span in the row
WRAP_SHARE = 0.5  # of the width of the track; a longer step from row to row is a wrap unless there is a stroke

_crossings = jax.jit(crossing_counts)


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Counts of one example, or their sums over many."""

    examples: int
    pixels: Int[np.ndarray, " classes"]
    examples_with: Int[np.ndarray, " curves"]  # that have ink of the curve
    rows: int
    present_rows: Int[np.ndarray, " curves"]
    widths: Int[np.ndarray, "curves bins"]  # rows by stroke width, see `WIDTH_EDGES_PX`
    slopes: Int[np.ndarray, "curves bins"]  # steps from row to row by |dx|, see `SLOPE_EDGES_PX`
    wraps: Int[np.ndarray, " curves"]  # steps to the other edge of the track
    crossings: int
    touches: int
    rows_of_both: int
    paper: Int[np.ndarray, " levels"]  # pixels off the strokes by grey level
    ink: Int[np.ndarray, " levels"]  # pixels under the strokes by grey level

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(**{field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)})


def grey_of(image: Float[np.ndarray, "height width channels"]) -> Float[np.ndarray, "height width"]:
    """The luma of a colour image, or the grey level there is; 0 to 1."""
    return image[..., 0] if image.shape[-1] == 1 else image @ np.array(LUMA, np.float32)


def tally(sample: Sample) -> Tally:
    """The counts of one example."""
    x, there = np.nan_to_num(sample.centreline), sample.presence
    step, stepped = np.abs(np.diff(x, axis=1)), there[:, 1:] & there[:, :-1]
    wrapped = wraps(sample)
    width_px, judged = stroke_widths(sample.strokes, step, stepped)
    found = width_px[judged]
    stroke_px = np.float32(found.mean() if found.size else 1)
    events = _crossings(np.float32(x), there, np.float32(x), there, stroke_px=stroke_px)
    grey = np.rint(np.nan_to_num(grey_of(sample.image)).clip(0, 1) * 255).astype(np.uint8)
    inked = sample.strokes.any(axis=0)
    return Tally(
        examples=1,
        pixels=np.bincount(sample.label.ravel().clip(0, NUM_CLASSES - 1), minlength=NUM_CLASSES),
        examples_with=np.array([mask.any() for mask in sample.strokes], np.int64),
        rows=sample.label.shape[0],
        present_rows=there.sum(axis=1),
        widths=histograms(width_px, judged, edges=WIDTH_EDGES_PX),
        slopes=histograms(step, stepped & ~wrapped, edges=SLOPE_EDGES_PX),
        wraps=(stepped & wrapped).sum(axis=1),
        crossings=int(events[0]),
        touches=int(events[2]),
        rows_of_both=int(there.all(axis=0).sum()),
        paper=np.bincount(grey[~inked], minlength=256),
        ink=np.bincount(grey[inked], minlength=256),
    )


def wraps(sample: Sample) -> Bool[np.ndarray, "curves steps"]:
    """The steps from row to row in which a curve goes on at the other edge: long, and without a stroke half-way."""
    x, width = np.nan_to_num(sample.centreline, posinf=0, neginf=0), sample.label.shape[1]
    middle = np.floor((x[:, 1:] + x[:, :-1]) / 2).clip(0, width - 1).astype(int)
    curve, row = np.indices(middle.shape)
    inked = sample.strokes[curve, row, middle] | sample.strokes[curve, row + 1, middle]
    return (np.abs(np.diff(x, axis=1)) > WRAP_SHARE * width) & ~inked


def stroke_widths(
    strokes: Bool[np.ndarray, "curves height width"],
    step_px: Float[np.ndarray, "curves steps"],
    stepped: Bool[np.ndarray, "curves steps"],
) -> tuple[Float[np.ndarray, "curves rows"], Bool[np.ndarray, "curves rows"]]:
    """The width across the stroke in each inner row [px], and the rows where it follows from the row's span.

    A line that moves dx a row is cut by the row over sqrt(1 + dx^2) times its width. That holds while it is gentle
    and the stroke is in one piece.
    """
    inner = strokes[:, 1:-1]
    edges = np.diff(inner, axis=2, prepend=False, append=False)
    pieces = edges.sum(axis=2) // 2
    slope = (step_px[:, 1:] + step_px[:, :-1]) / 2
    gentle = stepped[:, 1:] & stepped[:, :-1] & (np.maximum(step_px[:, 1:], step_px[:, :-1]) <= STEEP_PX)
    whole = (pieces == 1) & ~inner[:, :, 0] & ~inner[:, :, -1]
    return inner.sum(axis=2) / np.sqrt(1 + slope**2), gentle & whole


def histograms(
    values: Float[np.ndarray, "curves n"], chosen: Bool[np.ndarray, "curves n"], *, edges: Float[np.ndarray, " edges"]
) -> Int[np.ndarray, "curves bins"]:
    """The chosen values of each curve by bin; those beyond the last edge are in the last bin."""
    capped = np.clip(values, edges[0], edges[-1])
    return np.stack([np.histogram(row[use], edges)[0] for row, use in zip(capped, chosen, strict=True)])


def percentile(counts: Int[np.ndarray, " bins"], edges: Float[np.ndarray, " edges"], percent: float) -> float | None:
    """The value below which so many percent (above 0) of the counted ones lie, to a bin; None where there is none."""
    below = np.cumsum(counts)
    if not below[-1]:
        return None
    rank = percent / 100 * below[-1]
    index = int(np.searchsorted(below, rank))  # the first bin up to whose end there are so many
    part = (rank - (below[index] - counts[index])) / counts[index]
    return float(edges[index] + part * (edges[index + 1] - edges[index]))


def percentiles(
    counts: Int[np.ndarray, " bins"], edges: Float[np.ndarray, " edges"], wanted: tuple[int, ...] = PERCENTILES
) -> dict[str, float | None]:
    """Several percentiles, as `p5`, `p25` ...; the hundredth is `max`."""
    return {"max" if p == 100 else f"p{p}": percentile(counts, edges, p) for p in wanted}


def share(part: Shaped[np.ndarray, "*n"] | int, whole: int) -> Any:
    """The quotient as plain values, or None where the whole is 0."""
    if not whole:
        return None if np.ndim(part) == 0 else [None] * len(np.atleast_1d(part))
    return (np.asarray(part) / whole).tolist()


def figures(total: Tally) -> dict[str, Any]:
    """The figures of a split, as plain values with stable keys; lists go over the curves."""
    per_1000 = 1000 / total.rows_of_both if total.rows_of_both else None
    curves = range(NUM_CURVES)
    return {
        "examples": total.examples,
        "class_share": dict(zip(CLASS_NAMES, share(total.pixels, int(total.pixels.sum())), strict=True)),
        "examples_with_curve": total.examples_with.tolist(),
        "presence": share(total.present_rows, total.rows),
        "stroke_width_px": [percentiles(total.widths[k], WIDTH_EDGES_PX) for k in curves],
        "slope_px_per_row": [percentiles(total.slopes[k], SLOPE_EDGES_PX, SLOPE_PERCENTILES) for k in curves],
        "wraps": total.wraps.tolist(),
        "crossings_per_1000_rows": None if per_1000 is None else total.crossings * per_1000,
        "touches_per_1000_rows": None if per_1000 is None else total.touches * per_1000,
        "grey": {"paper": percentiles(total.paper, GREY_EDGES), "ink": percentiles(total.ink, GREY_EDGES)},
    }
