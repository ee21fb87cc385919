"""The report of an evaluation as one page that needs nothing else: no network, no other file."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from veerjax.errors import InputError
from veerjax.logs.atomic import replacing
from veerjax.report import sections
from veerjax.report.canvas import DARK, LIGHT, encoded, few_colours, png
from veerjax.report.paired import paired_names
from veerjax.report.plot_list import plots_of
from veerjax.report.sections import Picture, Section, resource
from veerjax.report.tables import certainty, extent
from veerjax.version import __version__

OVERLAY_COLOURS = 96
AN_OVERLAY = re.compile(r"\d\d-(worst|median|best)-.+\.png")


@dataclass(frozen=True)
class Overlay:
    """A log to look at, and why it was chosen."""

    kind: Literal["worst", "median", "best"]
    name: str
    caption: str
    picture: UInt8[np.ndarray, "height width 3"]  # the truth in the left half, what was read in the right


def write_report(report: Mapping[str, Any], overlays: Sequence[Overlay], out: Path) -> None:
    """Writes `out/index.html`, the plots as `out/*.png` and the overlays as `out/logs/*.png`.

    The page holds all pictures itself. Each file is there whole or not at all, the page comes last; then the overlays
    of an earlier report are removed, and nothing else in the folder is touched.

    Args:
        report: DESIGN's `evaluate` JSON
        overlays: logs to show, in the order they are shown
        out: a folder, made if it is missing

    Raises:
        InputError: `out` or its `logs` is a file.
    """
    for folder in (out, out / "logs"):
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file; the report needs a folder of that name: remove it or give another.")
    drawn = []
    for plot in plots_of(report):
        (light, words), (dark, _) = plot.draw(report, LIGHT), plot.draw(report, DARK)
        drawn.append(Picture(plot.title, plot.caption, words, png(light), png(dark), plot.name))
    shown = []
    for item in overlays:
        small = few_colours(item.picture, colours=OVERLAY_COLOURS)
        shown.append(Picture(f"{item.kind}: {item.name}", item.caption, told(item), small, kind=item.kind))
    text = page(report, drawn, shown)
    (out / "logs").mkdir(parents=True, exist_ok=True)
    names = [f"{place:02d}-{item.kind}-{file_name(item.name)}.png" for place, item in enumerate(overlays, 1)]
    for name, item in zip(names, overlays, strict=True):
        write(out / "logs" / name, encoded(Image.fromarray(item.picture)))
    for picture in drawn:
        write(out / f"{picture.name}.png", picture.light)
    write(out / "index.html", text.encode())
    for path in (out / "logs").iterdir():
        if AN_OVERLAY.fullmatch(path.name) and path.name not in names:
            path.unlink()


def write(path: Path, content: bytes) -> None:
    """The file, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def file_name(name: str) -> str:
    """A log's name with what a file system may refuse replaced."""
    kept = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "_" for letter in name)
    return kept[-80:]


def told(item: Overlay) -> str:
    """What the picture of a log shows, in words."""
    return f"Log {item.name}, {item.kind}: the truth beside what was read, drawn over the pale scan. {item.caption}."


def command(report: Mapping[str, Any]) -> str:
    """The command that gives the page again, as far as the report tells."""
    if "command" in report:
        return str(report["command"])
    named = list(paired_names(report)) if "paired" in report else [report["weights"]]
    words = ["veerjax", "evaluate", *(word for name in named for word in ("--weights", name))]
    words += ["--paired"] * (len(named) > 1) + ["--data", report["data"], "--split", report["split"]]
    words += ["--data-dir", "DATA_DIR"] * report["data"].startswith("raster_logs/")
    words += ["--limit", str(report["n_logs"]), "--metrics", report.get("metrics", "default"), "--report", "DIR"]
    return shlex.join(words)


def page(report: Mapping[str, Any], drawn: Sequence[Picture], shown: Sequence[Picture]) -> str:
    """The whole page."""
    parts = [
        sections.headline(report),
        sections.compared(report),
        sections.plotted(report, drawn),
        sections.overlaid(report, shown),
        sections.logs(report),
        sections.meaning(report),
        sections.everything(report),
        sections.timing(report, command(report)),
    ]
    parts = [part for part in parts if part is not None]
    facts = {
        "weights": report["weights"],
        "data": report["data"],
        "split": report["split"],
        "read": extent(report),
        "metrics": report.get("metrics", "default"),
        "veerjax": report.get("version", __version__),
        "date": report.get("date", datetime.now(UTC).date().isoformat()),
    }
    return Template(resource("page.html")).substitute(
        title=escape(f"{report['weights']} on {report['data']} - veerjax"),
        heading=f"{escape(report['weights'])} on {escape(report['data'])}",
        facts=" ".join(f"<span>{name} <b>{escape(str(fact))}</b></span>" for name, fact in facts.items()),
        contents="".join(f'<a href="#{part.anchor}">{escape(part.short)}</a>' for part in parts),
        body="\n".join(map(section, parts)),
        footer=f"{escape(certainty(report))}. Written by veerjax {escape(__version__)}; the page needs no network.",
        style=resource("page.css"),
        script=resource("page.js"),
    )


def section(part: Section) -> str:
    return f'<section id="{part.anchor}">\n<h2>{escape(part.title)}</h2>\n{part.body}\n</section>'
