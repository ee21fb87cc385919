"""From scans to curves on disk: pixel CSV and overlay always, LAS and CSV where a calibration says what pixels mean."""

import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from veerjax.config import choice, require
from veerjax.data.digest import file_digest
from veerjax.errors import InputError
from veerjax.jobs.digitize_scan import digitize_scan
from veerjax.jobs.provenance import Origin, command_line
from veerjax.jobs.reader import ClassicalReader, Reader, TrackReader, load
from veerjax.jobs.values import check_names, extras_of
from veerjax.jobs.verdict import FAILED, REFUSED
from veerjax.logs.atomic import check_folder, write_json
from veerjax.logs.calibration import Calibration, read_calibration
from veerjax.logs.resample import check_step
from veerjax.logs.scan import count_pages, read_page
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
    extras: str = "",
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
        extras: curves to write beside each declared one, of `values.EXTRAS` with commas between, or `all`

    Returns:
        0, or 1 if some of several pages failed or were refused.

    Raises:
        InputError: no scan could be read, none holds a declared curve, what holds for all of them is wrong, or another
            process was started otherwise.
        PeerLost: another process of the same work says nothing.
    """
    check_inputs(scans, out, step)
    wanted = extras_of(extras)
    require(not wanted or calibration is not None, "--extras are curves of a LAS file; give a --calibration with them.")
    choice("--tracer", tracer, TRACERS)
    require(rows == 1 or tracer == "learned", "--rows is for the learned tracer; leave it out with --tracer classical.")
    require(
        not overrides or tracer == "learned", "--set is for the learned tracer; leave it out with --tracer classical."
    )
    scale = None
    if calibration is not None:
        scale = read_calibration(calibration)
        check_names(scale, wanted)
        check_stems(scans)
    if len(scans) == 1:
        pages_of(scans[0], scale)  # refused before the weights are loaded
    reader = load(weights, rows=rows, overrides=overrides) if tracer == "learned" else ClassicalReader()
    if not hosts.alone():
        hosts.agree(facts_of(scans, out, reader, calibration=scale, step=step, overrides=overrides, extras=wanted))
    summaries = []
    mine = [scans[index] for index in hosts.share(len(scans), of="scans")]
    for path in tqdm(mine, unit="scan", desc="digitize", disable=len(mine) == 1, file=sys.stderr):
        origin = Origin(
            scan=path.name,
            calibration="" if calibration is None else calibration.name,
            calibration_sha256="" if calibration is None else file_digest(calibration),
            command=command_line(
                [path],
                calibration=calibration,
                weights=weights,
                tracer=tracer,
                step=step,
                rows=rows,
                overrides=overrides,
                extras=wanted,
            ),
        )
        lines = digitize_pages(reader, path, out, calibration=scale, step=step, extras=wanted, origin=origin)
        summaries.append((path.stem, lines))
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
    reader: TrackReader,
    path: Path,
    out: Path,
    *,
    calibration: Calibration | None,
    step: float | None = None,
    extras: Sequence[str] = (),
    origin: Origin | None = None,
) -> list[dict[str, Any]]:
    """Reads every page of a scan; the summary of each, also of one that failed.

    The files of page N of several are `<stem>.pN.*`. A calibration holds for its own page, or for the only one; other
    pages are read without.
    """
    try:
        pages = pages_of(path, calibration)
    except InputError as error:
        return [failed(path.stem, error)]
    lines, of_scan = [], replace(origin or Origin(), scan=path.name, scan_sha256=file_digest(path))
    for number in range(1, pages + 1):
        name = path.stem if pages == 1 else f"{path.stem}.p{number}"
        scale = calibration if calibration is None or (calibration.page or 1) == number else None
        try:
            page = read_page(path, page=number)
            for remark in page.remarks:
                tqdm.write(f"veerjax: {path}, page {number}: {remark}.", file=sys.stderr)
            of_page = replace(of_scan, page=number if pages > 1 else None)
            line = digitize_scan(reader, page, out / name, calibration=scale, step=step, extras=extras, origin=of_page)
            lines.append(line)
            for remark in (*line["reasons"], *line.get("notes", ())):
                if line["status"] != REFUSED and remark not in page.remarks:
                    tqdm.write(f"veerjax: {path}, page {number}: {remark}.", file=sys.stderr)
        except InputError as error:
            lines.append(failed(name, error))
    return lines


def failed(name: str, error: InputError) -> dict[str, Any]:
    """The summary of a page that could not be read."""
    return {"name": name, "status": FAILED, "reasons": [str(error)]}


def summed_up(summaries: Sequence[dict[str, Any]], out: Path, *, tracer: str) -> int:
    """Says what failed or was refused, and writes `summary.json`; 1 if some pages did.

    Raises:
        InputError: all did; nothing is written if the only one failed.
    """
    bad = [summary for summary in summaries if summary["status"] in (FAILED, REFUSED)]
    sentences = [sentence_of(summary) for summary in bad]
    if len(summaries) == 1 and bad and bad[0]["status"] == FAILED:
        raise InputError(sentences[0])
    write_json(out / "summary.json", {"schema": 1, "tracer": tracer, "scans": summaries})
    if len(summaries) == 1 and bad:
        raise InputError(sentences[0])
    for sentence in sentences:
        tqdm.write(f"veerjax: {sentence}", file=sys.stderr)
    require(len(sentences) < len(summaries), f"none of the {len(summaries)} pages could be read.")
    return 1 if sentences else 0


def sentence_of(summary: dict[str, Any]) -> str:
    """Why a page failed, which names it already, or was refused."""
    reason = summary["reasons"][0]
    return reason if summary["status"] == FAILED else f"{summary['name']}: {reason}."


def facts_of(
    scans: Sequence[Path],
    out: Path,
    reader: TrackReader,
    *,
    calibration: Calibration | None,
    step: float | None,
    overrides: Sequence[str],
    extras: Sequence[str],
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
        "--extras": list(extras),
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
    check_folder(out, "--out")
    if step is not None:
        check_step(step)


def check_stems(scans: Sequence[Path]) -> None:
    """Refuses scans whose files, with a calibration, would have the names of others.

    Raises:
        InputError: two would.
    """
    stems = {path.stem: path for path in scans}
    for path in scans:
        require(path.stem != "summary", f"{path} would write the file summary.json, which is of all scans; rename it.")
        base = re.sub(r"\.(section\d+|track\d+|repeat|crossings)$", "", path.stem)
        require(
            base == path.stem or base not in stems,
            f"{path} would write the same files {path.stem}.* as {stems.get(base)}; rename one of them.",
        )
