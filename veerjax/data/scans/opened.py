"""The files of a scan and of its truth, read and checked as a whole, track by track."""

import functools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64, UInt8

from veerjax.config import require
from veerjax.data.folder import check_sizes, declared_x, read_label
from veerjax.data.scans.placed import PlacedCurves, check_curves, curve_values, placed_curves
from veerjax.logs.calibration import Calibration, CurveScale, DepthScale, Section, read_calibration
from veerjax.logs.las import Well, read_las
from veerjax.logs.scan import read_scan
from veerjax.logs.working import Frame

NARROWEST_TRACK_PX = 16
WELLS_HELD = 2


@dataclass(frozen=True, kw_only=True)
class LabelFiles:
    """A truth that is given."""

    label: Path
    table: Path | None = None  # the polylines of the label, row by row of the scan
    calibration: Path | None = None  # the whole scan is one track without it
    las: Path | None = None  # says which well it is


@dataclass(frozen=True, kw_only=True)
class LasFiles:
    """A truth that is drawn."""

    las: Path
    calibration: Path


@dataclass(frozen=True, kw_only=True)
class ScannedLog:
    """The files of one scan."""

    name: str  # unlike any other's
    scan: Path
    truth: LabelFiles | LasFiles
    well: str = ""  # if declared
    split: str = ""  # if declared

    @property
    def files(self) -> list[Path]:
        """All that there are."""
        return [self.scan, *(path for path in vars(self.truth).values() if path is not None)]


@dataclass(frozen=True, kw_only=True)
class TrackPlace:
    """Which track of a scan a strip is."""

    number: int  # from 1, in the order of the calibration
    frame: Frame
    curves: tuple[CurveScale, ...] = ()  # that the truth is about; none without a calibration
    depth: DepthScale | None = None  # of the scan's rows


@dataclass(frozen=True, kw_only=True)
class LabelledStrip:
    """A track with its part of the label."""

    place: TrackPlace
    label: UInt8[np.ndarray, "height columns"]  # of the scan's own px
    x: Float64[np.ndarray, "2 height"] | None  # [px of the scan] by the table, NaN where absent


@dataclass(frozen=True, kw_only=True)
class PlacedStrip:
    """A track with the LAS file's curves on it."""

    place: TrackPlace
    placed: PlacedCurves


@dataclass(frozen=True, kw_only=True)
class OpenedLog:
    """A scan that was read whole and found usable."""

    grey: UInt8[np.ndarray, "height width"]
    strips: tuple[LabelledStrip | PlacedStrip, ...]
    well: str | None  # None where no file names one


def opened(log: ScannedLog, *, width: int) -> OpenedLog:
    """Everything that the files of a log say.

    Args:
        log: the files
        width: that tracks are rescaled to [px]

    Raises:
        InputError: a file cannot be read, or they do not fit each other; the sentence names the file.
    """
    truth = log.truth
    calibration = None if truth.calibration is None else read_calibration(truth.calibration)
    well = None if truth.las is None else las_at(truth.las)
    grey = read_scan(log.scan, page=None if calibration is None else calibration.page)
    require(min(grey.shape) >= 2, f"{log.scan} is {grey.shape[1]} x {grey.shape[0]} px; at least 2 x 2 are needed.")
    section = None if calibration is None else only_section(calibration, path=truth.calibration)
    places = places_of(log, section, shape=grey.shape, width=width)
    if isinstance(truth, LabelFiles):
        strips = labelled_strips(truth, places, scan=log.scan, grey=grey)
    else:
        assert section is not None
        assert well is not None
        strips = placed_strips(truth, section, places, well=well, scan=log.scan)
    return OpenedLog(grey=grey, strips=tuple(strips), well=well_name(log, calibration, well))


# Rows of a manifest may share a file, and it is read both to check and to draw.
@functools.lru_cache(maxsize=WELLS_HELD)
def las_at(path: Path) -> Well:
    """The well in a LAS file."""
    return read_las(path)


