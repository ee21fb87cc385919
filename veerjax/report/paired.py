"""Two sets of weights on the same logs: which differs from the other by more than chance, for shell and page."""

from collections.abc import Mapping
from textwrap import wrap
from typing import Any, NamedTuple

from veerjax.metrics.scores import graded
from veerjax.report.tables import (
    HEADLINE,
    MISSING,
    TEXT_WIDTH,
    Headline,
    certainty,
    headline_rows,
    padded,
    ruled,
)

Report = Mapping[str, Any]
SAID = {
    "A better": "A is better",
    "B better": "B is better",
    "noise": "A and B cannot be told apart",
    "equal": "A and B are equal",
    MISSING: "nothing can be said of A and B",
}


class Difference(NamedTuple):
    """One line of a comparison: both figures, B - A, its interval, and the verdict."""

    row: Headline
    a: str
    b: str
    difference: str
    interval: str
    verdict: str


def paired_names(report: Report) -> tuple[str, str]:
    """The weights A and B."""
    named = report["paired"]["weights"]
    return (report["weights"], named) if isinstance(named, str) else (named[0], named[1])


def differences(report: Report) -> list[Difference]:
    """The headline figures of a comparison; facts of the data, such as a ceiling, are left out."""
    found = report["paired"]["difference"]
    return [_difference(row, found[row.key]) for row in headline_rows(report) if row.key in found and graded(row.key)]


def _difference(row: Headline, found: Mapping[str, Any]) -> Difference:
    low, high = found.get("interval95") or (None, None)
    return Difference(
        row=row,
        a=_number(found.get("a"), row, ""),
        b=_number(found.get("b"), row, ""),
        difference=_number(found.get("difference"), row, "+"),
        interval=MISSING if low is None else f"[{_number(low, row, '+')}, {_number(high, row, '+')}]",
        verdict=found["verdict"],
    )


def _number(value: float | None, row: Headline, sign: str) -> str:
    return MISSING if value is None else f"{value:{sign},.{row.digits}f}"


def paired_note(report: Report) -> str:
    """What is compared, what the figure to decide by says, and how to read the other verdicts."""
    a, b = paired_names(report)
    apart = " AP has no interval, for it does not add over logs, and is not compared." * ("average_precision" in report)
    return (
        f"A is {a}, B is {b}, on the same logs; {certainty(report)}.{decision(report)}"
        " Noise: 0 lies within the interval of B - A. Equal: nothing differs. A dash: not defined, or in fewer than"
        f" two {report.get('interval_unit', 'log')}s."
        f" One in twenty differences of equal weights is not noise by chance.{apart}"
    )


def decision(report: Report) -> str:
    """What the figure that was fixed beforehand says of A and B, or nothing where none was."""
    primary = report["paired"].get("primary")
    row = next((row for row in HEADLINE if row.key == primary), None)
    if row is None or primary not in report["paired"]["difference"]:
        return ""
    found = _difference(row, report["paired"]["difference"][primary])
    by = "" if found.interval == MISSING else f", B - A = {found.difference} {found.interval}"
    return f" The figure to decide by, fixed beforehand, is {row.label}: {SAID[found.verdict]}{by}."


def paired_table(report: Report) -> str:
    """The difference of two sets of weights for the shell: each headline figure, its interval and the verdict."""
    lines = [("", "A", "B", "B - A", "95 % interval", "verdict")]
    lines += [(item.row.label, *item[1:]) for item in differences(report)]
    cells = zip(*(padded(column) for column in zip(*lines, strict=True)), strict=True)
    return "\n".join([*wrap(paired_note(report), TEXT_WIDTH), "", *ruled(list(cells))])
