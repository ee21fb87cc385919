"""Further copies of a window of real curves, each as another engineer might have plotted it."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from veerjax.data.digest import name_number
from veerjax.data.wells.pairs import PlottedCurve
from veerjax.data.wells.windows import MIN_PRESENT, WindowSpec, interpolated
from veerjax.labels import NUM_CURVES

STRETCH = (0.7, 1.4)  # of depth; above 1 a window shows fewer feet on as many rows
GAIN = (0.7, 1.3)  # about the curve's median in the window
SHIFT = 0.1  # at most, to either side; of the track's width
EDGE = 0.005  # what was on the track stays this far inside; of the track's width
TOGETHER = ("rhob_nphi", "ild_ilm", "lld_lls")  # pairs whose curves mean something by where they part


@dataclass(frozen=True, kw_only=True)
class Line:
    """Where a fraction of the track's width goes: `slope * fraction + start`."""

    slope: float
    start: float

    def __call__(self, fraction: Float64[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
        return self.slope * fraction + self.start

    def mirrored(self) -> "Line":
        """The same, seen from the other side of the paper."""
        return Line(slope=-self.slope, start=1 - self.start)

    def moved(self, curve: PlottedCurve) -> PlottedCurve:
        """The curve there, on the scale that it then has."""
        left, right = curve.scale.value(np.array([-self.start, 1 - self.start]) / self.slope, 0.0, 1.0)
        scale = dataclasses.replace(curve.scale, left=float(left), right=float(right))
        return PlottedCurve(scale=scale, fraction=self(curve.fraction))


def variant(
    window: WindowSpec, depth_ft: Float64[np.ndarray, " samples"], *, number: int, seed: int
) -> tuple[WindowSpec, dict[str, Any]]:
    """A changed copy of a window, drawn anew from the samples of its well; and what was changed, in plain values.

    In fractions of the track a curve goes from x to gain * x + offset, and where it is mirrored on to 1 less that.
    Depth is stretched about the window's middle, each curve (or both alike, see `TOGETHER`) is scaled about its median
    and shifted, and half of the copies are mirrored left to right. The copy's scales and depths are those that it then
    has.

    Args:
        window: of a well
        depth_ft: of the well's samples
        number: of the copy, from 1 on
        seed: of the dataset
    """
    rng = np.random.default_rng(name_number(f"{seed}/{window.name}/{number}"))
    stretch = float(np.exp(rng.uniform(*np.log(STRETCH))))
    gains, shifts, mirrored = rng.uniform(*GAIN, NUM_CURVES), rng.uniform(-SHIFT, SHIFT, NUM_CURVES), rng.random() < 0.5
    # Where a stretched window would show too little of a curve, it is stretched less, and at last not at all.
    tried = ((factor, stretched(window, depth_ft, factor)) for factor in (stretch, stretch**0.5))
    stretch, copy = next((one for one in tried if is_shown(one[1])), (1.0, stretched(window, depth_ft, 1.0)))
    lines = lines_of(copy, gains, shifts)
    change = {
        "copy": number,
        "depth_stretch": stretch,
        "gain": [line.slope for line in lines],
        "offset": [line.start for line in lines],
        "mirrored": bool(mirrored),
    }
    return plotted_along(copy, [line.mirrored() if mirrored else line for line in lines]), change


def stretched(window: WindowSpec, depth_ft: Float64[np.ndarray, " samples"], factor: float) -> WindowSpec:
    """The window's rows about the same middle, each standing for `1 / factor` of the depth."""
    middle, feet = (window.depth_top_ft + window.depth_bottom_ft) / 2, window.depth_bottom_ft - window.depth_top_ft
    rows, height = window.x.shape[1], window.centreline.shape[1]
    at = middle + (np.arange(rows) + 0.5 - rows / 2) * feet / height / factor
    fraction = np.stack([interpolated(depth_ft, curve.fraction, at) for curve in window.curves])
    half = feet / factor / 2
    return dataclasses.replace(
        window, x=fraction * window.width, depth_top_ft=middle - half, depth_bottom_ft=middle + half
    )


def is_shown(window: WindowSpec) -> bool:
    """Whether both curves are on the track in enough rows."""
    return bool(np.all(np.mean(window.presence, axis=1) >= MIN_PRESENT))


def lines_of(
    window: WindowSpec, gains: Float64[np.ndarray, " curves"], shifts: Float64[np.ndarray, " curves"]
) -> list[Line]:
    """Where each curve of a window goes: the same for both where they belong together."""
    fraction = window.centreline / window.width
    shown = [fraction[curve, window.presence[curve]] for curve in range(NUM_CURVES)]
    if window.pair in TOGETHER:
        return [line_of(np.concatenate(shown), gains[0], shifts[0])] * NUM_CURVES
    return [line_of(*one) for one in zip(shown, gains, shifts, strict=True)]


def line_of(fraction: Float64[np.ndarray, " rows"], gain: float, shift: float) -> Line:
    """Scaled about the median and shifted, both no further than the track allows."""
    least, most, room = fraction.min(), fraction.max(), 1 - 2 * EDGE
    slope = min(gain, room / max(most - least, 1e-9))
    start = np.clip((1 - slope) * np.median(fraction) + shift, EDGE - slope * least, 1 - EDGE - slope * most)
    return Line(slope=float(slope), start=float(start))


def plotted_along(window: WindowSpec, lines: list[Line]) -> WindowSpec:
    """The window with each curve moved along its line."""
    first, second = (line.moved(curve) for line, curve in zip(lines, window.curves, strict=True))
    x = np.stack([line(x) for line, x in zip(lines, window.x / window.width, strict=True)])
    return dataclasses.replace(window, curves=(first, second), x=x * window.width)
