"""The scores of the plotted set as Markdown."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from plotted_scores import LIMITS, PER_ROWS, SURE_SHARE

NAMES = {
    "mae": "MAE [% of scale]",
    "p95": "p95 [% of scale]",
    "bias": "bias [% of scale]",
    "peak_error": "median peak error [% of scale]",
    "peak_recall": "peak recall",
    "lag_ft": "lag [ft]",
    "coverage": "coverage",
    "swaps": f"swaps per {PER_ROWS:,} rows",
}
MEASURED = ("median", "worst", "within", "pooled")
WORST_KEYS = ("mae", "mae_all", "p95", "coverage", "peak_error", "swaps")  # mae_all counts a missed step at full scale


def markdown(found: Mapping[str, Any]) -> str:
    """Tables for people."""
    name, group = next(iter(found["groups"].items()))
    sure = found["rows"]["sure"]
    return "\n\n".join(
        (
            f"{name}: {group['curves']} curves, {group['peaks']} peaks.",
            table(("figure", "asked: median, worst", "median", "worst", "curves within", "pooled"), asked(group)),
            names(group),
            "Median / worst curve:",
            table(("strips", "curves", *NAMES.values()), map(group_row, found["groups"].items())),
            table(("worst curves", *WORST_KEYS), map(worst_row, found["worst"])),
            table(("confidence at least", "rows accepted", "within 1 % of scale"), threshold_rows(found["rows"])),
            f"{SURE_SHARE:.0%} of the most confident {sure['accepted']:.1%} of rows are within 1 % of scale.\n",
        )
    )


def names(group: Mapping[str, Any]) -> str:
    """A sentence on the names of curves, in shares because both curves of a pair tell of the same rows."""
    rows = max(group["judged_rows"], 1)
    return (
        f"Names are exchanged in {group['exchanged_rows'] / rows:.2%} of the rows in which two curves are apart. By "
        "the nearer curve of each row, a row too early or late on a kick included, they would turn "
        f"{PER_ROWS * group['nearest'] / rows:.3g} times in {PER_ROWS:,} rows."
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))


def asked(group: Mapping[str, Any]) -> Iterator[list[str]]:
    """What the project asks beside what was measured."""
    for key, (median, worst) in LIMITS.items():
        if key in group:
            cells = [f"{group[key][part]:.3g}" if part in group[key] else "" for part in MEASURED]
            yield [NAMES[key], f"{median:g}, {worst:g}", *cells]


def group_row(group: tuple[str, Mapping[str, Any]]) -> list[str]:
    name, figures = group
    cells = [f"{figures[k]['median']:.2g} / {figures[k]['worst']:.3g}" if k in figures else "" for k in LIMITS]
    return [name, str(figures["curves"]), *cells]


def worst_row(curve: Mapping[str, Any]) -> list[str]:
    return [f"{curve['strip']} {curve['curve']} ({curve['coding']})", *(f"{curve[key]:.3g}" for key in WORST_KEYS)]


def threshold_rows(rows: Mapping[str, Any]) -> Iterator[list[str]]:
    for row in rows["thresholds"]:
        yield [f"{row['confidence']:g}", f"{row['accepted']:.4f}", f"{row['close']:.4f}"]
