"""Where on a scan its sections and tracks lie, and which curves are declared in them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from jaxtyping import Float64

from veerjax.config import choice, require
from veerjax.logs.fields import check_header
from veerjax.logs.scales import CurveScale, DepthScale

MAIN, REPEAT, IGNORE = "main", "repeat", "ignore"
ROLES = (MAIN, REPEAT, IGNORE)
ROUNDING_PX = 1e-6  # tracks that share an edge may be written with edges that differ by less


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The vertical lines of a track's grid, evenly spaced: line 0 is the left one, line `divisions` the right one."""

    divisions: int  # ten of a linear track, the decades of a logarithmic one
    left_px: float  # of line 0
    right_px: float  # of the last line

    def __post_init__(self) -> None:
        require(self.divisions >= 1, f"a grid has {self.divisions} divisions; it needs at least 1, such as 10.")
        require(
            0 <= self.left_px < self.right_px < np.inf,
            f"a grid runs from left_px {self.left_px:g} to right_px {self.right_px:g}; it needs 0 <= left_px <"
            " right_px.",
        )

    def x(self, line: float) -> float:
        """The x [px] of a line, or of a place between two lines."""
        return self.left_px + line * (self.right_px - self.left_px) / self.divisions


@dataclass(frozen=True, kw_only=True)
class Track:
    """One track of a strip and the scales of its curves."""

    left_px: float  # of the track's left edge
    right_px: float  # of its right edge
    curves: tuple[CurveScale, ...]  # any number; those of one class have seeds
    grid: Grid | None = None  # that the edges were declared on
    straighten: bool = True  # whether the edges and rows follow its grid where that drifts and tilts

    def __post_init__(self) -> None:
        edges = f"a [[track]] runs from left_px {self.left_px:g} to right_px {self.right_px:g}"
        require(0 <= self.left_px < self.right_px < np.inf, f"{edges}; it needs 0 <= left_px < right_px.")
        require(len(self.curves) >= 1, f"{edges} without a [[track.curve]]; it needs at least one.")
        for curve_class in {curve.curve_class for curve in self.curves}:
            alike = [curve for curve in self.curves if curve.curve_class == curve_class]
            require(
                len(alike) == 1 or all(curve.seeds for curve in alike),
                f"{edges} with two curves of one class, {' and '.join(curve.mnemonic for curve in alike)}; tell them"
                " apart by seeds = [[row, x]] in each, a place on the scan in px that the curve runs through.",
            )
        for curve in self.curves:
            for row, x in curve.seeds:
                require(
                    self.left_px <= x <= self.right_px,
                    f"{edges}, and the seed of {curve.mnemonic} at row {row:g} has the x {x:g}; a seed must lie on its"
                    " track.",
                )


