"""LAS files: read as archives hold them (wrapped, descending, any encoding, any null), written strictly."""

import io
import logging
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64

from veerjax.config import require
from veerjax.errors import InputError
from veerjax.logs.atomic import replacing
from veerjax.logs.fields import DEPTH_MNEMONICS, PARAMETER_FIELDS, WELL_FIELDS, check_curve_name, check_header
from veerjax.logs.resample import step_decimals

FEET = ("F", "FT", "FEET", "FOOT")
METRES = ("M", "METER", "METERS", "METRE", "METRES")
# Archives hold these whatever the header's NULL says.
NULL_VALUES = (-999.25, -999.0, -9999.0, -9999.25)
NULL = -999.25  # what we write


@dataclass(frozen=True, kw_only=True)
class Well:
    """The curves of one well on one ascending depth index."""

    name: str
    unit: str  # of depth: "ft" or "m"
    depth: Float64[np.ndarray, " rows"]  # strictly ascending [unit]
    curves: dict[str, Float64[np.ndarray, " rows"]]  # by mnemonic, upper case; NaN where null
    units: dict[str, str]  # as the file writes them; "" where it does not say


def read_las(path: str | Path) -> Well:
    """The curves of a LAS file, with ascending depth and NaN for every null.

    Rows without a depth, and all but the first of rows at one depth, are left out. The second curve of one
    mnemonic is called `GR:2`. Text in a curve is null. The name is the WELL field, or the file's stem where
    that is empty.

    Raises:
        InputError: the file is missing, empty or no LAS, has no depth in feet or metres, or has only one row.
    """
    path = Path(path)
    las = _parse(path, _text(path))
    position = _depth_position(path, las.curves)
    unit = _depth_unit(path, las, position)
    declared = _number(las.well["NULL"].value) if "NULL" in las.well else np.nan
    index = _numbers(las.curves[position].data, declared)
    rows = _ascending_rows(index)
    if len(rows) < 2:
        raise InputError(f"{path} has {len(rows)} row(s) with a depth; a well log needs at least two.")
    curves, units = {}, {}
    for place, curve in enumerate(las.curves):
        if place == position or len(curve.data) != len(index):
            continue
        name = _unused(str(curve.useful_mnemonic).strip(), curves)
        curves[name] = _numbers(curve.data, declared)[rows]
        units[name] = str(curve.unit).strip()
    return Well(name=_well_name(las) or path.stem, unit=unit, depth=index[rows], curves=curves, units=units)


def _text(path: Path) -> str:
    if not path.is_file():
        raise InputError(f"there is no LAS file {str(path)!r}; give the path of one.")
    content = path.read_bytes()
    if not content.strip():
        raise InputError(f"{path} is empty; give a LAS file with ~V, ~W, ~C and ~A sections.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _parse(path: Path, text: str) -> Any:
    import lasio

    logging.getLogger("lasio").setLevel(logging.CRITICAL)  # what matters of its chatter is refused below, in a sentence
    refusal = f"{path} is not a LAS file that can be read; it needs ~V, ~W, ~C and ~A sections"
    sections = {line.lstrip()[1:2].upper() for line in text.splitlines() if line.lstrip().startswith("~")}
    if "\0" in text or not {"C", "A"} <= sections:
        raise InputError(f"{refusal}.")
    options: dict[str, Any] = {"ignore_header_errors": True, "null_policy": "strict"}
    try:
        header = lasio.read(io.StringIO(text), ignore_data=True, **options)
        wrapped = "WRAP" in header.version and str(header.version["WRAP"].value).strip().upper() == "YES"
        if wrapped:
            text = _one_line_a_depth(text, columns=len(header.curves))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return lasio.read(io.StringIO(text), engine="normal" if wrapped else "numpy", **options)
    # lasio reports damage with whatever its parser stumbled over, and with bare Exceptions of its own.
    except Exception as error:
        raise InputError(f"{refusal} ({type(error).__name__}: {' '.join(str(error).split())[:120]}).") from error


def _one_line_a_depth(text: str, *, columns: int) -> str:
    """Wrapped data with each depth's values on one line: lasio takes one value a line for a single column."""
    lines = text.splitlines()
    start = next(row for row, line in enumerate(lines) if line.lstrip()[:2].upper() == "~A") + 1
    values = " ".join(line for line in lines[start:] if not line.lstrip().startswith("#")).split()
    if columns == 0 or len(values) % columns:
        return text
    rows = (" ".join(values[place : place + columns]) for place in range(0, len(values), columns))
    return "\n".join([*lines[:start], *rows]) + "\n"


def _depth_position(path: Path, curves: Any) -> int:
    names = [str(curve.useful_mnemonic).strip().upper() for curve in curves]
    for place, name in enumerate(names):
        if name in DEPTH_MNEMONICS and len(curves[place].data):
            return place
    found = ", ".join(names) or "none"
    raise InputError(f"{path} has no depth curve among its curves ({found}); one must be called DEPT.")


def _depth_unit(path: Path, las: Any, position: int) -> str:
    written = [las.curves[position].unit] + [las.well[key].unit for key in ("STRT", "STOP") if key in las.well]
    unit = next((str(text).strip() for text in written if str(text).strip()), "")
    name = unit.upper().rstrip(".")
    if name in FEET:
        return "ft"
    if name in METRES:
        return "m"
    raise InputError(f"{path} has its depth in {unit!r}; it must be in feet (F or FT) or metres (M).")


def _well_name(las: Any) -> str:
    name = str(las.well["WELL"].value).strip() if "WELL" in las.well else ""
    return "" if _number(name) in NULL_VALUES else name


def _unused(name: str, taken: Iterable[str]) -> str:
    """The name, with a number from 2 on behind it where it is taken."""
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name}:{number}"
    return candidate


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan


