"""What is asked of the tracer of a strip, and what it answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int

from veerjax.config import require
from veerjax.labels import CURVE_1, CURVE_2
from veerjax.tracing.pair import PairCosts
from veerjax.tracing.trace import TraceConfig
from veerjax.types import Prediction


@dataclass(frozen=True, kw_only=True)
class WantedCurve:
    """A curve that is declared to be in the track."""

    curve_class: int  # whose map it is traced in: `labels.CURVE_1` solid, `CURVE_2` broken
    wraps: bool = False  # whether it comes in at the opposite edge where it leaves the track
    seeds: tuple[tuple[float, float], ...] = ()  # (row, x) [px of the crop] that it is at: fix its identity from there


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """A place where two curves meet, and how sure it is which of them leaves it where."""

    row: float  # [px] the middle of the rows in which they touch
    curves: tuple[int, int]  # positions among the wanted curves
    kept: bool  # whether each keeps its direction and they change sides; else they touch and part
    margin: float  # cost of the best other hypothesis less that of the one chosen [nats], >= 0


@dataclass(frozen=True, kw_only=True)
class TracedCurves:
    """Polylines of the wanted curves, row by row of the crop. x, lo and hi mean nothing where a curve is absent."""

    x: Float[np.ndarray, "curves height"]  # [px] where the curve crosses the row's centre, as drawn
    lo: Float[np.ndarray, "curves height"]  # [px] least x of the polyline within the row
    hi: Float[np.ndarray, "curves height"]  # [px] greatest x of the polyline within the row
    wrap: Int[np.ndarray, "curves height"]  # track widths to add to x; positive beyond the right edge
    presence: Bool[np.ndarray, "curves height"]
    occluded: Bool[np.ndarray, "curves height"]  # present, but under another curve
    confidence: Float[np.ndarray, "curves height"]  # 0 to 1, 0 where absent
    crossings: tuple[Crossing, ...]  # in the order of rows


@dataclass(frozen=True, kw_only=True)
class JointConfig:
    """How the curves of a track are traced together."""

    pair: PairCosts = field(default_factory=PairCosts)  # of their paths
    rows: TraceConfig = field(default_factory=TraceConfig)  # how a path becomes a polyline
    other_map: float = 0.9  # how much the other class's ink counts where several curves of one class are all there is
    order_cost: float = 20.0  # of naming unseeded curves of one class other than from left to right at the top [nats]


DEFAULTS = JointConfig()


def check_wanted(wanted: Sequence[WantedCurve], prediction: Prediction, *, left_px: float, right_px: float) -> None:
    """Refuses curves that cannot be looked for.

    Raises:
        InputError: no curve, a class that no map shows, more than one strip, edges in the wrong order or a seed outside
            the track.
    """
    strips, _, height, width = prediction.masks.shape
    require(len(wanted) > 0, "no curve is declared for the track; declare at least one.")
    require(strips == 1, f"{strips} strips were given; trace_curves takes one, such as predict_strip gives.")
    require(
        0 <= left_px < right_px <= width,
        f"the track's edges are {left_px:g} and {right_px:g} px; give a left one and a greater right one from 0 to "
        f"{width} px, the crop's width.",
    )
    for curve in wanted:
        require(
            curve.curve_class in (CURVE_1, CURVE_2),
            f"the class of a curve is {curve.curve_class}; give {CURVE_1} for a solid or {CURVE_2} for a broken one.",
        )
        for row, x in curve.seeds:
            require(
                0 <= row < height and left_px <= x <= right_px,
                f"the seed at row {row:g} and column {x:g} px is off the track; give a row from 0 to {height} and a "
                f"column from {left_px:g} to {right_px:g} px.",
            )
