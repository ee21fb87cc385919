"""How rendered logs look beside real ones: grey levels, strokes, slopes, ink, and the statistics of their curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from veerjax.report.canvas import LIGHT, figure, label, png

Sample = Float[np.ndarray, " n"]
Samples = Mapping[str, Sample]  # of one quantity by what was measured

RENDERED = ("standard", "hard")
COLOURS = (*LIGHT.curves, LIGHT.ink, LIGHT.muted, LIGHT.fill, "#c08a2c")
QUANTILES = (10, 25, 50, 75, 90)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What is shown; every sample by the name of what it was measured on, rendered settings first."""

    grey: Samples  # levels of pixels, 0 to 255
    stroke_px: Samples  # along the strokes
    slope_px: Samples  # |dx| from row to row at a track of 256 px
    ink_share: Samples  # of an image
    curves: Mapping[str, Samples]  # statistics of curves by name, for each source of curves
    reference: str  # the source to which the others are compared
    gaps: Mapping[str, Sample]  # Kolmogorov-Smirnov distance of a source to the others, in the order of the statistics


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A value that was measured on real logs."""

    values: tuple[float, ...]
    name: str


MARKS: Mapping[str, tuple[Mark, ...]] = MappingProxyType(
    {
        "grey": (
            Mark(values=(23, 28, 42), name="ink"),
            Mark(values=(99, 120, 152), name="grid"),
            Mark(values=(246,), name="paper"),
        ),
        "stroke_px": (Mark(values=(3, 4, 6), name="100 dpi"), Mark(values=(9, 10, 15), name="300 dpi")),
        "slope_px": (Mark(values=(1, 3.5, 7.5, 18.5), name="p50, p90, p99, max of a plot"),),
    }
)


def likeness_plot(found: Comparison) -> bytes:
    """A PNG: four histograms of rendered against real, and where each source's curves lie among those of real wells."""
    statistics = list(found.curves[found.reference])
    made, panels = figure(LIGHT, 12.0 + 0.5 * len(statistics), ratios=[3, 3, 3, 3, 0.5 * len(statistics)], share=False)
    shares(panels[0], found.grey, edges=np.arange(0, 257, 8), marks=MARKS["grey"], x="grey level of a pixel")
    panels[0].set_yscale("log")
    panels[0].set_ylim(3e-4, 1.5)
    edges = np.arange(0.5, 25, 2)  # in steps of two: of even widths the axis sees a pixel less
    shares(panels[1], found.stroke_px, edges=edges, marks=MARKS["stroke_px"], x="width along the strokes [px]")
    edges = np.geomspace(0.02, 200, 34)
    shares(panels[2], found.slope_px, edges=edges, marks=MARKS["slope_px"], x="|dx| per row on a track of 256 px [px]")
    panels[2].set_yscale("log")
    panels[2].set_ylim(3e-5, 0.3)
    shares(panels[3], found.ink_share, edges=np.linspace(0, 0.25, 14), marks=(), x="share of strokes in an image")
    panels[2].set_xscale("log")
    panels[2].xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for axes in panels:
        axes.tick_params(which="minor", length=0)
    standing(panels[4], found, statistics)
    return png(made)


def shares(axes: Axes, samples: Samples, *, edges: np.ndarray, marks: Sequence[Mark], x: str) -> None:
    """Histograms as steps, ends included, with what was measured on real logs as dotted lines."""
    for name, values in samples.items():
        known = np.clip(values[np.isfinite(values)], edges[0], edges[-1] * (1 - 1e-9))
        share = np.histogram(known, edges)[0] / max(len(known), 1)
        width = 1.3 if name in RENDERED else 2.0
        axes.stairs(share, edges, color=colour_of(name, samples), linewidth=width, label=name)
    for mark in marks:
        for value in mark.values:
            axes.axvline(value, color=LIGHT.muted, linewidth=0.9, linestyle=":", zorder=0.5)
        above = axes.get_xaxis_transform()
        axes.text(mark.values[0], 1.01, mark.name, transform=above, fontsize=8, color=LIGHT.muted)
    label(axes, LIGHT, x=x, y="share")
    axes.legend(frameon=False, fontsize=7.5, labelcolor=LIGHT.ink, loc="best")


def colour_of(name: str, samples: Samples) -> str:
    """A rendered setting keeps its colour in all panels; what is real takes the others in turn."""
    if name in RENDERED:
        return COLOURS[RENDERED.index(name)]
    real = [other for other in samples if other not in RENDERED]
    return COLOURS[len(RENDERED) + real.index(name) % (len(COLOURS) - len(RENDERED))]


def standing(axes: Axes, found: Comparison, statistics: Sequence[str]) -> None:
    """Where each source's quantiles lie among the reference's: a source with its statistics stands on the lines."""
    others = [name for name in found.curves if name != found.reference]
    colours = (LIGHT.curves[0], LIGHT.curves[1], LIGHT.ink)
    step = 0.8 / len(others)
    for row, statistic in enumerate(statistics):
        for k, (name, colour) in enumerate(zip(others, colours, strict=False)):
            ranks = percentile_ranks(found.curves[name][statistic], found.curves[found.reference][statistic])
            y = row + (k - (len(others) - 1) / 2) * step
            axes.hlines(y, ranks[0], ranks[-1], color=colour, linewidth=1.1)
            axes.hlines(y, ranks[1], ranks[-2], color=colour, linewidth=3.2)
            axes.plot(ranks[2], y, "o", color=colour, markersize=4.5, label="" if row else name)
            axes.text(102, y, f"{found.gaps[name][row]:.2f}", fontsize=7, color=colour, va="center")
    for quantile in QUANTILES:
        axes.axvline(quantile, color=LIGHT.muted, linewidth=0.9, linestyle=":", zorder=0.5)
    axes.set_yticks(range(len(statistics)), [name.replace("_", " ") for name in statistics], color=LIGHT.ink)
    axes.tick_params(labelsize=8)
    axes.set_ylim(len(statistics) - 0.5, -0.5)
    axes.set_xlim(0, 112)
    axes.set_xticks([0, *QUANTILES, 100])
    axes.grid(False)
    axes.legend(
        *axes.get_legend_handles_labels(),
        **{"frameon": False, "fontsize": 8, "labelcolor": LIGHT.ink, "ncols": len(others), "loc": "lower center"},
        bbox_to_anchor=(0.45, 1.0),
    )
    label(axes, LIGHT, x=f"percentile among {found.reference}; right: distance")


def percentile_ranks(values: Sample, reference: Sample) -> Float[np.ndarray, " quantiles"]:
    """The share [%] of the reference below each of the `QUANTILES` of a sample, ties by half."""
    reference = np.sort(reference[np.isfinite(reference)])
    points = np.nanpercentile(values, QUANTILES)
    sides = [np.searchsorted(reference, points, side=side) for side in ("left", "right")]
    return 50 * (sides[0] + sides[1]) / max(len(reference), 1)