def well_name(log: ScannedLog, calibration: Calibration | None, well: Well | None) -> str | None:
    """The well by the manifest, the calibration or the LAS file, whichever names one first."""
    declared = "" if calibration is None else calibration.well.get("WELL", "")
    return log.well.strip() or declared.strip() or ("" if well is None else well.name) or None


def only_section(calibration: Calibration, *, path: Path | None) -> Section:
    """The section of a calibration that is one of all rows, with one curve of each class in a track.

    Raises:
        InputError: it is another one, of which no truth of two classes can be made.
    """
    section = calibration.sections[0]
    require(
        len(calibration.sections) == 1 and section.rows is None,
        f"the calibration {path} has sections; truth is made of scans that are one section: cut the scan, and give"
        " each part a calibration of its own.",
    )
    for track in section.tracks:
        classes = [curve.curve_class for curve in track.curves]
        require(
            len(set(classes)) == len(classes),
            f"the calibration {path} has two curves of one class in a track; truth has one curve of each class.",
        )
    return section


def places_of(log: ScannedLog, section: Section | None, *, shape: tuple[int, ...], width: int) -> list[TrackPlace]:
    """The tracks of a scan.

    Raises:
        InputError: one is not inside the scan, or too narrow to read.
    """
    if section is None:
        return [TrackPlace(number=1, frame=track_frame(log, 0, shape[1], shape=shape, width=width))]
    return [
        TrackPlace(
            number=number,
            frame=track_frame(log, track.left_px, track.right_px, shape=shape, width=width),
            curves=track.curves,
            depth=section.depth,
        )
        for number, track in enumerate(section.tracks, start=1)
    ]


def track_frame(log: ScannedLog, left_px: float, right_px: float, *, shape: tuple[int, ...], width: int) -> Frame:
    """Where a track lies, to whole px of the scan.

    Raises:
        InputError: it is not inside the scan, or too narrow to read.
    """
    left, right = int(np.floor(left_px)), int(np.ceil(right_px))
    track = f"the track from {left_px:g} to {right_px:g} px"
    require(
        left >= 0 and right <= shape[1],
        f"{track} in {log.truth.calibration} is not inside the scan {log.scan}, which is {shape[1]} px wide.",
    )
    require(
        right - left >= NARROWEST_TRACK_PX,
        f"{track} of {log.scan} is too narrow to read; at least {NARROWEST_TRACK_PX} px are needed.",
    )
    return Frame(left=left, right=right, height=shape[0], width=width)


def labelled_strips(
    truth: LabelFiles, places: list[TrackPlace], *, scan: Path, grey: UInt8[np.ndarray, "height width"]
) -> list[LabelledStrip]:
    """Every track with its part of the label.

    Raises:
        InputError: an unusable label or table, or one of another size than the scan.
    """
    label = read_label(truth.label)
    check_sizes(scan, grey, label)
    x = None if truth.table is None else declared_x(truth.table, rows=len(label))
    return [LabelledStrip(place=place, label=label[:, place.frame.columns], x=x) for place in places]


def placed_strips(
    truth: LasFiles, section: Section, places: list[TrackPlace], *, well: Well, scan: Path
) -> list[PlacedStrip]:
    """The tracks of which the LAS file holds a curve.

    Raises:
        InputError: it holds none, only nulls, or nothing at the depths of the scan, or a unit does not convert.
    """
    tracks, depth = section.tracks, section.depth_scale
    check_curves(well, tracks, las=truth.las, calibration=truth.calibration)
    strips = []
    for track, place in zip(tracks, places, strict=True):
        samples = {curve: curve_values(well, curve, las=truth.las) for curve in track.curves}
        held = {curve: values for curve, values in samples.items() if values is not None}
        if held:
            placed = placed_curves(well, track, held, depth=depth, frame=place.frame)
            strips.append(PlacedStrip(place=replace(place, curves=tuple(held)), placed=placed))
    require(
        any(strip.placed.presence.any() for strip in strips),
        f"{truth.las} has no value on a scale of {truth.calibration.name} at the depths that {scan.name} shows;"
        " check the anchors and the scales.",
    )
    return strips
