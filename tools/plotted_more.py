"""More strips of the plotted set: tracks of curves that wrap, and of four curves of which two and two look alike.

`python tools/plotted_more.py draw {wraps,fours} LAS_FOLDER --out DIR [--half upper|lower]` draws one track of every
well that has the curves, as each kind of strip; `python tools/plotted_more.py score DIR [--weights W]` reads them with
`veerjax digitize` and writes `scores.json` and `scores.md` in `DIR/read`. Costs and rules are chosen on strips of the
upper halves of the wells, and reported on those of the lower halves.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import plotted_fours
import plotted_wraps
from plotted_strips import Kind, Strip, write_strip

from veerjax.config import require
from veerjax.data.wells.windows import las_files
from veerjax.errors import InputError
from veerjax.logs.calibration import read_calibration
from veerjax.logs.las import read_las

KINDS = tuple(Kind(dpi=dpi, bits=bits, inches=5, feet=200) for dpi in (200, 300) for bits in (False, True))
SORTS = {"wraps": plotted_wraps, "fours": plotted_fours}


def draw(folder: Path, out: Path, *, sort: str, half: str | None) -> list[dict[str, Any]]:
    """Draws the strips of one sort and writes `manifest.json`; what it returns is its content."""
    out.mkdir(parents=True, exist_ok=True)
    manifest = []
    for path in las_files(folder):
        well = read_las(path)
        for kind in KINDS:
            for strip, more in SORTS[sort].strips_of(well, kind, stem=path.stem.replace(".", "_"), half=half):
                write_strip(strip, out)
                manifest.append({"sort": sort, "las": path.name, **entry_of(strip), **more})
    require(bool(manifest), f"no well in {folder} has the curves of {sort} for {KINDS[0].feet} ft.")
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


def entry_of(strip: Strip) -> dict[str, Any]:
    (track,) = strip.tracks
    return {
        "name": strip.name,
        **asdict(strip.kind),
        "track": track.pair,
        "start_ft": strip.start_ft,
        "stroke_px": round(strip.look.stroke_in * strip.kind.dpi, 2),
        "look": asdict(strip.look),
    }


def score(folder: Path, *, weights: str, limit: int | None = None) -> dict[str, Any]:
    """Reads every strip of the manifest and scores what was read."""
    from veerjax.jobs.digitize import digitize_pages
    from veerjax.jobs.reader import load

    require((folder / "manifest.json").is_file(), f"{folder} has no manifest.json; draw the set first.")
    manifest = json.loads((folder / "manifest.json").read_text())[:limit]
    require(bool(manifest), "there is no strip to read; give --limit 1 or more.")
    sort, out, reader = SORTS[manifest[0]["sort"]], folder / "read", load(weights)
    scores = []
    for entry in manifest:
        name, start = entry["name"], time.monotonic()
        calibration = read_calibration(folder / f"{name}.toml")
        (line,) = digitize_pages(reader, folder / f"{name}.tif", out, calibration=calibration)
        require(line["status"] not in ("failed", "refused"), f"{name} was not read: {line['reasons']}")
        scores += sort.scored(folder, out, entry)
        print(f"{name}: {time.monotonic() - start:.1f} s", file=sys.stderr)
    (out / "scores.json").write_text(json.dumps({"weights": weights, "scores": scores}, indent=1) + "\n")
    (out / "scores.md").write_text("\n".join(sort.markdown(scores)) + "\n")
    return {"weights": weights, "scores": scores}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("draw", help="strips, calibrations and truth")
    made.add_argument("sort", choices=tuple(SORTS))
    made.add_argument("folder", type=Path, help="of LAS files")
    made.add_argument("--out", required=True, type=Path)
    made.add_argument("--half", choices=("upper", "lower"), help="of where each well has the curves; by default both")
    judged = commands.add_parser("score", help="read them and score what was read")
    judged.add_argument("folder", type=Path, help="that `draw` made")
    judged.add_argument("--weights", default="release")
    judged.add_argument("--limit", type=int, help="only the first strips of the manifest")
    arguments = parser.parse_args()
    try:
        if arguments.command == "draw":
            found = draw(arguments.folder, arguments.out, sort=arguments.sort, half=arguments.half)
            print(f"{len(found)} strips in {arguments.out}")
        else:
            score(arguments.folder, weights=arguments.weights, limit=arguments.limit)
            print((arguments.folder / "read" / "scores.md").read_text())
    except InputError as error:
        print(f"plotted_more: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
