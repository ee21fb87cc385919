"""From scans to curves on disk: pixel CSV and overlay always, LAS and CSV where a calibration says what pixels mean."""

import json
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from veerjax.config import choice, require
from veerjax.errors import InputError
from veerjax.jobs.reader import ClassicalReader, Reader, TrackCurves, TrackReader, load
from veerjax.logs.atomic import replacing
from veerjax.logs.calibration import Calibration, read_calibration
from veerjax.logs.las import write_las
from veerjax.logs.page import Page
from veerjax.logs.resample import DEFAULT_STEP, regular_index, resample
from veerjax.logs.scan import count_pages, read_page
from veerjax.logs.tables import pixel_columns, write_pixels_csv, write_values_csv
from veerjax.report.overlay import overlay_picture
from veerjax.training import hosts
from veerjax.training.stored import digest
from veerjax.version import __version__

TRACERS = ("learned", "classical")


def digitize_scans(
    scans: Sequence[Path],
    out: Path,
    *,
    calibration: Path | None = None,
    weights: str = "release",
    tracer: str = "learned",
    step: float | None = None,
    rows: int = 1,
    overrides: Sequence[str] = (),
) -> int:
    """Reads every page of each scan and writes `<stem>[.pN].*` and `summary.json` into `out`.

    Of several processes (`hosts`), each calls it alike and reads its share of the scans on its own devices; the first
    one writes the summary of all.

    Args:
        scans: image files
        out: folder, made if it is not there
        calibration: TOML that holds for all the scans, and where they have several pages for the one that it names
        weights: `release` or a work directory; the classical tracer has none
        tracer: `learned` or `classical`
        step: of the depth index [unit of the calibration]
        rows: devices that share the height of a strip, which is then read as a whole and not by windows
        overrides: of keys of the weights' config that change how they are read, such as `model.crf.iterations=5`

    Returns:
        0, or 1 if some of several pages failed.

    Raises:
        InputError: no scan could be read, what holds for all of them is wrong, or another process was started
            otherwise.
        PeerLost: another process of the same work says nothing.
    """
    check_inputs(scans, out, step)
    choice("--tracer", tracer, TRACERS)
    require(rows == 1 or tracer == "learned", "--rows is for the learned tracer; leave it out with --tracer classical.")
    require(
        not overrides or tracer == "learned", "--set is for the learned tracer; leave it out with --tracer classical."
    )
    scale = None if calibration is None else read_calibration(calibration)
    if len(scans) == 1:
        pages_of(scans[0], scale)  # refused before the weights are loaded
    reader = load(weights, rows=rows, overrides=overrides) if tracer == "learned" else ClassicalReader()
    if not hosts.alone():
        hosts.agree(facts_of(scans, out, reader, calibration=scale, step=step, overrides=overrides))
    summaries = []
    mine = [scans[index] for index in hosts.share(len(scans), of="scans")]
    for path in tqdm(mine, unit="scan", desc="digitize", disable=len(mine) == 1, file=sys.stderr):
        summaries.append((path.stem, digitize_pages(reader, path, out, calibration=scale, step=step)))
    found = {stem: pages for share in hosts.collected(summaries) for stem, pages in share}  # of all in the first alone

    def say() -> int:
        return summed_up([page for path in scans for page in found[path.stem]], out, tracer=tracer)

    return hosts.from_first(say, wait_s=hosts.WORK_S)


def pages_of(path: Path, calibration: Calibration | None) -> int:
    """How many pages a scan has.

    Raises:
        InputError: it is no scan, or the calibration does not say which of its pages it is of.
    """
    pages = count_pages(path)
    if calibration is not None:
        require(
            calibration.page is not None or pages == 1,
            f"{path} has {pages} pages, and their depths differ; write `page = 1` in the calibration to say which"
            " one it is of.",
        )
        require(
            calibration.page is None or calibration.page <= pages,
            f"the calibration is of page {calibration.page}, and {path} has {pages} page(s).",
        )
    return pages


