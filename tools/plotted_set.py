"""The independent test set: real wells drawn by matplotlib, read by `veerjax digitize`, scored against their samples.

`python tools/plotted_set.py draw LAS_FOLDER --out DIR [--long]` draws the strips of the manifest below for every well
that has the curves and the depth; `python tools/plotted_set.py score DIR [--weights W] [--tracer T]` reads and scores
them, and writes `scores.json` and `scores.md` beside what was read, in `DIR/read`. `plotted_more` has strips of curves
that wrap and of four curves in a track.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from plotted_scores import row_errors, scored_strip, summary
from plotted_strips import Kind, strip_of, write_strip
from plotted_tables import markdown

from veerjax.config import require
from veerjax.data.wells.windows import las_files
from veerjax.errors import InputError
from veerjax.logs.calibration import read_calibration
from veerjax.logs.las import read_las

# Every well is drawn once as each of these, from another depth on each time.
SHORT = (
    Kind(dpi=300, bits=False, inches=5, feet=200),
    Kind(dpi=300, bits=True, inches=5, feet=300),
    Kind(dpi=300, bits=True, inches=2, feet=400),
    Kind(dpi=200, bits=False, inches=5, feet=300),
    Kind(dpi=200, bits=True, inches=5, feet=200),
    Kind(dpi=200, bits=False, inches=2, feet=400),
    Kind(dpi=100, bits=False, inches=5, feet=200),
    Kind(dpi=100, bits=True, inches=5, feet=200),
)
LONG = (
    Kind(dpi=200, bits=True, inches=5, feet=1000),
    Kind(dpi=300, bits=True, inches=2, feet=2000),
    Kind(dpi=200, bits=False, inches=2, feet=5000),
)


def draw(folder: Path, out: Path, *, kinds: tuple[Kind, ...]) -> list[dict]:
    """Draws every well as every kind and writes `manifest.json`; what it returns is its content."""
    paths = las_files(folder)
    out.mkdir(parents=True, exist_ok=True)
    manifest = []
    for path in paths:
        try:
            well = read_las(path)
            strips = [strip_of(well, kind, stem=path.stem.replace(".", "_")) for kind in kinds]
        except InputError as error:
            print(f"{path.name} is left out: {error}", file=sys.stderr)
            continue
        for strip in filter(None, strips):
            write_strip(strip, out)
            entry = {
                "name": strip.name,
                "las": path.name,
                "well": well.name,
                **asdict(strip.kind),
                "start_ft": strip.start_ft,
                "shape": strip.shape,
                "stroke_px": round(strip.look.stroke_in * strip.kind.dpi, 2),
                "pairs": [track.pair for track in strip.tracks],
                "look": asdict(strip.look),
            }
            manifest.append(entry)
    require(bool(manifest), f"no well in {folder} has a known pair of curves for {min(k.feet for k in kinds)} ft.")
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


def score(folder: Path, *, weights: str, tracer: str, limit: int | None = None, again: bool = True) -> dict:
    """Reads every strip of the manifest and scores what was read."""
    from veerjax.jobs.digitize import digitize_pages
    from veerjax.jobs.reader import ClassicalReader, load

    require((folder / "manifest.json").is_file(), f"{folder} has no manifest.json; draw the set first.")
    manifest = json.loads((folder / "manifest.json").read_text())[:limit]
    out = folder / "read"
    reader = None
    curves, rows = [], []
    for entry in manifest:
        name, start = entry["name"], time.monotonic()
        calibration = read_calibration(folder / f"{name}.toml")
        if again or not (out / f"{name}.las").is_file():
            reader = reader or (load(weights) if tracer == "learned" else ClassicalReader())
            lines = digitize_pages(reader, folder / f"{name}.tif", out, calibration=calibration)
            require(lines[0]["status"] != "failed", f"{name} was not read: {lines[0]['reasons']}")
        curves += scored_strip(folder, out, entry)
        rows.append(row_errors(folder, out, entry))
        print(f"{name}: {time.monotonic() - start:.1f} s", file=sys.stderr)
    found = {"weights": weights, "tracer": tracer, "curves": curves, **summary(curves, rows)}
    (out / "scores.json").write_text(json.dumps(found, indent=1) + "\n")
    (out / "scores.md").write_text(markdown(found))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("draw", help="strips, calibrations and truth")
    made.add_argument("folder", type=Path, help="of LAS files")
    made.add_argument("--out", required=True, type=Path)
    made.add_argument("--long", action="store_true", help="strips of 1,000 to 5,000 ft in place of 200 to 400")
    judged = commands.add_parser("score", help="read them and score what was read")
    judged.add_argument("folder", type=Path, help="that `draw` made")
    judged.add_argument("--weights", default="release")
    judged.add_argument("--tracer", choices=("learned", "classical"), default="learned")
    judged.add_argument("--limit", type=int, help="only the first strips of the manifest")
    judged.add_argument("--keep", action="store_true", help="do not read again what has been read")
    arguments = parser.parse_args()
    try:
        if arguments.command == "draw":
            made = draw(arguments.folder, arguments.out, kinds=LONG if arguments.long else SHORT)
            print(f"{len(made)} strips, {sum(2 * len(entry['pairs']) for entry in made)} curves in {arguments.out}")
        else:
            options = {"weights": arguments.weights, "tracer": arguments.tracer}
            print(markdown(score(arguments.folder, **options, limit=arguments.limit, again=not arguments.keep)))
    except InputError as error:
        print(f"plotted_set: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
