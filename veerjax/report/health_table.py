"""The health of a dataset as text: its figures by split, then what is wrong with it."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from veerjax.report.tables import MISSING, padded, ruled

Report = Mapping[str, Any]
SHOWN = 20  # defects of a check that are listed; --json holds them all
TITLES = {
    "unreadable": "cannot be read",
    "not_finite": "numbers that are none",
    "out_of_range": "values out of range",
    "empty_label": "empty labels",
    "wrong_label": "labels unlike their strokes",
    "wrong_presence": "presence that contradicts the strokes",
    "centreline_off_stroke": "centrelines outside their strokes",
    "odd_size": "sizes unlike the others",
    "shifted_label": "labels beside their ink",
    "shifted_split": "labels of a split beside their ink in the mean",
    "repeated_name": "names given twice",
    "same_image": "the same image twice",
    "alike_image": "nearly the same image twice",
    "shared_curve": "curves shared between splits",
    "leaking_well": "wells shared between splits",
}


def health_table(report: Report) -> str:
    """The figures of each split side by side, and below them `nothing wrong` or the defects by check.

    Args:
        report: of `jobs.doctor.run_doctor`
    """
    columns = [["", *(label for label, _ in rows_of({}))]]
    columns += [[name, *(cell for _, cell in rows_of(found))] for name, found in report["splits"].items()]
    table = ruled(list(zip(*(padded(column) for column in columns), strict=True)))
    head = f"{report['data']}, examined in {report['seconds']:.1f} s"
    return "\n".join([head, "", *table, "", *defect_lines(report["defects"])])


def rows_of(figures: Report) -> Iterator[tuple[str, str]]:
    """What each row is called, and its cell for one split."""
    yield "examples", number(figures.get("examples"))
    yield "cannot be read", number(figures.get("unreadable"))
    shares = figures.get("class_share", {})
    yield "background, curve 1, curve 2 [%]", listed([percent(v) for v in shares.values()])
    for k in (0, 1):
        yield f"examples with curve {k + 1}", number(at(figures.get("examples_with_curve"), k))
        yield f"curve {k + 1} present [% of rows]", number(percent(at(figures.get("presence"), k)), 1)
    for k in (0, 1):
        width = at(figures.get("stroke_width_px"), k) or {}
        yield f"stroke width {k + 1}, p5 p25 p50 p75 p95 [px]", listed(width.values())
    for k in (0, 1):
        slope = at(figures.get("slope_px_per_row"), k) or {}
        yield f"slope {k + 1}, p50 p90 p99 max [px a row]", listed(slope.values())
    yield "wraps, curve 1 and 2", listed(figures.get("wraps") or [], digits=0)
    yield "crossings per 1,000 rows", number(figures.get("crossings_per_1000_rows"), 1)
    yield "touches per 1,000 rows", number(figures.get("touches_per_1000_rows"), 1)
    for name in ("paper", "ink"):
        grey = figures.get("grey", {}).get(name, {})
        yield f"grey of {name}, p5 p25 p50 p75 p95", listed(grey.values(), digits=0)
    yield "ink from label, down and right [px]", listed(figures.get("label_offset_px") or [], digits=2)


def at(values: Sequence[Any] | None, index: int) -> Any:
    """An entry of a list that may be missing."""
    return None if values is None else values[index]


def percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def number(value: float | None, digits: int = 0) -> str:
    """A number in words, or a dash."""
    return MISSING if value is None else f"{value:.{digits}f}"


def listed(values: Any, digits: int = 1) -> str:
    """Several numbers, or a dash where there is none."""
    return "  ".join(number(value, digits) for value in values) or MISSING


def defect_lines(defects: Sequence[Report]) -> Iterator[str]:
    """The defects by check, the first ones of each in full."""
    if not defects:
        yield "nothing wrong"
    for check, group in groupby(defects, key=lambda defect: defect["check"]):
        members = list(group)
        yield f"{TITLES[check]}: {len(members)}"
        yield from (f"  {told(defect)}" for defect in members[:SHOWN])
        if len(members) > SHOWN:
            yield f"  and {len(members) - SHOWN} more; --json FILE writes them all"


def told(defect: Report) -> str:
    """One defect as a line."""
    subject = defect["example"] or f"all of {defect['split']}"
    where = f" (split {defect['split']})" if defect["example"] else ""
    other = f": {defect['other']} (split {defect['other_split']})" if defect["other"] else ""
    return f"{subject}{where}: {defect['detail']}{other}"