def _numbers(values: Any, declared_null: float) -> Float64[np.ndarray, " rows"]:
    try:
        numbers = np.array(values, dtype=np.float64)
    except ValueError:
        numbers = np.array([_number(value) for value in values])
    null = ~np.isfinite(numbers)
    for null_value in (*NULL_VALUES, declared_null):
        null |= _equals(numbers, null_value)
    return np.where(null, np.nan, numbers)


def _equals(numbers: Float64[np.ndarray, " rows"], null: float) -> Bool[np.ndarray, " rows"]:
    return np.isclose(numbers, null, rtol=0, atol=1e-6)


def _ascending_rows(depth: Float64[np.ndarray, " rows"]) -> Any:
    """The places of the finite depths, sorted, the first of equal ones only."""
    finite = np.flatnonzero(np.isfinite(depth))
    return finite[np.unique(depth[finite], return_index=True)[1]]


def write_las(
    path: str | Path,
    *,
    depth: Float64[np.ndarray, " rows"],
    curves: Mapping[str, Float[np.ndarray, " rows"]],
    units: Mapping[str, str],
    unit: str,
    step: float,
    header: Mapping[str, str],
    provenance: str,
) -> None:
    """Writes LAS 2.0, unwrapped, with the index DEPT and the null -999.25.

    Args:
        path: the LAS file
        depth: consecutive multiples of `step` [unit], as `regular_index` makes them
        curves: values by mnemonic, NaN where null
        units: of the curves, by mnemonic; "" where unknown
        unit: of depth, "ft" or "m"
        step: between depths [unit]
        header: what is known of the well: by the names in `WELL_FIELDS`, of which the others are written empty, and
            in `PARAMETER_FIELDS`, which stand in ~P
        provenance: lines for the section ~O; what is not ASCII is escaped

    Raises:
        InputError: a name, unit or header field that LAS cannot hold, a depth unit other than ft and m, or
            depths that are not consecutive multiples of the step.
    """
    check_header(header)
    for name in curves:
        check_curve_name(name, units.get(name, ""))
    require(unit in ("ft", "m"), f"the depth unit is {unit!r}; write 'ft' or 'm'.")
    multiples = np.round(np.asarray(depth) / step)
    on_index = np.allclose(multiples * step, depth, rtol=1e-9)
    regular = len(depth) >= 2 and on_index and bool(np.all(np.diff(multiples) == 1))
    require(regular, f"the depths to write are not consecutive multiples of the step {step:g}; use regular_index.")
    las = _empty_las(header, provenance)
    depth_format = f"%.{step_decimals(step)}f"
    las.append_curve("DEPT", np.asarray(depth, np.float64), unit="F" if unit == "ft" else "M", descr="DEPTH")
    formats = {0: depth_format}
    for place, (name, values) in enumerate(curves.items(), start=1):
        decimals = value_decimals(values)
        las.append_curve(name, _rounded(values, decimals), unit=units.get(name, ""))
        formats[place] = f"%.{decimals}f"
    ends = {"STRT": depth_format % depth[0], "STOP": depth_format % depth[-1], "STEP": depth_format % step}
    layout = {"version": 2, "wrap": False, "mnemonics_header": True, "data_section_header": "~A"}
    with replacing(path) as temporary, temporary.open("w", encoding="ascii", newline="\n") as file:
        las.write(file, column_fmt=formats, len_numeric_field=14, **ends, **layout)


def value_decimals(values: Float[np.ndarray, " rows"]) -> int:
    """How many decimals keep four digits of a positive curve's least value, or another's greatest; 4 to 8."""
    sizes = np.abs(values[np.isfinite(values)])
    if sizes.size == 0 or sizes.max() == 0:
        return 4
    reference = sizes.min() if np.nanmin(values) > 0 else sizes.max()
    return int(np.clip(3 - np.floor(np.log10(reference)), 4, 8))


def _rounded(values: Float[np.ndarray, " rows"], decimals: int) -> Float64[np.ndarray, " rows"]:
    # Adding 0 turns -0.0, which prints as -0.0000, into 0.0.
    return np.round(np.where(np.isfinite(values), np.asarray(values, np.float64), np.nan), decimals) + 0.0


def _empty_las(header: Mapping[str, str], provenance: str) -> Any:
    import lasio
    from lasio import HeaderItem

    las = lasio.LASFile()
    for name in list(las.well.keys()):
        if name not in ("STRT", "STOP", "STEP", "NULL"):
            del las.well[name]
    del las.version["DLM"]  # a line of LAS 3
    las.well["NULL"].value = f"{NULL:.2f}"
    for name, description in WELL_FIELDS.items():
        las.well[name] = HeaderItem(name, value=header.get(name, "").strip(), descr=description)
    for name, description in PARAMETER_FIELDS.items():
        if name in header:
            las.params[name] = HeaderItem(name, value=header[name].strip(), descr=description)
    lines = provenance.encode("ascii", "backslashreplace").decode("ascii").splitlines()
    # A line that starts with ~ would open a section, one with # is skipped by readers.
    las.other = "\n".join(text for line in lines if (text := line.strip().lstrip("~# ")))
    return las