@dataclass(frozen=True, kw_only=True)
class Section:
    """A stretch of rows with tracks and a depth scale of its own."""

    depth: DepthScale | None = None  # needed unless the section is ignored
    tracks: tuple[Track, ...] = ()  # likewise
    rows: tuple[int, int] | None = None  # first and last, both of the section, counted from 0; None for all
    role: str = MAIN  # or "repeat", which is written into files of its own, or "ignore"

    def __post_init__(self) -> None:
        choice("role", self.role, ROLES)
        require(
            self.rows is None or 0 <= self.rows[0] < self.rows[1],
            f"rows is {list(self.rows or ())}; write the first and the last row of the section, counted from 0, such as"
            " [0, 1999].",
        )
        if self.role == IGNORE:
            return
        require(self.depth is not None, f"a {self.role} section needs 'depth'.")
        require(len(self.tracks) >= 1, "it has no [[track]]; it needs at least one.")
        for one, other in pairwise(sorted(self.tracks, key=lambda track: track.left_px)):
            require(
                one.right_px <= other.left_px + ROUNDING_PX,
                f"the tracks from {one.left_px:g} to {one.right_px:g} px and from {other.left_px:g} to"
                f" {other.right_px:g} px overlap; give the curves of one track together.",
            )
        names = [curve.mnemonic.upper() for curve in self.curves]
        twice = sorted({name for name in names if names.count(name) > 1})
        require(not twice, f"the mnemonic {', '.join(twice)} is given twice; name each curve differently.")
        if self.rows is not None:
            self._check_seeds(*self.rows)

    @property
    def curves(self) -> tuple[CurveScale, ...]:
        """Of all its tracks."""
        return tuple(curve for track in self.tracks for curve in track.curves)

    @property
    def depth_scale(self) -> DepthScale:
        """Its depth scale; a section that is ignored may have none."""
        assert self.depth is not None
        return self.depth

    def row_range(self, height: int) -> range:
        """Its rows in a scan of a height [px]."""
        return range(height) if self.rows is None else range(self.rows[0], self.rows[1] + 1)

    def depths(self, height: int) -> Float64[np.ndarray, " rows"]:
        """The depth [unit] of the centre of each of its rows in a scan of a height [px]."""
        return self.depth_scale.depth(np.array(self.row_range(height), np.float64) + 0.5)

    def check_fits(self, height: int, width: int) -> None:
        """Refuses a section that the scan does not hold.

        Raises:
            InputError: rows, a track, a seed or all anchors lie beyond the scan.
        """
        rows = self.row_range(height)
        require(
            rows.stop <= height,
            f"a section has the rows {rows.start} to {rows.stop - 1}, and the scan has {height}, 0 to {height - 1};"
            f" write rows = [{rows.start}, {height - 1}].",
        )
        if self.role == IGNORE:
            return
        (first, _), (last, _) = self.depth_scale.anchors[0], self.depth_scale.anchors[-1]
        require(
            first < rows.stop and last > rows.start,
            f"the anchors of depth lie at the rows {first:g} to {last:g}, and their section has the rows {rows.start}"
            f" to {rows.stop - 1}; give anchors that lie on it.",
        )
        self._check_seeds(rows.start, rows.stop - 1)
        for track in self.tracks:
            require(
                np.ceil(track.right_px) <= width,
                f"the track from {track.left_px:g} to {track.right_px:g} px is not inside the scan, which is {width} px"
                " wide.",
            )

    def _check_seeds(self, first: int, last: int) -> None:
        for curve in self.curves:
            for row, x in curve.seeds:
                require(
                    first <= row < last + 1,
                    f"the seed of {curve.mnemonic} at row {row:g} and x {x:g} is outside its section, which has the"
                    f" rows {first} to {last}.",
                )


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """All that turns pixels of a scan into the values of a well."""

    sections: tuple[Section, ...]
    well: dict[str, str] = field(default_factory=dict)  # LAS header fields, by their LAS names
    page: int | None = None  # of the scan that it is of, from 1; None where the scan has one only

    def __post_init__(self) -> None:
        require(self.page is None or self.page >= 1, f"page is {self.page}; pages count from 1.")
        require(
            any(section.role == MAIN for section in self.sections),
            "it has no main [[section]]; give at least one the role 'main'.",
        )
        _check_rows(self.sections)
        for role in (MAIN, REPEAT):
            _check_depths(role, self.of_role(role))
        names: dict[str, CurveScale] = {}
        for curve in self.curves:
            first = names.setdefault(curve.mnemonic.upper(), curve)
            require(
                (first.mnemonic, first.unit) == (curve.mnemonic, curve.unit),
                f"one section has {first.mnemonic} in {first.unit!r} and another {curve.mnemonic} in {curve.unit!r};"
                " write one name and one unit, and the edges of each scale in it.",
            )
        check_header(self.well)

    @property
    def curves(self) -> tuple[CurveScale, ...]:
        """Of all sections that are read."""
        return tuple(curve for section in self.sections if section.role != IGNORE for curve in section.curves)

    def of_role(self, role: str) -> list[Section]:
        """Its sections of one role, from the top of the scan down."""
        found = [section for section in self.sections if section.role == role]
        return sorted(found, key=lambda section: section.rows or (0, 0))

    def check_fits(self, height: int, width: int) -> None:
        """Refuses a calibration of another scan, before anything is read.

        Raises:
            InputError: rows, a track or a seed lie beyond the scan.
        """
        for section in self.sections:
            section.check_fits(height, width)


def whole_scan(
    *,
    depth: DepthScale,
    tracks: tuple[Track, ...],
    well: dict[str, str] | None = None,
    page: int | None = None,
) -> Calibration:
    """The calibration of a scan that is one main section.

    Args:
        depth: along all its rows
        tracks: of the scan
        well: LAS header fields
        page: of the scan that it is of
    """
    return Calibration(sections=(Section(depth=depth, tracks=tracks),), well=well or {}, page=page)


def _check_rows(sections: Sequence[Section]) -> None:
    """Refuses sections that share rows, or several of which one takes all.

    Raises:
        InputError: as said.
    """
    if len(sections) == 1:
        return
    require(
        all(section.rows is not None for section in sections),
        "it has several [[section]]s and one without rows; write rows = [first, last] in each.",
    )
    for one, other in pairwise(sorted(section.rows for section in sections if section.rows is not None)):
        require(
            one[1] < other[0],
            f"the sections with the rows {one[0]} to {one[1]} and {other[0]} to {other[1]} overlap; both ends count, so"
            " the second one begins a row below the first one's last.",
        )


def _check_depths(role: str, sections: Sequence[Section]) -> None:
    """Refuses sections that cannot stand on one depth index.

    Raises:
        InputError: they differ in unit, or depth does not go on from one to the next.
    """
    for above, below in pairwise(sections):
        unit, other = above.depth_scale.unit, below.depth_scale.unit
        require(unit == other, f"the {role} sections give depth in {unit} and {other}; one LAS file has one unit.")
        end, start = _end_depths(above)[1], _end_depths(below)[0]
        down = above.depth_scale.downwards
        require(
            below.depth_scale.downwards == down and (start > end if down else start < end),
            f"one {role} section ends at {end:g} {unit} and the next one begins at {start:g}; depth must go on from"
            " one to the next: correct the anchors, or give one of them another role.",
        )


def _end_depths(section: Section) -> npt.NDArray[np.float64]:
    """The depths of the centres of its first and last row."""
    return section.depth_scale.depth(np.array(section.rows or (0, 1), np.float64) + 0.5)
