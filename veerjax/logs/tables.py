"""CSV files: the trace in pixels, and the values that stand in the LAS."""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from veerjax.config import nearest, require
from veerjax.errors import InputError
from veerjax.labels import NUM_CURVES
from veerjax.logs.atomic import replacing
from veerjax.logs.las import value_decimals

CURVES = range(1, NUM_CURVES + 1)
PIXEL_COLUMNS = (
    *(f"curve_{k}{part}_px" for k in CURVES for part in ("", "_lo", "_hi")),
    *(f"confidence_{k}" for k in CURVES),
)


def pixel_columns(
    x: Float[np.ndarray, "2 rows"],
    lo: Float[np.ndarray, "2 rows"],
    hi: Float[np.ndarray, "2 rows"],
    *,
    confidence: Float[np.ndarray, "2 rows"],
    presence: Bool[np.ndarray, "2 rows"],
) -> dict[str, Float[np.ndarray, " rows"]]:
    """The columns of a pixel table by name, NaN where a curve is absent.

    Args:
        x: where each curve crosses the centre of each row [px]
        lo: least x of its stroke in that row [px]
        hi: greatest x of its stroke in that row [px]
        confidence: in [0, 1]
        presence: whether the curve is there
    """
    columns = {}
    for k in CURVES:
        absent = ~(presence[k - 1] & np.isfinite(x[k - 1]))
        parts = {
            f"curve_{k}_px": x,
            f"curve_{k}_lo_px": lo,
            f"curve_{k}_hi_px": hi,
            f"confidence_{k}": confidence,
        }
        columns |= {name: np.where(absent, np.nan, part[k - 1]) for name, part in parts.items()}
    return columns


def write_pixels_csv(path: str | Path, rows: Mapping[str, Float[np.ndarray, " rows"]]) -> None:
    """A table of one line per pixel row: `row_px` (its centre), then `PIXEL_COLUMNS`, empty where NaN.

    Args:
        path: the CSV file
        rows: columns by name, as `pixel_columns` makes them; one left out is empty

    Raises:
        InputError: a column of another name, columns of different lengths, or none.
    """
    for name in rows:
        require(name in PIXEL_COLUMNS, f"a pixel table has no column {name!r}{nearest(name, PIXEL_COLUMNS)}.")
    require(len(rows) > 0, f"a pixel table has no columns; give at least one of {', '.join(PIXEL_COLUMNS)}.")
    lengths = {len(column) for column in rows.values()}
    require(
        len(lengths) == 1,
        f"the columns of a pixel table have the lengths {sorted(lengths)}; they must be equal.",
    )
    height = lengths.pop()
    cells = [[f"{row + 0.5:.1f}" for row in range(height)]]
    for name in PIXEL_COLUMNS:
        decimals = 3 if name.startswith("confidence") else 2
        cells.append(_cells(rows.get(name, np.full(height, np.nan)), decimals))
    _write(path, ["row_px", *PIXEL_COLUMNS], cells)


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
