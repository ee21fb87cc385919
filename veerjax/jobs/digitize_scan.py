"""One scan, from its pixels to its files: pixel tables and overlay always, what a calibration makes of them besides."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from veerjax.jobs.provenance import Origin, provenance, told
from veerjax.jobs.reader import TrackCurves, TrackReader
from veerjax.jobs.sidecar import ledger, log_stem, sidecar, track_ending
from veerjax.jobs.values import DigitisedLog, values_of
from veerjax.jobs.verdict import (
    REFUSED,
    coverage_of_classes,
    verdict_of,
    verdict_without_calibration,
)
from veerjax.logs.atomic import replacing, write_json
from veerjax.logs.page import Page
from veerjax.logs.sections import MAIN, REPEAT, Calibration
from veerjax.logs.tables import CURVES, column_numbers, pixel_columns, write_pixels_csv
from veerjax.report.overlay import overlay_picture


def digitize_scan(
    reader: TrackReader,
    image: np.ndarray | Page,
    target: Path,
    *,
    calibration: Calibration | None,
    step: float | None = None,
    extras: Sequence[str] = (),
    origin: Origin | None = None,
) -> dict[str, Any]:
    """Reads one scan and writes its files, the folder too; what it returns is its line in `summary.json`.

    Args:
        reader: from `load`, or a `ClassicalReader`
        image: the scan, grey, or a page of it
        target: folder and stem of the files, such as `out/strip`
        calibration: where the tracks are and what they mean; without one the whole image is a track
        step: of the depth index
        extras: curves of `values.EXTRAS` to write with each declared one
        origin: of the scan and the calibration, for the provenance
    """
    start = time.monotonic()
    tracks = reader.digitize(image, calibration)
    remarks = image.remarks if isinstance(image, Page) else ()
    if calibration is None:
        logs, verdict = {}, verdict_without_calibration(tracks, remarks=remarks)
    else:
        logs = logs_of(tracks, calibration, step=step, extras=extras)
        verdict = verdict_of(image, tracks, calibration, logs, remarks=remarks, calibrated=reader.calibrated)
    target.parent.mkdir(parents=True, exist_ok=True)  # not before: what is refused leaves no folder
    for track in tracks:
        write_pixels(track, named(target, f"{track_ending(track)}.pixels.csv"))
    with replacing(named(target, ".overlay.png")) as path:
        overlay_picture(image, tracks).save(path, format="PNG")
    if calibration is not None and verdict.status != REFUSED:
        write_log(target, tracks, calibration, logs, shape=image.shape, reader=reader, origin=origin or Origin())
    notes = {"notes": list(verdict.notes)} if calibration is not None else {}
    return {
        "name": target.name,
        "status": verdict.status,
        "reasons": list(verdict.reasons),
        **notes,
        "rows": image.shape[0],
        "coverage_rows": coverage_of_classes(tracks),
        "seconds": round(time.monotonic() - start, 2),
        "crossings": sum(meeting.kept for track in tracks for meeting in track.crossings),
        **verdict.measures,
    }


def logs_of(
    tracks: Sequence[TrackCurves], calibration: Calibration, *, step: float | None, extras: Sequence[str]
) -> dict[str, DigitisedLog]:
    """The values by the role of the sections that they stand in."""
    roles = [role for role in (MAIN, REPEAT) if calibration.of_role(role)]
    return {role: values_of(tracks, calibration, step=step, role=role, extras=extras) for role in roles}


def write_pixels(track: TrackCurves, path: Path) -> None:
    """The pixel table of a track; with a calibration, wraps and hidden stretches too."""
    declared = len(track.curves) > 0
    columns = pixel_columns(
        track.x,
        track.lo,
        track.hi,
        confidence=track.confidence,
        presence=track.presence,
        numbers=column_numbers([curve.curve_class for curve in track.curves]) if declared else CURVES,
        row_px=track.row_px(track.x) if track.shape.tilt_px.any() else None,
        flags={"wrap": track.wrap, "occluded": track.occluded} if declared else {},
    )
    write_pixels_csv(path, columns, first_row=track.first_row)


def write_log(
    target: Path,
    tracks: Sequence[TrackCurves],
    calibration: Calibration,
    logs: Mapping[str, DigitisedLog],
    *,
    shape: tuple[int, int],
    reader: TrackReader,
    origin: Origin,
) -> None:
    """LAS and CSV of each role, how pixels became values, and the ledger of crossings."""
    said = provenance(reader, origin)
    for role, log in logs.items():
        log.write(target.with_name(log_stem(target.name, role)), provenance=told(said))
    entries = sidecar(
        target.name,
        tracks,
        calibration,
        logs=logs,
        shape=shape,
        working_width_px=reader.width_px,
        provenance=said,
    )
    write_json(named(target, ".json"), entries)
    write_json(named(target, ".crossings.json"), {"schema": 1, "crossings": ledger(tracks, calibration)})


def named(target: Path, ending: str) -> Path:
    """`with_suffix` would cut a stem that holds a dot."""
    return target.parent / (target.name + ending)