def digitize_pages(
    reader: TrackReader, path: Path, out: Path, *, calibration: Calibration | None, step: float | None = None
) -> list[dict[str, Any]]:
    """Reads every page of a scan; the summary of each, also of one that failed.

    The files of page N of several are `<stem>.pN.*`. A calibration holds for its own page, or for the only one; other
    pages are read without.
    """
    try:
        pages = pages_of(path, calibration)
    except InputError as error:
        return [failed(path.stem, error)]
    lines = []
    for number in range(1, pages + 1):
        name = path.stem if pages == 1 else f"{path.stem}.p{number}"
        scale = calibration if calibration is None or (calibration.page or 1) == number else None
        try:
            page = read_page(path, page=number)
            out.mkdir(parents=True, exist_ok=True)
            for remark in page.remarks:
                tqdm.write(f"veerjax: {path}, page {number}: {remark}.", file=sys.stderr)
            lines.append(digitize_scan(reader, page, out / name, calibration=scale, step=step))
        except InputError as error:
            lines.append(failed(name, error))
    return lines


def failed(name: str, error: InputError) -> dict[str, Any]:
    """The summary of a page that could not be read."""
    return {"name": name, "status": "failed", "reasons": [str(error)]}


def summed_up(summaries: Sequence[dict[str, Any]], out: Path, *, tracer: str) -> int:
    """Says what failed and writes `summary.json`; 1 if some pages failed.

    Raises:
        InputError: all did; nothing is written if it was the only one.
    """
    sentences = [summary["reasons"][0] for summary in summaries if summary["status"] == "failed"]
    if len(summaries) == 1 and sentences:
        raise InputError(sentences[0])
    for sentence in sentences:
        tqdm.write(f"veerjax: {sentence}", file=sys.stderr)
    out.mkdir(parents=True, exist_ok=True)
    with replacing(out / "summary.json") as path:
        Path(path).write_text(json.dumps({"schema": 1, "tracer": tracer, "scans": summaries}, indent=2) + "\n")
    require(len(sentences) < len(summaries), f"none of the {len(summaries)} pages could be read.")
    return 1 if sentences else 0


def facts_of(
    scans: Sequence[Path],
    out: Path,
    reader: TrackReader,
    *,
    calibration: Calibration | None,
    step: float | None,
    overrides: Sequence[str],
) -> dict[str, Any]:
    """What the processes that share scans must have in common, by the name that a sentence gives it."""
    return {
        "the edition of veerjax": __version__,
        "the number of scans": len(scans),
        "a scan": [str(path) for path in scans],
        "--out": str(out),
        "--tracer": "learned" if isinstance(reader, Reader) else "classical",
        "the content of the weights": digest(reader.weights.variables) if isinstance(reader, Reader) else None,
        "--calibration": repr(calibration),
        "--step": step,
        "--set": list(overrides),
    }


def check_inputs(scans: Sequence[Path], out: Path, step: float | None) -> None:
    """Refuses what would overwrite itself or cannot be written."""
    twice = [stem for stem, count in Counter(path.stem for path in scans).items() if count > 1]
    if twice:
        same = " and ".join(str(path) for path in scans if path.stem == twice[0])
        raise InputError(f"{same} would write the same files {twice[0]}.*; rename one of them.")
    stems = {path.stem: path for path in scans}
    for path in scans:
        first = stems.get(re.sub(r"\.p\d+$", "", path.stem), path)
        require(
            first is path, f"{path} would write the same files {path.stem}.* as a page of {first}; rename one of them."
        )
    require(not out.is_file(), f"--out {str(out)!r} is a file; give a folder.")
    require(step is None or step > 0, f"--step is {step}; it must be above 0, such as 0.5.")


