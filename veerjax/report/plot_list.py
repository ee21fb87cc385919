"""Which plots the page shows, and what stands above and below each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from veerjax.report import plots
from veerjax.report.canvas import Theme
from veerjax.report.tables import look_up


@dataclass(frozen=True)
class Plot:
    """A plot: its file name, what stands above and below it, the figures it needs, and how it is drawn."""

    name: str
    title: str
    caption: str
    needs: str  # dotted key of the report
    draw: Callable[[Mapping[str, Any], Theme], tuple[Figure, str]]


def plots_of(report: Mapping[str, Any]) -> list[Plot]:
    """Those for which the report has figures."""
    return [plot for plot in PLOTS if known(look_up(report, plot.needs))]


def known(value: Any) -> bool:
    """Whether any of nested figures is defined."""
    if isinstance(value, Mapping):
        return any(map(known, value.values()))
    return any(map(known, value)) if isinstance(value, list | tuple) else value is not None


STRATA = {
    "crossing_distance": "Near a crossing",
    "slope": "On steep stretches",
    "stroke_width": "By width of the stroke",
    "coding": "By coding of the line",
}
PLOTS = [
    Plot(
        "confusion",
        "Pixels: what is true and what was said",
        "Each row adds up to 100 %. The counts tell how rare the ink of the curves is.",
        "confusion",
        plots.confusion,
    ),
    Plot(
        "tolerance_curve",
        "F1 against the tolerance",
        "Bands are 95 % intervals. What rises early is right to the pixel; what stays low has lost the line.",
        "tolerance_curve.f1",
        plots.tolerance_curve,
    ),
    Plot(
        "log_errors",
        "Row error of each log",
        "A row that was missed counts at the width of the track, so that a log with a lost curve stands far right.",
        "per_log.row_error_all_px",
        plots.log_errors,
    ),
    Plot(
        "log_f1",
        "Tolerance F1 of each log",
        "The logs at the far left are those shown below as the worst.",
        "per_log.tolerance_f1_2px",
        plots.log_f1,
    ),
    *(
        Plot(
            name,
            title,
            "Upright lines are 95 % intervals; a bin of a single log or well has none. A missed row is not within 2 px;"
            " the mean error is over rows read. Below: the true rows, and how many logs they come from.",
            f"strata.{name}.within_2px",
            plots.stratum(name),
        )
        for name, title in STRATA.items()
    ),
    Plot(
        "risk_coverage",
        "Risk and coverage",
        "The error that is left when only the surest rows are kept; an invented row, read where no curve is, counts at"
        " the width of the track. A curve that falls to the left means that the confidence knows where the reading is"
        " wrong. Bands are 95 % intervals.",
        "risk_coverage.wrong",
        plots.risk_coverage,
    ),
    Plot(
        "calibration",
        "Calibration",
        "Points below the diagonal are overconfident, points above it too modest. Larger points stand for more rows;"
        " lines are 95 % intervals, where a point has a hundred rows or more.",
        "calibration.within_2px",
        plots.calibration,
    ),
    Plot(
        "peak_recall",
        "Peaks found",
        "Peaks of at least a tenth of the track, found near their row and height. Lines are 95 % intervals.",
        "peak_recall",
        plots.peak_recall,
    ),
    Plot(
        "continuity",
        "The right name, after crossings and touches",
        "Both curves must be read and rightly named on both sides. Always calling the left one curve 1 gives 0, 1 and"
        " balanced .5, the dashed line. Lines are 95 % intervals.",
        "crossing_continuity",
        plots.continuity,
    ),
]
