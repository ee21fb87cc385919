"""What a user declares of a scan: which rows lie at which depths, and what the tracks' edges stand for."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from veerjax.config import nearest, require
from veerjax.errors import InputError
from veerjax.labels import CURVE_1, CURVE_2
from veerjax.logs.fields import check_curve_name, check_header

UNITS = ("ft", "m")
SCALES = ("linear", "log")


@dataclass(frozen=True, kw_only=True)
class DepthScale:
    """Depth along the rows: straight lines between anchors, the first and last one carried on beyond them."""

    unit: str  # "ft" or "m"
    anchors: tuple[tuple[float, float], ...]  # (row_px, depth), rows downwards; row r's centre is r + .5

    def __post_init__(self) -> None:
        _check_choice("[depth] unit", self.unit, UNITS)
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

    def depth(self, row_px: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The depth [unit] at rows [px]."""
        rows, depths = np.array(self.anchors, np.float64).T
        return _piecewise(row_px, rows, depths)

    def row(self, depth: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The row [px] at depths [unit], the inverse of `depth`."""
        rows, depths = np.array(self.anchors, np.float64).T
        order = 1 if depths[0] < depths[-1] else -1
        return _piecewise(depth, depths[::order], rows[::order])


@dataclass(frozen=True, kw_only=True)
class CurveScale:
    """What the left and the right edge of a track stand for on one curve; reversed where left > right."""

    curve_class: int  # 1 solid or 2 broken; `class` in TOML
    mnemonic: str
    unit: str
    left: float  # value at the track's left edge [unit]
    right: float  # value at its right edge [unit]
    scale: str = "linear"  # or "log"

    def __post_init__(self) -> None:
        require(
            self.curve_class in (CURVE_1, CURVE_2),
            f"the class of {self.mnemonic} is {self.curve_class}; write 1 (solid) or 2 (broken).",
        )
        check_curve_name(self.mnemonic, self.unit)
        _check_choice(f"the scale of {self.mnemonic}", self.scale, SCALES)
        require(
            bool(np.isfinite([self.left, self.right]).all()),
            f"left and right of {self.mnemonic} must be finite.",
        )
        require(
            self.left != self.right,
            f"left and right of {self.mnemonic} are both {self.left:g}; write the values at the two edges.",
        )
        require(
            self.scale == "linear" or min(self.left, self.right) > 0,
            f"{self.mnemonic} has a log scale from {self.left:g} to {self.right:g}; both must be above 0,"
            " such as 0.2 and 2000.",
        )

    def value(self, x_px: npt.ArrayLike, left_px: float, right_px: float) -> npt.NDArray[np.float64]:
        """The value [unit] at x, in a track between two edges [px]."""
        left, right = self._ends
        position = left + (np.asarray(x_px, np.float64) - left_px) / (right_px - left_px) * (right - left)
        return np.power(10.0, position) if self.scale == "log" else position

    def x(self, value: npt.ArrayLike, left_px: float, right_px: float) -> npt.NDArray[np.float64]:
        """The x [px] of values, the inverse of `value`; NaN for what a log scale cannot hold."""
        left, right = self._ends
        position = np.asarray(value, np.float64)
        if self.scale == "log":
            position = np.log10(np.where(position > 0, position, np.nan))
        return left_px + (position - left) / (right - left) * (right_px - left_px)

    @property
    def _ends(self) -> tuple[float, float]:
        if self.scale == "linear":
            return self.left, self.right
        return float(np.log10(self.left)), float(np.log10(self.right))


@dataclass(frozen=True, kw_only=True)
class Track:
    """One track of a strip and the scales of its curves."""

    left_px: float  # of the track's left edge
    right_px: float  # of its right edge
    curves: tuple[CurveScale, ...]  # one or two, of different classes

    def __post_init__(self) -> None:
        edges = f"a [[track]] runs from left_px {self.left_px:g} to right_px {self.right_px:g}"
        require(0 <= self.left_px < self.right_px < np.inf, f"{edges}; it needs 0 <= left_px < right_px.")
        require(len(self.curves) >= 1, f"{edges} without a [[track.curve]]; it needs one or two.")
        classes = [curve.curve_class for curve in self.curves]
        require(
            len(set(classes)) == len(classes),
            f"{edges} with two curves of one class; one is 1 (solid), the other 2 (broken).",
        )


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """All that turns pixels of a scan into the values of a well."""

    depth: DepthScale
    tracks: tuple[Track, ...]
    well: dict[str, str] = field(default_factory=dict)  # LAS header fields, by their LAS names
    page: int | None = None  # of the scan that it is of, from 1; None where the scan has one only

    def __post_init__(self) -> None:
        require(self.page is None or self.page >= 1, f"page is {self.page}; pages count from 1.")
        require(len(self.tracks) >= 1, "it has no [[track]]; it needs at least one.")
        names = [curve.mnemonic.upper() for track in self.tracks for curve in track.curves]
        twice = sorted({name for name in names if names.count(name) > 1})
        require(not twice, f"the mnemonic {', '.join(twice)} is given twice; name each curve differently.")
        check_header(self.well)


def read_calibration(path: str | Path) -> Calibration:
    """The calibration in a TOML file with the tables `[depth]`, `[[track]]`, `[[track.curve]]` and `[well]`,
    and the number `page` of the page that it is of, needed where a scan has several.

    Raises:
        InputError: the file is missing or no TOML, a key is unknown (the nearest is named) or missing,
            or a value cannot be; the sentence names the file.
    """
    path = Path(path)
    require(path.is_file(), f"there is no calibration {str(path)!r}; give the path of a TOML file.")
    try:
        return _calibration(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"the calibration {path} is not valid TOML: {str(error).rstrip('.')}.") from error
    except InputError as error:
        raise InputError(f"the calibration {path} cannot be used: {error}") from error


def _calibration(table: Mapping[str, Any]) -> Calibration:
    _check_keys("the file", table, ("depth", "track"), optional=("well", "page"))
    depth, well, page = table["depth"], table.get("well", {}), table.get("page")
    _check_keys("[depth]", depth, ("unit", "anchors"))
    require(isinstance(well, dict), "[well] must be a table.")
    whole = isinstance(page, int) and not isinstance(page, bool)
    require(page is None or whole, f"page is {page!r}; write the number of a page, such as 1.")
    scale = DepthScale(unit=_text("[depth] unit", depth["unit"]), anchors=_anchors(depth["anchors"]))
    tracks = tuple(_track(item) for item in _tables("track", table["track"]))
    return Calibration(depth=scale, tracks=tracks, well=well, page=page)


def _track(table: Mapping[str, Any]) -> Track:
    _check_keys("[[track]]", table, ("left_px", "right_px", "curve"))
    return Track(
        left_px=_number("[[track]] left_px", table["left_px"]),
        right_px=_number("[[track]] right_px", table["right_px"]),
        curves=tuple(_curve(item) for item in _tables("track.curve", table["curve"])),
    )


def _curve(table: Mapping[str, Any]) -> CurveScale:
    where = "[[track.curve]]"
    _check_keys(where, table, ("class", "mnemonic", "unit", "left", "right"), optional=("scale",))
    return CurveScale(
        curve_class=_whole(f"{where} class", table["class"]),
        mnemonic=_text(f"{where} mnemonic", table["mnemonic"]),
        unit=_text(f"{where} unit", table["unit"]),
        left=_number(f"{where} left", table["left"]),
        right=_number(f"{where} right", table["right"]),
        scale=_text(f"{where} scale", table.get("scale", CurveScale.scale)),
    )


def _anchors(value: Any) -> tuple[tuple[float, float], ...]:
    need = "[depth] anchors must be a list of [row_px, depth] pairs, such as [[100, 5000], [3100, 5100]]"
    require(isinstance(value, list), f"{need}.")
    for pair in value:
        require(isinstance(pair, list) and len(pair) == 2, f"{need}, not {pair!r}.")
    row_name, depth_name = "a row in [depth] anchors", "a depth in [depth] anchors"
    return tuple((_number(row_name, row), _number(depth_name, depth)) for row, depth in value)


def _check_keys(where: str, table: Any, required: Sequence[str], *, optional: Sequence[str] = ()) -> None:
    require(isinstance(table, dict), f"{where} is {table!r}; it must be a table.")
    known = (*required, *optional)
    for key in table:
        require(key in known, f"{where} has no key {key!r}{nearest(key, known)}.")
    for key in required:
        require(key in table, f"{where} needs {key!r}.")


def _check_choice(what: str, value: str, allowed: Sequence[str]) -> None:
    require(value in allowed, f"{what} is {value!r}; write {' or '.join(map(repr, allowed))}.")


def _tables(name: str, value: Any) -> list[Any]:
    require(isinstance(value, list), f"{name} must be written as [[{name}]], with double brackets.")
    return value


def _number(what: str, value: Any) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    require(is_number, f"{what} is {value!r}; write a number.")
    return float(value)


def _whole(what: str, value: Any) -> int:
    require(isinstance(value, int) and not isinstance(value, bool), f"{what} is {value!r}; write 1 or 2.")
    return int(value)


def _text(what: str, value: Any) -> str:
    require(isinstance(value, str), f"{what} is {value!r}; write it as text in quotes.")
    return value


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
