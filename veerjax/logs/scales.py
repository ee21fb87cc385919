"""What a place on a scan stands for: rows at depths, columns at values."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool

from veerjax.config import require
from veerjax.labels import CURVE_1, CURVE_2
from veerjax.logs.fields import check_curve_name
from veerjax.logs.units import FT_PER_M

UNITS = ("ft", "m")
SCALES = ("linear", "log", "reversed")
CLIP_SHARE = 0.004  # of a track's width, a pixel of 256: ink this near to an edge runs along it


@dataclass(frozen=True, kw_only=True)
class DepthScale:
    """Depth along the rows: straight lines between anchors, the first and last one carried on beyond them."""

    unit: str  # "ft" or "m"
    anchors: tuple[tuple[float, float], ...]  # (row_px, depth), rows downwards; row r's centre is r + .5

    def __post_init__(self) -> None:
        require(self.unit in UNITS, f"[depth] unit is {self.unit!r}; write 'ft' or 'm'.")
        require(
            len(self.anchors) >= 2,
            f"[depth] anchors has {len(self.anchors)} [row_px, depth] pair(s); it needs at least two.",
        )
        rows, depths = np.array(self.anchors, np.float64).T
        require(
            bool(np.isfinite([rows, depths]).all()),
            "[depth] anchors holds a number that is not finite.",
        )
        require(
            bool((np.diff(rows) > 0).all()),
            f"[depth] anchors have the rows {_listed(rows)}; each must lie below the one before.",
        )
        require(
            bool((np.diff(depths) > 0).all() or (np.diff(depths) < 0).all()),
            f"[depth] anchors have the depths {_listed(depths)}; each must be greater than the one before.",
        )

    @property
    def downwards(self) -> bool:
        """Whether depth increases down the rows."""
        return self.anchors[0][1] < self.anchors[-1][1]

    @property
    def rows_per_ft(self) -> float:
        """Rows of the scan for a foot, between the first and the last anchor."""
        (top, first), (bottom, last) = self.anchors[0], self.anchors[-1]
        return (bottom - top) / abs(last - first) / (FT_PER_M if self.unit == "m" else 1.0)

    def depth(self, row_px: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The depth [unit] at rows [px]."""
        rows, depths = np.array(self.anchors, np.float64).T
        return _piecewise(row_px, rows, depths)

    def row(self, depth: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The row [px] at depths [unit], the inverse of `depth`."""
        rows, depths = np.array(self.anchors, np.float64).T
        order = 1 if self.downwards else -1
        return _piecewise(depth, depths[::order], rows[::order])


@dataclass(frozen=True, kw_only=True)
class CurveScale:
    """What the left and the right edge of a track stand for on one curve; reversed where left > right."""

    curve_class: int  # 1 solid or 2 broken; `class` in TOML
    mnemonic: str
    unit: str
    left: float  # value at the track's left edge [unit]
    right: float  # value at its right edge [unit]
    scale: str = "linear"  # "log"; or "reversed": linear, the greater value at the left
    wrap: bool = False  # whether it goes on at the opposite edge, on the same scale, where it leaves the track
    backup: tuple[float, float] | None = None  # left and right [unit] of the scale that it goes on with there
    seeds: tuple[tuple[float, float], ...] = ()  # (row, x) [px of the scan] that it is at: its identity from there on
    colour: str = ""  # of its ink

    def __post_init__(self) -> None:
        require(
            self.curve_class in (CURVE_1, CURVE_2),
            f"the class of {self.mnemonic} is {self.curve_class}; write 1 (solid) or 2 (broken).",
        )
        check_curve_name(self.mnemonic, self.unit)
        require(
            self.scale in SCALES,
            f"the scale of {self.mnemonic} is {self.scale!r}; write 'linear' or 'log', or 'reversed' for a linear one"
            " with the greater value at the left.",
        )
        self._check_ends("left and right", self.left, self.right)
        if self.backup is not None:
            self._check_ends("backup left and right", *self.backup)
        require(
            not (self.wrap and self.backup),
            f"{self.mnemonic} has both wrap and backup; one says on which scale it goes on where it leaves the track.",
        )
        require(
            bool(np.isfinite(np.array(self.seeds, np.float64)).all()),
            f"the seeds of {self.mnemonic} hold a number that is not finite.",
        )

    def value(self, x_px: npt.ArrayLike, left_px: npt.ArrayLike, right_px: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The value [unit] at x, in a track between two edges [px]."""
        return self._value(_share(x_px, left_px, right_px), self.left, self.right)

    def x(self, value: npt.ArrayLike, left_px: float, right_px: float) -> npt.NDArray[np.float64]:
        """The x [px] of values, the inverse of `value`; NaN for what a log scale cannot hold."""
        left, right = self._positions(self.left, self.right)
        position = np.asarray(value, np.float64)
        if self.scale == "log":
            position = np.log10(np.where(position > 0, position, np.nan))
        return left_px + (position - left) / (right - left) * (right_px - left_px)

    def unwrapped_value(
        self, x_px: npt.ArrayLike, wrap: npt.ArrayLike, left_px: npt.ArrayLike, right_px: npt.ArrayLike
    ) -> npt.NDArray[np.float64]:
        """The value [unit] that is meant by x as it is drawn.

        With `wrap`, a track width is added for each time that the curve has left the track at its right edge. With a
        `backup`, x is read on that scale where the curve has left the track.

        Args:
            x_px: of the curve
            wrap: how often it has left the track at its right edge, negative at its left one
            left_px: the track's left edge
            right_px: its right edge
        """
        share, count = _share(x_px, left_px, right_px), np.asarray(wrap)
        if self.backup is None:
            return self._value(share + count if self.wrap else share, self.left, self.right)
        return np.where(count == 0, self._value(share, self.left, self.right), self._value(share, *self.backup))

    def off_scale(
        self, x_px: npt.ArrayLike, wrap: npt.ArrayLike, left_px: npt.ArrayLike, right_px: npt.ArrayLike
    ) -> Bool[np.ndarray, "*rows"]:
        """Whether the ink says that the value lies off the scale, but not where.

        It does where a curve with neither `wrap` nor `backup` runs along an edge, and where one has left its backup
        scale too.
        """
        share, count = _share(x_px, left_px, right_px), np.asarray(wrap)
        if self.backup is not None:
            return np.abs(count) > 1
        return ((share <= CLIP_SHARE) | (share >= 1 - CLIP_SHARE)) & (not self.wrap)

    def _value(self, share: npt.NDArray[np.float64], left_value: float, right_value: float) -> npt.NDArray[np.float64]:
        left, right = self._positions(left_value, right_value)
        position = left + share * (right - left)
        return np.power(10.0, position) if self.scale == "log" else position

    def _positions(self, left: float, right: float) -> tuple[float, float]:
        return (float(np.log10(left)), float(np.log10(right))) if self.scale == "log" else (left, right)

    def _check_ends(self, names: str, left: float, right: float) -> None:
        require(bool(np.isfinite([left, right]).all()), f"{names} of {self.mnemonic} must be finite.")
        require(
            left != right,
            f"{names} of {self.mnemonic} are both {left:g}; write the values at the two edges.",
        )
        require(
            self.scale != "log" or min(left, right) > 0,
            f"{self.mnemonic} has a log scale from {left:g} to {right:g}; both must be above 0, such as 0.2 and 2000.",
        )
        require(
            self.scale != "reversed" or left > right,
            f"{self.mnemonic} has a reversed scale from {left:g} to {right:g}; write the greater value as left, or"
            ' scale = "linear".',
        )


def _share(x_px: npt.ArrayLike, left_px: npt.ArrayLike, right_px: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """0 at the track's left edge, 1 at its right one."""
    left, right = np.asarray(left_px, np.float64), np.asarray(right_px, np.float64)
    return (np.asarray(x_px, np.float64) - left) / (right - left)


def _listed(numbers: npt.NDArray[np.float64]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)


def _piecewise(
    at: npt.ArrayLike, knots: npt.NDArray[np.float64], values: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Linear interpolation over ascending knots, the end segments carried on."""
    points = np.asarray(at, np.float64)
    segment = np.clip(np.searchsorted(knots, points, side="right") - 1, 0, len(knots) - 2)
    slope = np.diff(values) / np.diff(knots)
    return values[segment] + (points - knots[segment]) * slope[segment]
