"""Calibrations as TOML files: what a user declares of a scan, read strictly."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from veerjax.config import nearest, require
from veerjax.errors import InputError
from veerjax.logs.scales import CurveScale, DepthScale
from veerjax.logs.sections import Calibration, Grid, Section, Track, whole_scan

__all__ = [
    "Calibration",
    "CurveScale",
    "DepthScale",
    "Grid",
    "Section",
    "Track",
    "read_calibration",
    "whole_scan",
]

ANCHORS_NEEDED = "a list of [row_px, depth] pairs, such as [[100, 5000], [3100, 5100]]"
SEEDS_NEEDED = "a list of [row_px, x_px] pairs, such as [[120.5, 310]]"


def read_calibration(path: str | Path) -> Calibration:
    """The calibration in a TOML file: `[[section]]`, in each `[section.depth]`, `[[section.track]]` and
    `[[section.track.curve]]`; or, of a scan that is one main section, `[depth]`, `[[track]]` and `[[track.curve]]`.

    Beside them stand `[well]`, and the number `page` of the page that it is of, needed where a scan has several.

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
    parted = "section" in table
    _check_keys("the file", table, ("section",) if parted else ("depth", "track"), optional=("well", "page"))
    well, page = table.get("well", {}), table.get("page")
    require(isinstance(well, dict), "[well] must be a table.")
    whole = isinstance(page, int) and not isinstance(page, bool)
    require(page is None or whole, f"page is {page!r}; write the number of a page, such as 1.")
    if not parted:
        tracks = tuple(_track("track", item) for item in _tables("track", table["track"]))
        return whole_scan(depth=_depth("depth", table["depth"]), tracks=tracks, well=well, page=page)
    sections = []
    for number, item in enumerate(_tables("section", table["section"]), start=1):
        try:
            sections.append(_section(item))
        except InputError as error:
            raise InputError(f"in section {number}, {error}") from error
    return Calibration(sections=tuple(sections), well=well, page=page)


def _section(table: Mapping[str, Any]) -> Section:
    _check_keys("[[section]]", table, (), optional=("rows", "role", "depth", "track"))
    return Section(
        rows=_rows(table["rows"]) if "rows" in table else None,
        role=_text("[[section]] role", table.get("role", Section.role)),
        depth=_depth("section.depth", table["depth"]) if "depth" in table else None,
        tracks=tuple(_track("section.track", item) for item in _tables("section.track", table.get("track", []))),
    )


def _rows(value: Any) -> tuple[int, int]:
    need = "rows must be the first and the last row of the section, such as [0, 1999]"
    require(isinstance(value, list) and len(value) == 2, f"{need}, not {value!r}.")
    for row in value:
        require(isinstance(row, int) and not isinstance(row, bool), f"{need}, not {value!r}.")
    return value[0], value[1]


def _depth(name: str, table: Any) -> DepthScale:
    where = f"[{name}]"
    _check_keys(where, table, ("unit", "anchors"))
    anchors = _pairs(f"{where} anchors", table["anchors"], ANCHORS_NEEDED, ("row", "depth"))
    return DepthScale(unit=_text(f"{where} unit", table["unit"]), anchors=anchors)


def _track(name: str, table: Any) -> Track:
    """A track whose edges are given in px, or as lines of a grid."""
    where = f"[[{name}]]"
    on_grid = isinstance(table, dict) and "grid" in table
    edges = ("left_division", "right_division") if on_grid else ("left_px", "right_px")
    _check_keys(where, table, (*edges, "curve"), optional=("straighten", "grid") if on_grid else ("straighten",))
    left, right = (_number(f"{where} {edge}", table[edge]) for edge in edges)
    curves = tuple(_curve(f"{name}.curve", item) for item in _tables(f"{name}.curve", table["curve"]))
    straighten = _flag(f"{where} straighten", table.get("straighten", Track.straighten))
    grid = _grid(f"[{name}.grid]", table["grid"]) if on_grid else None
    left_px, right_px = left, right
    if grid is not None:
        for edge, line in zip(edges, (left, right), strict=True):
            lines = f"the lines 0 to {grid.divisions}"
            require(0 <= line <= grid.divisions, f"{where} {edge} is {line:g}, and its grid has {lines}.")
        left_px, right_px = grid.x(left), grid.x(right)
    return Track(left_px=left_px, right_px=right_px, curves=curves, grid=grid, straighten=straighten)


def _grid(where: str, table: Any) -> Grid:
    _check_keys(where, table, ("divisions", "left_px", "right_px"))
    return Grid(
        divisions=_whole(f"{where} divisions", table["divisions"], "a whole number, such as 10"),
        left_px=_number(f"{where} left_px", table["left_px"]),
        right_px=_number(f"{where} right_px", table["right_px"]),
    )


def _curve(name: str, table: Any) -> CurveScale:
    where = f"[[{name}]]"
    optional = ("scale", "wrap", "backup", "seeds", "colour")
    _check_keys(where, table, ("class", "mnemonic", "unit", "left", "right"), optional=optional)
    return CurveScale(
        curve_class=_whole(f"{where} class", table["class"], "1 or 2"),
        mnemonic=_text(f"{where} mnemonic", table["mnemonic"]),
        unit=_text(f"{where} unit", table["unit"]),
        left=_number(f"{where} left", table["left"]),
        right=_number(f"{where} right", table["right"]),
        scale=_text(f"{where} scale", table.get("scale", CurveScale.scale)),
        wrap=_flag(f"{where} wrap", table.get("wrap", CurveScale.wrap)),
        backup=_backup(f"{where} backup", table["backup"]) if "backup" in table else None,
        seeds=_pairs(f"{where} seeds", table.get("seeds", []), SEEDS_NEEDED, ("row", "x")),
        colour=_text(f"{where} colour", table.get("colour", CurveScale.colour)),
    )


def _backup(where: str, table: Any) -> tuple[float, float]:
    _check_keys(where, table, ("left", "right"))
    return _number(f"{where} left", table["left"]), _number(f"{where} right", table["right"])


def _pairs(what: str, value: Any, needed: str, names: tuple[str, str]) -> tuple[tuple[float, float], ...]:
    need = f"{what} must be {needed}"
    require(isinstance(value, list), f"{need}, not {value!r}.")
    for pair in value:
        require(isinstance(pair, list) and len(pair) == 2, f"{need}, not {pair!r}.")
    first, second = (f"a {name} in {what}" for name in names)
    return tuple((_number(first, a), _number(second, b)) for a, b in value)


def _check_keys(where: str, table: Any, required: Sequence[str], *, optional: Sequence[str] = ()) -> None:
    require(isinstance(table, dict), f"{where} is {table!r}; it must be a table.")
    known = (*required, *optional)
    for key in table:
        require(key in known, f"{where} has no key {key!r}{nearest(key, known)}.")
    for key in required:
        require(key in table, f"{where} needs {key!r}.")


def _tables(name: str, value: Any) -> list[Any]:
    require(isinstance(value, list), f"{name} must be written as [[{name}]], with double brackets.")
    return value


def _number(what: str, value: Any) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    require(is_number, f"{what} is {value!r}; write a number.")
    return float(value)


def _whole(what: str, value: Any, needed: str) -> int:
    require(isinstance(value, int) and not isinstance(value, bool), f"{what} is {value!r}; write {needed}.")
    return int(value)


def _flag(what: str, value: Any) -> bool:
    require(isinstance(value, bool), f"{what} is {value!r}; write true or false.")
    return value


def _text(what: str, value: Any) -> str:
    require(isinstance(value, str), f"{what} is {value!r}; write it as text in quotes.")
    return value
