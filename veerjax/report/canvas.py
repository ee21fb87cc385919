"""What all plots share: colours for light and dark paper, axes without clutter, and small PNGs."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from veerjax.report.overlay import COLOURS
from veerjax.report.tables import look_up

WIDTH_IN, DPI = 5.0, 200  # narrow, so that a phone shows letters large enough to read
PALETTE = 64


@dataclass(frozen=True)
class Theme:
    """The colours of one kind of paper."""

    name: str
    paper: str
    ink: str
    muted: str
    grid: str
    curves: tuple[str, str]
    fill: str  # of what belongs to no curve


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


LIGHT = Theme("light", "#ffffff", "#1b1f24", "#5b6470", "#e3e6ea", (_hex(COLOURS[0]), _hex(COLOURS[1])), "#3d6b8c")
DARK = Theme("dark", "#171a1f", "#e8eaed", "#a2abb6", "#333a43", ("#ff7a70", "#85a6ff"), "#86b6d9")


def figure(
    theme: Theme, height_in: float, *, ratios: Sequence[float] = (1,), share: bool = True
) -> tuple[Figure, list[Axes]]:
    """An empty figure with panels below one another, and the panels.

    Args:
        theme: its colours
        height_in: [inches]
        ratios: of the heights of the panels
        share: one horizontal axis for all
    """
    made = Figure(figsize=(WIDTH_IN, height_in), dpi=DPI, facecolor=theme.paper)
    made.set_layout_engine("constrained", w_pad=0.09, h_pad=0.08)
    FigureCanvasAgg(made)
    panels = made.subplots(len(ratios), 1, sharex=share, squeeze=False, height_ratios=ratios)[:, 0]
    for axes in panels:
        axes.set_facecolor(theme.paper)
        axes.grid(color=theme.grid, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(colors=theme.muted, labelsize=9, length=0)
        for name, spine in axes.spines.items():
            spine.set_visible(name == "bottom")
            spine.set_color(theme.muted)
    return made, list(panels)


def label(axes: Axes, theme: Theme, *, x: str = "", y: str = "") -> None:
    """Names the axes, with units."""
    axes.set_xlabel(x, color=theme.ink, fontsize=10)
    axes.set_ylabel(y, color=theme.ink, fontsize=10)


def legend(made: Figure, axes: Axes, theme: Theme, *, columns: int = 2) -> None:
    """What the colours of a panel mean, above the figure, where no point can hide behind it."""
    handles, names = axes.get_legend_handles_labels()
    style = {"frameon": False, "fontsize": 9, "labelcolor": theme.ink}
    made.legend(handles, names, loc="outside upper right", ncols=columns, **style)


def numbers(figures: Mapping[str, Any], key: str) -> Float[np.ndarray, "..."]:
    """The figures under a dotted key; NaN where they are not defined."""
    return np.array(look_up(figures, key, absent=[]), np.float64)


def interval(figures: Mapping[str, Any], key: str) -> tuple[float, float]:
    """The ends of a figure's 95 % interval; NaN where there is none."""
    low, high = figures.get("interval95", {}).get(key) or (None, None)
    return (np.nan, np.nan) if low is None or high is None else (low, high)


def bounds(figures: Mapping[str, Any], key: str, count: int) -> Float[np.ndarray, "2 count"]:
    """The ends of the 95 % intervals of `key.0` to `key.count-1`; NaN where there is none."""
    return np.array([interval(figures, f"{key}.{index}") for index in range(count)], np.float64).reshape(count, 2).T


def whiskers(axes: Axes, x: np.ndarray, between: Float[np.ndarray, "2 count"], colour: str) -> None:
    """Intervals as thin vertical lines, also where the figure lies outside of them."""
    axes.vlines(x, between[0], between[1], color=colour, linewidth=1.4, alpha=0.75)


def png(figure: Figure) -> bytes:
    """The figure as a PNG of few colours, without metadata."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor=figure.get_facecolor())
    return few_colours(np.asarray(Image.open(buffer).convert("RGB")), colours=PALETTE)


def few_colours(picture: UInt8[np.ndarray, "height width 3"], *, colours: int) -> bytes:
    """A PNG with a palette: a quarter of the size, and no difference that the eye sees.

    Args:
        picture: red, green, blue
        colours: at most
    """
    image = Image.fromarray(picture).quantize(colours, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    return encoded(image)


def encoded(image: Image.Image) -> bytes:
    """The bytes of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
