"""Beside the LAS: how each pixel became a value, enough to check and to redo it, and the ledger of crossings."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from veerjax.jobs.ink import BLOCK_ROWS, LINE_ACROSS, LINE_CONTRAST, LINE_DOWN
from veerjax.jobs.reader import TrackCurves
from veerjax.jobs.values import CurveRows, DigitisedLog, curve_rows
from veerjax.jobs.verdict import REVIEW_BELOW
from veerjax.logs.las import NULL
from veerjax.logs.resample import LEAST_COVERAGE
from veerjax.logs.scales import CLIP_SHARE
from veerjax.logs.sections import IGNORE, Calibration
from veerjax.logs.tables import column_numbers

BEND_PX = 1e-9  # in a row; what bends less is a straight line
HOW = {
    "row": "row_px of a pixel table is the centre of a row of the scan; its depth lies on the straight line between the"
    " anchors around it, the first and the last line carried on",
    "position": "x = curve_k_px, w = wrap_k, s = (x - left_px) / (right_px - left_px); a curve that wraps: s + w; edges"
    " and tilts are numbers, or [row_px, px] with straight lines between",
    "tilt": "where tilt_px is not 0, a row is named as it runs through the middle of its track: x lies in the scan at"
    " the row row_k_px = row_px + tilt_px * (s - 0.5), and is given between the edges of row_px",
    "value": "left + s * (right - left); on a log scale 10 ** (log10(left) + s * (log10(right) - log10(left))); where"
    " w is not 0 and the curve has a backup, with the backup's left and right",
    "off scale": "no value where s <= clip_share or s >= 1 - clip_share, of a curve with neither wrap nor backup; where"
    " |w| > 1, of a curve with a backup",
    "resampling": "the mean of value(depth), linear from row to row, over [d - step / 2, d + step / 2]; of log10(value)"
    " on a log scale; null where less than least_coverage of it is covered, or any row in it is off the scale",
}


def sidecar(
    name: str,
    tracks: Sequence[TrackCurves],
    calibration: Calibration,
    *,
    logs: Mapping[str, DigitisedLog],
    shape: tuple[int, int],
    working_width_px: int,
    provenance: Mapping[str, str],
) -> dict[str, Any]:
    """What `<stem>.json` says.

    Args:
        name: stem of the files
        tracks: as read
        calibration: as declared
        logs: what was written, by the role of the sections
        shape: height and width of the scan [px]
        working_width_px: that the tracks were read at
        provenance: of the reading
    """
    return {
        "schema": 1,
        "name": name,
        "provenance": dict(provenance),
        "how": HOW,
        "thresholds": {
            "clip_share": CLIP_SHARE,
            "least_coverage": LEAST_COVERAGE,
            "ink_line_contrast": LINE_CONTRAST,
            "ink_line_percent": {"across": LINE_ACROSS, "down": LINE_DOWN},
            "ink_block_rows": BLOCK_ROWS,
            "review": dict(REVIEW_BELOW),
        },
        "scan": {"rows": shape[0], "columns": shape[1], "working_width_px": working_width_px},
        "well": calibration.well,
        "sections": [
            {
                "number": number,
                "role": section.role,
                "rows": None if section.rows is None else list(section.rows),
                "depth": None
                if section.role == IGNORE
                else {
                    "unit": section.depth_scale.unit,
                    "anchors": [list(pair) for pair in section.depth_scale.anchors],
                },
                "tracks": [track_entry(name, track) for track in tracks if track.section == number],
            }
            for number, section in enumerate(calibration.sections, start=1)
        ],
        "logs": {
            role: {
                "file": f"{log_stem(name, role)}.las",
                "unit": log.unit,
                "start": float(log.depth[0]),
                "stop": float(log.depth[-1]),
                "step": log.step,
                "null": NULL,
            }
            for role, log in logs.items()
        },
    }


def track_entry(name: str, track: TrackCurves) -> dict[str, Any]:
    """A track: where its table is, its edges, and its curves."""
    numbers = column_numbers([curve.curve_class for curve in track.curves])
    return {
        "number": track.number,
        "pixels": f"{name}{track_ending(track)}.pixels.csv",
        "left_px": knots(track.shape.left_px, first_row=track.first_row),
        "right_px": knots(track.shape.right_px, first_row=track.first_row),
        "tilt_px": knots(track.shape.tilt_px, first_row=track.first_row),
        "remarks": list(track.shape.remarks),
        "curves": [curve_entry(curve_rows(track, place), column=number) for place, number in enumerate(numbers)],
    }


def curve_entry(rows: CurveRows, *, column: int) -> dict[str, Any]:
    """A curve: how it was declared, and how many rows became values."""
    scale = rows.scale
    return {
        "mnemonic": scale.mnemonic,
        "unit": scale.unit,
        "class": scale.curve_class,
        "column": column,
        "scale": scale.scale,
        "left": scale.left,
        "right": scale.right,
        "wrap": scale.wrap,
        "backup": None if scale.backup is None else {"left": scale.backup[0], "right": scale.backup[1]},
        "seeds": [list(seed) for seed in scale.seeds],
        "colour": scale.colour or None,
        "rows": {
            "all": len(rows.value),
            "read": int(rows.presence.sum()),
            "values": int(np.isfinite(rows.value).sum()),
            "wrapped": int((rows.wrap != 0).sum()),
            "off_scale": int(rows.off_scale.sum()),
            "occluded": int(rows.occluded.sum()),
        },
    }


def knots(px: Float64[np.ndarray, " height"], *, first_row: int) -> float | list[list[float]]:
    """A number where all rows have it, else pairs [row_px, px] with straight lines between.

    Args:
        px: of each row
        first_row: of the scan
    """
    if (px == px[0]).all():
        return float(px[0])
    bends = np.flatnonzero(np.abs(np.diff(px, 2)) > BEND_PX) + 1
    return [[first_row + row + 0.5, float(px[row])] for row in (0, *map(int, bends), len(px) - 1)]


def track_ending(track: TrackCurves) -> str:
    """What stands between the stem and `.pixels.csv`; nothing for the first track of the first section."""
    section = "" if track.section == 1 else f".section{track.section}"
    return section + ("" if track.number == 1 else f".track{track.number}")


def log_stem(name: str, role: str) -> str:
    """The stem of the LAS file of sections of a role."""
    return name if role == "main" else f"{name}.{role}"


def ledger(tracks: Sequence[TrackCurves], calibration: Calibration) -> list[dict[str, Any]]:
    """Every place where two declared curves meet: what may have happened there, and by how much it was preferred."""
    found = []
    for track in tracks:
        section = calibration.sections[track.section - 1]
        for meeting in track.crossings:
            names = [track.curves[place].mnemonic for place in meeting.curves]
            margin = float(meeting.margin) if np.isfinite(meeting.margin) else None
            chosen, other = ("cross", "touch and part") if meeting.kept else ("touch and part", "cross")
            found.append({
                "section": track.section,
                "track": track.number,
                "row_px": round(float(meeting.row), 2),
                "depth": round(float(section.depth_scale.depth(meeting.row)), 3),
                "unit": section.depth_scale.unit,
                "curves": names,
                "hypotheses": [
                    {"name": chosen, "chosen": True, "cost_nats": 0.0},
                    {"name": other, "chosen": False, "cost_nats": margin},
                ],
                "margin_nats": margin,
            })  # fmt: skip
    return found
