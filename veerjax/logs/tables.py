"""CSV files: the trace in pixels, and the values that stand in the LAS."""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float

from veerjax.config import nearest, require
from veerjax.errors import InputError
from veerjax.labels import NUM_CURVES
from veerjax.logs.atomic import replacing
from veerjax.logs.las import value_decimals

X_DECIMALS, CONFIDENCE_DECIMALS = 2, 3
CURVES = range(1, NUM_CURVES + 1)
PIXEL_COLUMNS = (
    *(f"curve_{k}{part}_px" for k in CURVES for part in ("", "_lo", "_hi")),
    *(f"confidence_{k}" for k in CURVES),
)
MORE_COLUMNS = r"(row_\d+|curve_\d+(_lo|_hi)?)_px|(confidence|wrap|occluded)_\d+"  # of any number of curves


def pixel_columns(
    x: Float[np.ndarray, "curves rows"],
    lo: Float[np.ndarray, "curves rows"],
    hi: Float[np.ndarray, "curves rows"],
    *,
    confidence: Float[np.ndarray, "curves rows"],
    presence: Bool[np.ndarray, "curves rows"],
    numbers: Sequence[int] = CURVES,
    row_px: Float[np.ndarray, "curves rows"] | None = None,
    flags: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> dict[str, Float[np.ndarray, " rows"]]:
    """The columns of a pixel table by name, NaN where a curve is absent.

    Args:
        x: where each curve crosses the centre of each row [px]
        lo: least x of its stroke in that row [px]
        hi: greatest x of its stroke in that row [px]
        confidence: in [0, 1]
        presence: whether the curve is there
        numbers: of the curves in the names of the columns
        row_px: of the scan that x lies at, where a track's rows tilt
        flags: more columns of each curve by the beginning of their names, `wrap` and `occluded`
    """
    columns = {}
    for place, k in enumerate(numbers):
        absent = ~(presence[place] & np.isfinite(x[place]))
        parts = {
            f"curve_{k}_px": x,
            f"curve_{k}_lo_px": lo,
            f"curve_{k}_hi_px": hi,
            f"confidence_{k}": confidence,
            **({} if row_px is None else {f"row_{k}_px": row_px}),
            **{f"{name}_{k}": part for name, part in flags.items()},
        }
        columns |= {name: np.where(absent, np.nan, part[place]) for name, part in parts.items()}
    return columns


def column_numbers(classes: Sequence[int]) -> list[int]:
    """The number that each of a track's curves has in a pixel table: its class, or where that is taken 3 and on."""
    numbers: list[int] = []
    for curve_class in classes:
        taken = curve_class in numbers
        numbers.append(max(NUM_CURVES, *numbers) + 1 if taken else curve_class)
    return numbers


def write_pixels_csv(path: str | Path, rows: Mapping[str, Float[np.ndarray, " rows"]], *, first_row: int = 0) -> None:
    """A table of one line per pixel row: `row_px` (its centre), `PIXEL_COLUMNS`, and others; empty where NaN.

    Args:
        path: the CSV file
        rows: columns by name, as `pixel_columns` makes them; one of `PIXEL_COLUMNS` that is left out is empty
        first_row: of the scan, that the first line is about

    Raises:
        InputError: a column of another name, columns of different lengths, or none.
    """
    for name in rows:
        known = re.fullmatch(MORE_COLUMNS, name) is not None
        require(known, f"a pixel table has no column {name!r}{nearest(name, PIXEL_COLUMNS)}.")
    require(len(rows) > 0, f"a pixel table has no columns; give at least one of {', '.join(PIXEL_COLUMNS)}.")
    lengths = {len(column) for column in rows.values()}
    require(
        len(lengths) == 1,
        f"the columns of a pixel table have the lengths {sorted(lengths)}; they must be equal.",
    )
    height = lengths.pop()
    names = [*PIXEL_COLUMNS, *(name for name in rows if name not in PIXEL_COLUMNS)]
    cells = [[f"{row + 0.5:.1f}" for row in range(first_row, first_row + height)]]
    for name in names:
        cells.append(_cells(rows.get(name, np.full(height, np.nan)), _pixel_decimals(name)))
    _write(path, ["row_px", *names], cells)


def _pixel_decimals(name: str) -> int:
    if name.endswith("_px"):
        return X_DECIMALS
    return CONFIDENCE_DECIMALS if name.startswith("confidence") else 0


def write_values_csv(
    path: str | Path,
    *,
    depth: Float[np.ndarray, " samples"],
    curves: Mapping[str, Float[np.ndarray, " samples"]],
) -> None:
    """A table with the columns and names of the LAS, `DEPT` first, empty where a value is null.

    Args:
        path: the CSV file
        depth: of each line, in the unit of the LAS
        curves: values by mnemonic, NaN where null
    """
    header = ["DEPT", *curves]
    cells = [[f"{value:.10g}" for value in depth]]
    cells += [_cells(values, value_decimals(values)) for values in curves.values()]
    _write(path, header, cells)


def _cells(values: Float[np.ndarray, " rows"], decimals: int) -> list[str]:
    # Adding 0 turns -0.0, which prints as -0.00, into 0.0.
    rounded = np.round(np.asarray(values, np.float64), decimals) + 0.0
    return [f"{value:.{decimals}f}" if np.isfinite(value) else "" for value in rounded]


def _write(path: str | Path, header: list[str], columns: list[list[str]]) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(zip(*columns, strict=True))


def read_pixels_csv(path: str | Path) -> dict[str, Float[np.ndarray, " rows"]]:
    """The columns of a pixel table by name; NaN where a cell is empty.

    Raises:
        InputError: the file is missing, empty, or holds a cell that is no number.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        columns = {name: np.array([float(row[name] or "nan") for row in rows]) for name in (rows[0] if rows else ())}
    except (OSError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a table of pixels ({error}).") from error
    require(bool(columns), f"{path} holds no row; one for each row of the image is needed.")
    return columns
