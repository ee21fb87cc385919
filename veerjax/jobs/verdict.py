"""Whether what was read of a scan can be signed, is to be looked at, or is nothing, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from veerjax.jobs.crop import as_bytes
from veerjax.jobs.ink import count_ink
from veerjax.jobs.reader import TrackCurves
from veerjax.jobs.values import DigitisedLog, curve_rows, depths_of
from veerjax.labels import NUM_CURVES
from veerjax.logs.grid_lines import THERE
from veerjax.logs.mnemonics import scale_remarks, value_remarks
from veerjax.logs.orientation import turned_remark
from veerjax.logs.page import Page
from veerjax.logs.sections import MAIN, Calibration
from veerjax.tracing.confidence import SURE

ACCEPTED, REVIEW, REFUSED, FAILED = "accepted", "review", "refused", "failed"
# Below these a person is to look; they are where the odds turn, and no result of a measurement.
REVIEW_BELOW = {
    "rows_read": 0.5,  # of a section's rows, that a declared curve is read in
    "rows_seen": 0.5,  # of the rows that it is read in, those where it is not hidden under another curve
    "median_confidence": 0.5,  # of the rows that it is read in
    "ink_explained": 0.5,  # of a track's ink, by the curves that were read
    "margin_nats": 1.0,  # of a crossing: the other hypothesis is a third as likely
}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The status of a reading, and what a person should know of it."""

    status: str
    reasons: tuple[str, ...] = ()  # why it is not accepted
    notes: tuple[str, ...] = ()  # what does not change the status
    measures: Mapping[str, Any]  # what the summary says beside


def verdict_without_calibration(tracks: Sequence[TrackCurves], *, remarks: Sequence[str]) -> Verdict:
    """Of a scan that is one track with one curve of each class."""
    reasons = (*remarks, *(() if any(track.presence.any() for track in tracks) else ("no curve was found",)))
    return Verdict(status=REVIEW if reasons else ACCEPTED, reasons=reasons, measures={})


def verdict_of(
    image: np.ndarray | Page,
    tracks: Sequence[TrackCurves],
    calibration: Calibration,
    logs: Mapping[str, DigitisedLog],
    *,
    remarks: Sequence[str],
    calibrated: bool,
) -> Verdict:
    """Of a scan with a calibration.

    Refused is what holds no value of any declared curve in its main sections; to be reviewed what is doubtful.

    Args:
        image: the scan
        tracks: as read
        calibration: as declared
        logs: the values, by the role of the sections
        remarks: on how the scan was read
        calibrated: whether confidence is the probability that a row is right
    """
    sure = SURE if calibrated else None
    curves = [curve_entry(track, place, sure=sure) for track in tracks for place in range(len(track.curves))]
    ink = ink_entries(image, tracks)
    measures = {"curves": curves, "ink_explained": share_of(ink), "ink": ink}
    turned = turned_remark(as_bytes(image), calibration.of_role(MAIN)[0].tracks)
    remarks = (*remarks, *(() if turned is None else (turned,)))
    main = logs[MAIN]
    if not any(np.isfinite(values).any() for values in main.curves.values()):
        names = ", ".join(main.curves)
        reason = f"none of the declared curves ({names}) was found, so no LAS is written; look at the overlay"
        return Verdict(status=REFUSED, reasons=(reason, *remarks), measures=measures)
    reasons = (
        *remarks,
        *scale_remarks(calibration.curves),
        *(remark for log in logs.values() for remark in value_remarks(unique_curves(calibration), log.curves)),
        *displaced(tracks, calibration),
        *coarse_rows(tracks, calibration, logs),
        *doubts(curves),
        *unexplained(ink),
        *doubtful_crossings(tracks),
    )
    coloured = [curve.mnemonic for curve in calibration.curves if curve.colour]
    notes = (
        *(f"the colour of {', '.join(coloured)} is kept and not used: scans are read as grey" for _ in coloured[:1]),
        *(
            f"of track {track.number} in section {track.section}, {remark}"
            for track in tracks
            for remark in track.shape.remarks
        ),
    )
    return Verdict(status=REVIEW if reasons else ACCEPTED, reasons=reasons, notes=notes, measures=measures)


def curve_entry(track: TrackCurves, place: int, *, sure: float | None) -> dict[str, Any]:
    """How much of a declared curve was read, and how surely."""
    rows = curve_rows(track, place)
    confidence = float(np.median(rows.confidence[rows.presence])) if rows.presence.any() else None
    return {
        "section": track.section,
        "track": track.number,
        "mnemonic": rows.scale.mnemonic,
        "coverage": round(float(rows.presence.mean()), 4),
        "hidden": round(float(rows.occluded.mean()), 4),
        "off_scale": round(float(rows.off_scale.mean()), 4),
        "confidence": None if confidence is None else round(confidence, 4),
        "sure": None if sure is None else round(float((rows.presence & (rows.confidence >= sure)).mean()), 4),
    }


