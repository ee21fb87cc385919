"""The manifest of a folder of scans: a CSV that says which LAS file and calibration belong to which scan."""

import csv
from dataclasses import dataclass
from pathlib import Path

from veerjax.config import nearest, require
from veerjax.data.scans.opened import LasFiles, ScannedLog
from veerjax.data.wells.split import well_key
from veerjax.errors import InputError
from veerjax.synthesis.draw import SPLITS

REQUIRED = ("scan", "las", "calibration")
OPTIONAL = ("well", "split")
COLUMNS = (*REQUIRED, *OPTIONAL)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a manifest; cells by column, without blanks around them, empty where left out."""

    manifest: Path
    number: int  # of the line in the file
    cells: dict[str, str]

    @property
    def where(self) -> str:
        """The file and the row, to begin a sentence with."""
        return f"{self.manifest}, row {self.number}"


def manifest_rows(path: Path) -> list[Row]:
    """The rows of a manifest as they stand there; blank ones are left out.

    Raises:
        InputError: the file is missing, no text or without rows, or a column is missing or unknown (the nearest one is
            named).
    """
    require(
        path.is_file(),
        f"there is no manifest {str(path)!r}; write a CSV with the columns {','.join(COLUMNS)}, the last two optional.",
    )
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            check_header(path, header)
            rows = [row_of(path, reader.line_num, header, cells) for cells in reader if any(map(str.strip, cells))]
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise InputError(f"the manifest {path} cannot be read as a CSV file in UTF-8 ({error}).") from error
    require(bool(rows), f"the manifest {path} has no row; write one for each scan.")
    return rows


def check_header(path: Path, header: list[str]) -> None:
    """Refuses a header that names other columns.

    Raises:
        InputError: an unknown, repeated or missing column.
    """
    for name in header:
        known = f"{path}, row 1 has the column {name!r}"
        require(name in COLUMNS, f"{known}{nearest(name, COLUMNS)}; a manifest has {', '.join(COLUMNS)}.")
        require(header.count(name) == 1, f"{known} twice; leave one out.")
    missing = [name for name in REQUIRED if name not in header]
    require(not missing, f"{path}, row 1 lacks the column {', '.join(missing)}; a manifest has {', '.join(COLUMNS)}.")


def row_of(path: Path, number: int, header: list[str], cells: list[str]) -> Row:
    """A row by its columns.

    A row of another length is kept without its cells, so that it is refused by itself.
    """
    whole = len(cells) == len(header)
    return Row(
        manifest=path, number=number, cells=dict(zip(header, map(str.strip, cells), strict=True)) if whole else {}
    )


class ManifestLogs:
    """Makes logs of rows in turn, each checked against those before it."""

    def __init__(self) -> None:
        self._scans: dict[Path, Row] = {}
        self._names: dict[str, Row] = {}
        self._wells: dict[Path, tuple[str, Row]] = {}

    def log(self, row: Row) -> ScannedLog:
        """The files of a row.

        Raises:
            InputError: a cell or a file is missing, the split is unknown, the scan stood in a row before, or the LAS
                file belonged to another well there.
        """
        require(bool(row.cells), f"{row.where} has another number of cells than row 1; quote names that hold a comma.")
        for column in REQUIRED:
            require(bool(row.cells[column]), f"{row.where} has no {column}; write the path of the file.")
        scan, las, calibration = (self._file(row, column) for column in REQUIRED)
        well, split = row.cells.get("well", ""), row.cells.get("split", "")
        require(
            split in ("", *SPLITS),
            f"{row.where} has the split {split!r}{nearest(split, SPLITS)}; write {', '.join(SPLITS)} or nothing.",
        )
        name = Path(row.cells["scan"]).with_suffix("").as_posix()
        twice = self._scans.setdefault(scan.resolve(), row)
        require(twice is row, f"{row.where} repeats the scan {row.cells['scan']} of row {twice.number}; leave one out.")
        twice = self._names.setdefault(name, row)
        require(twice is row, f"{row.where} has a scan of the name {name}, as row {twice.number}; rename one of them.")
        if well:
            other, first = self._wells.setdefault(las.resolve(), (well, row))
            require(
                well_key(other) == well_key(well),
                f"{row.where} gives {row.cells['las']} to the well {well}, and row {first.number} to {other}; one LAS"
                " file is of one well.",
            )
        return ScannedLog(
            name=name, scan=scan, truth=LasFiles(las=las, calibration=calibration), well=well, split=split
        )

    def _file(self, row: Row, column: str) -> Path:
        path = row.manifest.parent / row.cells[column]
        require(path.is_file(), f"{row.where} names the {column} {row.cells[column]!r}, which is not there ({path}).")
        return path