def digitize_scan(
    reader: TrackReader,
    image: np.ndarray | Page,
    target: Path,
    *,
    calibration: Calibration | None,
    step: float | None = None,
) -> dict[str, Any]:
    """Reads one scan and writes its files; what it returns is its line in `summary.json`.

    Args:
        reader: from `load`, or a `ClassicalReader`
        image: the scan, grey, or a page of it
        target: folder and stem of the files, such as `out/strip`
        calibration: where the tracks are and what they mean; without one the whole image is a track
        step: of the depth index
    """
    start = time.monotonic()
    tracks = reader.digitize(image, calibration)
    log = None if calibration is None else values_of(tracks, calibration, step=step)
    for number, track in enumerate(tracks, start=1):
        middle = "" if number == 1 else f".track{number}"
        columns = pixel_columns(track.x, track.lo, track.hi, confidence=track.confidence, presence=track.presence)
        write_pixels_csv(named(target, f"{middle}.pixels.csv"), columns)
    with replacing(named(target, ".overlay.png")) as path:
        overlay_picture(image, tracks).save(path, format="PNG")
    if log is not None:
        log.write(target)
    coverage = np.mean([track.presence.mean(axis=1) for track in tracks], axis=0)
    reasons = list(image.remarks) if isinstance(image, Page) else []
    reasons += [] if coverage.max() > 0 else ["no curve was found"]
    return {
        "name": target.name,
        "status": "review" if reasons else "accepted",
        "reasons": reasons,
        "rows": image.shape[0],
        "coverage_rows": [round(float(share), 4) for share in coverage],
        "seconds": round(time.monotonic() - start, 2),
        "crossings": sum(crossings(track) for track in tracks),
    }


def named(target: Path, ending: str) -> Path:
    """`with_suffix` would cut a stem that holds a dot."""
    return target.parent / (target.name + ending)


@dataclass(frozen=True, kw_only=True)
class DigitisedLog:
    """Every declared curve of a scan on one regular depth index."""

    depth: np.ndarray
    step: float
    curves: dict[str, np.ndarray]  # NaN where there is none
    calibration: Calibration

    def write(self, target: Path) -> None:
        """Writes `<target>.las` and `<target>.csv`."""
        units = {scale.mnemonic: scale.unit for track in self.calibration.tracks for scale in track.curves}
        write_las(
            named(target, ".las"),
            depth=self.depth,
            curves=self.curves,
            units=units,
            unit=self.calibration.depth.unit,
            step=self.step,
            header=self.calibration.well,
            provenance=f"Digitised from a scanned log by veerjax {__version__}.",
        )
        write_values_csv(named(target, ".csv"), depth=self.depth, curves=self.curves)


def values_of(tracks: Sequence[TrackCurves], calibration: Calibration, *, step: float | None = None) -> DigitisedLog:
    """What the pixels mean: declared curves in their units, averaged over the steps of the depth index.

    Args:
        tracks: as read, in the order of the calibration
        calibration: scales and depth
        step: of the index [unit of the calibration]; 0.5 ft or 0.1 m by default

    Raises:
        InputError: the strip is shorter than a step.
    """
    step = step or DEFAULT_STEP[calibration.depth.unit]
    depth = calibration.depth.depth(np.arange(tracks[0].x.shape[1]) + 0.5)
    index = regular_index(float(depth.min()), float(depth.max()), step)
    curves = {}
    for found in tracks:
        for scale in found.curves:
            values = scale.value(found.x[scale.curve_class - 1], found.left_px, found.right_px)
            curves[scale.mnemonic] = resample(depth, values, index, log=scale.scale == "log", step=step)
    return DigitisedLog(depth=index, step=step, curves=curves, calibration=calibration)


def crossings(track: TrackCurves) -> int:
    """How often the two curves change sides."""
    both = track.presence.all(axis=0)
    side = np.sign(track.x[0, both] - track.x[1, both])
    side = side[side != 0]
    return int(np.count_nonzero(np.diff(side)))