def ink_entries(image: np.ndarray | Page, tracks: Sequence[TrackCurves]) -> list[dict[str, Any]]:
    """The ink of each track, and how much of it is explained."""
    found = []
    for track in tracks:
        count = count_ink(image, track)
        share = None if count.share is None else round(count.share, 4)
        found.append({"section": track.section, "track": track.number, **vars(count), "share": share})
    return found


def share_of(ink: Sequence[Mapping[str, Any]]) -> float | None:
    """The share of the ink of all tracks that is explained; None where there is none."""
    total = sum(entry["ink"] for entry in ink)
    return round(sum(entry["explained"] for entry in ink) / total, 4) if total else None


def doubts(curves: Sequence[Mapping[str, Any]]) -> list[str]:
    """The curves of which too little was read, or too unsurely."""
    found = []
    for entry in curves:
        where = f"{entry['mnemonic']} in section {entry['section']}"
        if entry["coverage"] + entry["off_scale"] < REVIEW_BELOW["rows_read"]:
            found.append(f"{where} was found on {entry['coverage']:.0%} of the rows")
        elif entry["hidden"] > (1 - REVIEW_BELOW["rows_seen"]) * entry["coverage"]:
            share = entry["hidden"] / entry["coverage"]
            found.append(f"{where} is hidden under another curve on {share:.0%} of the rows that it was read in")
        elif entry["confidence"] is not None and entry["confidence"] < REVIEW_BELOW["median_confidence"]:
            found.append(f"{where} was read with a median confidence of {entry['confidence']:.2f}")
    return found


def unexplained(ink: Sequence[Mapping[str, Any]]) -> list[str]:
    """The tracks whose ink the curves do not account for."""
    return [
        f"the curves account for {entry['share']:.0%} of the ink in track {entry['track']} of section"
        f" {entry['section']}"
        for entry in ink
        if entry["share"] is not None and entry["share"] < REVIEW_BELOW["ink_explained"]
    ]


def doubtful_crossings(tracks: Sequence[TrackCurves]) -> list[str]:
    """How many crossings might as well be touches, or the other way round."""
    margins = [meeting.margin for track in tracks for meeting in track.crossings]
    doubtful = sum(margin < REVIEW_BELOW["margin_nats"] for margin in margins)
    if not doubtful:
        return []
    return [f"{doubtful} of the {len(margins)} places where curves meet could be read either way"]


def displaced(tracks: Sequence[TrackCurves], calibration: Calibration) -> list[str]:
    """The tracks whose grid is nowhere near where they are declared: a scan that drifts is there in some row."""
    found = []
    for track in tracks:
        declared = calibration.sections[track.section - 1].tracks[track.number - 1]
        edges = (track.shape.left_px - declared.left_px, track.shape.right_px - declared.right_px)
        off_px = float(np.abs(edges).max(axis=0).min())
        if off_px > THERE * (declared.right_px - declared.left_px):
            found.append(
                f"the grid of track {track.number} in section {track.section} lies {off_px:.0f} px or more from where"
                " the track is declared, in every row; correct its edges or its scale"
            )
    return found


def coarse_rows(tracks: Sequence[TrackCurves], calibration: Calibration, logs: Mapping[str, DigitisedLog]) -> list[str]:
    """Whether a step is finer than the rows that it is read from."""
    found = {}
    for track in tracks:
        log, spacing = logs[track.role], float(np.abs(np.diff(depths_of(track, calibration))).max())
        if log.step < spacing * (1 - 1e-6):
            found[track.role] = f"the step {log.step:g} {log.unit} is finer than a row of the scan, {spacing:.3g}"
    return list(found.values())


def unique_curves(calibration: Calibration) -> list[Any]:
    """One of each mnemonic."""
    return list({curve.mnemonic: curve for curve in calibration.curves}.values())


def coverage_of_classes(tracks: Sequence[TrackCurves]) -> list[float | None]:
    """The share of rows that the curves of each class were read in; None where none is declared."""
    shares: list[list[float]] = [[] for _ in range(NUM_CURVES)]
    for track in tracks:
        classes = [curve.curve_class for curve in track.curves] or range(1, NUM_CURVES + 1)
        for curve_class, presence in zip(classes, track.presence, strict=True):
            shares[curve_class - 1].append(float(presence.mean()))
    return [round(float(np.mean(found)), 4) if found else None for found in shares]
