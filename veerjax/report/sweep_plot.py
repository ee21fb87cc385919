"""How the cost grows with what is swept, as a picture."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import ScalarFormatter

from veerjax.report.canvas import LIGHT, figure, label, png

NAMES = {"train": "training step", "predict": "prediction"}
STYLES = {"train": ("o", "-"), "predict": ("s", "--")}


def sweep_plot(sweeps: Sequence[Mapping[str, Any]]) -> bytes:
    """A PNG: one panel a sweep, time against pixels or operations on logarithmic axes, a straight line for linear."""
    made, panels = figure(LIGHT, 3.2 * len(sweeps), ratios=[1] * len(sweeps), share=False)
    for axes, found in zip(panels, sweeps, strict=True):
        panel(axes, found)
    return png(made)


def panel(axes: Axes, found: Mapping[str, Any]) -> None:
    """One sweep."""
    same_size = len({row["pixels"] for row in found["rows"]}) == 1
    by, unit = ("model_flops", "GFLOP a step") if same_size else ("pixels", "Mpx a batch")
    rows = [row for row in found["rows"] if not any("refused" in stage for stage in row["stages"].values())]
    cost = [row[by] / (1e9 if same_size else 1e6) for row in rows]
    for name, colour in zip(NAMES, LIGHT.curves, strict=True):
        times = [row["stages"][name]["median_ms"] for row in rows]
        power = found["growth_exponent"][by][name]
        told = f"{NAMES[name]}" + ("" if power is None else f", power {power:.2f}")
        marker, line = STYLES[name]
        axes.plot(cost, times, marker=marker, linestyle=line, color=colour, label=told)
        axes.plot(cost, [times[-1] * c / cost[-1] for c in cost], color=LIGHT.muted, linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(cost, [f"{c:.3g}" for c in cost])  # a logarithmic axis names powers of ten alone, crowded
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter(ScalarFormatter())
    for c, row in zip(cost, rows, strict=True):
        above = (c, row["stages"]["train"]["median_ms"])
        axes.annotate(str(row["value"]), above, (0, 6), textcoords="offset points", ha="center", fontsize=8)
    label(axes, LIGHT, x=f"{unit} ({found['key']} beside the points; dotted: linear)", y="ms")
    axes.legend(frameon=False, fontsize=9, labelcolor=LIGHT.ink, loc="upper left")
