"""The headline figures of an evaluation, as the shell, the README and the page show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from textwrap import wrap
from typing import Any, Literal, NamedTuple

from veerjax.metrics.curve_distance import REACH_PX

Report = Mapping[str, Any]
MISSING = "-"
TEXT_WIDTH = 150
BLANK_PAGE = "The IoU of the background is near 1 for a blank page; it is never a target."
CLASSES = ("background", "curve 1", "curve 2")


class Headline(NamedTuple):
    """A figure that is shown: what it is called, its dotted key, and how it is written."""

    label: str
    key: str
    better: Literal["higher", "lower"]
    digits: int  # after the point


def _each(
    label: str, key: str, *, digits: int = 3, unit: str = "", classes: Sequence[str] = CLASSES[1:]
) -> list[Headline]:
    """One row for each curve or class; what has a unit is an error, which is better when it is lower."""
    better = "lower" if unit else "higher"
    bracket = f" [{unit}]" if unit and not label.endswith(unit) else ""
    return [
        Headline(f"{label}, {name}{bracket}", f"{key}.{index}", better, digits) for index, name in enumerate(classes)
    ]


CAPPED = f"distance capped at {REACH_PX} px"
HEADLINE = [
    # The one to decide by.
    Headline("tolerance F1 @ 2 px, mean of curves", "tolerance_f1_2px", "higher", 3),
    *_each("IoU pooled", "iou.pooled", classes=CLASSES),
    *_each("IoU per image", "iou.per_image", classes=CLASSES),
    Headline("foreground IoU (ink of either curve)", "foreground_iou", "higher", 3),
    Headline("identity accuracy (of ink found)", "identity_accuracy", "higher", 3),
    Headline("ink found and named", "found_and_named", "higher", 3),
    *_each("stroke IoU", "stroke_iou"),
    *_each("stroke IoU ceiling", "stroke_iou_ceiling"),
    *(row for rho in (1, 2, 3) for row in _each(f"tolerance F1 @ {rho} px", f"tolerance_f1.{rho}")),
    *_each("coverage", "coverage"),
    *_each("median row error", "row_error_px.median", unit="px"),
    *_each("p95 row error", "row_error_px.p95", digits=2, unit="px"),
    *_each("mean row error, all rows", "row_error_all_px.mean", digits=2, unit="px"),
    *_each(f"mean {CAPPED}", "curve_distance_px.mean", digits=2, unit="px"),
    *_each(f"median {CAPPED}", "curve_distance_px.median", unit="px"),
    *_each(f"p95 {CAPPED}", "curve_distance_px.p95", digits=2, unit="px"),
    *_each("peak recall", "peak_recall"),
    *_each("median peak error", "peak_error_px.median", digits=2, unit="px"),
    Headline("continuity at crossings", "crossing_continuity.crossings", "higher", 3),
    Headline("continuity at touches", "crossing_continuity.touches", "higher", 3),
    Headline("continuity, balanced", "crossing_continuity.balanced", "higher", 3),
    Headline("swaps per 1,000 rows", "swaps_per_1000_rows", "lower", 2),
    # What --metrics all adds.
    *_each("clDice", "cldice"),
    *_each("HD95 of surfaces", "surface_px.hd95", digits=2, unit="px"),
    *_each("ASSD of surfaces", "surface_px.assd", digits=2, unit="px"),
    *_each("boundary IoU", "boundary_iou"),
    *_each("panoptic PQ", "panoptic.pq", classes=CLASSES),
    *_each("panoptic SQ", "panoptic.sq", classes=CLASSES),
    *_each("panoptic RQ", "panoptic.rq", classes=CLASSES),
    *_each("lane F1", "lane_f1"),
    Headline("line-chart score 6a", "chart.6a", "higher", 3),
    Headline("line-chart score 6b", "chart.6b", "higher", 3),
    # Of the scale.
    *_each("mean value error", "values.mae", digits=2, unit="%"),
    *_each("mean value error, all rows", "values.mae_all", digits=2, unit="%"),
    *_each("Pearson of values", "values.pearson"),
    *_each("Pearson by chance", "values.chance.pearson"),
    *_each("mean depth lag", "values.depth_lag_rows", digits=2, unit="rows"),
    # Does not add over logs.
    *_each("mask AP (no interval)", "average_precision.mask.ap"),
    *_each("mask AP at .5 (no interval)", "average_precision.mask.ap50"),
    *_each("box AP (no interval)", "average_precision.box.ap"),
    *_each("box AP at .5 (no interval)", "average_precision.box.ap50"),
]
README_KEYS = (
    *(f"iou.pooled.{index}" for index in range(3)),
    *(f"tolerance_f1.2.{curve}" for curve in (0, 1)),
    *(f"coverage.{curve}" for curve in (0, 1)),
    *(f"row_error_px.median.{curve}" for curve in (0, 1)),
    *(f"row_error_all_px.mean.{curve}" for curve in (0, 1)),
    "crossing_continuity.balanced",
)


@dataclass(frozen=True)
class Column:
    """One method's figures, and the 95 % interval of each by dotted key."""

    title: str
    figures: Mapping[str, Any]
    intervals: Mapping[str, Sequence[float | None]]
    note: str = ""

    def value(self, key: str) -> float | None:
        """The figure, or None where it is not defined or was not measured."""
        found = look_up(self.figures, key)
        return float(found) if isinstance(found, (int, float)) and isfinite(found) else None

    def interval(self, key: str) -> tuple[float, float] | None:
        """The 95 % interval, or None where there is none."""
        low, high = self.intervals.get(key) or (None, None)
        return None if low is None or high is None else (low, high)

    def text(self, row: Headline) -> str:
        """`0.905 [0.885, 0.921]`."""
        value, between = self.value(row.key), self.interval(row.key)
        if value is None:
            return MISSING
        written = f"{value:,.{row.digits}f}"
        return written if between is None else f"{written} [{between[0]:,.{row.digits}f}, {between[1]:,.{row.digits}f}]"


