"""The plots of an evaluation: each function gives a figure, and what it shows in words for those who cannot see it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from veerjax.report.canvas import Theme, bounds, figure, interval, label, legend, numbers, whiskers
from veerjax.report.tables import CLASSES, look_up

Report = Mapping[str, Any]
CURVES = CLASSES[1:]
STYLES = (":", "--", "-.", (0, (5, 1, 1, 1, 1, 1)))  # of the baselines
MANY_ROWS = 100  # a bin of confidence with fewer has an interval that only hides the others
MARKERS = ("o", "s")  # of the curves, so that they differ without colour
STRATUM_UNITS = {
    "crossing_distance": "distance to the nearest crossing [rows]",
    "slope": "steepness of the row [px per row]",
    "stroke_width": "mean width of the stroke [px]",
    "coding": "coding, on/off in stroke widths",
}


def confusion(report: Report, theme: Theme) -> tuple[Figure, str]:
    """Rows are what is true, columns what was said."""
    counts = numbers(report, "confusion")
    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    made, (axes,) = figure(theme, 5.0)
    colours = LinearSegmentedColormap.from_list("share", [theme.paper, theme.fill])
    axes.imshow(share, cmap=colours, vmin=0, vmax=1, aspect="auto")
    axes.grid(False)
    axes.spines["bottom"].set_visible(False)
    names = CLASSES[: len(counts)]
    axes.set_xticks(range(len(names)), names, color=theme.ink)
    axes.set_yticks(range(len(names)), names, color=theme.ink)
    for edge in np.arange(0.5, len(names) - 1):
        axes.axhline(edge, color=theme.paper, linewidth=3)
        axes.axvline(edge, color=theme.paper, linewidth=3)
    for (true, said), count in np.ndenumerate(counts):
        bright = theme.paper if share[true, said] > 0.55 else theme.ink
        part = "-" if np.isnan(share[true, said]) else f"{share[true, said]:.2%}".replace("%", " %")
        axes.text(said, true - 0.06, part, ha="center", va="bottom", color=bright, fontsize=12, weight="bold")
        axes.text(said, true + 0.06, f"{int(count):,} px", ha="center", va="top", color=bright, fontsize=8.5)
    label(axes, theme, x="said", y="true")
    told = "; ".join(f"{name}: {row[k]:.1%} right" for k, (name, row) in enumerate(zip(names, share, strict=True)))
    return made, f"Confusion matrix of pixels, rows normalised. {told}."


def log_errors(report: Report, theme: Theme) -> tuple[Figure, str]:
    """How the mean row error is spread over the logs, on a logarithmic axis."""
    errors = numbers(report, "per_log.row_error_all_px").reshape(-1, 2)
    known = errors[np.isfinite(errors)]
    low = max(float(known[known > 0].min(initial=1.0)), 0.02)
    edges = np.geomspace(low, max(float(known.max(initial=low)), low * 10) * 1.001, 29)
    made, (axes,) = figure(theme, 3.3)
    axes.set_xscale("log")
    middle = histogram(axes, theme, np.clip(errors, low, None), edges)
    legend(made, axes, theme)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    label(axes, theme, x="mean row error over all rows of a log [px]", y="logs")
    told = "; ".join(f"{name}: median {value:.2f} px" for name, value in zip(CURVES, middle, strict=True))
    return made, f"Histogram of the mean row error of each log, logarithmic axis. {told}."


def log_f1(report: Report, theme: Theme) -> tuple[Figure, str]:
    """How tolerance F1 is spread over the logs."""
    made, (axes,) = figure(theme, 3.3)
    middle = histogram(axes, theme, numbers(report, "per_log.tolerance_f1_2px").reshape(-1, 2), np.linspace(0, 1, 29))
    axes.set_xlim(0, 1)
    legend(made, axes, theme)
    label(axes, theme, x="tolerance F1 within 2 px of a log", y="logs")
    told = "; ".join(f"{name}: median {value:.3f}" for name, value in zip(CURVES, middle, strict=True))
    return made, f"Histogram of tolerance F1 within 2 px of each log. {told}."


def histogram(axes: Axes, theme: Theme, values: Float[np.ndarray, "logs 2"], edges: np.ndarray) -> list[float]:
    """Both curves as steps, with their medians, which are returned."""
    middle = []
    for k, colour in enumerate(theme.curves):
        known = values[:, k][np.isfinite(values[:, k])]
        middle.append(float(np.median(known)) if len(known) else float("nan"))
        axes.stairs(np.histogram(known, edges)[0], edges, color=colour, linewidth=1.6, zorder=3 + k)
        axes.stairs(np.histogram(known, edges)[0], edges, color=colour, fill=True, alpha=0.18)
        axes.axvline(
            middle[k], color=colour, linewidth=1.4, linestyle="--", label=f"{CURVES[k]}, median {middle[k]:.3g}"
        )
    axes.set_ylim(0, max(1, axes.get_ylim()[1]))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    return middle


def stratum(name: str) -> Callable[[Report, Theme], tuple[Figure, str]]:
    """How the error depends on what makes a row hard."""

    def draw(report: Report, theme: Theme) -> tuple[Figure, str]:
        bins = look_up(report, f"axes.strata.{name}")
        rows = numbers(report, f"strata.{name}.rows")
        shown = np.flatnonzero(rows.sum(axis=0) > 0)
        made, (right, error, counts) = figure(theme, 5.8, ratios=(4, 4, 1.8))
        told = []
        for part, axes in (("within_2px", right), ("mean_error_px", error)):
            values = numbers(report, f"strata.{name}.{part}")
            for k, colour in enumerate(theme.curves):
                x = np.arange(len(shown)) + (-0.09, 0.09)[k]
                between = bounds(report, f"strata.{name}.{part}.{k}", len(bins))[:, shown]
                whiskers(axes, x, between, colour)
                style = "none" if name == "coding" else "-"
                axes.plot(
                    x,
                    values[k, shown],
                    MARKERS[k],
                    linestyle=style,
                    color=colour,
                    linewidth=1.2,
                    markersize=5,
                    label=CURVES[k],
                )
                if part == "within_2px":
                    each = ", ".join(f"{bins[i]} {values[k, i]:.2f}" for i in shown if np.isfinite(values[k, i]))
                    told.append(f"{CURVES[k]}: {each}")
        right.set_ylim(min(right.get_ylim()[0], 0.9), 1.01)
        error.set_ylim(bottom=0)
        label(right, theme, y="share within 2 px")
        label(error, theme, y="mean error [px]")
        legend(made, right, theme)
        logs = numbers(report, f"strata.{name}.logs")
        counted(counts, theme, {"rows": rows[:, shown], "logs": logs[:, shown]})
        unit = " " + bins[0].split(" ")[-1]
        counts.set_xticks(range(len(shown)), [bins[i].removesuffix(unit).replace("<= ", "\u2264 ") for i in shown])
        counts.set_xlim(-0.5, len(shown) - 0.5)
        label(counts, theme, x=STRATUM_UNITS[name])
        words = f"Share of rows within 2 px and mean error by {name.replace('_', ' ')}."
        return made, f"{words} Share within 2 px: {'; '.join(told)}."

    return draw


def counted(axes: Axes, theme: Theme, numbers_of: Mapping[str, Float[np.ndarray, "2 bins"]]) -> None:
    """How many rows, and of how many logs, stand behind each point, in the colours of the curves."""
    axes.grid(False)
    axes.set_ylim(2.4 * len(numbers_of), 0)
    axes.set_yticks([1 + 2.4 * k for k in range(len(numbers_of))], list(numbers_of), color=theme.ink, fontsize=9)
    axes.spines["bottom"].set_visible(False)
    style = {"ha": "center", "va": "center", "fontsize": 8}
    for line, counts in enumerate(numbers_of.values()):
        for (k, place), count in np.ndenumerate(counts):
            text = f"{count:,.0f}" if count > 0 else "-"
            axes.text(place, 2.4 * line + k + 0.5, text, color=theme.curves[k], **style)


def peak_recall(report: Report, theme: Theme) -> tuple[Figure, str]:
    """The share of true peaks that are found, of each method."""
    made, axes, told = bars(report, theme, {name: f"peak_recall.{k}" for k, name in enumerate(CURVES)}, theme.curves)
    label(axes, theme, x="share of true peaks found")
    return made, f"Peak recall of each method. {told}."


def continuity(report: Report, theme: Theme) -> tuple[Figure, str]:
    """How often both curves keep their names, of each method."""
    keys = {name: f"crossing_continuity.{name}" for name in ("crossings", "touches", "balanced")}
    made, axes, told = bars(report, theme, keys, (theme.fill, theme.muted, theme.ink))
    axes.axvline(0.5, color=theme.ink, linewidth=1, linestyle="--", zorder=0.5)
    label(axes, theme, x="share in which both curves go on rightly named")
    return made, f"Continuity of each method; chance is 0.50 for the balanced share. {told}."


def bars(report: Report, theme: Theme, keys: Mapping[str, str], colours: Sequence[str]) -> tuple[Figure, Axes, str]:
    """Shares of each method as horizontal bars with their intervals and values, and the values in words.

    Args:
        report: of `evaluate`
        theme: light or dark paper
        keys: dotted keys of the shares by what they are called
        colours: one for each
    """
    methods = {report["weights"]: report, **report.get("baselines", {})}
    made, (axes,) = figure(theme, 0.9 + 0.31 * len(methods) * max(len(keys), 2.5))
    told, step = [], 0.78 / len(keys)
    for place, (method, figures) in enumerate(methods.items()):
        for k, (name, key) in enumerate(keys.items()):
            y, value = place + (k - (len(keys) - 1) / 2) * step, float(numbers(figures, key))
            axes.barh(y, np.nan_to_num(value), step * 0.9, color=colours[k], alpha=0.5, label="" if place else name)
            axes.hlines(y, *interval(figures, key), color=theme.ink, linewidth=1.4)
            axes.text(1.02, y, f"{value:.2f}".replace("nan", "-"), va="center", color=colours[k], fontsize=9)
            told.append(f"{method}, {name}: {value:.2f}")
    axes.set_yticks(range(len(methods)), [shortened(name) for name in methods], color=theme.ink)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    legend(made, axes, theme, columns=len(keys))
    return made, axes, "; ".join(told)


def shortened(name: str) -> str:
    """A name of a method, of which a path keeps its end."""
    name = name.replace("_", "\n") if name in ("all_background", "random_identity") else name
    return name if len(name) <= 20 else "..." + name[-17:]


def tolerance_curve(report: Report, theme: Theme) -> tuple[Figure, str]:
    """F1 against the tolerance, of the weights with their intervals and of the baselines."""
    rhos = numbers(report, "axes.tolerance_curve_px")
    made, panels = figure(theme, 5.0, ratios=(1, 1))
    values = numbers(report, "tolerance_curve.f1")
    panels[0].plot([], [], color=theme.ink, marker=".", label=report["weights"][-30:])
    for k, axes in enumerate(panels):
        between = bounds(report, f"tolerance_curve.f1.{k}", len(rhos))
        axes.fill_between(rhos, *between, color=theme.curves[k], alpha=0.2, linewidth=0)
        axes.plot(rhos, values[k], MARKERS[k], linestyle="-", color=theme.curves[k], markersize=4)
        for style, (name, figures) in zip(STYLES, report.get("baselines", {}).items(), strict=False):
            f1 = numbers(figures, "tolerance_curve.f1")
            if f1.ndim == 2:
                axes.plot(rhos, f1[k], linestyle=style, color=theme.muted, linewidth=1.5, label=name.replace("_", " "))
        axes.set_ylim(-0.03, 1.03)
        label(axes, theme, y=f"tolerance F1, {CURVES[k]}")
    label(panels[1], theme, x="tolerance \u03c1 [px]", y=f"tolerance F1, {CURVES[1]}")
    legend(made, panels[0], theme)
    told = "; ".join(
        f"{name}: " + ", ".join(f"{f1:.2f} at {rho:g} px" for rho, f1 in zip(rhos, row, strict=True))
        for name, row in zip(CURVES, values, strict=True)
    )
    return made, f"Tolerance F1 against the tolerance. {told}."


def risk_coverage(report: Report, theme: Theme) -> tuple[Figure, str]:
    """What is left of the error when only the surest rows are kept."""
    shares = numbers(report, "axes.risk_coverage_share")
    made, panels = figure(theme, 5.0, ratios=(1, 1))
    parts = {"mean_error_px": "mean error, invented\nat the width [px]", "wrong": "share beyond 2 px"}
    for axes, (part, name) in zip(panels, parts.items(), strict=True):
        values = numbers(report, f"risk_coverage.{part}")
        for k, colour in enumerate(theme.curves):
            axes.fill_between(
                shares, *bounds(report, f"risk_coverage.{part}.{k}", len(shares)), color=colour, alpha=0.16, linewidth=0
            )
            axes.plot(
                shares, values[k], MARKERS[k], linestyle="-", color=colour, markersize=3, linewidth=1.5, label=CURVES[k]
            )
        axes.set_ylim(bottom=0)
        label(axes, theme, y=name)
    panels[1].set_xlim(0, 1.01)
    label(panels[1], theme, x="share of the read rows that is kept, surest first", y="share beyond 2 px")
    legend(made, panels[0], theme)
    wrong = numbers(report, "risk_coverage.wrong")
    told = "; ".join(
        f"{name}: {row[-1]:.1%} of all rows beyond 2 px, {row[len(row) // 2 - 1]:.1%} of the surest half"
        for name, row in zip(CURVES, wrong, strict=True)
    )
    return made, f"Risk and coverage. {told}."


def calibration(report: Report, theme: Theme) -> tuple[Figure, str]:
    """Reliability diagram: a row of confidence p should be within 2 px with probability p."""
    confidence, right, rows = (numbers(report, f"calibration.{part}") for part in ("confidence", "within_2px", "rows"))
    error = numbers(report, "expected_calibration_error")
    count = rows.shape[1]
    made, (axes, below) = figure(theme, 5.0, ratios=(3.2, 1))
    axes.plot([0, 1], [0, 1], color=theme.muted, linewidth=1, linestyle="--")
    edges = np.linspace(0, 1, count + 1)
    for k, colour in enumerate(theme.curves):
        many = rows[k] >= MANY_ROWS
        whiskers(axes, confidence[k, many], bounds(report, f"calibration.within_2px.{k}", count)[:, many], colour)
        size = 6 + 10 * np.log10(np.maximum(rows[k], 1))
        axes.scatter(
            confidence[k],
            right[k],
            size,
            color=colour,
            marker=MARKERS[k],
            linewidth=0,
            alpha=0.9,
            label=f"{CURVES[k]}, ECE {error[k]:.3f}",
        )
        below.stairs(rows[k], edges, color=colour, linewidth=1.5)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlim(0, 1.01)
    below.set_ylim(0.7, 2 * max(rows.max(), 1.0))
    below.set_yscale("log")
    label(axes, theme, y="share within 2 px")
    label(below, theme, x="confidence of the row", y="rows")
    legend(made, axes, theme)
    told = " and ".join(f"{value:.3f} for {name}" for name, value in zip(CURVES, error, strict=True))
    return made, f"Reliability diagram. Expected calibration error {told}."