def look_up(figures: Any, key: str, *, absent: Any = None) -> Any:
    """The entry of nested mappings and lists by its dotted key.

    Args:
        figures: nested
        key: names and positions, joined by dots
        absent: what comes back where there is no such entry
    """
    for part in key.split("."):
        if isinstance(figures, Mapping) and part in figures:
            figures = figures[part]
        elif isinstance(figures, list | tuple) and part.isdigit() and int(part) < len(figures):
            figures = figures[int(part)]
        else:
            return absent
    return figures


def columns(report: Report) -> list[Column]:
    """The weights, each baseline, and the survey's own figures, marked as such."""
    found = [Column(report["weights"], report, report.get("interval95", {}))]
    for name, figures in report.get("baselines", {}).items():
        found.append(Column(name.replace("_", " "), figures, figures.get("interval95", {})))
    if survey := report.get("survey"):
        found.append(Column("survey*", {"iou": {"pooled": survey["iou"]}}, {}, f"* {survey['source']}"))
    return found


def headline_rows(report: Report) -> list[Headline]:
    """The headline figures that were measured."""
    found = columns(report)
    return [row for row in HEADLINE if any(look_up(column.figures, row.key, absent="") != "" for column in found)]


def subject(report: Report) -> str:
    """What was read: `release on 64 logs of standard (test)`."""
    return f"{report['weights']} on {extent(report)} of {report['data']} ({report['split']})"


def extent(report: Report) -> str:
    """How much was read: `366 logs from 2 wells`."""
    wells = report.get("n_wells")
    return counted(report["n_logs"], "log") + (f" from {counted(wells, 'well')}" if wells else "")


def certainty(report: Report) -> str:
    """What the intervals are over, and what they do not say."""
    unit = report.get("interval_unit", "log")
    if report["n_logs"] == 1:
        return "no intervals: a single log says nothing about others"
    said = f"95 % intervals over {unit}s ({report.get('interval_draws', 10_000):,} draws)"
    if unit == "log" and report.get("n_wells") == 1:
        said += "; all logs are of one well: the intervals say nothing about other wells"
    return said


def counted(number: int, noun: str) -> str:
    """`1 log`, `1,000 logs`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def text_table(report: Report) -> str:
    """The headline figures for the shell, at most `TEXT_WIDTH` columns wide; methods that do not fit go below."""
    rows, found = headline_rows(report), columns(report)
    first = padded(["", *(row.label for row in rows)])
    room = TEXT_WIDTH - len(first[0])
    waiting = [_cut([column.title, *(column.text(row) for row in rows)], room - 2) for column in found]
    lines = wrap(f"{subject(report)}; {certainty(report)}", TEXT_WIDTH)
    while waiting:
        block = [waiting.pop(0)]
        left = room - 2 - len(block[0][0])
        while waiting and 2 + len(waiting[0][0]) <= left:
            left -= 2 + len(waiting[0][0])
            block.append(waiting.pop(0))
        head, *body = zip(first, *block, strict=True)
        told = [line for line in body if any(cell.strip() != MISSING for cell in line[1:])]
        lines += ["", *ruled([head, *told])]
    notes = [column.note for column in found if column.note]
    return "\n".join([*lines, "", *notes, BLANK_PAGE])


def ruled(lines: Sequence[Sequence[str]]) -> list[str]:
    """Lines of cells as text, the first underlined."""
    head, *body = ("  ".join(line).rstrip() for line in lines)
    return [head, "-" * max(map(len, (head, *body))), *body]


def _cut(column: Sequence[str], room: int) -> list[str]:
    """Cells of one width; a title longer than its figures loses its beginning: the end of a path tells more."""
    limit = min(room, max(15, *map(len, column[1:])))
    title = column[0] if len(column[0]) <= limit else "..." + column[0][-(limit - 3) :]
    return padded([title, *column[1:]])


def padded(column: Sequence[str]) -> list[str]:
    """Cells of one width."""
    return [cell.ljust(max(map(len, column))) for cell in column]


def markdown_table(report: Report, *, keys: Sequence[str] = README_KEYS) -> str:
    """Some headline figures as a Markdown table, with a line that says of what.

    Args:
        report: of `evaluate`
        keys: dotted keys of the rows, as in `HEADLINE`
    """
    found = columns(report)
    lines = [f"{subject(report)}; {certainty(report)}.", ""]
    lines += [_row("figure", *(column.title for column in found)), _row(*["---"] * (1 + len(found)))]
    chosen = [row for row in headline_rows(report) if row.key in keys]
    lines += [_row(row.label, *(column.text(row) for column in found)) for row in chosen]
    notes = [column.note.replace("*", "\\*") for column in found if column.note]
    return "\n".join([*lines, *(["", *notes] if notes else [])])


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
